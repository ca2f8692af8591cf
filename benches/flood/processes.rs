//! The processes of a run, and what they cost.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const KEY: &str = "bench-admin-key-0123456789";

/// The receiver's process.
pub struct Receiver {
    _child: Child,
    pub address: SocketAddr,
}

impl Receiver {
    pub async fn start() -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .arg("receiver")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the receiver");
        let address = first_line(&mut child, |line| line.parse().ok()).await;
        Self {
            _child: child,
            address,
        }
    }

    /// Waits until this many requests came; says how many, and of how many events.
    pub async fn until(&self, count: usize, patience: Duration) -> (usize, usize) {
        let wait = async {
            loop {
                let text = reqwest::get(format!("http://{}/seen", self.address)).await;
                let text = text.expect("the tally").text().await.expect("the tally");
                let (all, distinct) = text.split_once(' ').expect("two numbers");
                let (all, distinct) = (
                    all.parse().expect("a number"),
                    distinct.parse().expect("a number"),
                );
                // The bare loop carries no ids of events that repeat.
                if distinct >= count {
                    return (all, distinct);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(patience, wait)
            .await
            .expect("everything to arrive")
    }
}

/// The relay's process, with a store of its own.
pub struct Relay {
    child: Child,
    _data: TempDir,
    pub address: SocketAddr,
    pub key: String,
    distributed: bool,
}

impl Relay {
    pub async fn start(profile: &str) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
        command
            .args(["serve", "--dev"])
            .env_clear()
            .env("POSTHASTE_LISTEN", "127.0.0.1:0")
            .env("POSTHASTE_ADMIN_KEY", KEY)
            .env("POSTHASTE_DATA_DIR", data.path().join("data"))
            .env("POSTHASTE_LOG__FILTER", "warn")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let distributed = profile == "distributed";
        if distributed {
            for (name, from) in [
                ("DATABASE_URL", "TEST_DATABASE_URL"),
                ("REDIS_URL", "TEST_REDIS_URL"),
            ] {
                let url = std::env::var(from);
                command.env(
                    name,
                    url.unwrap_or_else(|_| panic!("{from} is not set: use `make bench`")),
                );
            }
        }
        let mut child = command.spawn().expect("the relay");
        let address = first_line(&mut child, |line| {
            let rest = &line[line.find("http://")? + "http://".len()..];
            rest.split(|c: char| c.is_whitespace() || c == '/')
                .next()?
                .parse()
                .ok()
        })
        .await;
        Self {
            child,
            _data: data,
            address,
            key: KEY.to_owned(),
            distributed,
        }
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        reqwest::Client::new()
            .request(method, url)
            .header("X-API-Key", &self.key)
    }

    pub async fn subscribe(&self, receiver: SocketAddr) {
        let body = json!({"name": "bench", "url": format!("http://{receiver}/hook"), "eventTypes": ["bench.*"]});
        let answer = self
            .request(reqwest::Method::POST, "/api/v1/subscriptions")
            .json(&body);
        let answer = answer.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }

    /// Waits until nothing is pending any more.
    pub async fn until_settled(&self, patience: Duration) {
        let wait = async {
            while self.has_pending().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(patience, wait)
            .await
            .expect("everything to be recorded");
    }

    /// Walks the list to its end: a page that ended at the bound of its walk leads on.
    async fn has_pending(&self) -> bool {
        let mut path = "/api/v1/deliveries?status=pending&limit=1".to_owned();
        loop {
            let request = self.request(reqwest::Method::GET, &path);
            let answer = request.send().await.expect("an answer");
            let page: Value = answer.json().await.expect("JSON");
            if page["data"].as_array().is_none_or(|rows| !rows.is_empty()) {
                return true;
            }
            let Some(cursor) = page["nextCursor"].as_str() else {
                return false;
            };
            path = format!("/api/v1/deliveries?status=pending&limit=1&cursor={cursor}");
        }
    }

    pub fn cpu(&self) -> Duration {
        cpu_of_tree(self.child.id().expect("a running relay"))
    }

    /// The store's processes, where they are not the relay itself.
    pub fn store_processes(&self) -> Vec<u32> {
        let id = |name| {
            std::env::var(name)
                .ok()
                .and_then(|text: String| text.parse().ok())
        };
        if !self.distributed {
            return Vec::new();
        }
        ["BENCH_POSTGRES_PID", "BENCH_REDIS_PID"]
            .into_iter()
            .filter_map(id)
            .collect()
    }
}

async fn first_line<T>(child: &mut Child, read: impl Fn(&str) -> Option<T>) -> T {
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let found = loop {
        let line = lines
            .next_line()
            .await
            .expect("a line")
            .expect("a line before the end");
        if let Some(found) = read(&line) {
            break found;
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    found
}

/// CPU time of a process, its children and those that have ended under it.
pub fn cpu_of_tree(root: u32) -> Duration {
    let mut sum = ticks(root);
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        if let Some(id) = id
            && parent(id) == Some(root)
        {
            sum += ticks(id);
        }
    }
    // Linux counts in hundredths of a second.
    Duration::from_millis(sum * 10)
}

/// The fields of `/proc/ID/stat` behind the name, which may hold blanks.
fn stat(id: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(PathBuf::from(format!("/proc/{id}/stat"))).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn parent(id: u32) -> Option<u32> {
    stat(id)?.get(1)?.parse().ok()
}

fn ticks(id: u32) -> u64 {
    let Some(fields) = stat(id) else { return 0 };
    // utime, stime, cutime, cstime.
    fields
        .iter()
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}
