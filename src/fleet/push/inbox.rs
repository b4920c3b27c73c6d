//! What one node has pushed here, over all of its connections: decides for each frame what is told to
//! the members. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::frame::Frame;
use super::relay::{PREFIX, Version, fits, relayed_key, relayed_value};
use crate::fleet::bus::Key;
use crate::fleet::credentials::Roles;
use crate::fleet::identity::refusal::Reason;

/// Keys of one node at most, retired ones included.
pub const MAX_KEYS: usize = 1024;

/// Octets of keys and values of one node at most.
pub const MAX_OCTETS: usize = 1024 * 1024;

/// What is kept of a key.
#[derive(Clone, Copy, Debug)]
struct Held {
    version: Version,
    octets: usize,
    is_retired: bool,
}

/// All that one node has pushed.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    keys: BTreeMap<Key, Held>,
    octets: usize,
    /// The highest life.
    generation: u64,
}

/// One connection's way through its frames.
#[derive(Clone, Debug)]
pub struct Visit {
    node: Arc<str>,
    roles: Roles,
    generation: u64,
    last: u64,
    /// Keys of the first report; `None` once it is complete.
    reported: Option<BTreeSet<Key>>,
}

/// What follows from a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The members are told these keys of the relaying node.
    Tell(Vec<(Key, String)>),
    /// The frame is not believed; the connection goes on.
    Skip(Reason, String),
    /// The connection must end.
    End(Reason, String),
}

impl Inbox {
    /// The highest life that is known.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A connection of `node` in that life begins. What an earlier life said stays until the first
    /// report is complete.
    pub fn visit(&mut self, node: &Arc<str>, roles: Roles, generation: u64) -> Visit {
        self.generation = self.generation.max(generation);
        Visit {
            node: node.clone(),
            roles,
            generation,
            last: 0,
            reported: Some(BTreeSet::new()),
        }
    }

    /// Takes a frame of a connection.
    pub fn take(&mut self, visit: &mut Visit, frame: Frame) -> Outcome {
        match frame {
            Frame::Put { seq, key, value } => self.put(visit, seq, key, &value),
            Frame::Complete { seq } => self.complete(visit, seq),
            Frame::Beat { .. } => Outcome::Tell(Vec::new()),
            Frame::Hello { .. } | Frame::Told { .. } | Frame::Notice { .. } => Outcome::End(
                Reason::Malformed,
                "a frame that has no place here".to_owned(),
            ),
        }
    }

    fn put(&mut self, visit: &mut Visit, seq: u64, key: Key, value: &str) -> Outcome {
        if seq <= visit.last {
            let text = format!("change {seq} after change {}: sent again?", visit.last);
            return Outcome::End(Reason::Malformed, text);
        }
        visit.last = seq;
        if key.as_str().starts_with(PREFIX) || !visit.roles.may_write(&key) {
            let text = format!(
                "node `{}` may not write `{}` with the roles it has",
                visit.node,
                key.as_str()
            );
            return Outcome::Skip(Reason::KeyNotAllowed, text);
        }
        let version = Version {
            generation: visit.generation,
            seq,
        };
        let known = self.keys.get(&key).copied();
        let octets = key.as_str().len() + value.len();
        let after = self.octets - known.map_or(0, |k| k.octets) + octets;
        let count = self.keys.len() + usize::from(known.is_none());
        let relayed =
            relayed_key(&visit.node, &key).filter(|_| fits(&visit.node, &key, value.len()));
        let (Some(relayed), true) = (relayed, count <= MAX_KEYS && after <= MAX_OCTETS) else {
            let text = format!(
                "`{}` of node `{}` with {} octets is too much: it would have {count} keys of \
                 {MAX_KEYS} and {after} octets of {MAX_OCTETS}",
                key.as_str(),
                visit.node,
                value.len()
            );
            return Outcome::Skip(Reason::Malformed, text);
        };
        if let Some(reported) = &mut visit.reported {
            reported.insert(key.clone());
        }
        if known.is_some_and(|k| k.version >= version) {
            return Outcome::Tell(Vec::new());
        }
        self.octets = after;
        let held = Held {
            version,
            octets,
            is_retired: value.is_empty(),
        };
        self.keys.insert(key, held);
        Outcome::Tell(vec![(relayed, relayed_value(version, value))])
    }

    /// The report is complete: what an earlier life or connection said and this one does not is no more.
    fn complete(&mut self, visit: &mut Visit, seq: u64) -> Outcome {
        visit.last = visit.last.max(seq);
        let Some(reported) = visit.reported.take() else {
            let text = "a second end of the first report".to_owned();
            return Outcome::End(Reason::Malformed, text);
        };
        let version = Version {
            generation: visit.generation,
            seq,
        };
        let mut retired = Vec::new();
        for (key, held) in &mut self.keys {
            if reported.contains(key) || held.is_retired || held.version >= version {
                continue;
            }
            self.octets -= held.octets - key.as_str().len();
            *held = Held {
                version,
                octets: key.as_str().len(),
                is_retired: true,
            };
            let relayed = relayed_key(&visit.node, key);
            retired.extend(relayed.map(|key| (key, relayed_value(version, ""))));
        }
        Outcome::Tell(retired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: Roles = Roles {
        dns: false,
        probe: true,
        proxy: false,
        admin: false,
    };

    fn put(seq: u64, key: &str, value: &str) -> Frame {
        Frame::Put {
            seq,
            key: Key::new(key).unwrap(),
            value: value.into(),
        }
    }

    fn told(outcome: Outcome) -> Vec<String> {
        match outcome {
            Outcome::Tell(keys) => {
                let keys = keys.into_iter();
                keys.map(|(k, v)| format!("{}={v}", k.as_str())).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_life_follows_another_and_what_it_does_not_say_ends() {
        let mut inbox = Inbox::default();
        let node: Arc<str> = "nat1".into();
        let mut visit = inbox.visit(&node, PROBE, 5);
        assert_eq!(
            told(inbox.take(&mut visit, put(1, "v/1", "a"))),
            ["px/nat1/v/1=5 1 a"]
        );
        assert_eq!(
            told(inbox.take(&mut visit, put(2, "v/2", "b"))),
            ["px/nat1/v/2=5 2 b"]
        );
        assert!(told(inbox.take(&mut visit, Frame::Complete { seq: 2 })).is_empty());
        // The same life on another connection: nothing is told twice.
        let mut again = inbox.visit(&node, PROBE, 5);
        assert!(told(inbox.take(&mut again, put(2, "v/2", "b"))).is_empty());
        assert_eq!(
            told(inbox.take(&mut again, put(3, "v/1", "c"))),
            ["px/nat1/v/1=5 3 c"]
        );
        assert!(told(inbox.take(&mut again, Frame::Complete { seq: 3 })).is_empty());
        // The next life: last known values stay until its report is complete.
        let mut next = inbox.visit(&node, PROBE, 6);
        assert_eq!(
            told(inbox.take(&mut next, put(1, "v/2", "z"))),
            ["px/nat1/v/2=6 1 z"]
        );
        assert_eq!(
            told(inbox.take(&mut next, Frame::Complete { seq: 1 })),
            ["px/nat1/v/1=6 1 "]
        );
        assert_eq!(inbox.generation(), 6);
    }

    #[test]
    fn what_the_role_does_not_allow_is_skipped_and_what_is_replayed_ends_it() {
        let mut inbox = Inbox::default();
        let mut visit = inbox.visit(&"nat1".into(), PROBE, 1);
        for key in ["ov/region/eu/drain", "p/vip", "px/other/v/1", "q"] {
            let seq = visit.last + 1;
            let outcome = inbox.take(&mut visit, put(seq, key, "x"));
            assert!(
                matches!(&outcome, Outcome::Skip(Reason::KeyNotAllowed, t) if t.contains(key)),
                "{outcome:?}"
            );
        }
        assert!(!told(inbox.take(&mut visit, put(9, "hb", "1"))).is_empty());
        for frame in [
            put(9, "hb", "1"),
            put(8, "hb", "2"),
            Frame::Hello {
                version: 1,
                generation: 1,
            },
        ] {
            let mut visit = visit.clone();
            let outcome = inbox.take(&mut visit, frame);
            assert!(matches!(outcome, Outcome::End(Reason::Malformed, _)));
        }
        inbox.take(&mut visit, Frame::Complete { seq: 9 });
        let outcome = inbox.take(&mut visit, Frame::Complete { seq: 9 });
        assert!(matches!(outcome, Outcome::End(..)));
    }

    #[test]
    fn a_node_has_its_measure_of_keys_and_octets() {
        let mut inbox = Inbox::default();
        let mut visit = inbox.visit(&"nat1".into(), PROBE, 1);
        let long = "x".repeat(8000);
        let mut accepted = 0;
        for n in 0..400 {
            let frame = put(n + 1, &format!("v/{n}"), &long);
            accepted += usize::from(matches!(inbox.take(&mut visit, frame), Outcome::Tell(_)));
        }
        assert_eq!(accepted, MAX_OCTETS / 8003);
        // Room is made by retiring, and a value too long for the way is not taken.
        assert!(!told(inbox.take(&mut visit, put(1000, "v/0", ""))).is_empty());
        assert!(!told(inbox.take(&mut visit, put(1001, "v/399", "short"))).is_empty());
        let longest = "x".repeat(8192);
        let outcome = inbox.take(&mut visit, put(1002, "v/1", &longest));
        assert!(matches!(outcome, Outcome::Skip(Reason::Malformed, _)));
        let mut inbox = Inbox::default();
        let mut visit = inbox.visit(&"nat1".into(), PROBE, 1);
        for n in 0..=MAX_KEYS as u64 {
            let outcome = inbox.take(&mut visit, put(n + 1, &format!("v/{n}"), "x"));
            assert_eq!(matches!(outcome, Outcome::Tell(_)), n < MAX_KEYS as u64);
        }
    }
}
