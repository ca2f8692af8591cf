//! Waiting. What is waited for is something that processes show from outside; each wait has a
//! deadline, and reaching it is a failure of the run.

use std::future::Future;
use std::time::Duration;

/// Two loaded cores are slow; what is lost never comes.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Waits for something that has to come.
pub async fn in_time<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Before another look at what does not call: other processes need the cores meanwhile.
pub async fn look_again() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}
