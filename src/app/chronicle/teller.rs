//! The thread that compares each view with the one before, and tells what became otherwise. It touches no
//! disk: what the log and streams say never waits for one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use super::Shared;
use super::counts::add;
use super::shelf::Job;
use super::tell;
use crate::overrides::Standing;
use crate::snapshot::View;
use crate::snapshot::record::{self, Seen};

/// What the disk's thread could not take is handed over again after this time.
const AGAIN: Duration = Duration::from_secs(1);

/// What was published.
pub(super) struct Published {
    pub(super) view: Arc<View>,
    pub(super) standing: Arc<Standing>,
}

/// Works until nobody publishes any more.
pub(super) fn run(shared: &Shared, views: &Receiver<Published>, shelf: &SyncSender<Job>) {
    let mut before: Option<Seen> = None;
    // Since when the disk's thread knows nothing, where it was too slow.
    let mut unknown_since = None;
    loop {
        let published = match (&before, unknown_since) {
            // What it lacks is handed over again, also where nothing is published for long.
            (Some(seen), Some(since)) => match views.recv_timeout(AGAIN) {
                Err(RecvTimeoutError::Timeout) => {
                    if shelf.try_send(Job::Seen(seen.clone(), Err(since))).is_ok() {
                        unknown_since = None;
                    }
                    continue;
                }
                published => published.ok(),
            },
            _ => views.recv().ok(),
        };
        let Some(Published { view, standing }) = published else {
            return;
        };
        let at_ms = view.wall.unix_ms(view.published);
        let seen = Seen {
            config: shared.digest_of(&view.snapshot),
            view,
            standing,
        };
        let facts = match &before {
            Some(before) => {
                for what in tell::events(&before.view, &seen.view) {
                    shared.record(&what);
                }
                Ok(record::changed(before, &seen))
            }
            None => Err(at_ms),
        };
        match &facts {
            Ok(facts) => shared.turns().learn(at_ms, facts),
            Err(_) => shared.turns().learn(at_ms, &record::all(&seen)),
        }
        let facts = match unknown_since {
            Some(since) => Err(since),
            None => facts,
        };
        before = Some(seen.clone());
        match shelf.try_send(Job::Seen(seen, facts)) {
            Ok(()) => unknown_since = None,
            Err(TrySendError::Full(_)) => {
                add(&shared.counts.views_skipped);
                unknown_since.get_or_insert(at_ms);
            }
            Err(TrySendError::Disconnected(_)) => {}
        }
    }
}
