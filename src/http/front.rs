//! What answers a request: the router, or the short way of `POST /events` past it.
//!
//! Nearly every request is one of these, and the router's layers cost more than what is done for
//! it. So it is told apart first, by method and path alone, and goes through the same steps in
//! the same order: frame, key, tenant, scope, limits, handler. It stands in the table of routes as any other, and its
//! paths come from there.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use hyper::body::Incoming;
use tower::ServiceExt;

use super::HttpState;
use super::address::Peer;
use super::auth;
use super::connection::Answer;
use super::connection_timer::ConnectionTimer;
use super::events;
use super::frame::{Bounds, Frame};
use super::limiting::{Told, refusal};
use super::tenants;
use crate::clock;
use crate::domain::access::Scope;
use crate::limits::Group;

/// All routes, and the short way to one of them.
pub struct Front {
    /// Every route, that one included.
    pub router: Router,
    /// The paths of the short way.
    pub short: Vec<String>,
    /// What requests are held within.
    pub bounds: Bounds,
    /// Pages of other origins may call; what they send goes through the router's layers.
    pub is_cross_origin: bool,
    /// What handlers work with.
    pub state: HttpState,
}

impl Answer for Front {
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        timer: &ConnectionTimer,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let from_page = self.is_cross_origin && parts.headers.contains_key(header::ORIGIN);
        let is_short = parts.method == Method::POST && !from_page;
        if is_short && self.short.iter().any(|short| short == path) {
            return self.accept(parts, body, peer, timer).await;
        }
        // Boxed, so that the short way need not carry its size.
        let request = Request::from_parts(parts, body);
        Box::pin(self.router.answer(request, peer, timer)).await
    }
}

impl Answer for Router {
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        peer: IpAddr,
        _: &ConnectionTimer,
    ) -> Response {
        request.extensions_mut().insert(Peer(peer));
        let answered = self.clone().oneshot(request.map(Body::new)).await;
        answered.unwrap_or_else(|never| match never {})
    }
}

impl Front {
    async fn accept(
        &self,
        mut parts: Parts,
        body: Incoming,
        peer: IpAddr,
        timer: &ConnectionTimer,
    ) -> Response {
        let frame = Frame::around(&self.bounds, &parts.headers, &body);
        let deadline = clock::instant() + self.bounds.time;
        let mut told = Told::default();
        let handled = async {
            let gate = &self.state.gate;
            let caller = gate.let_in(&parts.method, &parts.headers, peer)?;
            tenants::check_active(&caller, |id| self.state.relay.tenant(id))?;
            auth::check_scope(&caller, Scope::EventsWrite)?;
            if gate.limits(Group::EventsWrite) {
                let verdict = gate.take(Group::EventsWrite, &caller, &parts.headers, peer);
                let verdict = Box::pin(verdict).await;
                told = Told::of(&verdict);
                refusal(&verdict).map_or(Ok(()), Err)?;
            }
            let account = Some(&frame.account);
            events::accept(&self.state, &caller, &parts, body, account, timer).await
        };
        let handled = AssertUnwindSafe(handled).catch_unwind();
        match timer.within(deadline, handled).await {
            Some(Ok(Ok(accepted))) => {
                let headers = emptied(std::mem::take(&mut parts.headers));
                let answer = told.with(accepted.into_response_with(headers));
                frame.answer(Some(Ok(answer)))
            }
            Some(Ok(Err(refusal))) => {
                let metrics = self.state.relay.metrics();
                metrics.note_refused(refusal.problem().code());
                let answer = told.with(refusal.into_response());
                frame.answer(Some(Ok(answer)))
            }
            failed => {
                // Only here is anything logged, and a span costs more than all the rest of a frame.
                let span = tracing::info_span!(
                    "request",
                    id = frame.shown_id(),
                    method = %parts.method,
                    route = parts.uri.path(),
                );
                let panic = failed.and_then(std::result::Result::err);
                span.in_scope(|| frame.answer(panic.map(Err)))
            }
        }
    }
}

/// Headers of which a connection keeps the room at most.
const KEPT_ROOM: usize = 64;

/// The map of a request for its answer: the connection reads its next request into that one, so
/// that it mostly does with one map.
fn emptied(mut headers: HeaderMap) -> HeaderMap {
    if headers.capacity() > KEPT_ROOM {
        return HeaderMap::new();
    }
    headers.clear();
    headers
}
