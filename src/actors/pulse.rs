//! Whether the database answers.
//!
//! Whoever asks how the node is shows no key, and the database is asked where events are stored: on
//! SQLite by the one who writes. So it is asked by one at a time, and hardly more often than any
//! check needs, however many want to know.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::clock;
use crate::store::{Result, StoreError};

/// How long an answer stands.
const FRESH: Duration = Duration::from_millis(100);
/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// See the module's documentation.
#[derive(Default)]
pub struct Pulse(Mutex<Option<Felt>>);

struct Felt {
    at: Instant,
    /// Why it does not answer.
    trouble: Option<String>,
}

impl Pulse {
    /// Why the database does not answer, if it does not. `ping` asks it.
    pub async fn trouble(&self, ping: impl Future<Output = Result<()>>) -> Option<String> {
        let mut last = self.0.lock().await;
        if let Some(felt) = &*last
            && clock::instant().saturating_duration_since(felt.at) < FRESH
        {
            return felt.trouble.clone();
        }
        let answer = tokio::time::timeout(PATIENCE, ping).await;
        let answer =
            answer.unwrap_or_else(|_| Err(StoreError::Unavailable("no answer".to_owned())));
        let felt = Felt {
            at: clock::instant(),
            trouble: answer.err().map(|problem| problem.to_string()),
        };
        last.insert(felt).trouble.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_ask_the_database_hardly_ever() {
        let (pulse, asked) = (Pulse::default(), AtomicUsize::new(0));
        let ping = async || {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Err::<(), _>(StoreError::Unavailable("away".to_owned()))
        };
        let answers = join_all((0..1_000).map(|_| pulse.trouble(ping()))).await;
        assert!(answers.iter().all(Option::is_some));
        assert!(asked.load(Ordering::Relaxed) < 500, "{asked:?}");
    }

    #[tokio::test]
    async fn what_was_felt_is_felt_again() {
        let pulse = Pulse::default();
        let away = async { Err(StoreError::Unavailable("away".to_owned())) };
        assert!(
            pulse
                .trouble(away)
                .await
                .is_some_and(|why| why.contains("away"))
        );
        while pulse.trouble(async { Ok(()) }).await.is_some() {
            tokio::task::yield_now().await;
        }
        assert_eq!(pulse.trouble(async { Ok(()) }).await, None);
    }
}
