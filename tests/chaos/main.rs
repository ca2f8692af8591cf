//! Chaos: the real relay under load, while everything around it and in it fails.
//!
//! For each shape of the relay: real processes, real Postgres and Redis of this run's own,
//! several senders, receivers of five kinds. Faults come one after the other, in an order and
//! at moments drawn from a seed. A ledger notes what was acknowledged and what arrived. After
//! the last fault everything is drained, and then checked: nothing acknowledged is lost,
//! nothing is repeated beyond what was in flight, every attempt log agrees with itself, with
//! the state of its delivery and with what the receiver saw.
//!
//! `make test` inflicts each fault once, `make chaos` for as long as asked. The decisions
//! (schedule, load, what receivers answer) follow from the seed; when exactly each falls into
//! the work of the processes does not.

#![allow(
    clippy::disallowed_methods,
    reason = "what is measured here is other processes"
)]

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod chance;
mod disk;
mod fault;
mod inflict;
mod ledger;
mod load;
mod order;
mod patience;
mod plan;
mod receiver;
mod report;
mod servers;
mod soak;
mod verdict;
mod world;

use std::sync::Arc;
use std::time::Instant;

use chance::Chance;
use load::Load;
use plan::{Length, Plan};
use report::say;
use verdict::Verdict;
use world::{Shape, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded() {
    chaos(Shape::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_on_a_small_disk() {
    chaos(Shape::SmallDisk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed() {
    chaos(Shape::Distributed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn distributed_and_split() {
    chaos(Shape::Split).await;
}

async fn chaos(shape: Shape) {
    let plan = Plan::from_environment();
    if plan.round(shape, 0).is_empty() {
        say(&format!(
            "{}: none of these faults befalls it",
            shape.name()
        ));
        return;
    }
    say(&format!("{}: seed {}", shape.name(), plan.seed));
    let mut world = World::start(shape, &plan).await;
    let load = Load::begin(&world.door, &world.ledger, plan.seed, plan.length.pause());
    world.ledger.flows("the start").await;
    let start = Instant::now();
    let mut inflicted = Vec::new();
    for number in 0.. {
        let enough = match plan.length {
            Length::Rounds(rounds) => number >= rounds,
            Length::Time(time) => start.elapsed() >= time,
        };
        if enough {
            break;
        }
        let mut chance = Chance::of(plan.seed, &format!("faults {number} {shape:?}"));
        for fault in plan.round(shape, number) {
            inflicted.push(world.suffer(fault, &mut chance).await);
            if inflicted.iter().all(|one| one.upsets == 0) {
                nothing_came_twice(&world, fault.name());
            }
        }
    }
    let under_fire = start.elapsed();
    load.end().await;
    world.drained().await;
    world.restart_the_dead().await;
    let verdict = Verdict::on(&world, &inflicted).await;
    say(&report::tables(
        &world, plan.seed, under_fire, &inflicted, &verdict,
    ));
    assert!(
        verdict.complaints.is_empty(),
        "{} complaints, of which these come first:\n{}",
        verdict.complaints.len(),
        verdict.complaints[..verdict.complaints.len().min(20)].join("\n")
    );
    for which in 0..world.relays.len() {
        world.end_relay(which).await;
    }
    let late = Arc::clone(&world.ledger);
    assert_eq!(late.notes().complaints, Vec::<String>::new());
}

/// As long as nothing that may repeat anything has happened.
fn nothing_came_twice(world: &World, after: &str) {
    for (index, receiver) in world.receivers.iter().enumerate() {
        let duplicates = world.ledger.notes().duplicates(index);
        if duplicates > 0 {
            let name = receiver.kind.name;
            let complaint = format!("{name}: {duplicates} duplicates up to {after}, none allowed");
            world.ledger.complain(complaint);
        }
    }
}
