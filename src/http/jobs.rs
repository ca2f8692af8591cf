//! Bulk work: many deliveries sent again, events replayed to one subscription, and the jobs that
//! do it.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::auth::Asking;
use super::bare::{Bare, NoQuery};
use super::belonging::{self, Listed, empty};
use super::body;
use super::error::{ApiError, Fault, Result};
use super::job_input::{JobInput, Seed, parse_replay, parse_retry_failed};
use super::job_view::{JobView, PreviewView};
use super::openapi::PageParameters;
use super::openapi::bodies::{ReplayBody, RetryFailedBody};
use super::paging::{PageView, Query};
use super::path::PathId;
use super::to_the_end::to_the_end;
use crate::actors::JobAnswer;
use crate::clock;
use crate::domain::access::Caller;
use crate::domain::id::{EventId, JobId, SubscriptionId};
use crate::domain::job::{JobState, Selection};
use crate::domain::subscription::Subscription;
use crate::store::JobFilter;

/// Enough for every field at its bound.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Faults of single ids that are named.
const MAX_FAULTS: usize = 10;

const MUST_NOT_GET: &str = "is an event that this subscription must not get: another tenant's, or \
     one of Posthaste's own";

type Parse = fn(&[u8], Seed<'_>) -> std::result::Result<JobInput, Vec<Fault>>;

/// `POST /subscriptions/{id}/retry-failed`: all that failed since then, in their next rounds.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/retry-failed",
    tag = "subscriptions",
    summary = "Send again all that failed",
    description = "Makes a job that sends deliveries again, in their next rounds.",
    request_body(content = RetryFailedBody, example = json!({"since": "2025-10-26T10:00:00Z", "dryRun": true})),
    responses(
        (status = 200, description = "What would be done (`dryRun`).", body = PreviewView),
        (status = 202, description = "The job was made.", body = JobView, headers(("Location" = String, description = "The job's path."))),
        (status = 409, description = "Too many jobs have not ended (`jobs.max_open`)."),
    )
)]
pub async fn retry_failed(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    answer_new(
        app,
        &caller,
        SubscriptionId(id),
        request,
        parse_retry_failed,
    )
    .await
}

/// `POST /subscriptions/{id}/replay`: events, also those from before the subscription existed.
#[utoipa::path(
    post,
    path = "/subscriptions/{id}/replay",
    tag = "subscriptions",
    summary = "Replay events",
    description = "Makes a job that delivers stored events to the subscription, also those from before it existed.",
    request_body(content = ReplayBody, example = json!({"since": "2025-10-26T10:00:00Z", "eventTypes": ["order.*"], "dryRun": true})),
    responses(
        (status = 200, description = "What would be done (`dryRun`).", body = PreviewView),
        (status = 202, description = "The job was made.", body = JobView, headers(("Location" = String, description = "The job's path."))),
        (status = 409, description = "Too many jobs have not ended (`jobs.max_open`)."),
    )
)]
pub async fn replay(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    answer_new(app, &caller, SubscriptionId(id), request, parse_replay).await
}

async fn answer_new(
    app: HttpState,
    caller: &Caller,
    id: SubscriptionId,
    request: Request,
    parse: Parse,
) -> Result<Response> {
    let body = body::read(request, MAX_BODY_BYTES).await?;
    let subscription = belonging::subscription(&app, caller, id).await?;
    let seed = Seed {
        id: JobId(clock::uuid()),
        subscription: &subscription,
        now: clock::now(),
        settings: &app.settings.jobs,
    };
    let input = parse(&body, seed).map_err(ApiError::invalid_body)?;
    if let Selection::EventIds(ids) = &input.job.selection {
        check_events(&app, caller, ids, &subscription).await?;
    }
    if input.dry_run {
        let preview = app.relay.preview_job(&input.job, &subscription).await?;
        return Ok(Json(PreviewView::new(&input.job, &preview)).into_response());
    }
    let relay = app.relay.clone();
    let made = to_the_end(async move { Ok(relay.make_job(input.job, &subscription).await?) });
    match made.await? {
        JobAnswer::Made(job) => {
            let place = format!("/api/v1/jobs/{}", job.id);
            let place = HeaderValue::from_str(&place).map_err(|_| ApiError::internal())?;
            let view = Json(JobView::new(&job).with_events(&job));
            Ok((StatusCode::ACCEPTED, [(header::LOCATION, place)], view).into_response())
        }
        JobAnswer::TooMany(most) => Err(ApiError::conflict(format!(
            "As many jobs have not ended as may: {most} (jobs.max_open), of one tenant a quarter of \
             that; wait for one to end, or cancel one"
        ))),
    }
}

/// Every event that is named must be stored, and one that this subscription may get.
async fn check_events(
    app: &HttpState,
    caller: &Caller,
    ids: &[EventId],
    subscription: &Subscription,
) -> Result<()> {
    let mut heads = app.store.event_heads(ids).await?;
    // Of what is not theirs, nobody is told that it is there, nor that it was.
    heads.retain(|head| head.is_for(subscription) || caller.sees(head.tenant.as_deref()));
    if let Some(erased) = heads.iter().find(|head| head.is_erased()) {
        return Err(ApiError::conflict(format!(
            "The payload of event {} was erased: there is nothing to send; leave it out",
            erased.id
        )));
    }
    let problem = |id: &EventId| match heads.binary_search_by_key(id, |head| head.id) {
        Ok(at) if heads[at].may_reach(subscription) => None,
        Ok(_) => Some(MUST_NOT_GET),
        Err(_) => Some("is not stored here, or not any more"),
    };
    let faults: Vec<Fault> = ids
        .iter()
        .filter_map(|id| Some(Fault::new("eventIds", format!("{id} {}", problem(id)?))))
        .take(MAX_FAULTS)
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => Err(ApiError::invalid_body(faults)),
    }
}

/// `GET /jobs`: newest first.
#[utoipa::path(
    get,
    path = "/jobs",
    tag = "jobs",
    summary = "List jobs",
    description = "Newest first, without the `eventIds` that a replay of named events has: there may be many, and `GET /jobs/{id}` shows them; `total` says how many.",
    params(
        ("status" = Option<JobState>, Query, description = "Only those in that state."),
        ("state" = Option<JobState>, Query, description = "The same as `status`."),
        ("subscriptionId" = Option<SubscriptionId>, Query, description = "Only those of that subscription."),
        ("webhookId" = Option<SubscriptionId>, Query, description = "The same as `subscriptionId`."),
        ("tenant" = Option<String>, Query, description = "Only those of that tenant's subscriptions.", min_length = 1, max_length = 255),
        ("clientId" = Option<String>, Query, description = "The same as `tenant`.", min_length = 1, max_length = 255),
        PageParameters,
    ),
    responses((status = 200, description = "A page of jobs.", body = PageView<JobView>))
)]
pub async fn list(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let filters = [
        "status",
        "state",
        "subscriptionId",
        "webhookId",
        "tenant",
        "clientId",
    ];
    let mut query = Query::of_list(raw.as_deref(), &filters);
    let words = JobState::ALL.map(JobState::as_str).join(", ");
    let listed = Listed::for_caller(&caller, query.text(&["tenant", "clientId"]));
    let mut filter = JobFilter {
        tenant: None,
        subscription: query.id(&["subscriptionId", "webhookId"]),
        state: query.parsed(
            &["status", "state"],
            &format!("one of {words}"),
            JobState::parse,
        ),
    };
    let request = query.page();
    query.done()?;
    let page = match listed {
        Listed::Of(tenant) => {
            filter.tenant = tenant;
            app.store.list_jobs(&filter, &request).await?
        }
        Listed::Nothing => empty(),
    };
    Ok(Json(PageView::new(&page, request.limit, JobView::new)).into_response())
}

/// `GET /jobs/{id}`: one job, with the events that it names.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    tag = "jobs",
    summary = "Show a job",
    responses((status = 200, description = "The job, with the events that it names.", body = JobView))
)]
pub async fn show(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
) -> Result<Response> {
    let job = belonging::job(&app, &caller, JobId(id)).await?;
    Ok(Json(JobView::new(&job).with_events(&job)).into_response())
}

/// `POST /jobs/{id}/cancel`: no further batch; what it has moved stays moved.
#[utoipa::path(
    post,
    path = "/jobs/{id}/cancel",
    tag = "jobs",
    summary = "Cancel a job",
    description = "No further batch is made; what it has moved stays moved.",
    responses(
        (status = 200, description = "The job, cancelled.", body = JobView),
        (status = 400, description = "A query or a body was sent, which nobody would read."),
        (status = 409, description = "The job has ended already."),
    )
)]
pub async fn cancel(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    _: Bare,
) -> Result<Response> {
    let id = belonging::job(&app, &caller, JobId(id)).await?.id;
    let task = app.clone();
    let ended = to_the_end(async move { Ok(task.relay.cancel_job(id).await?) }).await?;
    let job = app.store.job(id).await?;
    let job = job.ok_or_else(|| ApiError::not_found("job"))?;
    if !ended {
        let state = job.state.as_str();
        return Err(ApiError::conflict(format!(
            "This job is {state} already; only one that has not ended can be cancelled"
        )));
    }
    Ok(Json(JobView::new(&job)).into_response())
}
