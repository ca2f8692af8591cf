//! One shape of the relay as real processes, with all that it needs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::disk::SmallDisk;
use crate::ledger::Ledger;
use crate::load::Door;
use crate::patience::{in_time, look_again};
use crate::plan::Plan;
use crate::receiver::{KINDS, Receiver};
use crate::report::say;
use crate::servers::{Postgres, Redis, open_to_all};
use crate::support::process::{Process, serve};
use crate::support::relay::{Api, KEY};

/// Deliveries that one subscription holds in memory at most: so many can be sent and not yet
/// recorded, in flight or waiting for the commit of their outcome.
pub const WINDOW: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// SQLite, one process.
    Embedded,
    /// The same with its data on a disk that can be filled.
    SmallDisk,
    /// Postgres and Redis, one process.
    Distributed,
    /// Postgres and Redis; one process accepts, another delivers, a third stands by.
    Split,
}

impl Shape {
    pub const ALL: [Self; 4] = [
        Self::Embedded,
        Self::SmallDisk,
        Self::Distributed,
        Self::Split,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::SmallDisk => "embedded, small disk",
            Self::Distributed => "distributed, one process",
            Self::Split => "distributed, split",
        }
    }

    pub fn is_distributed(self) -> bool {
        matches!(self, Self::Distributed | Self::Split)
    }

    /// The processes: name and role.
    fn parts(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Split => &[
                ("ingest", "ingest"),
                ("deliver-1", "deliver"),
                ("deliver-2", "deliver"),
            ],
            _ => &[("relay", "all")],
        }
    }
}

pub struct World {
    pub shape: Shape,
    pub relays: Vec<Relay>,
    pub receivers: Vec<Receiver>,
    pub postgres: Option<Postgres>,
    pub redis: Option<Redis>,
    pub disk: Option<SmallDisk>,
    pub door: Arc<Door>,
    pub ledger: Arc<Ledger>,
    /// Last, so that everything that writes into it has ended.
    directory: TempDir,
}

/// A process of the relay, over all its lives.
pub struct Relay {
    name: &'static str,
    role: &'static str,
    process: Option<Process>,
}

impl World {
    pub async fn start(shape: Shape, plan: &Plan) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("posthaste-chaos-")
            .tempdir()
            .unwrap();
        open_to_all(directory.path());
        let inside = |name: &str| directory.path().join(name);
        let (postgres, redis) = match shape.is_distributed() {
            true => (
                Some(Postgres::start(inside("postgres")).await),
                Some(Redis::start(inside("redis")).await),
            ),
            false => (None, None),
        };
        let disk = (shape == Shape::SmallDisk)
            .then(|| SmallDisk::at(inside("disk"), plan.length.disk_mib()));
        let relays = shape.parts().iter().map(|(name, role)| Relay {
            name,
            role,
            process: None,
        });
        let mut world = Self {
            shape,
            relays: relays.collect(),
            receivers: Vec::new(),
            postgres,
            redis,
            disk,
            door: Arc::default(),
            ledger: Arc::new(Ledger::new(KINDS.len())),
            directory,
        };
        for which in 0..world.relays.len() {
            world.start_relay(which, &[]).await;
        }
        for index in 0..KINDS.len() {
            let api = world.api();
            let subscribe = async |body: Value| api.post(201, "/api/v1/subscriptions", &body).await;
            let receiver = Receiver::start(index, plan.seed, &world.ledger, subscribe).await;
            world.receivers.push(receiver);
        }
        world
    }

    /// Starts a process of the relay that does not run.
    pub async fn start_relay(&mut self, which: usize, more: &[(&str, &str)]) {
        let environment = self.environment(self.relays[which].role, more);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_of(which))
            .unwrap();
        let mut command = serve(environment);
        if let Some(disk) = &self.disk {
            command = disk.prepared(command);
        }
        command.stderr(Stdio::from(log));
        let process = Process::serving(command).await;
        if which == 0 {
            self.door.open_at(&process.api.base);
        }
        self.relays[which].process = Some(process);
    }

    pub async fn kill_relay(&mut self, which: usize) {
        let process = self.relays[which].process.take();
        process.expect("it runs").kill().await;
    }

    /// SIGTERM, answered in time and without a fault.
    pub async fn end_relay(&mut self, which: usize) {
        let name = self.relays[which].name;
        let process = self.relays[which].process.take();
        let code = process.expect("it runs").terminate().await;
        if code != Some(0) {
            self.ledger.complain(format!("{name} ended with {code:?}"));
        }
    }

    pub fn signal_relay(&self, which: usize, signal: Signal) {
        self.process(which).signal(signal);
    }

    pub fn id_of(&self, which: usize) -> u32 {
        self.process(which).id()
    }

    fn process(&self, which: usize) -> &Process {
        self.relays[which].process.as_ref().expect("it runs")
    }

    /// A relay that ends by itself breaks a promise. It is started again to see the rest.
    pub async fn restart_the_dead(&mut self) {
        for which in 0..self.relays.len() {
            let relay = &mut self.relays[which];
            let ended = relay.process.as_mut().and_then(Process::ended);
            if let Some(status) = ended {
                let complaint = format!("{} ended by itself: {status}", relay.name);
                self.ledger.complain(complaint);
                self.start_relay(which, &[]).await;
            }
        }
    }

    /// Where the API is asked: any process knows everything.
    pub fn api(&self) -> Api {
        self.process(0).api.clone()
    }

    /// The process that delivers.
    pub async fn owner(&self) -> usize {
        in_time("somebody to deliver", async {
            loop {
                for which in 0..self.relays.len() {
                    if self.delivers(which).await {
                        return which;
                    }
                }
                look_again().await;
            }
        })
        .await
    }

    async fn delivers(&self, which: usize) -> bool {
        let request = self.process(which).api.request(Method::GET, "/health");
        let Ok(answer) = request.send().await else {
            return false;
        };
        let health: Value = answer.json().await.unwrap();
        let detail = &health["components"]["ownership"]["detail"];
        detail
            .as_str()
            .is_some_and(|text| text.starts_with("delivers"))
    }

    /// Waits until nothing is pending any more.
    pub async fn drained(&self) {
        let api = self.api();
        for receiver in &self.receivers {
            let path = format!(
                "/api/v1/subscriptions/{}/deliveries?status=pending&limit=1",
                receiver.subscription
            );
            in_time(&format!("{} to be drained", receiver.kind.name), async {
                while api.get(&path).await["data"] != serde_json::json!([]) {
                    look_again().await;
                }
            })
            .await;
        }
    }

    /// Panics that were injected so far, as the relay's logs tell.
    pub fn panicked(&self) -> usize {
        self.logged("injected fault at")
    }

    /// How often a living process found that another one delivers in its place.
    pub fn lost_leases(&self) -> usize {
        self.logged("ownership.lost")
    }

    fn logged(&self, text: &str) -> usize {
        (0..self.relays.len())
            .map(|which| std::fs::read_to_string(self.log_of(which)).unwrap_or_default())
            .map(|log| log.matches(text).count())
            .sum()
    }

    /// Leaves everything where it is, to be looked at.
    fn keep_files(&mut self) -> PathBuf {
        self.directory.disable_cleanup(true);
        self.directory.path().to_owned()
    }

    fn log_of(&self, which: usize) -> PathBuf {
        let name = format!("{}.log", self.relays[which].name);
        self.directory.path().join(name)
    }

    fn environment(&self, role: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
        let window = WINDOW.to_string();
        let data = match &self.disk {
            Some(disk) => disk.path().join("data"),
            None => self.directory.path().join("data"),
        };
        let (data, more) = (data.display().to_string(), more.iter().copied());
        let mut all = vec![
            ("POSTHASTE_ADMIN_KEY", KEY),
            ("POSTHASTE_LISTEN", "127.0.0.1:0"),
            ("POSTHASTE_DATA_DIR", &data),
            ("POSTHASTE_ENGINE__ROLE", role),
            ("POSTHASTE_DELIVERY__WINDOW", &window),
            ("POSTHASTE_DELIVERY__MAX_IN_FLIGHT", "16"),
            ("POSTHASTE_DELIVERY__TIMEOUT_MS", "5000"),
            ("POSTHASTE_EVENTS__ACCEPT_TIMEOUT_MS", "3000"),
            ("POSTHASTE_STORE__ACQUIRE_TIMEOUT_MS", "2000"),
            // Quick, so that a round shows many of each, and so many attempts that no delivery
            // ends as failed: the receivers get everything in the end.
            ("POSTHASTE_RETRY__ATTEMPTS", "100"),
            ("POSTHASTE_RETRY__BASE_MS", "100"),
            ("POSTHASTE_RETRY__CAP_MS", "1000"),
            ("POSTHASTE_BREAKER__COOL_DOWN_MS", "200"),
            ("POSTHASTE_BREAKER__COOL_DOWN_MAX_MS", "1000"),
            ("POSTHASTE_ENGINE__LEASE_TTL_MS", "2000"),
            ("POSTHASTE_ENGINE__LEASE_RENEW_MS", "400"),
            ("POSTHASTE_ENGINE__SWEEP_INTERVAL_MS", "1000"),
            ("POSTHASTE_ENGINE__JANITOR_INTERVAL_MS", "1000"),
            ("POSTHASTE_ENGINE__RETIRE_AFTER_MS", "500"),
            // Panics come by the hundred here; that a budget ends in order is told elsewhere.
            ("POSTHASTE_ENGINE__RESTART_LIMIT", "1000"),
            ("POSTHASTE_ENGINE__RESTART_WINDOW_MS", "1000"),
        ];
        let urls = (
            self.postgres.as_ref().map(Postgres::url),
            self.redis.as_ref().map(Redis::url),
        );
        if let (Some(postgres), Some(redis)) = &urls {
            all.extend([
                ("DATABASE_URL", postgres.as_str()),
                ("REDIS_URL", redis.as_str()),
            ]);
        }
        all.extend(more);
        all.into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (shape, files) = (self.shape.name(), self.keep_files());
            say(&format!(
                "{shape}: what is left to look at stays in {}",
                files.display()
            ));
        }
        for relay in &mut self.relays {
            // Stopped ones too: only a kill reaches those.
            if let Some(process) = &mut relay.process
                && process.ended().is_none()
            {
                process.signal(Signal::KILL);
            }
        }
    }
}
