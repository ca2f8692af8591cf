//! The tables come into being once, the same on both stores.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use posthaste::store::{PostgresStore, SqliteStore};

use crate::bed::{in_new_database, settings};

fn names(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(folder);
    std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn stems() -> Vec<String> {
    let stem = |name: String| name.strip_suffix(".sql").unwrap().to_owned();
    names("postgres").into_iter().map(stem).collect()
}

#[test]
fn both_stores_have_the_same_migrations() {
    assert_eq!(names("postgres"), names("sqlite"));
    assert!(!names("postgres").is_empty());
}

#[tokio::test]
async fn sqlite_is_migrated_once_and_stays_private() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(None, directory.path().join("new/data"));
    let store = SqliteStore::open(&settings).await.unwrap();
    assert_eq!(store.migrate().await.unwrap(), stems());
    assert_eq!(store.migrate().await.unwrap(), Vec::<String>::new());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(settings.data_dir.clone()), 0o700);
        assert_eq!(mode(settings.data_dir.join("posthaste.db")), 0o600);
        assert_eq!(mode(settings.data_dir.join("posthaste.db-wal")), 0o600);
    }
    use posthaste::store::Store;
    let name = store.installation().await.unwrap();
    store.close().await;
    let again = SqliteStore::open(&settings).await.unwrap();
    assert_eq!(again.migrate().await.unwrap(), Vec::<String>::new());
    assert_eq!(again.installation().await.unwrap(), name);
    again.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_migrate_postgres_at_once_take_turns() {
    in_new_database(async |url| {
        let settings = settings(Some(url), PathBuf::new());
        let stores = join_all((0..4).map(|_| PostgresStore::connect(&settings))).await;
        let stores: Vec<_> = stores.into_iter().map(Result::unwrap).collect();
        let applied = join_all(stores.iter().map(PostgresStore::migrate)).await;
        let applied: Vec<_> = applied.into_iter().flat_map(Result::unwrap).collect();
        assert_eq!(applied, stems());
    })
    .await;
}
