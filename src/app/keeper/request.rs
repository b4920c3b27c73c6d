//! What an operator orders from the command line.
//!
//! A running node finds the order as a file in `STATE/requests` within a second. Where no node runs,
//! the command takes the lock and carries it out itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lock::{Locked, lock};
use super::store::{Store, StoreError, make_private_dir, replace};
use super::zone::{Kept, Rejected};
use crate::compile::SignedZone;
use crate::dns::name::WireName;
use crate::dnssec::Role;
use crate::dnssec::rollover::{Event, Refusal, ZoneState, ds_seen_as_asked, order_roll};

/// A node takes an order within this time, or it does not run well.
const TAKEN: Duration = Duration::from_secs(5);

/// What can be ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// Roll the key of this role.
    Roll(Role),
    /// The parent's DS set is what it was asked to be.
    DsSeen,
}

impl Request {
    /// Carries it out on a state.
    pub(super) fn apply(self, state: &mut ZoneState, now: u64) -> Result<Vec<Event>, Refusal> {
        match self {
            Request::Roll(role) => order_roll(state, role, now).map(|event| vec![event]),
            Request::DsSeen => ds_seen_as_asked(state, now),
        }
    }
}

/// What became of an order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ordered {
    /// The running node has taken it.
    Taken,
    /// The running node has not taken it yet; it waits in this file.
    Waits(PathBuf),
    /// No node runs: it is done.
    Done,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestFile {
    zone: String,
    order: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("requests")
}

/// Orders something of the keys of a zone, after a look whether the rules allow it now.
///
/// # Errors
/// When they do not, or the state directory cannot be used.
pub fn order(
    state_dir: &Path,
    zone: &SignedZone,
    request: Request,
    now: u64,
) -> Result<Ordered, StoreError> {
    let store = Store::new(state_dir);
    let Some(mut state) = store.load(&zone.apex)? else {
        return Err(StoreError(format!(
            "zone `{}` has no keys in `{}` yet; they are made when the node starts",
            zone.apex,
            state_dir.display()
        )));
    };
    request
        .apply(&mut state, now)
        .map_err(|refusal| StoreError(format!("zone `{}`: {refusal}", zone.apex)))?;
    match lock(state_dir)? {
        Locked::Here(_held) => {
            let mut kept = Kept::load(&store, zone)?;
            kept.change(&store, now, |state| request.apply(state, now))
                .map_err(Rejected::into_store)?;
            Ok(Ordered::Done)
        }
        Locked::Elsewhere => hand_over(state_dir, zone, request, now),
    }
}

fn hand_over(
    state_dir: &Path,
    zone: &SignedZone,
    request: Request,
    now: u64,
) -> Result<Ordered, StoreError> {
    let dir = folder(state_dir);
    make_private_dir(&dir)?;
    let file = RequestFile {
        zone: zone.apex.to_string(),
        order: match request {
            Request::Roll(_) => "roll",
            Request::DsSeen => "ds-seen",
        }
        .to_owned(),
        role: match request {
            Request::Roll(role) => Some(role.word().to_owned()),
            Request::DsSeen => None,
        },
    };
    // Strings always serialise.
    let text = serde_json::to_vec(&file).unwrap_or_default();
    let path = dir.join(format!("{now}-{}.json", std::process::id()));
    replace(&path, &text, 0o600)?;
    let mut left = TAKEN;
    const PAUSE: Duration = Duration::from_millis(20);
    while path.exists() {
        let Some(rest) = left.checked_sub(PAUSE) else {
            return Ok(Ordered::Waits(path));
        };
        left = rest;
        std::thread::park_timeout(PAUSE);
    }
    Ok(Ordered::Taken)
}

/// The orders that wait, oldest first; each file is gone when this returns. What is no order is
/// logged.
pub(super) fn take(state_dir: &Path) -> Vec<(WireName, Request)> {
    let Ok(entries) = std::fs::read_dir(folder(state_dir)) else {
        return Vec::new(); // nothing was ever ordered
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    let mut requests = Vec::new();
    for path in paths {
        let read = std::fs::read_to_string(&path)
            .map_err(|e| e.to_string())
            .and_then(|text| parse(&text));
        // Carried out once or not at all: what cannot be deleted would come again and again.
        if let Err(e) = std::fs::remove_file(&path) {
            tracing::error!(file = %path.display(), "cannot take a DNSSEC order: {e}");
            continue;
        }
        match read {
            Ok(request) => requests.push(request),
            Err(e) => tracing::error!(file = %path.display(), "is no DNSSEC order: {e}"),
        }
    }
    requests
}

fn parse(text: &str) -> Result<(WireName, Request), String> {
    let file: RequestFile = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let zone = file.zone.parse().map_err(|e| format!("{e}"))?;
    let role = file.role.as_deref().and_then(Role::from_word);
    match (file.order.as_str(), role) {
        ("roll", Some(role)) => Ok((zone, Request::Roll(role))),
        ("ds-seen", None) => Ok((zone, Request::DsSeen)),
        (order, _) => Err(format!("order `{order}` with role {:?}", file.role)),
    }
}
