//! What is read when Prometheus asks.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeGaugeValue;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The node at this moment.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// What this process does.
    pub role: &'static str,
    /// Whether it can do its part.
    pub ready: bool,
    /// Its parts, and whether they are well.
    pub components: Vec<(&'static str, bool)>,
    /// Whether this process delivers.
    pub lease_held: bool,
    /// Attempts in flight, and how many there may be.
    pub in_flight: (usize, usize),
    /// Events waiting for their commit, and how many there may be.
    pub events_waiting: (usize, usize),
    /// Outcomes waiting for their record.
    pub outcomes_waiting: usize,
    /// Seconds that the oldest of them has waited.
    pub outcomes_lag: f64,
    /// Pending deliveries, counted up to a bound; none where the store did not say.
    pub pending: Option<u64>,
    /// Seconds since when a delivery could have been sent that was not.
    pub overdue: f64,
    /// Subscriptions that this process has in hand.
    pub busy: usize,
    /// Breakers that do not let everything through, by their state.
    pub breakers: Vec<(&'static str, u64)>,
    /// Subscriptions by their state.
    pub subscriptions: Vec<(&'static str, u64)>,
    /// Bytes of payload in windows, and how many there may be.
    pub window_bytes: (usize, usize),
    /// When the process started, in seconds since 1970.
    pub started: f64,
    /// Its resident memory; none where the system does not say.
    pub resident_bytes: Option<u64>,
}

type Label = [(&'static str, &'static str); 1];

impl Gauges {
    /// Our own, and those that every process has.
    pub(super) fn registries(&self) -> [Registry; 2] {
        [self.own(), self.of_process()]
    }

    fn own(&self) -> Registry {
        let mut registry = Registry::with_prefix("posthaste");
        let to = &mut registry;
        let labels = [("version", env!("CARGO_PKG_VERSION")), ("role", self.role)];
        to.register("build", "What this process is", Info::new(labels));
        gauge(
            to,
            "ready",
            "Whether this process can do its part",
            i64::from(self.ready),
        );
        let lease = i64::from(self.lease_held);
        gauge(to, "lease_held", "Whether this process delivers", lease);
        let components = self
            .components
            .iter()
            .map(|(name, ok)| (*name, u64::from(*ok)));
        by_label(
            to,
            "component_up",
            "Whether a part of the node is well",
            "component",
            components,
        );
        let (in_flight, most) = self.in_flight;
        gauge(
            to,
            "attempts_in_flight",
            "Attempts under way",
            number(in_flight),
        );
        gauge(
            to,
            "attempts_in_flight_limit",
            "Attempts under way at most",
            number(most),
        );
        let (waiting, most) = self.events_waiting;
        gauge(
            to,
            "events_waiting",
            "Events waiting for their commit",
            number(waiting),
        );
        gauge(
            to,
            "events_waiting_limit",
            "Events waiting at most",
            number(most),
        );
        let waiting = number(self.outcomes_waiting);
        gauge(
            to,
            "outcomes_waiting",
            "Outcomes waiting for their record",
            waiting,
        );
        seconds(
            to,
            "outcomes_lag",
            "How long the oldest outcome has waited",
            self.outcomes_lag,
        );
        if let Some(pending) = self.pending {
            let help = "Pending deliveries, counted up to 100000";
            gauge(
                to,
                "deliveries_pending",
                help,
                i64::try_from(pending).unwrap_or(i64::MAX),
            );
        }
        let help = "How long a delivery that nothing holds back has waited";
        seconds(to, "delivery_overdue", help, self.overdue);
        let help = "Subscriptions that this process has in hand";
        gauge(to, "subscriptions_busy", help, number(self.busy));
        let breakers = self.breakers.iter().copied();
        by_label(
            to,
            "breakers",
            "Breakers that hold deliveries back",
            "state",
            breakers,
        );
        let subscriptions = self.subscriptions.iter().copied();
        by_label(
            to,
            "subscriptions",
            "Subscriptions by state",
            "state",
            subscriptions,
        );
        let (used, most) = self.window_bytes;
        let help = "Payload held in memory";
        to.register_with_unit("window", help, Unit::Bytes, ConstGauge::new(number(used)));
        let help = "Payload held in memory at most";
        to.register_with_unit(
            "window_limit",
            help,
            Unit::Bytes,
            ConstGauge::new(number(most)),
        );
        registry
    }

    fn of_process(&self) -> Registry {
        let mut registry = Registry::with_prefix("process");
        seconds(
            &mut registry,
            "start_time",
            "When it started, since 1970",
            self.started,
        );
        if let Some(bytes) = self.resident_bytes {
            let bytes = ConstGauge::new(i64::try_from(bytes).unwrap_or(i64::MAX));
            registry.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, bytes);
        }
        registry
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: i64) {
    registry.register(name, help, ConstGauge::new(value));
}

fn seconds<N>(registry: &mut Registry, name: &str, help: &str, value: N)
where
    N: EncodeGaugeValue + std::fmt::Debug + Send + Sync + Clone + 'static,
{
    registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(value));
}

fn by_label(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: impl Iterator<Item = (&'static str, u64)>,
) {
    let family = Family::<Label, Gauge<u64, AtomicU64>>::default();
    for (value, count) in values {
        family.get_or_create(&[(label, value)]).set(count);
    }
    registry.register(name, help, family);
}
