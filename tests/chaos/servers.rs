//! Postgres and Redis of a run's own: started, killed, stopped and started again on the same
//! port and files. Postgres keeps `fsync` on.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{Connection as _, PgConnection};

use crate::patience::{in_time, look_again};

pub struct Postgres {
    directory: PathBuf,
    port: u16,
    child: Child,
}

pub struct Redis {
    directory: PathBuf,
    port: u16,
    child: Child,
}

impl Postgres {
    pub async fn start(directory: PathBuf) -> Self {
        std::fs::create_dir(&directory).unwrap();
        if let Some((user, group)) = owner() {
            chown(&directory, Some(user), Some(group)).unwrap();
        }
        let initdb = as_owner(&binaries().join("initdb"))
            .args(["-U", "postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "-D"])
            .arg(&directory)
            .current_dir(directory.parent().unwrap())
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{initdb:?}");
        let port = free_port();
        let child = Self::run(&directory, port);
        let mut server = Self {
            directory,
            port,
            child,
        };
        server.until_it_answers().await;
        server
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// kill -9 of the server and all its children, as if the power had failed.
    pub fn kill(&mut self) {
        let children = children_of(self.child.id());
        self.child.kill().unwrap();
        for child in children {
            // It may have ended with its parent.
            let _ = signal(child, Signal::KILL);
        }
        self.child.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.child = Self::run(&self.directory, self.port);
        self.until_it_answers().await;
    }

    pub fn signal(&self, which: Signal) {
        // The parent first: it starts no more children.
        signal(self.child.id(), which).unwrap();
        for child in children_of(self.child.id()) {
            let _ = signal(child, which);
        }
    }

    fn run(directory: &Path, port: u16) -> Child {
        as_owner(&binaries().join("postgres"))
            .arg("-D")
            .arg(directory)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(["-c", "fsync=on", "-c", "shared_buffers=32MB"])
            .current_dir(directory.parent().unwrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log(directory)))
            .spawn()
            .unwrap()
    }

    async fn until_it_answers(&mut self) {
        in_time("Postgres to answer", async {
            loop {
                if PgConnection::connect(&self.url()).await.is_ok() {
                    return;
                }
                // Memory that it shared with children of its former life may still be in use.
                if self.child.try_wait().unwrap().is_some() {
                    self.child = Self::run(&self.directory, self.port);
                }
                look_again().await;
            }
        })
        .await;
    }
}

impl Redis {
    pub async fn start(directory: PathBuf) -> Self {
        std::fs::create_dir(&directory).unwrap();
        let port = free_port();
        let child = Self::run(&directory, port);
        let server = Self {
            directory,
            port,
            child,
        };
        server.until_it_answers().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.child = Self::run(&self.directory, self.port);
        self.until_it_answers().await;
    }

    pub fn signal(&self, which: Signal) {
        signal(self.child.id(), which).unwrap();
    }

    /// Everything is gone.
    pub async fn flush(&self) {
        self.ask("FLUSHALL").await.unwrap();
    }

    async fn ask(&self, what: &str) -> redis::RedisResult<String> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd(what).query_async(&mut connection).await
    }

    fn run(directory: &Path, port: u16) -> Child {
        let program = std::env::var("POSTHASTE_TEST_REDIS_SERVER");
        Command::new(program.unwrap_or_else(|_| "redis-server".to_owned()))
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::from(log(directory)))
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn until_it_answers(&self) {
        in_time("Redis to answer", async {
            while self.ask("PING").await.is_err() {
                look_again().await;
            }
        })
        .await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(process: u32, which: Signal) -> rustix::io::Result<()> {
    kill_process(Pid::from_raw(process.try_into().unwrap()).unwrap(), which)
}

/// Beside the directory, so that it is nobody's data.
fn log(directory: &Path) -> std::fs::File {
    let name = format!("{}.log", directory.display());
    std::fs::File::options()
        .create(true)
        .append(true)
        .open(name)
        .unwrap()
}

fn binaries() -> PathBuf {
    std::env::var("POSTHASTE_TEST_PG_BIN")
        .unwrap_or_else(|_| panic!("POSTHASTE_TEST_PG_BIN is not set: use `make chaos`"))
        .into()
}

/// Postgres refuses to run as root, so root runs it as somebody else.
fn owner() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let ask = |user: &str, which: &str| {
        let output = Command::new("id").args([which, user]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse().ok()
    };
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|user| Some((ask(user, "-u")?, ask(user, "-g")?)))
}

fn as_owner(program: &Path) -> Command {
    let Some((user, group)) = owner() else {
        return Command::new(program);
    };
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--reuid={user}"))
        .arg(format!("--regid={group}"))
        .args(["--clear-groups", "--"])
        .arg(program);
    command
}

/// The processes that this one has started and that live, as Linux tells it. Elsewhere none
/// are found, and only the server itself is hit.
fn children_of(parent: u32) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|process| parent_of(*process) == Some(parent))
        .collect()
}

fn parent_of(process: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may contain anything; behind it: state, parent.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Free a moment ago. Whoever takes it meanwhile makes the start fail, which says so.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A directory that other users may enter.
pub fn open_to_all(directory: &Path) {
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory, mode).unwrap();
}
