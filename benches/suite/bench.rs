//! What every scenario works with: the receiver, databases, and one way to measure a load.

use std::cell::Cell;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::process::{Process, cpu_of_tree};
use crate::receiver::Tally;
use crate::relay::{KEY, Relay};
use crate::report::Row;
use crate::sender::{Job, Load, Sent};
use crate::store::{Directory, Store};
use crate::wire;

/// Reached only where something is lost.
const PATIENCE: Duration = Duration::from_secs(300);

/// Which stores: what is embedded, or servers beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    Embedded,
    Distributed,
}

impl Profile {
    /// Both, or the one that PROFILES names.
    pub fn chosen() -> Vec<Self> {
        let named = std::env::var("PROFILES").unwrap_or_default();
        let all = [Self::Embedded, Self::Distributed];
        let chosen = |profile: &Self| named.is_empty() || named.contains(profile.as_str());
        all.into_iter().filter(chosen).collect()
    }

    /// The word used in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Distributed => "distributed",
        }
    }
}

/// A whole number from the environment.
pub fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() {
        return default;
    }
    text.parse()
        .unwrap_or_else(|_| panic!("{name} must be a whole number, not {text:?}"))
}

/// The processes that a run shares.
pub struct Bench {
    pub receiver: Receiver,
    postgres: Option<(Url, u32)>,
    redis: Option<(Url, u32)>,
    databases: Cell<u32>,
}

impl Bench {
    /// Starts the receiver and reads which servers there are.
    pub fn new() -> Self {
        let server = |url: &str, id: &str| {
            let url = Url::parse(&std::env::var(url).ok()?).expect("a URL");
            let id = std::env::var(id).expect("the server's process");
            Some((url, id.parse().expect("a process id")))
        };
        Self {
            receiver: Receiver::start(),
            postgres: server("BENCH_DATABASE_URL", "BENCH_POSTGRES_PID"),
            redis: server("BENCH_REDIS_URL", "BENCH_REDIS_PID"),
            databases: Cell::new(0),
        }
    }

    /// A fresh store.
    pub async fn store(&self, profile: Profile) -> Store {
        self.databases.set(self.databases.get() + 1);
        let number = self.databases.get();
        if profile == Profile::Embedded {
            return Store::Embedded(Directory::new(number));
        }
        let (postgres, _) = self.postgres.as_ref().expect("Postgres: use `make bench`");
        let (redis, _) = self.redis.as_ref().expect("Redis: use `make bench`");
        // One database at a time: rows of the last run would only take up the disk.
        let name = format!("bench_{}", number % 2);
        Store::distributed(postgres, redis, &name).await
    }

    /// CPU time of the servers that a profile uses: Postgres, Redis.
    fn servers(&self, profile: Option<Profile>) -> [Option<u32>; 2] {
        if profile == Some(Profile::Distributed) {
            let id = |server: &Option<(Url, u32)>| server.as_ref().map(|(_, id)| *id);
            [id(&self.postgres), id(&self.redis)]
        } else {
            [None, None]
        }
    }

    /// Sends a load and waits until all of it has arrived and been recorded.
    pub async fn measure(&self, target: &Target<'_>, load: &Load) -> Row {
        let expected = load.events * target.deliveries_per_event;
        let mut latency = None;
        let sending = async {
            let sent = target.send(load).await;
            latency = Some(sent.acknowledged);
            (sent.began, sent.refused)
        };
        let (mut row, tally) = self.observe(target, expected, sending).await;
        // The due time of a closed loop is whenever it came round to it.
        row.latency = latency
            .filter(|_| load.pace.is_some())
            .map(|ack| (ack, tally.receipt));
        row
    }

    /// Has something done that leads to so many deliveries, waits until they have arrived and
    /// been recorded, and says what that cost. The work answers when it began, and how often
    /// a sender was refused.
    pub async fn observe(
        &self,
        target: &Target<'_>,
        expected: u64,
        work: impl Future<Output = (u64, u64)>,
    ) -> (Row, Tally) {
        let before = self.cpu(target);
        let (began, refused) = work.await;
        let tally = self.receiver.until(target.lanes, expected).await;
        target.until_settled().await;
        let after = self.cpu(target);
        let mut cpu = [None; 3];
        for (index, spent) in cpu.iter_mut().enumerate() {
            if let (Some(before), Some(after)) = (before[index], after[index]) {
                let spent_here = after.saturating_sub(before).as_secs_f64();
                *spent = Some(spent_here * 1e6 / expected as f64);
            }
        }
        let row = Row {
            rate: tally.distinct as f64 / wire::seconds(began, tally.last),
            cpu,
            memory: target.process.map(Process::peak_memory),
            lost: expected.saturating_sub(tally.distinct),
            twice: tally.count - tally.distinct,
            refused,
            ..Row::default()
        };
        (row, tally)
    }

    /// A load that is not measured: connections, plans, pages and buffers come to be.
    pub async fn warm_up(&self, target: &Target<'_>, load: &Load) {
        let _ = self.measure(target, load).await;
        self.receiver.reset().await;
    }

    fn cpu(&self, target: &Target<'_>) -> [Option<Duration>; 3] {
        let [postgres, redis] = self.servers(target.profile);
        [target.process.map(|process| process.id), postgres, redis].map(|id| id.map(cpu_of_tree))
    }
}

/// Where a load goes.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    pub address: SocketAddr,
    pub path: &'a str,
    /// The process that is measured, if it is not the receiver itself.
    pub process: Option<&'a Process>,
    pub profile: Option<Profile>,
    /// Where a relay keeps its deliveries, and whose are waited for.
    pub store: Option<(&'a Store, &'a [String])>,
    pub deliveries_per_event: u64,
    /// The receiver's lanes that count, first and last.
    pub lanes: (u32, u32),
}

impl<'a> Target<'a> {
    /// The receiver itself.
    pub fn bare(receiver: &Receiver) -> Self {
        Self {
            address: receiver.address,
            path: "/hook/0",
            process: None,
            profile: None,
            store: None,
            deliveries_per_event: 1,
            lanes: (0, 0),
        }
    }

    /// A relay with subscriptions, one lane each.
    pub fn relay(
        relay: &'a Relay,
        profile: Profile,
        store: &'a Store,
        subscriptions: &'a [String],
    ) -> Self {
        let count = subscriptions.len();
        Self {
            address: relay.address,
            path: "/api/v1/events",
            process: Some(&relay.process),
            profile: Some(profile),
            store: Some((store, subscriptions)),
            deliveries_per_event: count as u64,
            lanes: (0, u32::try_from(count).expect("few lanes") - 1),
        }
    }

    /// A floor that fans out to as many lanes.
    pub fn floor(floor: &'a Process, address: SocketAddr, profile: Profile, fan_out: u32) -> Self {
        Self {
            address,
            path: "/api/v1/events",
            process: Some(floor),
            profile: Some(profile),
            store: None,
            deliveries_per_event: u64::from(fan_out),
            lanes: (0, fan_out - 1),
        }
    }

    /// Sends a load, from a process of its own.
    pub async fn send(&self, load: &Load) -> Sent {
        let job = Job {
            to: self.address,
            path: self.path.to_owned(),
            key: self.process.map(|_| KEY.to_owned()),
            load: load.clone(),
        };
        let sending = tokio::task::spawn_blocking(move || role("sender", &job).output());
        let output = sending.await.expect("its thread").expect("the sender");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("what became of the load")
    }

    /// Waits until everything that was received is recorded.
    async fn until_settled(&self) {
        let Some((store, subscriptions)) = self.store else {
            // The floor has no way to ask; its outcomes are committed within milliseconds.
            return tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let wait = async {
            while store.has_pending(subscriptions).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.expect("everything to be recorded");
    }
}

/// This program in another role.
pub fn role(name: &str, with: &impl Serialize) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .arg(name)
        .arg(serde_json::to_string(with).expect("JSON"));
    command
}

/// The receiver's process.
pub struct Receiver {
    _process: Process,
    pub address: SocketAddr,
}

impl Receiver {
    fn start() -> Self {
        let (process, address) = Process::listening(&mut role("receiver", &()));
        Self {
            _process: process,
            address,
        }
    }

    /// The URL of a lane.
    pub fn hook(&self, lane: u32) -> String {
        format!("http://{}/hook/{lane}", self.address)
    }

    /// The URL of a lane that answers late.
    pub fn slow(&self, milliseconds: u32, lane: u32) -> String {
        format!("http://{}/slow/{milliseconds}/{lane}", self.address)
    }

    /// What came.
    pub async fn tally(&self, lanes: (u32, u32)) -> Tally {
        self.get(&format!("tally/{}/{}", lanes.0, lanes.1)).await
    }

    /// Forgets what came.
    pub async fn reset(&self) {
        let url = format!("http://{}/reset", self.address);
        reqwest::get(url).await.expect("an answer");
    }

    /// Waits until this many different events came. Events that are lost end the run.
    pub async fn until(&self, lanes: (u32, u32), expected: u64) -> Tally {
        let wait = async {
            loop {
                let tally = self.tally(lanes).await;
                if tally.distinct >= expected {
                    return tally;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, wait).await {
            Ok(tally) => tally,
            Err(_) => panic!(
                "only {:?} of {expected} deliveries came",
                self.tally(lanes).await
            ),
        }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = reqwest::get(format!("http://{}/{path}", self.address)).await;
        answer.expect("an answer").json().await.expect("JSON")
    }
}
