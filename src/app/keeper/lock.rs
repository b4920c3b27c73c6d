//! One process at a time writes a state directory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::store::{StoreError, make_private_dir};

/// Held for as long as the value lives; the system releases it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "kept open: closing it releases the lock")] File);

/// The lock of a node's state directory, for all parts of the process that write there: taken when
/// the first of them does, held as long as any of them lives.
#[derive(Clone, Debug, Default)]
pub struct SharedLock(Arc<Mutex<Option<Arc<StateLock>>>>);

impl SharedLock {
    /// Makes the directory where it is missing, and takes its lock unless this process has it.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process has it.
    pub fn hold(&self, state_dir: &Path) -> Result<Arc<StateLock>, StoreError> {
        // Nothing that holds it can leave it half-done.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = &*held {
            return Ok(lock.clone());
        }
        make_private_dir(state_dir)?;
        match lock(state_dir)? {
            Locked::Here(lock) => Ok(held.insert(Arc::new(lock)).clone()),
            Locked::Elsewhere => Err(StoreError(format!(
                "state directory `{}` is in use by another process; give each node a `state-dir` \
                 of its own",
                state_dir.display()
            ))),
        }
    }
}

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
