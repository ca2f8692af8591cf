//! The file and its log, as they are told without a look at what is in them.

use std::path::{Path, PathBuf};

use super::connect::Pools;
use crate::store::{Result, Storage, StoreError, StoredFile};

/// How large they are.
pub(super) async fn storage(pools: &Pools) -> Result<Storage> {
    let (page_bytes, pages, free_pages): (i64, i64, i64) = sqlx::query_as(
        "SELECT page_size, page_count, freelist_count
         FROM pragma_page_size, pragma_page_count, pragma_freelist_count",
    )
    .fetch_one(&pools.readers)
    .await?;
    Ok(Storage::File(StoredFile {
        path: pools.path().to_owned(),
        page_bytes: page_bytes.unsigned_abs(),
        pages: pages.unsigned_abs(),
        free_pages: free_pages.unsigned_abs(),
        log_bytes: length(&log_of(pools.path())).await?,
    }))
}

/// SQLite's name for the log of a file.
fn log_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

async fn length(file: &Path) -> Result<u64> {
    match tokio::fs::metadata(file).await {
        Ok(metadata) => Ok(metadata.len()),
        // It comes with the first write.
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(problem) => Err(StoreError::Unavailable(format!(
            "cannot look at {}: {problem}",
            file.display()
        ))),
    }
}
