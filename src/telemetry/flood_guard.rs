//! Keeps the log readable while something fails over and over.
//!
//! A database that goes away makes every request and every subscription fail, each with a line
//! of its own. Each place in the code may warn so many times, then at a slow pace; how many lines
//! were left out is told from time to time. Lines of what goes well are not limited here: the
//! level is there for them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines of one place before it is limited.
const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Lines of one place after that, each second.
const PACE: NonZeroU32 = NonZeroU32::new(1).unwrap();
/// How often it is told what was left out.
const REPORT: Duration = Duration::from_secs(10);

/// Where a line comes from, and how many of its like were left out.
type LeftOut = HashMap<Identifier, (&'static Metadata<'static>, u64)>;

/// A layer that leaves lines out.
pub(super) struct FloodGuard {
    limiter: DefaultKeyedRateLimiter<Identifier>,
    left_out: Arc<Mutex<LeftOut>>,
}

impl FloodGuard {
    /// Tells from a thread of its own, so that it needs no runtime, which may be what fails.
    pub(super) fn start() -> std::io::Result<Self> {
        let guard = Self::silent();
        let left_out = Arc::clone(&guard.left_out);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(REPORT);
                    report(&left_out);
                }
            })?;
        Ok(guard)
    }

    fn silent() -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(PACE).allow_burst(BURST)),
            left_out: Arc::default(),
        }
    }
}

impl<S: Subscriber> Layer<S> for FloodGuard {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN {
            return true;
        }
        let place = metadata.callsite();
        if self.limiter.check_key(&place).is_ok() {
            return true;
        }
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        left_out.entry(place).or_insert((metadata, 0)).1 += 1;
        false
    }
}

fn report(left_out: &Mutex<LeftOut>) {
    let left_out = std::mem::take(&mut *left_out.lock().unwrap_or_else(PoisonError::into_inner));
    for (metadata, count) in left_out.into_values() {
        tracing::info!(
            count,
            place = format!(
                "{}:{}",
                metadata.file().unwrap_or_else(|| metadata.target()),
                metadata.line().unwrap_or_default()
            ),
            "log lines were left out: their like had been written too often"
        );
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Counts what comes through.
    #[derive(Clone, Default)]
    struct Counter(Arc<Mutex<Vec<Level>>>);

    impl<S: Subscriber> Layer<S> for Counter {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
    }

    #[test]
    fn one_place_is_limited_and_no_other() {
        let counter = Counter::default();
        let guard = FloodGuard::silent();
        let left_out = Arc::clone(&guard.left_out);
        let subscriber = tracing_subscriber::registry()
            .with(guard)
            .with(counter.clone());
        let burst = BURST.get() as usize;
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..50 * burst {
                tracing::warn!("again");
            }
            tracing::error!("something else");
            for _ in 0..2 * burst {
                tracing::info!("fine");
            }
            let seen = std::mem::take(&mut *counter.0.lock().unwrap());
            let of = |level| seen.iter().filter(|seen| **seen == level).count();
            let warned = of(Level::WARN);
            // It could take some seconds and be let through a few times more.
            assert!((burst..10 * burst).contains(&warned), "{warned}");
            assert_eq!((of(Level::ERROR), of(Level::INFO)), (1, 2 * burst));
            let counts: Vec<u64> = left_out.lock().unwrap().values().map(|one| one.1).collect();
            assert_eq!(counts, [(50 * burst - warned) as u64]);
            report(&left_out);
            assert_eq!(counter.0.lock().unwrap().len(), 1, "it is told once");
            report(&left_out);
            assert_eq!(counter.0.lock().unwrap().len(), 1);
        });
    }
}
