//! What stories stand on: a relay with a real store, real receivers, and ways to wait.
//!
//! Nothing here sleeps: stories wait on what the engine tells and on what receivers receive.
//! Each wait has a deadline so generous that only a lost delivery reaches it.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

pub mod backend;
pub mod browser;
pub mod flow;
pub mod looking;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod relay;

use std::future::Future;
use std::time::Duration;

#[allow(unused_imports, reason = "not every binary tells stories")]
pub use backend::Profile;
#[allow(unused_imports, reason = "not every binary starts processes")]
pub use process::Process;
#[allow(unused_imports, reason = "not every binary cuts connections")]
pub use proxy::Proxy;
pub use receiver::Receiver;
#[allow(unused_imports, reason = "not every binary tells stories")]
pub use relay::Relay;

/// Reached only where something is lost.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that has to come.
pub async fn soon<T>(what: &str, coming: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, coming).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Runs every story on both profiles.
#[macro_export]
macro_rules! stories {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod embedded {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::support::Profile::Embedded).await; })*
        }
        mod distributed {
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::support::Profile::Distributed).await; })*
        }
    };
}

/// Runs every story on both profiles, and on one that accepts and another that delivers: there
/// the API is that of the one that accepts. Some tell of what
/// is known at once only where both are one process.
#[macro_export]
macro_rules! stories_also_split {
    ($($name:ident),* $(,)? $(; in_one_process: $($whole:ident),* $(,)?)?) => {
        $crate::stories!($($name,)* $($($whole,)*)?);
        mod split {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::support::Profile::Split).await; })*
        }
    };
}
