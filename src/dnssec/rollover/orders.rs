//! What others say about the keys: an operator orders a roll-over, the parent has a DS.

use super::state::{DsPhase, KeyState, ZoneState};
use super::{Change, Ds, Event};
use crate::dnssec::Role;

/// Why an order is not followed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Starts the roll-over of the key that serves in `role`; the next step makes its successor.
///
/// # Errors
/// When no such key serves, or a roll-over is under way.
pub fn order_roll(state: &mut ZoneState, role: Role, now: u64) -> Result<Event, Refusal> {
    let serving = state
        .keys
        .iter()
        .position(|k| k.removed.is_none() && k.wanted && k.role == role);
    let Some(i) = serving else {
        let mut roles: Vec<&str> = state
            .live()
            .filter(|k| k.wanted)
            .map(|k| k.role.word())
            .collect();
        roles.sort_unstable();
        roles.dedup();
        return Err(Refusal(format!(
            "the zone has no {role} to roll; {}",
            match &roles[..] {
                [] => "it has no keys at all yet".to_owned(),
                roles => format!("it has: {}", roles.join(", ")),
            }
        )));
    };
    if state.keys[i].imported {
        return Err(Refusal(format!(
            "{} comes from `key-files`: to roll it, append the next key's file to `key-files` and \
             reload",
            state.keys[i]
        )));
    }
    if let Some(old) = state.in_the_way(role, state.keys[i].algorithm) {
        return Err(Refusal(format!(
            "a roll-over is under way: {old} is not gone yet; wait until it is removed"
        )));
    }
    let key = &mut state.keys[i];
    key.wanted = false;
    key.retire_after = now;
    Ok(Event::new(key, Change::Replaced))
}

/// The parent's DS set is now what it was asked to be, as an operator says.
///
/// # Errors
/// When nothing is asked of the parent.
pub fn ds_seen_as_asked(state: &mut ZoneState, now: u64) -> Result<Vec<Event>, Refusal> {
    let events = move_ds(state, now, |k| k.ds.phase == DsPhase::Submitted);
    if events.is_empty() {
        return Err(Refusal(
            "nothing is asked of the parent now: no DS is to be added or removed".to_owned(),
        ));
    }
    Ok(events)
}

/// The parent has the DS of exactly the keys for which `has` is true.
///
/// That it lacks one counts only beside one that it has, or when it shall have none: a resolver may
/// still hold the absence from before.
pub fn ds_seen(state: &mut ZoneState, now: u64, has: impl Fn(&KeyState) -> bool) -> Vec<Event> {
    let seen_any = state.live().any(&has);
    let shall_have_none = !state.live().any(|k| k.wanted || k.ds.phase.is_wanted());
    if !seen_any && !shall_have_none {
        return Vec::new();
    }
    move_ds(state, now, has)
}

fn move_ds(state: &mut ZoneState, now: u64, has: impl Fn(&KeyState) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    for key in &mut state.keys {
        if key.removed.is_some() || !key.role.signs_keys() {
            continue;
        }
        let moved = match (key.ds.phase, has(key)) {
            (DsPhase::Submitted, true) => Some((DsPhase::Rumoured, Change::DsSeen)),
            (DsPhase::Leaving, false) => Some((DsPhase::Unretentive, Change::DsRemoved)),
            // It is there unasked: of an imported key, or an operator was early.
            (DsPhase::Hidden, true) if key.wanted => Some((DsPhase::Rumoured, Change::DsSeen)),
            (DsPhase::Hidden | DsPhase::Unretentive, true) => {
                Some((DsPhase::Leaving, Change::DsLeaving))
            }
            _ => None,
        };
        if let Some((phase, change)) = moved {
            key.ds = Ds { phase, since: now };
            events.push(Event::new(key, change));
        }
    }
    events
}
