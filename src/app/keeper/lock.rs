//! One process at a time writes a state directory.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::store::{StoreError, make_private_dir};

/// Held for as long as the value lives; the system releases it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct StateLock(#[expect(dead_code, reason = "kept open: closing it releases the lock")] File);

/// The lock of a node's state directory, for all parts of the process that write there: taken when
/// the first of them does, held as long as any of them lives.
#[derive(Clone, Debug, Default)]
pub struct SharedLock(Arc<Mutex<Holding>>);

/// What this process has of the lock.
#[derive(Clone, Debug, Default)]
enum Holding {
    /// Nobody has asked for it.
    #[default]
    Nothing,
    /// It is this process's.
    Held(Arc<StateLock>),
    /// It is left to the process that takes over.
    Left,
}

/// For a process that is ending to let go of the lock.
const LET_GO: Duration = Duration::from_secs(3);

/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(10);

impl SharedLock {
    /// Makes the directory where it is missing, and takes its lock unless this process has it.
    ///
    /// # Errors
    /// When the directory cannot be used, or another process has it.
    pub fn hold(&self, state_dir: &Path) -> Result<Arc<StateLock>, StoreError> {
        // Nothing that holds it can leave it half-done.
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*held {
            Holding::Held(lock) => return Ok(lock.clone()),
            Holding::Nothing => {}
            Holding::Left => {
                let why = "a new process is taking this node over; try again in a moment";
                return Err(StoreError(why.to_owned()));
            }
        }
        make_private_dir(state_dir)?;
        match lock(state_dir)? {
            Locked::Here(lock) => {
                let lock = Arc::new(lock);
                *held = Holding::Held(lock.clone());
                Ok(lock)
            }
            Locked::Elsewhere => Err(StoreError(format!(
                "state directory `{}` is in use by another process; give each node a `state-dir` \
                 of its own",
                state_dir.display()
            ))),
        }
    }

    /// As [`SharedLock::hold`], from a process that is letting go. Blocks for three seconds at most.
    ///
    /// # Errors
    /// As [`SharedLock::hold`].
    pub fn hold_soon(&self, state_dir: &Path) -> Result<Arc<StateLock>, StoreError> {
        let tries = LET_GO.as_millis() / LOOK.as_millis();
        for _ in 0..tries {
            if let Ok(lock) = self.hold(state_dir) {
                return Ok(lock);
            }
            std::thread::park_timeout(LOOK);
        }
        self.hold(state_dir)
    }

    /// Leaves the directory to another process, until [`SharedLock::want`]. It is that one's as soon as
    /// nobody here holds what [`SharedLock::hold`] gave.
    pub fn leave(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Holding::Left;
    }

    /// The directory may be held again.
    pub fn want(&self) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Holding::Left) {
            *held = Holding::Nothing;
        }
    }

    /// Whether the directory is left to another process.
    pub fn is_left(&self) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(*held, Holding::Left)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_left_to_another_process_and_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (SharedLock::default(), SharedLock::default());
        let held = old.hold(dir.path()).unwrap();
        assert!(new.hold(dir.path()).unwrap_err().0.contains("in use"));
        old.leave();
        assert!(old.is_left());
        assert!(new.hold(dir.path()).is_err(), "somebody still holds it");
        drop(held);
        let theirs = new.hold_soon(dir.path()).unwrap();
        let refused = old.hold(dir.path()).unwrap_err();
        assert!(refused.0.contains("try again"), "{refused:?}");
        old.want();
        assert!(old.hold(dir.path()).is_err(), "the other one has it");
        drop((theirs, new));
        old.hold_soon(dir.path()).unwrap();
    }
}
