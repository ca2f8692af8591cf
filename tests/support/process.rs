//! The real binary as a process of its own, to be killed and started again.

use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::backend::Backend;
use super::relay::{Api, KEY, environment};
use super::soon;

pub struct Process {
    child: Child,
    pub api: Api,
}

impl Process {
    /// Starts `posthaste serve --dev` and waits until it says where it listens.
    pub async fn start(backend: &Arc<Backend>, more: &[(&str, &str)]) -> Self {
        Self::serving(command(backend, more)).await
    }

    /// Runs a command that serves, and waits until it says where it listens.
    pub async fn serving(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let mut lines = BufReader::new(output).lines();
        let base = soon("the relay to say where it listens", async {
            loop {
                let line = lines
                    .next_line()
                    .await
                    .unwrap()
                    .expect("the relay ended at its start");
                if let Some(at) = line.find("http://127.0.0.1:") {
                    let url: String = line[at..]
                        .chars()
                        .take_while(|c| !c.is_whitespace())
                        .collect();
                    return url.trim_end_matches(['/', '.', ',']).to_owned();
                }
            }
        })
        .await;
        // What it prints later must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            child,
            api: Api::new(&base),
        }
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// SIGTERM; returns the exit code.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal(Signal::TERM);
        self.exit_code().await
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended.
    pub async fn exit_code(&mut self) -> Option<i32> {
        soon("the relay to stop", self.child.wait())
            .await
            .unwrap()
            .code()
    }
}

/// The command, for starts that are to fail.
pub fn command(backend: &Arc<Backend>, more: &[(&str, &str)]) -> Command {
    serve(environment(backend, more))
}

/// `posthaste serve --dev` with nothing but this environment.
pub fn serve(environment: BTreeMap<String, String>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
    command
        .args(["serve", "--dev"])
        .env_clear()
        .envs(environment)
        .env("POSTHASTE_ADMIN_KEY", KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    command
}
