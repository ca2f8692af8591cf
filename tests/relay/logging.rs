//! The log is on a disk that is full: the relay goes on.

use std::fs::File;
use std::sync::Arc;

use serde_json::json;

use crate::support::backend::Backend;
use crate::support::process::command;
use crate::support::{Process, Profile, Receiver};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let backend = Arc::new(Backend::new(Profile::Embedded).await);
    let mut command = command(&backend, &[("POSTHASTE_LOG__FILTER", "debug")]);
    // Every write to it fails for want of space.
    let full = File::options().write(true).open("/dev/full").unwrap();
    command.stderr(full);
    let process = Process::serving(command).await;
    let receiver = Receiver::ok().await;
    process.api.subscribe(&receiver, json!({})).await;
    // Each attempt is logged.
    process.api.send("a.b", json!(1)).await;
    process.api.send("a.b", json!(2)).await;
    receiver.received(2).await;
    assert_eq!(process.terminate().await, Some(0));
}
