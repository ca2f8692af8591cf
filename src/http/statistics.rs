//! Summaries and series: of events, of deliveries, of subscriptions.
//!
//! Nothing here counts rows: all of it is answered from buckets of time, which cost the same however
//! many rows there are. A tenant's caller is told its own.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::ToSchema;

use super::HttpState;
use super::auth::Asking;
use super::belonging;
use super::error::{ApiError, Fault, Result};
use super::paging::Query;
use super::path::PathId;
use super::statistics_view::{FlowView, SeriesView, TypeView, by_state, by_type};
use crate::clock;
use crate::domain::Timestamp;
use crate::domain::access::Caller;
use crate::domain::delivery::DeliveryState;
use crate::domain::id::SubscriptionId;
use crate::domain::statistics::{Figures, Piece, Scope, Series, Width, Window, cover};
use crate::settings::StatisticsSettings;
use crate::store::{Statistics, StatisticsQuery, Whose};

const DAY: Duration = Duration::from_secs(86_400);
/// Subscriptions whose pictures are asked for in one go at most.
const MOST_IDS: usize = 100;

/// Whose numbers a caller is told where it names nobody.
pub fn scope_of(caller: &Caller) -> Scope {
    let tenant = caller.tenant.clone();
    tenant.map_or(Scope::All, Scope::Tenant)
}

/// Reads buckets of these scopes.
pub async fn read(app: &HttpState, scopes: Vec<Scope>, pieces: Vec<Piece>) -> Result<Statistics> {
    let whose = Whose::Scopes(scopes);
    Ok(app
        .store
        .statistics(&StatisticsQuery { whose, pieces })
        .await?)
}

/// A time that a summary is about.
struct Asked {
    since: Timestamp,
    until: Timestamp,
    pieces: Vec<Piece>,
}

impl Asked {
    /// The last day where nothing is asked for. What is too long ago for narrow buckets is widened
    /// to those that are still kept.
    fn read(raw: Option<&str>, now: Timestamp, kept: StatisticsSettings) -> Result<Self> {
        let mut query = Query::of(raw, &["since", "until"]);
        let (since, until) = (query.time("since"), query.time("until"));
        query.done()?;
        let until = until.unwrap_or(now);
        let since = since.unwrap_or_else(|| until.minus(DAY));
        if since >= until {
            let fault = Fault::new(
                "since",
                "must be before until, which is now where it is absent",
            );
            return Err(ApiError::invalid_query(vec![fault]));
        }
        let age = now.since(since);
        let finest = match age {
            // One hour less: what is just being forgotten is not relied on.
            age if age + Duration::from_secs(3_600) < kept.minutes_kept => Width::Minute,
            age if age + DAY < kept.hours_kept => Width::Hour,
            _ => Width::Day,
        };
        let pieces = cover(since, until, finest);
        Ok(Self {
            since: pieces.first().map_or(since, |piece| piece.from),
            until: pieces.last().map_or(until, |piece| piece.until),
            pieces,
        })
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventsSummary)]
struct EventsSummaryView {
    since: Timestamp,
    until: Timestamp,
    /// Events accepted within the time.
    total: u64,
    by_type: Vec<TypeView>,
    /// Of further types.
    other_types: u64,
    /// What became of deliveries within the time: how many came into each state.
    #[schema(value_type = BTreeMap<String, u64>)]
    by_status: BTreeMap<&'static str, u64>,
    last24h: u64,
    /// Since this was installed.
    ever: u64,
    complete: bool,
}

/// `GET /events/stats/summary`.
#[utoipa::path(
    get,
    path = "/events/stats/summary",
    tag = "events",
    operation_id = "summary",
    summary = "Sum events up",
    description = "Answered from counters; docs/statistics.md says what each number means. A tenant's key is told its own.",
    params(
        ("since" = Option<Timestamp>, Query, description = "From that moment on; by default a day before `until`. What is long ago is known by the hour or the day: the answer says which time it is about."),
        ("until" = Option<Timestamp>, Query, description = "Before that moment; by default now."),
    ),
    responses((status = 200, description = "The summary.", body = EventsSummaryView))
)]
pub async fn events_summary(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let now = clock::now();
    let asked = Asked::read(raw.as_deref(), now, app.settings.statistics)?;
    let day = cover(now.minus(DAY), now, Width::Minute);
    let mut pieces = asked.pieces.clone();
    pieces.extend(&day);
    pieces.push(Piece::EVER);
    let found = read(&app, vec![scope_of(&caller)], pieces).await?;
    let figures = found.sum(&asked.pieces);
    let states = DeliveryState::ALL.into_iter();
    let view = EventsSummaryView {
        since: asked.since,
        until: asked.until,
        total: figures.accepted,
        by_type: by_type(&figures.types),
        other_types: figures.types.others,
        by_status: states
            .map(|state| (state.as_str(), figures.came_into(state)))
            .collect(),
        last24h: found.sum(&day).accepted,
        ever: found.sum(&[Piece::EVER]).accepted,
        complete: !found.behind,
    };
    Ok(Json(view).into_response())
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveriesSummary)]
struct DeliveriesSummaryView {
    since: Timestamp,
    until: Timestamp,
    /// Deliveries ever made, whether they are still kept or not.
    total: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_state: BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    flow: FlowView,
    complete: bool,
}

/// `GET /deliveries/stats/summary`.
#[utoipa::path(
    get,
    path = "/deliveries/stats/summary",
    tag = "deliveries",
    operation_id = "summary",
    summary = "Sum deliveries up",
    description = "Answered from counters; docs/statistics.md says what each number means. A tenant's key is told its own.",
    params(
        ("since" = Option<Timestamp>, Query, description = "From that moment on; by default a day before `until`. What is long ago is known by the hour or the day: the answer says which time it is about."),
        ("until" = Option<Timestamp>, Query, description = "Before that moment; by default now."),
    ),
    responses((status = 200, description = "The summary.", body = DeliveriesSummaryView))
)]
pub async fn deliveries_summary(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let asked = Asked::read(raw.as_deref(), clock::now(), app.settings.statistics)?;
    let mut pieces = asked.pieces.clone();
    pieces.push(Piece::EVER);
    let found = read(&app, vec![scope_of(&caller)], pieces).await?;
    let ever = found.sum(&[Piece::EVER]);
    let view = DeliveriesSummaryView {
        since: asked.since,
        until: asked.until,
        total: ever.made(),
        by_state: by_state(&ever),
        flow: FlowView::new(&found.sum(&asked.pieces)),
        complete: !found.behind,
    };
    Ok(Json(view).into_response())
}

fn window_of(raw: Option<&str>) -> Result<Window> {
    let words = Window::ALL.map(Window::as_str).join(", ");
    let mut query = Query::of(raw, &["window"]);
    let window = query.parsed(&["window"], &format!("one of {words}"), Window::parse);
    query.done()?;
    Ok(window.unwrap_or(Window::Day))
}

/// `GET /dashboard/metrics`: everybody's series, or a tenant's.
#[utoipa::path(
    get,
    path = "/dashboard/metrics",
    tag = "dashboard",
    operation_id = "metrics",
    summary = "Show a window as a series",
    description = "Of everything, or of what is the tenant's whose key it is.",
    params(("window" = Option<Window>, Query, description = "By default `24h`.")),
    responses((status = 200, description = "The series.", body = SeriesView))
)]
pub async fn metrics(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let window = window_of(raw.as_deref())?;
    let view = series(&app, scope_of(&caller), window).await?;
    Ok(Json(view).into_response())
}

async fn series(app: &HttpState, scope: Scope, window: Window) -> Result<SeriesView> {
    let of_one = matches!(scope, Scope::Subscription(_));
    let series = Series::of(window, clock::now());
    let found = read(app, vec![scope], vec![series.piece]).await?;
    let points = series.points(found.buckets.iter());
    let complete = !found.behind;
    Ok(SeriesView::new(
        window.as_str(),
        &series,
        &points,
        of_one,
        complete,
    ))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SubscriptionStats)]
struct SubscriptionStatsView {
    id: SubscriptionId,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_state: BTreeMap<&'static str, u64>,
    #[serde(flatten)]
    series: SeriesView,
}

/// `GET /subscriptions/{id}/stats`.
#[utoipa::path(
    get,
    path = "/subscriptions/{id}/stats",
    tag = "subscriptions",
    operation_id = "stats",
    summary = "Show a subscription's numbers",
    params(("window" = Option<Window>, Query, description = "By default `24h`.")),
    responses((status = 200, description = "Its deliveries by state, and a series.", body = SubscriptionStatsView))
)]
pub async fn of_subscription(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    PathId(id): PathId,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let window = window_of(raw.as_deref())?;
    let found = belonging::subscription(&app, &caller, SubscriptionId(id)).await?;
    let scope = Scope::Subscription(found.id);
    let ever = read(&app, vec![scope.clone()], vec![Piece::EVER]).await?;
    let view = SubscriptionStatsView {
        id: found.id,
        by_state: by_state(&ever.sum(&[Piece::EVER])),
        series: series(&app, scope, window).await?,
    };
    Ok(Json(view).into_response())
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Sparkline)]
struct SparklineView {
    id: SubscriptionId,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_state: BTreeMap<&'static str, u64>,
    success_rate: Option<f64>,
    delivered: Vec<u64>,
    /// Failed and expired.
    failed: Vec<u64>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Sparklines)]
struct SparklinesView {
    since: Timestamp,
    until: Timestamp,
    step_seconds: u64,
    /// In the order asked for, without those that do not exist.
    data: Vec<SparklineView>,
    complete: bool,
}

/// `GET /subscriptions/stats?ids=`: the last day of a page of subscriptions, by the hour.
#[utoipa::path(
    get,
    path = "/subscriptions/stats",
    tag = "subscriptions",
    operation_id = "sparklines",
    summary = "Show the last day of several subscriptions",
    description = "By the hour. Those that do not exist are left out.",
    params(("ids" = String, Query, description = "1 to 100 ids with commas between them.", min_length = 36, pattern = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}( *, *[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}){0,99}$", example = "0190b5a0-7a3c-7c1e-9d52-3f1b0c5d8e21")),
    responses((status = 200, description = "One series for each, in the order asked for.", body = SparklinesView))
)]
pub async fn sparklines(
    State(app): State<HttpState>,
    Asking(caller): Asking,
    RawQuery(raw): RawQuery,
) -> Result<Response> {
    let mut query = Query::of(raw.as_deref(), &["ids"]);
    let expected = format!("1 to {MOST_IDS} ids (UUIDs) with commas between them");
    let ids = query.parsed(&["ids"], &expected, read_ids);
    query.done()?;
    let Some(ids) = ids else {
        let fault = Fault::new("ids", format!("is required: {expected}"));
        return Err(ApiError::invalid_query(vec![fault]));
    };
    let seen = |id: &SubscriptionId| {
        let found = app.relay.subscription(*id);
        found.is_some_and(|found| caller.sees(found.tenant.as_deref()))
    };
    let ids: Vec<SubscriptionId> = ids.into_iter().filter(seen).collect();
    let series = Series::sparkline(clock::now());
    let scopes = ids.iter().copied().map(Scope::Subscription).collect();
    let found = read(&app, scopes, vec![series.piece, Piece::EVER]).await?;
    let mut by_scope: BTreeMap<&Scope, Vec<_>> = BTreeMap::new();
    for bucket in &found.buckets {
        by_scope.entry(&bucket.scope).or_default().push(bucket);
    }
    let sparkline = |id: SubscriptionId| {
        let buckets = by_scope.get(&Scope::Subscription(id));
        let buckets = || buckets.into_iter().flatten().copied();
        let points = series.points(buckets());
        let (mut ever, mut day) = (Figures::default(), Figures::default());
        for bucket in buckets().filter(|bucket| bucket.width == Width::Ever) {
            ever.add(&bucket.figures);
        }
        for (_, figures) in &points {
            day.add(figures);
        }
        let each = |count: fn(&Figures) -> u64| points.iter().map(|(_, one)| count(one)).collect();
        SparklineView {
            id,
            by_state: by_state(&ever),
            success_rate: day.success_rate(),
            delivered: each(|figures| figures.came_into(DeliveryState::Delivered)),
            failed: each(Figures::ended_undelivered),
        }
    };
    let view = SparklinesView {
        since: series.piece.from,
        until: series.piece.until,
        step_seconds: series.step.as_secs(),
        data: ids.into_iter().map(sparkline).collect(),
        complete: !found.behind,
    };
    Ok(Json(view).into_response())
}

fn read_ids(text: &str) -> Option<Vec<SubscriptionId>> {
    let mut ids = Vec::new();
    for part in text.split(',') {
        let id = part.trim().parse().ok()?;
        if !ids.contains(&id) {
            ids.push(id);
        }
        if ids.len() > MOST_IDS {
            return None;
        }
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> StatisticsSettings {
        StatisticsSettings {
            fold_interval: DAY,
            minutes_kept: DAY * 2,
            hours_kept: DAY * 60,
            days_kept: DAY * 400,
        }
    }

    #[test]
    fn a_tenants_caller_is_told_its_own() {
        let mut caller = Caller::admin();
        assert_eq!(scope_of(&caller), Scope::All);
        caller.tenant = Some("acme".into());
        assert_eq!(scope_of(&caller), Scope::Tenant("acme".into()));
    }

    #[test]
    fn a_summary_is_of_the_last_day_or_of_what_is_asked_for() {
        let now = Timestamp::parse_rfc3339("2026-03-10T12:34:56Z").unwrap();
        let read = |raw: &str| {
            let asked = Asked::read(Some(raw), now, kept())?;
            Ok::<_, ApiError>((asked.since.to_string(), asked.until.to_string()))
        };
        let expect = |raw: &str, since: &str, until: &str| {
            let told = read(raw).unwrap();
            assert_eq!(
                told,
                (format!("{since}:00.000Z"), format!("{until}:00.000Z")),
                "{raw}"
            );
        };
        expect("", "2026-03-09T12:34", "2026-03-10T12:35");
        expect(
            "since=2026-03-10T12:00:30Z",
            "2026-03-10T12:00",
            "2026-03-10T12:35",
        );
        // What is longer ago is known by the hour, and then by the day.
        expect(
            "since=2026-03-01T10:10:00Z&until=2026-03-02T10:10:00Z",
            "2026-03-01T10:00",
            "2026-03-02T11:00",
        );
        expect(
            "since=2026-01-01T10:10:00Z&until=2026-01-02T10:10:00Z",
            "2026-01-01T00:00",
            "2026-01-03T00:00",
        );
        for bad in [
            "since=2026-03-10T12:34:56Z",
            "until=x",
            "from=2026-01-01T00:00:00Z",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        // The ends of time are no trouble.
        assert!(read("since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z").is_ok());
    }

    #[test]
    fn ids_are_bounded_and_told_once() {
        let id = |number: u128| uuid::Uuid::from_u128(number).to_string();
        let list = |count: u128| (0..count).map(id).collect::<Vec<_>>().join(",");
        assert_eq!(read_ids(&list(100)).map(|ids| ids.len()), Some(100));
        assert_eq!(
            read_ids(&format!("{}, {}", id(1), id(1))).map(|ids| ids.len()),
            Some(1)
        );
        for bad in [
            list(101),
            String::new(),
            "x".to_owned(),
            format!("{},", id(1)),
        ] {
            assert_eq!(read_ids(&bad), None);
        }
    }
}
