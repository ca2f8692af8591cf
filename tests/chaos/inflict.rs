//! Makes faults happen, and sees the flow go on after each.

use std::time::Duration;

use rustix::process::Signal;

use crate::chance::Chance;
use crate::fault::Fault;
use crate::patience::{in_time, look_again};
use crate::world::World;

/// One message of an actor in so many makes it panic.
const ACTORS_ONE_IN: u64 = 150;
/// One of the points around commits and calls in so many makes its task panic.
const TASKS_ONE_IN: u64 = 20;

/// A fault that happened.
#[derive(Clone, Copy, Debug)]
pub struct Inflicted {
    pub fault: Fault,
    /// From its end (the new start, SIGCONT, space given back) until an event that was sent
    /// after it was delivered.
    pub recovery: Duration,
    /// How often it may have parted sending from recording.
    pub upsets: usize,
}

impl World {
    /// Inflicts a fault, ends it, and waits until events flow again.
    pub async fn suffer(&mut self, fault: Fault, chance: &mut Chance) -> Inflicted {
        let lost_before = self.lost_leases();
        // Faults come at moments that the seed chooses, not right after what was waited for.
        tokio::time::sleep(chance.millis(100, 700)).await;
        match fault {
            Fault::KillRelay => {
                let owner = self.owner().await;
                self.kill_and_start(owner, chance).await;
            }
            Fault::KillIngest => self.kill_and_start(0, chance).await,
            Fault::KillPostgres => {
                self.postgres.as_mut().unwrap().kill();
                lasting(chance, 0, 2_000).await;
                self.postgres.as_mut().unwrap().start_again().await;
            }
            Fault::KillRedis => {
                self.redis.as_mut().unwrap().kill();
                lasting(chance, 0, 2_000).await;
                self.redis.as_mut().unwrap().start_again().await;
            }
            Fault::FlushRedis => {
                for _ in 0..3 {
                    self.redis.as_ref().unwrap().flush().await;
                    lasting(chance, 50, 300).await;
                }
            }
            Fault::StopRelay => {
                let owner = self.owner().await;
                self.stop_for_a_while(owner, chance).await;
            }
            Fault::StopIngest => self.stop_for_a_while(0, chance).await,
            Fault::StopPostgres => {
                self.postgres.as_ref().unwrap().signal(Signal::STOP);
                lasting(chance, 1_000, 4_000).await;
                self.postgres.as_ref().unwrap().signal(Signal::CONT);
            }
            Fault::StopRedis => {
                self.redis.as_ref().unwrap().signal(Signal::STOP);
                lasting(chance, 1_000, 4_000).await;
                self.redis.as_ref().unwrap().signal(Signal::CONT);
            }
            Fault::FillDisk => {
                self.fill_disk(chance).await;
                let relay = self.id_of(0);
                self.disk.as_ref().unwrap().give_back(Some(relay));
            }
            Fault::FillDiskAndKill => {
                self.fill_disk(chance).await;
                self.kill_relay(0).await;
                self.disk.as_ref().unwrap().give_back(None);
                self.start_relay(0, &[]).await;
            }
            Fault::RestartRelay => {
                let owner = self.owner().await;
                self.end_relay(owner).await;
                self.start_relay(owner, &[]).await;
            }
            Fault::PanicActors => self.panics(chance, ACTORS_ONE_IN, "actors").await,
            Fault::PanicTasks => self.panics(chance, TASKS_ONE_IN, "tasks").await,
            Fault::KillAll => self.kill_all().await,
        }
        let recovery = self.ledger.flows(fault.name()).await;
        self.restart_the_dead().await;
        let lost = self.lost_leases() - lost_before;
        Inflicted {
            fault,
            recovery,
            upsets: lost.max(usize::from(fault.may_repeat())),
        }
    }

    async fn kill_and_start(&mut self, which: usize, chance: &mut Chance) {
        self.kill_relay(which).await;
        lasting(chance, 0, 1_000).await;
        self.start_relay(which, &[]).await;
    }

    async fn kill_all(&mut self) {
        self.postgres.as_mut().unwrap().kill();
        self.redis.as_mut().unwrap().kill();
        for which in 0..self.relays.len() {
            self.kill_relay(which).await;
        }
        self.postgres.as_mut().unwrap().start_again().await;
        self.redis.as_mut().unwrap().start_again().await;
        for which in 0..self.relays.len() {
            self.start_relay(which, &[]).await;
        }
    }

    async fn stop_for_a_while(&self, which: usize, chance: &mut Chance) {
        self.signal_relay(which, Signal::STOP);
        lasting(chance, 1_000, 4_000).await;
        self.signal_relay(which, Signal::CONT);
    }

    /// Until a sender has felt it, and for a while more.
    async fn fill_disk(&self, chance: &mut Chance) {
        let refused = |notes: &crate::ledger::Notes| notes.refused.values().sum::<usize>();
        let before = refused(&self.ledger.notes());
        self.disk.as_ref().unwrap().fill(self.id_of(0));
        self.ledger
            .until("a full disk to be felt", |notes| {
                (refused(notes) > before).then_some(())
            })
            .await;
        lasting(chance, 500, 2_000).await;
    }

    /// Every process is started anew with points that panic, works like that for a while, and is
    /// started anew without.
    async fn panics(&mut self, chance: &mut Chance, one_in: u64, place: &str) {
        let before = self.panicked();
        for which in 0..self.relays.len() {
            let panics = format!("{}:{one_in}:{place}", chance.next());
            self.end_relay(which).await;
            self.start_relay(which, &[("POSTHASTE_FAULTS", &panics)])
                .await;
        }
        self.ledger.flows("the start of panics").await;
        lasting(chance, 2_000, 4_000).await;
        self.ledger.flows("panics, in their midst").await;
        // On a slow machine few points are visited in that time.
        in_time("a panic", async {
            while self.panicked() == before {
                look_again().await;
            }
        })
        .await;
        for which in 0..self.relays.len() {
            self.end_relay(which).await;
            self.start_relay(which, &[]).await;
        }
    }
}

/// The length of a fault is part of the schedule. Nothing is waited for by it.
async fn lasting(chance: &mut Chance, least: u64, most: u64) {
    tokio::time::sleep(chance.millis(least, most)).await;
}
