//! What `make bench` runs: named scenarios, each beside the bare loop (the load generator posting
//! straight at the receiver) and, where it has one, the floor (`benches/floor`), in the same run.
//!
//! Machines differ and are noisy: ratios and CPU time per delivery count more than seconds. The
//! relay is the real binary; load generator, receiver and floor are this program in other
//! roles, each a process of its own. What the columns mean is in docs/performance.md.

#![allow(
    clippy::disallowed_methods,
    reason = "a bench measures time and prints figures"
)]

mod bench;
#[path = "../floor/mod.rs"]
mod floor;
mod process;
mod receiver;
mod relay;
mod report;
mod scenarios;
mod sender;
mod store;
mod wire;

use serde::de::DeserializeOwned;

/// The relay's, so that the floor differs from it by what it does alone.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().unwrap_or_default();
    let with = arguments.next().unwrap_or_default();
    match role.as_str() {
        "receiver" => alone(receiver::serve()),
        "sender" => alone(sender::run(read(&with))),
        "floor" => floor::run(read(&with)),
        _ => alone(scenarios::run()),
    }
}

/// One thread: load generator and receiver take one core each at most, as they do when posting
/// at one another.
fn alone(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work);
}

fn read<T: DeserializeOwned>(with: &str) -> T {
    serde_json::from_str(with).expect("the argument of a role")
}
