//! `GET /stream`: what happens, while it happens, as server-sent events.
//!
//! The request's time limit ends with the answer's head. What bounds a stream afterwards: one that
//! is read too slowly is ended, one whose key or session ends is ended, and the number of all is limited.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use serde_json::json;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::{Asking, Staying};
use super::connection::Endless;
use super::error::{ApiError, Result};
use super::openapi::StreamTypes;
use super::stream_filter::Filter;
use super::tenants;
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::id::SubscriptionId;
use crate::stream::{Next, NoStream, Stream, frame};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Proxies that buffer answers (nginx) are asked not to.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Facts written in one piece at most.
const MOST_AT_ONCE: usize = 64;
/// How often it is looked whether the caller's key or session is still good, whatever happens.
const LOOK: Duration = Duration::from_secs(1);

/// `GET /stream`. Goes on behind `Last-Event-ID` where that can be done without a gap.
#[utoipa::path(
    get,
    path = "/stream",
    tag = "relay",
    operation_id = "stream",
    summary = "Follow what happens",
    description = "Server-sent events, each with an `id`, an `event` and JSON as `data`; docs/stream.md lists them. \
        Shows what the key's scopes allow: events, deliveries, subscriptions.",
    params(
        ("types" = Option<StreamTypes>, Query, description = "Only these types, parted by commas."),
        ("subscriptionId" = Option<SubscriptionId>, Query, description = "Only what concerns this subscription."),
        ("webhookId" = Option<SubscriptionId>, Query, description = "The same as `subscriptionId`."),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was read: goes on behind it, or says `reset`."),
    ),
    responses(
        (status = 200, description = "Goes on until either side ends it. Of each event the fields are those of the schema.", body = StreamedView, content_type = "text/event-stream"),
        (status = 403, description = "Of what was asked for, this key can be shown nothing."),
        (status = 404, description = "There is no such subscription."),
    )
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let filter = Filter::read(&app, Arc::clone(&caller), raw.as_deref()).await?;
    let last = headers.get(LAST_EVENT_ID).map(HeaderValue::as_bytes);
    // What is no text is no id of ours, and answered like one that is not known any more.
    let last = last.map(|last| std::str::from_utf8(last).unwrap_or_default());
    let stream = app.streams.open(caller.tenant.as_ref(), last);
    let stream = stream.map_err(|why| match why {
        NoStream::Full => ApiError::unavailable(
            "As many streams are open as may be (stream.max_streams, of one tenant a quarter of that); \
             try again later",
        ),
        NoStream::Stopping => ApiError::unavailable("The relay is stopping"),
    })?;
    let heartbeat = app.settings.stream.heartbeat;
    let writer = Writer {
        app,
        caller,
        filter,
        stream,
        asked_to_resume: last.is_some(),
        stage: Stage::Greeting,
        staying: None,
        beat: clock::instant() + heartbeat,
    };
    let pieces = futures_util::stream::unfold(writer, async |mut writer| {
        let piece = writer.piece().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), writer))
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (BUFFERING, "no"),
    ];
    let mut response = (head, Body::from_stream(pieces)).into_response();
    response.extensions_mut().insert(Endless);
    Ok(response)
}

/// An event of a stream.
#[derive(ToSchema)]
#[schema(as = StreamedEvent)]
#[expect(dead_code, reason = "only its schema is used")]
struct StreamedView {
    /// Where a later stream goes on (`Last-Event-ID`).
    id: String,
    /// What it is about.
    event: String,
    /// JSON; docs/stream.md says of each event what it holds.
    data: String,
}

/// Writes one stream, piece by piece, as fast as its reader reads.
struct Writer {
    app: HttpState,
    caller: Arc<Caller>,
    filter: Filter,
    stream: Stream,
    asked_to_resume: bool,
    stage: Stage,
    /// Their key, or their session, is good.
    staying: Option<Staying>,
    /// When something has to be written, if nothing is before.
    beat: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Showing,
    Ended,
}

impl Writer {
    /// The next piece; nothing behind the last.
    async fn piece(&mut self) -> Option<Bytes> {
        let piece = match self.stage {
            Stage::Greeting => {
                self.stage = Stage::Showing;
                self.greeting().await
            }
            Stage::Showing => self.news().await,
            Stage::Ended => return None,
        };
        self.beat = clock::instant() + self.app.settings.stream.heartbeat;
        Some(piece)
    }

    async fn greeting(&mut self) -> Bytes {
        let hello = self.stream.hello().await;
        let covers = match hello.covers_all {
            true => "cluster",
            false => "node",
        };
        let data = json!({"node": hello.node, "covers": covers, "nodes": hello.nodes});
        let mut greeting = BytesMut::from(frame(&hello.id, "hello", &data.to_string()).as_ref());
        if self.asked_to_resume && !hello.resumed {
            let data = json!({"reason": "unknown_id"});
            greeting.extend_from_slice(&frame(&hello.id, "reset", &data.to_string()));
        }
        greeting.freeze()
    }

    /// Facts that are shown; a sign of life where there are none for long; or why the stream ends.
    async fn news(&mut self) -> Bytes {
        loop {
            self.staying = self.app.gate.stays(&self.caller, self.staying);
            if let Some(reason) = self.refused() {
                return self.end("closed", &json!({"reason": reason}));
            }
            match self.stream.take(MOST_AT_ONCE) {
                Next::Facts(facts) if facts.is_empty() => {}
                Next::Facts(facts) => {
                    let shown = facts.iter().filter(|one| self.filter.shows(&one.fact));
                    let mut piece = BytesMut::new();
                    shown.for_each(|one| piece.extend_from_slice(&one.frame));
                    if !piece.is_empty() {
                        return piece.freeze();
                    }
                    if let Some(beat) = self.heartbeat() {
                        return beat;
                    }
                    // The rest may be long, and others have to get on.
                    tokio::task::yield_now().await;
                    continue;
                }
                Next::Behind(count) => {
                    // Of all facts: no tenant is told how many others have.
                    let count = self.caller.tenant.is_none().then_some(count);
                    return self.end("dropped", &json!({"facts": count}));
                }
                Next::Stopping => return self.end("closed", &json!({"reason": "stopping"})),
                Next::Lost => return self.end("closed", &json!({"reason": "lost"})),
            }
            if let Some(beat) = self.heartbeat() {
                return beat;
            }
            let wake = self.beat.min(clock::instant() + LOOK);
            tokio::select! {
                () = self.stream.news() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    /// A sign of life, where it is time for one. An id alone is no event, but whoever comes back
    /// need not go through again what was not shown.
    fn heartbeat(&self) -> Option<Bytes> {
        let id = || format!(": heartbeat\nid: {}\n\n", self.stream.id());
        (clock::instant() >= self.beat).then(|| id().into())
    }

    /// Why this caller would not be let in any more.
    fn refused(&self) -> Option<&'static str> {
        let find = |id: &str| self.app.relay.tenant(id);
        if self.staying.is_none() {
            Some(match self.caller.session {
                Some(_) => "session_ended",
                None => "key_ended",
            })
        } else if tenants::check_active(&self.caller, find).is_err() {
            Some("tenant_inactive")
        } else {
            None
        }
    }

    fn end(&mut self, name: &str, data: &serde_json::Value) -> Bytes {
        self.stage = Stage::Ended;
        frame(&self.stream.id(), name, &data.to_string())
    }
}
