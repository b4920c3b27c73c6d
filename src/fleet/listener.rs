//! What other vantages say, out of the changes on the bus.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::bus::Change;
use super::protocol::{Chunk, Heartbeat, Malformed};
use crate::health::{Says, Testimony, Vote};

/// Keys that a listener understands.
pub const PREFIXES: [&str; 4] = ["hb", "v/", "r/", "m/state"];

/// The value of `m/state` of a node that stops on purpose.
pub const LEAVING: &str = "leaving";

/// Remembers of each vantage how many chunks it had, and how far its heartbeat was.
#[derive(Debug, Default)]
pub struct Listener {
    beats: HashMap<Arc<str>, u64>,
    votes: HashMap<Arc<str>, u16>,
    rtts: HashMap<Arc<str>, u16>,
}

impl Listener {
    /// What a change says; nothing where it is about something else, several things where chunks are
    /// no more.
    ///
    /// # Errors
    /// When the value cannot be believed.
    pub fn hear(&mut self, change: &Change) -> Result<Vec<Testimony>, Malformed> {
        let says = |says| Testimony {
            vantage: change.owner.clone(),
            says,
        };
        let key = change.key.as_str();
        if key == "hb" {
            let Heartbeat { count, blind } = Heartbeat::decode(&change.value)?;
            // The bus keeps the last beat of the dead: only one that moves is a sign of life, and the
            // first of a new life.
            let known = self.beats.insert(change.owner.clone(), count);
            let lives = known.map_or(count <= 1, |known| known != count);
            return Ok(lives
                .then(|| says(Says::Alive { blind }))
                .into_iter()
                .collect());
        }
        if key == "m/state" {
            let leaving = &*change.value == LEAVING;
            return Ok(leaving.then(|| says(Says::Leaving)).into_iter().collect());
        }
        let votes = |chunk: u16, records: Vec<_>| Says::Votes {
            chunk,
            votes: records.into(),
        };
        let rtts = |chunk: u16, records: Vec<_>| Says::Rtts {
            chunk,
            rtts: records.into(),
        };
        let heard = if let Some(n) = key.strip_prefix("v/") {
            let known = self.votes.entry(change.owner.clone()).or_default();
            chunk(n, &change.value, known, Chunk::<Vote>::decode, votes)?
        } else if let Some(n) = key.strip_prefix("r/") {
            let known = self.rtts.entry(change.owner.clone()).or_default();
            chunk(n, &change.value, known, Chunk::<Duration>::decode, rtts)?
        } else {
            Vec::new()
        };
        Ok(heard.into_iter().map(says).collect())
    }
}

/// One chunk's news: what it says, and emptiness for those that are no more.
fn chunk<T>(
    number: &str,
    value: &str,
    known: &mut u16,
    decode: impl Fn(&str) -> Result<Chunk<T>, Malformed>,
    says: impl Fn(u16, Vec<(crate::health::CheckKey, T)>) -> Says,
) -> Result<Vec<Says>, Malformed> {
    let number: u16 = number
        .parse()
        .map_err(|_| Malformed::Form("the key names no chunk"))?;
    if value.is_empty() {
        return Ok(vec![says(number, Vec::new())]);
    }
    let chunk = decode(value)?;
    if number >= chunk.of {
        return Err(Malformed::Form("a chunk beyond the last"));
    }
    let gone = chunk.of..(*known).max(chunk.of);
    *known = chunk.of;
    let mut out: Vec<Says> = gone.map(|n| says(n, Vec::new())).collect();
    out.push(says(number, chunk.records));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::bus::Key;
    use crate::fleet::speaker::Speaker;
    use crate::health::{CheckKey, Opinion, OwnWord};
    use crate::time::Moment;

    fn change(key: &str, value: &str) -> Change {
        Change {
            owner: "eu1".into(),
            generation: 1,
            key: Key::new(key).expect("a key"),
            value: value.into(),
        }
    }

    fn word(checks: u64) -> OwnWord {
        let vote = Vote {
            opinion: Opinion::Up,
            failures: 0,
        };
        OwnWord {
            votes: (0..checks).map(|k| (CheckKey(k), vote)).collect(),
            ..OwnWord::default()
        }
    }

    fn heard(l: &mut Listener, s: &mut Speaker, w: &OwnWord, now: Moment) -> usize {
        let mut count = 0;
        for (key, value) in s.say(w, now) {
            for t in l.hear(&change(&key, &value)).expect("own words") {
                if let Says::Votes { votes, .. } = t.says {
                    count += votes.len();
                }
            }
        }
        count
    }

    #[test]
    fn a_listener_hears_what_a_speaker_says() {
        let (mut l, mut s) = (Listener::default(), Speaker::default());
        assert_eq!(heard(&mut l, &mut s, &word(500), Moment::ZERO), 500);
        assert_eq!(heard(&mut l, &mut s, &word(500), Moment::ZERO), 0);
    }

    #[test]
    fn another_life_with_fewer_chunks_leaves_none_of_the_old_ones() {
        let (mut l, mut s) = (Listener::default(), Speaker::default());
        heard(&mut l, &mut s, &word(500), Moment::ZERO);
        // The new life retires nothing: it does not know what the old one said.
        let mut reborn = Speaker::default();
        let mut emptied = Vec::new();
        for (key, value) in reborn.say(&word(40), Moment::ZERO) {
            for t in l.hear(&change(&key, &value)).expect("own words") {
                match t.says {
                    Says::Votes { chunk, votes } if votes.is_empty() => emptied.push(chunk),
                    _ => {}
                }
            }
        }
        assert_eq!(emptied, (1..16).collect::<Vec<_>>());
    }

    #[test]
    fn h3_the_last_beat_of_the_dead_is_no_sign_of_life() {
        let mut l = Listener::default();
        let alive = |l: &mut Listener, value: &str| {
            let said = l.hear(&change("hb", value)).expect("a heartbeat");
            said.iter().any(|t| matches!(t.says, Says::Alive { .. }))
        };
        assert!(!alive(&mut l, "1 500 sees"), "how old it is nobody knows");
        assert!(alive(&mut l, "1 501 sees"));
        assert!(!alive(&mut l, "1 501 blind"), "told again");
        // A new life begins anew.
        assert!(alive(&mut l, "1 1 sees"));
        assert!(alive(&mut Listener::default(), "1 1 sees"));
    }

    #[test]
    fn what_is_malformed_says_nothing() {
        let mut l = Listener::default();
        for (key, value) in [
            ("hb", "x"),
            ("v/x", "1 1 "),
            ("v/3", "1 2 "),
            ("v/0", "7 1 "),
            ("r/0", "1 1 AAAA"),
        ] {
            assert!(l.hear(&change(key, value)).is_err(), "{key} {value}");
        }
        assert_eq!(l.hear(&change("m/config", "x")), Ok(Vec::new()));
    }

    #[test]
    fn a_node_that_stops_says_so() {
        let said = Listener::default().hear(&change("m/state", LEAVING));
        let says: Vec<_> = said.expect("known").into_iter().map(|t| t.says).collect();
        assert_eq!(says, [Says::Leaving]);
    }
}
