//! The admin key: given, or made at the first start and kept in the data directory.
//!
//! It is never logged. Whoever can read the file is admin, so its rights are the owner's alone.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::data_dir;
use crate::clock;
use crate::settings::{Secret, Settings, check_admin_key};

const FILE_NAME: &str = "admin.key";

/// The key and where its owner finds it again.
pub(super) struct AdminKey {
    pub(super) secret: Secret,
    pub(super) kept: Kept,
}

/// Where the key is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// By whoever gave it to us.
    Outside,
    /// In this file, made just now or before.
    InFile { path: PathBuf, new: bool },
}

/// The key from the settings, else from its file, else a new one.
pub(super) fn obtain(settings: &Settings) -> anyhow::Result<AdminKey> {
    match &settings.auth.admin_key {
        Some(secret) => Ok(AdminKey {
            secret: secret.clone(),
            kept: Kept::Outside,
        }),
        None => from_file(&settings.store.data_dir),
    }
}

/// The key that the relay of these settings has, without making one.
pub(super) fn known(settings: &Settings) -> anyhow::Result<Secret> {
    match &settings.auth.admin_key {
        Some(secret) => Ok(secret.clone()),
        None => {
            let path = std::path::absolute(&settings.store.data_dir)?.join(FILE_NAME);
            if !path.try_exists()? {
                let shown = path.display();
                bail!(
                    "there is no admin key in {shown}: name the relay's data directory by \
                     POSTHASTE_DATA_DIR, or give the key by POSTHASTE_ADMIN_KEY"
                );
            }
            read(&path)
        }
    }
}

fn from_file(directory: &Path) -> anyhow::Result<AdminKey> {
    data_dir::ensure(directory)?;
    let path = std::path::absolute(directory)?.join(FILE_NAME);
    // Made exclusively first and read second, so that of two first starts one makes the key.
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path);
    match made {
        Ok(file) => {
            let secret = write_new(file).inspect_err(|_| {
                // Half a key would stop every later start.
                let _ = std::fs::remove_file(&path);
            });
            let secret = secret.with_context(|| cannot("written", &path))?;
            Ok(AdminKey {
                secret,
                kept: Kept::InFile { path, new: true },
            })
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let secret = read(&path)?;
            Ok(AdminKey {
                secret,
                kept: Kept::InFile { path, new: false },
            })
        }
        Err(error) => Err(error).with_context(|| cannot("made", &path)),
    }
}

fn cannot(done: &str, path: &Path) -> String {
    format!(
        "the admin key {} cannot be {done}; or give one by POSTHASTE_ADMIN_KEY",
        path.display()
    )
}

fn write_new(mut file: File) -> std::io::Result<Secret> {
    let key = format!(
        "phk_{}",
        URL_SAFE_NO_PAD.encode(clock::random_bytes::<32>())
    );
    file.write_all(format!("{key}\n").as_bytes())?;
    file.sync_all()?;
    Ok(Secret::new(key))
}

fn read(path: &Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path).with_context(|| cannot("read", path))?;
    let key = text.trim();
    let shown = path.display();
    check_admin_key(key).map_err(|problem| {
        anyhow!("the admin key in {shown} {problem}; delete the file to have a new one made")
    })?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!("others than its owner may read {shown}; mend with: chmod 600 {shown}");
    }
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn made_once_for_the_owner_alone_and_read_ever_after() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("deep/data");
        let first = from_file(&directory).unwrap();
        let path = directory.join(FILE_NAME);
        assert_eq!(
            first.kept,
            Kept::InFile {
                path: path.clone(),
                new: true
            }
        );
        assert_eq!(first.secret.expose().len(), 4 + 43);
        assert!(first.secret.expose().starts_with("phk_"));
        assert_eq!((mode(&directory), mode(&path)), (0o700, 0o600));

        let second = from_file(&directory).unwrap();
        assert_eq!(second.kept, Kept::InFile { path, new: false });
        assert_eq!(second.secret, first.secret);
    }

    #[test]
    fn a_given_key_makes_no_file() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("data");
        let environment = [
            ("POSTHASTE_ADMIN_KEY", "0123456789abcdef"),
            ("POSTHASTE_DATA_DIR", directory.to_str().unwrap()),
        ];
        let settings = Settings::load(None, environment, false).unwrap();
        let key = obtain(&settings).unwrap();
        assert_eq!(
            (key.secret.expose(), key.kept),
            ("0123456789abcdef", Kept::Outside)
        );
        assert!(!directory.exists());
    }

    #[test]
    fn a_broken_key_file_is_refused_without_being_shown() {
        let root = tempfile::tempdir().unwrap();
        for broken in ["", "hunter2", "hunter2 hunter2 hunter2"] {
            std::fs::write(root.path().join(FILE_NAME), broken).unwrap();
            let error = from_file(root.path()).err().unwrap().to_string();
            assert!(
                error.contains("delete the file") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
