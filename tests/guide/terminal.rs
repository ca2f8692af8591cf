//! A reader's terminals: one in which blocks are typed, and others beside it. Requests go through
//! a curl of the test's own, which runs the real one and notes how it was answered.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::shown::{self, Ids};

/// Reached only where something never comes.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Where a page is read: a directory in which `make run` could have been called.
pub struct Place {
    /// The working directory.
    pub home: PathBuf,
    /// The test's own things.
    scratch: PathBuf,
    environment: BTreeMap<&'static str, String>,
}

/// What a block did.
#[derive(Debug)]
pub struct Typed {
    /// Whether every command succeeded.
    pub succeeded: bool,
    pub printed: String,
    pub complained: String,
    /// How its requests were answered, in their order; 0 is no answer.
    pub statuses: Vec<u16>,
}

impl Place {
    /// `directory` is empty; `listen` is where the relay is to be.
    pub fn new(directory: &Path, listen: &str) -> Self {
        let (home, scratch) = (directory.join("home"), directory.join("scratch"));
        let binary = Path::new(env!("CARGO_BIN_EXE_posthaste"));
        for directory in [&home.join("target/debug"), &scratch.join("bin")] {
            fs::create_dir_all(directory).unwrap();
        }
        let own = home.join("target/debug/posthaste");
        std::os::unix::fs::symlink(binary, own).unwrap();
        let noting = format!(
            "#!/bin/sh\nnumber=$(ls \"$CALLS\" | wc -l)\n\
             exec {} -D \"$CALLS/$(printf %06d \"$number\")\" \"$@\"\n",
            real_curl().display()
        );
        let curl = scratch.join("bin/curl");
        fs::write(&curl, noting).unwrap();
        fs::set_permissions(&curl, fs::Permissions::from_mode(0o755)).unwrap();
        let path = std::env::var("PATH").unwrap();
        let environment = BTreeMap::from([
            ("PATH", format!("{}:{path}", scratch.join("bin").display())),
            ("HOME", home.display().to_string()),
            ("POSTHASTE_LISTEN", listen.to_owned()),
        ]);
        Self {
            home,
            scratch,
            environment,
        }
    }

    /// A program in this place; its name in `calls` is where its requests are noted.
    fn command(&self, program: &str, calls: &str) -> Command {
        let calls = self.scratch.join(calls);
        fs::create_dir_all(&calls).unwrap();
        let mut command = Command::new(program);
        command
            .current_dir(&self.home)
            .env_clear()
            .envs(&self.environment)
            .env("CALLS", calls)
            .stdin(Stdio::null());
        command
    }

    fn file(&self, name: &str) -> File {
        File::create(self.scratch.join(name)).unwrap()
    }
}

fn real_curl() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let candidates = std::env::split_paths(&path).map(|folder| folder.join("curl"));
    let found = candidates.into_iter().find(|curl| curl.is_file());
    found.expect("curl is missing: `make test` installs it")
}

/// The terminal that blocks are typed in.
pub struct Terminal<'a> {
    place: &'a Place,
    bash: Child,
    stdin: ChildStdin,
    ended: Receiver<String>,
    typed: usize,
    calls: usize,
}

impl<'a> Terminal<'a> {
    pub fn open(place: &'a Place) -> Self {
        // Stricter than a person's own: nothing fails in silence.
        let mut bash = place
            .command("bash", "calls")
            .args(["--noprofile", "--norc", "-euo", "pipefail"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(place.file("bash.err"))
            .spawn()
            .unwrap();
        let stdin = bash.stdin.take().unwrap();
        let (tell, ended) = mpsc::channel();
        let lines = BufReader::new(bash.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self {
            place,
            bash,
            stdin,
            ended,
            typed: 0,
            calls: 0,
        }
    }

    /// Runs a block to its end.
    pub fn types(&mut self, text: &str) -> Typed {
        self.typed += 1;
        let path = |what: &str| {
            let name = format!("block-{}.{what}", self.typed);
            self.place.scratch.join(name)
        };
        let (script, out, err) = (path("sh"), path("out"), path("err"));
        fs::write(&script, text).unwrap();
        let (script, out, err) = (script.display(), out.display(), err.display());
        // A command that fails ends the shell, and with it what tells that the block has ended.
        let typed = writeln!(
            self.stdin,
            ". '{script}' >'{out}' 2>'{err}' </dev/null; echo ended"
        );
        let succeeded = typed.is_ok() && self.ended.recv_timeout(PATIENCE * 2).is_ok();
        let read = |what: &str| {
            let bytes = fs::read(path(what)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (printed, complained) = (read("out"), read("err"));
        Typed {
            succeeded,
            printed,
            complained,
            statuses: self.new_statuses(),
        }
    }

    fn new_statuses(&mut self) -> Vec<u16> {
        let folder = fs::read_dir(self.place.scratch.join("calls")).unwrap();
        let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let new = paths.split_off(self.calls);
        self.calls += new.len();
        new.iter().map(|path| status(path)).collect()
    }
}

/// Of the last head: an interim answer may come before.
fn status(path: &Path) -> u16 {
    let heads = fs::read(path).unwrap_or_default();
    let heads = String::from_utf8_lossy(&heads);
    let line = heads.lines().rfind(|line| line.starts_with("HTTP/"));
    let code = line.and_then(|line| line.split_whitespace().nth(1));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let _ = self.bash.kill();
        let _ = self.bash.wait();
    }
}

/// Something that runs beside: the relay, a receiver, a stream.
pub struct Beside {
    child: Child,
    lines: Receiver<String>,
    /// What has been printed and not been looked at.
    seen: Vec<String>,
}

impl Beside {
    /// Starts a script and waits for the first thing that it prints.
    pub fn start(place: &Place, name: &str, script: &str) -> Result<Self, String> {
        let err = format!("{name}.err");
        let mut child = place
            .command("bash", &format!("{name}.calls"))
            .args(["--noprofile", "--norc", "-euo", "pipefail", "-c", script])
            .stdout(Stdio::piped())
            .stderr(place.file(&err))
            .process_group(0)
            .spawn()
            .unwrap();
        let (tell, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let mut beside = Self {
            child,
            lines,
            seen: Vec::new(),
        };
        match beside.lines.recv_timeout(PATIENCE) {
            Ok(line) => beside.seen.push(line),
            Err(_) => {
                let complained = fs::read_to_string(place.scratch.join(err)).unwrap_or_default();
                return Err(format!("it printed nothing: {complained}"));
            }
        }
        Ok(beside)
    }

    /// Waits until these lines have come, and looks past them from then on. Returns all lines up
    /// to there.
    pub fn shows(&mut self, wanted: &str, ids: &mut Ids) -> Result<Vec<String>, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut learnt = ids.clone();
            let seen = self.seen.iter().map(String::as_str);
            let missing = match shown::lines(wanted, seen, &mut learnt) {
                Ok(taken) => {
                    *ids = learnt;
                    return Ok(self.seen.drain(..taken).collect());
                }
                Err(missing) => missing,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(_) => return Err(format!("{missing}\nseen is:\n{}", self.seen.join("\n"))),
            }
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}
