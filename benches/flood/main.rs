//! Floods a relay with events and counts what arrives: `make bench`.
//!
//! The relay is the real binary; the receiver is a process of its own. Every figure stands
//! beside the same senders posting straight at the receiver in the same run, because machines
//! differ and are noisy: the ratio is what counts, and CPU time per delivery more than seconds.

mod processes;
mod receiver;
mod sender;

use std::time::Duration;

use processes::{Receiver, Relay, cpu_of_tree};
use sender::Flood;

/// Reached only where something is lost.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    if arguments
        .get(1)
        .is_some_and(|argument| argument == "receiver")
    {
        runtime.block_on(receiver::serve());
    } else {
        runtime.block_on(run());
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[allow(clippy::print_stdout, reason = "a bench prints its figures")]
async fn run() {
    let flood = Flood {
        events: number("EVENTS", 20_000),
        senders: number("SENDERS", 64),
    };
    println!(
        "{} events, {} senders, one subscription",
        flood.events, flood.senders
    );
    println!(
        "{:<12} {:>9} {:>7} {:>11} {:>11} {:>11} {:>9} {:>7}",
        "", "per s", "ratio", "µs relay", "µs stores", "accepted/s", "distinct", "twice"
    );
    let bare = bare_loop(flood).await;
    println!("{:<12} {bare:>9.0} {:>7.2}", "bare loop", 1.0);
    for profile in ["embedded", "distributed"] {
        let line = through_relay(profile, flood, bare).await;
        println!("{profile:<12} {line}");
    }
}

/// The same senders posting straight at the receiver.
async fn bare_loop(flood: Flood) -> f64 {
    let receiver = Receiver::start().await;
    let took = flood.send(receiver.address, "/hook", None).await;
    receiver.until(flood.events, PATIENCE).await;
    flood.events as f64 / took.as_secs_f64()
}

#[allow(clippy::disallowed_methods, reason = "a bench measures time")]
async fn through_relay(profile: &str, flood: Flood, bare: f64) -> String {
    let receiver = Receiver::start().await;
    let relay = Relay::start(profile).await;
    relay.subscribe(receiver.address).await;
    let stores = relay.store_processes();
    let cpu = || {
        (
            relay.cpu(),
            stores.iter().map(|id| cpu_of_tree(*id)).sum::<Duration>(),
        )
    };
    let before = cpu();
    let start = std::time::Instant::now();
    let accepting = flood
        .send(relay.address, "/api/v1/events", Some(&relay.key))
        .await;
    let (count, distinct) = receiver.until(flood.events, PATIENCE).await;
    let took = start.elapsed();
    relay.until_settled(PATIENCE).await;
    let after = cpu();
    let per_delivery = |spent: Duration| spent.as_secs_f64() * 1e6 / flood.events as f64;
    let rate = flood.events as f64 / took.as_secs_f64();
    format!(
        "{rate:>9.0} {:>7.2} {:>11.0} {:>11.0} {:>11.0} {distinct:>9} {:>7}",
        rate / bare,
        per_delivery(after.0 - before.0),
        per_delivery(after.1.saturating_sub(before.1)),
        flood.events as f64 / accepting.as_secs_f64(),
        count - distinct,
    )
}
