//! The view of another time, from what is recorded and the configuration that was in force.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Mutex;

use super::files::{Kept, short};
use crate::app::load::Wanted;
use crate::compile::compile;
use crate::config::load::kept::load_kept;
use crate::config::{Report, Severity};
use crate::snapshot::Snapshot;

/// Compiled configurations that are kept: what is asked is often asked again.
const COMPILED: usize = 2;

/// How many may wait for a configuration to be compiled.
const WAITING: usize = 8;

/// Compiles configurations of other times, one at a time, away from what answers.
#[derive(Default)]
pub(super) struct Workshop {
    compiled: Mutex<Vec<(Arc<str>, Arc<Snapshot>)>>,
    waiting: AtomicUsize,
}

/// Why there is no snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Unreadable {
    /// Too many ask.
    Busy,
    /// The configuration cannot be had; why.
    Unknown(String),
}

impl Workshop {
    /// The snapshot of a configuration; says whether it was compiled for this.
    pub(super) async fn snapshot(
        &self,
        kept: Kept,
        wanted: &Wanted,
    ) -> Result<(Arc<Snapshot>, bool), Unreadable> {
        let waiting = Waiting::begin(&self.waiting).ok_or(Unreadable::Busy)?;
        let mut compiled = self.compiled.lock().await;
        if let Some(at) = compiled.iter().position(|(d, _)| *d == kept.digest) {
            // The one used last is kept longest.
            let known = compiled.remove(at);
            compiled.push(known.clone());
            return Ok((known.1, false));
        }
        let (digest, wanted) = (kept.digest.clone(), wanted.clone());
        // Takes seconds where a configuration is large.
        let made = tokio::task::spawn_blocking(move || make(&kept, &wanted)).await;
        drop(waiting);
        let snapshot = match made {
            Ok(made) => made.map_err(Unreadable::Unknown)?,
            Err(panic) => return Err(Unreadable::Unknown(panic.to_string())),
        };
        compiled.push((digest, snapshot.clone()));
        if compiled.len() > COMPILED {
            compiled.remove(0);
        }
        Ok((snapshot, true))
    }
}

/// One who waits.
struct Waiting<'w>(&'w AtomicUsize);

impl<'w> Waiting<'w> {
    fn begin(count: &'w AtomicUsize) -> Option<Waiting<'w>> {
        let one = Waiting(count);
        (count.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(one)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn make(kept: &Kept, wanted: &Wanted) -> Result<Arc<Snapshot>, String> {
    let name = short(&kept.digest);
    let mut read = |path: &Path| std::fs::read(path);
    let mut loaded = load_kept(&kept.files, &mut read)
        .map_err(|e| format!("configuration {name} cannot be read again: {e}"))?;
    loaded.spec.apply(&wanted.overlay);
    let (compiled, diagnostics) = compile(
        &loaded.spec,
        &loaded.inputs,
        &loaded.sources,
        wanted.node.as_deref(),
    );
    let mut all = loaded.diagnostics;
    all.extend(diagnostics);
    match compiled {
        Some(compiled) => Ok(compiled.snapshot),
        None => {
            all.retain(|d| d.severity == Severity::Error);
            let why = Report::new(all, loaded.sources).lines().next();
            let why = why.unwrap_or_else(|| "no reason is known".to_owned());
            Err(format!(
                "configuration {name} cannot be compiled by this release: {why}"
            ))
        }
    }
}
