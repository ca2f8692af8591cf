//! What is shown of statistics. `docs/statistics.md` says what each number means.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Timestamp;
use crate::domain::delivery::DeliveryState;
use crate::domain::statistics::{Figures, Histogram, Series, Types, Window};

/// How long things took, in milliseconds; null where nothing did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Times)]
pub struct TimesView {
    average: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

impl TimesView {
    /// Of a histogram.
    pub fn new(histogram: &Histogram) -> Self {
        let millis = |duration: Option<Duration>| {
            duration.map(|duration| (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0)
        };
        Self {
            average: millis(histogram.mean()),
            p50: millis(histogram.percentile(50)),
            p95: millis(histogram.percentile(95)),
            p99: millis(histogram.percentile(99)),
        }
    }
}

/// Attempts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AttemptFigures)]
pub struct AttemptsView {
    total: u64,
    retries: u64,
    /// Every class, those without any too.
    #[schema(value_type = BTreeMap<String, u64>)]
    by_outcome: BTreeMap<&'static str, u64>,
    duration_ms: TimesView,
}

impl AttemptsView {
    /// Of figures.
    pub fn new(figures: &Figures) -> Self {
        let classes = figures.attempts_by_class();
        Self {
            total: figures.all_attempts(),
            retries: figures.retries,
            by_outcome: classes
                .map(|(class, count)| (class.as_str(), count))
                .collect(),
            duration_ms: TimesView::new(&figures.duration),
        }
    }
}

/// What became of deliveries within a time.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveryFigures)]
pub struct FlowView {
    created: u64,
    delivered: u64,
    failed: u64,
    expired: u64,
    cancelled: u64,
    skipped: u64,
    /// Final ones that were made pending again, by hand or by a job.
    reopened: u64,
    success_rate: Option<f64>,
    latency_ms: TimesView,
    attempts: AttemptsView,
}

impl FlowView {
    /// Of figures.
    pub fn new(figures: &Figures) -> Self {
        Self {
            created: figures.made(),
            delivered: figures.came_into(DeliveryState::Delivered),
            failed: figures.came_into(DeliveryState::Failed),
            expired: figures.came_into(DeliveryState::Expired),
            cancelled: figures.came_into(DeliveryState::Cancelled),
            skipped: figures.came_into(DeliveryState::Skipped),
            reopened: figures.reopened(),
            success_rate: figures.success_rate(),
            latency_ms: TimesView::new(&figures.latency),
            attempts: AttemptsView::new(figures),
        }
    }
}

/// Deliveries by the state that they are in.
pub fn by_state(figures: &Figures) -> BTreeMap<&'static str, u64> {
    let states = DeliveryState::ALL.into_iter();
    states
        .map(|state| (state.as_str(), figures.now_in(state)))
        .collect()
}

/// Events of one type.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TypeCount)]
pub struct TypeView {
    event_type: String,
    count: u64,
}

/// The types, the most frequent first.
pub fn by_type(types: &Types) -> Vec<TypeView> {
    let mut views: Vec<TypeView> = types
        .known
        .iter()
        .map(|(event_type, count)| TypeView {
            event_type: event_type.to_string(),
            count: *count,
        })
        .collect();
    views.sort_by(|a, b| {
        b.count
            .cmp(&a.count)
            .then_with(|| a.event_type.cmp(&b.event_type))
    });
    views
}

/// One point of a series.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SeriesPoint)]
struct PointView {
    start: Timestamp,
    /// Events; of one subscription its deliveries.
    accepted: u64,
    #[serde(flatten)]
    flow: FlowView,
}

/// A window as a series.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Series)]
pub struct SeriesView {
    #[schema(value_type = Window)]
    window: &'static str,
    since: Timestamp,
    until: Timestamp,
    step_seconds: u64,
    /// The whole window.
    totals: FlowView,
    accepted: u64,
    points: Vec<PointView>,
    /// False where the newest of what happened is not counted in yet.
    complete: bool,
}

impl SeriesView {
    /// Of the points of a series. Of one subscription what is accepted is what was made for it.
    pub fn new(
        window: &'static str,
        series: &Series,
        points: &[(Timestamp, Figures)],
        of_one: bool,
        complete: bool,
    ) -> Self {
        let accepted = |figures: &Figures| match of_one {
            true => figures.made(),
            false => figures.accepted,
        };
        let mut totals = Figures::default();
        for (_, figures) in points {
            totals.add(figures);
        }
        Self {
            window,
            since: series.piece.from,
            until: series.piece.until,
            step_seconds: series.step.as_secs(),
            accepted: accepted(&totals),
            totals: FlowView::new(&totals),
            points: points
                .iter()
                .map(|(start, figures)| PointView {
                    start: *start,
                    accepted: accepted(figures),
                    flow: FlowView::new(figures),
                })
                .collect(),
            complete,
        }
    }
}
