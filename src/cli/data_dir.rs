//! The data directory holds events and the admin key: its owner's business alone.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Makes the directory with owner-only rights where it is missing. One that exists keeps the
/// rights its owner gave it.
pub(super) fn ensure(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| {
            format!(
                "the data directory {} cannot be made; name another one by store.data_dir \
             (POSTHASTE_DATA_DIR)",
                path.display()
            )
        })
}
