//! A disk that can be filled: a small tmpfs where mounting is allowed. Where it is not, a limit
//! on the size of the relay's files stands for it, set from outside on the running process.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::Command;

pub struct SmallDisk {
    path: PathBuf,
    mounted: bool,
}

impl SmallDisk {
    /// Of so many MiB, which are memory.
    pub fn at(path: PathBuf, size_mib: u32) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        let options = format!("size={size_mib}m,mode=0755");
        let mounting = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&path)
            .stderr(Stdio::null())
            .status();
        let mounted = mounting.is_ok_and(|status| status.success());
        Self { path, mounted }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn kind(&self) -> &'static str {
        match self.mounted {
            true => "tmpfs",
            false => "file size limit",
        }
    }

    /// A command that starts the relay so that this disk can be full: a write beyond the limit
    /// is to fail, as on a full disk, rather than end the process by a signal.
    pub fn prepared(&self, command: Command) -> Command {
        if self.mounted {
            return command;
        }
        let command = command.as_std();
        let mut prepared = Command::new("/bin/sh");
        prepared
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        prepared
    }

    /// Not a byte more.
    pub fn fill(&self, relay: u32) {
        if !self.mounted {
            return limit_files_of(relay, Some(0));
        }
        let mut ballast = File::create(self.ballast()).unwrap();
        let block = [0u8; 64 * 1024];
        // Whole blocks first, then what is left of the last one.
        for length in [block.len(), 4096, 1] {
            loop {
                match ballast.write_all(&block[..length]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk cannot be filled: {error}"),
                }
            }
        }
    }

    /// Space again.
    pub fn give_back(&self, relay: Option<u32>) {
        if self.mounted {
            std::fs::remove_file(self.ballast()).unwrap();
        } else if let Some(relay) = relay {
            limit_files_of(relay, None);
        }
    }

    fn ballast(&self) -> PathBuf {
        self.path.join("ballast")
    }
}

fn limit_files_of(process: u32, bytes: Option<u64>) {
    let process = Pid::from_raw(process.try_into().unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(process, Resource::Fsize, limit).unwrap();
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazily: whoever still holds a file open is being killed.
            let _ = std::process::Command::new("umount")
                .arg("-l")
                .arg(&self.path)
                .status();
        }
    }
}
