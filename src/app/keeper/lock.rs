//! One process at a time writes a state directory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::store::StoreError;

/// Held for as long as the value lives; the system releases it when the process ends, however it
/// ends.
#[derive(Debug)]
pub(super) struct StateLock(
    #[expect(dead_code, reason = "kept open: closing it releases the lock")] File,
);

/// Who has a state directory.
#[derive(Debug)]
pub(super) enum Locked {
    /// This process, now.
    Here(StateLock),
    /// Another one.
    Elsewhere,
}

/// Takes the lock of a state directory, which must exist.
///
/// # Errors
/// When the lock file cannot be opened.
pub(super) fn lock(state_dir: &Path) -> Result<Locked, StoreError> {
    let path = state_dir.join("lock");
    let fail = |e: std::io::Error| {
        StoreError(format!(
            "cannot lock `{}`: {e}; the user that runs the node must be able to write to `state-dir`",
            path.display()
        ))
    };
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(fail)?;
    use rustix::fs::{FlockOperation, flock};
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Locked::Here(StateLock(file))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Locked::Elsewhere),
        Err(e) => Err(fail(e.into())),
    }
}
