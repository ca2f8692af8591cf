//! The processes of a run, and what the system says they cost.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that ends with this value at the latest.
pub struct Process {
    child: Child,
    pub id: u32,
}

impl Process {
    /// Starts a program and waits for the line in which it names its address.
    pub fn listening(command: &mut Command) -> (Self, SocketAddr) {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let id = child.id();
        let output = child.stdout.take().expect("its output");
        let process = Self { child, id };
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let address = lines.find_map(|line| address_in(&line));
        let address = address.expect("the process said where it listens before it ended");
        // What is not read would in the end hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        (process, address)
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let id = self.id.to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        assert!(asked.is_ok_and(|status| status.success()), "it runs");
        self.child.wait().expect("its end");
    }

    /// Resident memory now, in bytes.
    pub fn memory(&self) -> u64 {
        status(self.id, "VmRSS:")
    }

    /// The most resident memory it ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        status(self.id, "VmHWM:")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either of them fails where it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    rest.split(|c: char| c.is_whitespace() || c == '/')
        .next()?
        .parse()
        .ok()
}

fn status(id: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// CPU time of a process, its children and those that have ended under it.
pub fn cpu_of_tree(root: u32) -> Duration {
    let mut sum = ticks(root);
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.parse::<u32>().ok());
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
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn parent(id: u32) -> Option<u32> {
    stat(id)?.get(1)?.parse().ok()
}

fn ticks(id: u32) -> u64 {
    let Some(fields) = stat(id) else { return 0 };
    // utime, stime, cutime, cstime.
    let times = fields.iter().skip(11).take(4);
    times.filter_map(|field| field.parse::<u64>().ok()).sum()
}
