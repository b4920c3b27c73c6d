//! A process whose wall clock a test sets; its monotonic clock stays true.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::lab::FAKETIME;

/// How far the wall clock of a process is off.
#[derive(Debug)]
pub struct Skew(PathBuf);

impl Skew {
    /// No difference yet; kept in a file in `dir`.
    pub fn new(dir: &Path, name: &str) -> Skew {
        let skew = Skew(dir.join(format!("{name}.skew")));
        skew.set(0);
        skew
    }

    /// Makes a process that is about to be started believe it.
    pub fn apply(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1");
    }

    /// Jumps: from now on the clock is so many seconds ahead, or behind.
    pub fn set(&self, seconds: i64) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        // In one go: it is read all the time.
        std::fs::rename(&new, &self.0).unwrap();
    }
}
