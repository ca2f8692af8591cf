//! Five receivers as one meets them: well, slow, flaky, with a rate limit, and one that is down
//! for a while and comes back.
//!
//! What they do depends on a count and on the time since their start alone, so that every run of
//! the demo shows the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock;

/// How long the slow one thinks.
const SLOW: Duration = Duration::from_millis(1_500);
/// Of so many requests the flaky one fails the last.
const FLAKY_EVERY: u64 = 4;
/// Requests that the limiting one takes within one period.
const LIMIT: u64 = 6;
const LIMIT_PERIOD: Duration = Duration::from_secs(2);
/// How long the mortal one lives, and how long it is gone.
const ALIVE: Duration = Duration::from_secs(30);
const GONE: Duration = Duration::from_secs(35);

/// The customer, and what its people are called.
pub(super) const TENANT: &str = "acme";
pub(super) const TENANT_NAME: &str = "Acme GmbH";

/// How much faster than told everything goes, so that tests need not wait for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speed(pub(super) u32);

impl Speed {
    fn of(self, duration: Duration) -> Duration {
        duration / self.0.max(1)
    }
}

/// What a receiver is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Healthy,
    Slow,
    Flaky,
    Limiting,
    Mortal,
}

impl Behaviour {
    pub(super) const ALL: [Self; 5] = [
        Self::Healthy,
        Self::Slow,
        Self::Flaky,
        Self::Limiting,
        Self::Mortal,
    ];

    /// The name of its subscription.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "HRMS",
            Self::Slow => "Data warehouse",
            Self::Flaky => "Mail service",
            Self::Limiting => "Chat bot",
            Self::Mortal => "Payroll",
        }
    }

    /// Whose its subscription is: two are a customer's, who sees them in a portal of its own.
    pub(super) fn tenant(self) -> Option<&'static str> {
        matches!(self, Self::Limiting | Self::Mortal).then_some(TENANT)
    }

    /// What there is to see of it.
    pub(super) fn says(self) -> String {
        match self {
            Self::Healthy => "answers at once".to_owned(),
            Self::Slow => format!("answers after {} s", SLOW.as_secs_f32()),
            Self::Flaky => format!("answers 500 to every {FLAKY_EVERY}th request: retries"),
            Self::Limiting => format!(
                "takes {LIMIT} requests in {} s, answers 429 with Retry-After to more",
                LIMIT_PERIOD.as_secs()
            ),
            Self::Mortal => format!(
                "is gone for {} s after every {} s: its breaker opens, probes, and closes again",
                GONE.as_secs(),
                ALIVE.as_secs()
            ),
        }
    }

    /// What its subscription asks for besides name and address. Delays are short, so that there is
    /// something to see within a minute.
    pub(super) fn wishes(self, speed: Speed) -> Value {
        let millis = |seconds| speed.of(Duration::from_secs(seconds)).as_millis() as u64;
        let delays = [1, 2, 4, 8, 15, 30, 60].map(millis);
        let soon = json!({"delaysMs": delays});
        match self {
            Self::Healthy => json!({"eventTypes": ["*"]}),
            Self::Slow => json!({"eventTypes": ["candidate.*", "job.*"], "maxInFlight": 8}),
            Self::Flaky => {
                json!({"eventTypes": ["candidate.*", "interview.*"], "retryPolicy": soon})
            }
            Self::Limiting => {
                json!({"eventTypes": ["interview.*", "assessment.*"], "retryPolicy": soon})
            }
            Self::Mortal => json!({
                "eventTypes": ["*"],
                "retryPolicy": soon,
                "breaker": {"consecutiveFailures": 5, "coolDownMs": millis(5), "coolDownMaxMs": millis(15)},
            }),
        }
    }
}

/// Starts one on a free port of the loopback interface; it runs until the process ends.
pub(super) async fn start(behaviour: Behaviour, speed: Speed) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("no port is free for a receiver")?;
    let address = listener.local_addr()?;
    let seen = Arc::new(Seen::new(behaviour, speed));
    if behaviour == Behaviour::Mortal {
        tokio::spawn(live_and_die(listener, address, seen));
    } else {
        answer(listener, seen);
    }
    Ok(address)
}

fn answer(listener: TcpListener, seen: Arc<Seen>) -> JoinHandle<()> {
    let router = Router::new().fallback(receive).with_state(seen);
    tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    })
}

/// Takes calls for a while, then refuses connections for a while, and so on. Connections that stand
/// may end the request that they carry; as the relay keeps idle ones for a few seconds only, each
/// answer also ends its connection.
async fn live_and_die(first: TcpListener, address: SocketAddr, seen: Arc<Seen>) {
    let mut listener = Some(first);
    loop {
        if let Some(listener) = listener.take() {
            let serving = answer(listener, Arc::clone(&seen));
            tokio::time::sleep(seen.speed.of(ALIVE)).await;
            serving.abort();
            tokio::time::sleep(seen.speed.of(GONE)).await;
        }
        // Until then another process may have taken the port; it goes away some time.
        match TcpListener::bind(address).await {
            Ok(again) => listener = Some(again),
            Err(_) => tokio::time::sleep(seen.speed.of(GONE)).await,
        }
    }
}

/// What a receiver remembers.
struct Seen {
    behaviour: Behaviour,
    speed: Speed,
    since: Instant,
    requests: AtomicU64,
    /// The period that is counted, and what came in it.
    period: AtomicU64,
    in_period: AtomicU64,
}

impl Seen {
    fn new(behaviour: Behaviour, speed: Speed) -> Self {
        Self {
            behaviour,
            speed,
            since: clock::instant(),
            requests: AtomicU64::new(0),
            period: AtomicU64::new(0),
            in_period: AtomicU64::new(0),
        }
    }

    /// How long to wait where the limit is used up.
    fn over_limit(&self, now: Instant) -> Option<Duration> {
        let running = now.saturating_duration_since(self.since);
        let period = running.as_secs() / LIMIT_PERIOD.as_secs();
        if self.period.swap(period, Ordering::Relaxed) != period {
            self.in_period.store(0, Ordering::Relaxed);
        }
        let next = LIMIT_PERIOD * u32::try_from(period + 1).unwrap_or(u32::MAX);
        (self.in_period.fetch_add(1, Ordering::Relaxed) >= LIMIT)
            .then(|| next.saturating_sub(running))
    }
}

async fn receive(State(seen): State<Arc<Seen>>, body: axum::body::Bytes) -> Response {
    let number = seen.requests.fetch_add(1, Ordering::Relaxed) + 1;
    drop(body);
    match seen.behaviour {
        Behaviour::Healthy => StatusCode::NO_CONTENT.into_response(),
        Behaviour::Slow => {
            tokio::time::sleep(seen.speed.of(SLOW)).await;
            StatusCode::NO_CONTENT.into_response()
        }
        Behaviour::Flaky if number.is_multiple_of(FLAKY_EVERY) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "the mail server did not answer",
        )
            .into_response(),
        Behaviour::Flaky => (StatusCode::OK, "queued").into_response(),
        Behaviour::Limiting => match seen.over_limit(clock::instant()) {
            Some(wait) => {
                let seconds = wait.as_millis().div_ceil(1_000) as u64;
                let after = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
                (StatusCode::TOO_MANY_REQUESTS, after, "slow down").into_response()
            }
            None => StatusCode::NO_CONTENT.into_response(),
        },
        Behaviour::Mortal => (
            StatusCode::NO_CONTENT,
            [(header::CONNECTION, HeaderValue::from_static("close"))],
        )
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limiting_one_takes_so_many_in_each_period() {
        let seen = Seen::new(Behaviour::Limiting, Speed(1));
        let at = |seconds| seen.since + Duration::from_secs(seconds);
        for _ in 0..LIMIT {
            assert_eq!(seen.over_limit(at(1)), None);
        }
        assert_eq!(
            seen.over_limit(at(1)),
            Some(LIMIT_PERIOD - Duration::from_secs(1))
        );
        assert_eq!(seen.over_limit(at(LIMIT_PERIOD.as_secs())), None);
    }
}
