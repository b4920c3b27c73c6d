//! What will happen to a zone's keys, by running the rules ahead of time.

use super::orders::ds_seen_as_asked;
use super::step::{Terms, step};
use super::{Event, ZoneState, awaits_parent};

/// Octets of the DNSKEY RDATA of a key that a forecast makes up: flags, protocol, algorithm and a
/// counter.
pub(super) const MADE_UP: usize = 6;

/// Something that will happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upcoming {
    /// Unix time.
    pub at: u64,
    /// What.
    pub event: Event,
    /// Whether it rests on the parent doing what it is asked at once.
    pub if_parent_acts: bool,
}

/// A schedule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Forecast {
    /// In order of time.
    pub events: Vec<Upcoming>,
}

/// What happens after `now` if nobody interferes: until `horizon`, and no more than `most` events.
pub fn forecast(
    state: &ZoneState,
    terms: &Terms<'_>,
    now: u64,
    horizon: u64,
    most: usize,
) -> Forecast {
    let mut state = state.clone();
    let mut at = now;
    let mut made = 0u16;
    let mut if_parent_acts = false;
    let mut events = Vec::new();
    let mut make = |role: crate::dnssec::Role, algorithm: crate::dnssec::Algorithm| {
        made += 1;
        let mut rdata = role.flags().to_be_bytes().to_vec();
        rdata.extend([3, algorithm.number()]);
        rdata.extend(made.to_be_bytes());
        Ok(rdata.into_boxed_slice())
    };
    loop {
        let outcome = step(&mut state, terms, at, &mut make);
        let mut add = |list: Vec<Event>, if_parent_acts| {
            events.extend(list.into_iter().map(|event| Upcoming {
                at,
                event,
                if_parent_acts,
            }));
        };
        add(outcome.events, if_parent_acts);
        if awaits_parent(&state) {
            if_parent_acts = true;
            // Something is awaited, so this is not refused.
            add(ds_seen_as_asked(&mut state, at).unwrap_or_default(), true);
            continue;
        }
        match outcome.due {
            Some(due) if due <= horizon && events.len() < most => at = due,
            _ => break,
        }
    }
    events.truncate(most);
    Forecast { events }
}
