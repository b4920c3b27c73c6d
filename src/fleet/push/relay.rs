//! How a DNS node tells the members what was pushed to it: key `px/NODE/KEY`, value `LIFE SEQ VALUE`. It
//! is turned back into a word of the node itself by every reader. Several DNS nodes relay the same node;
//! the newest word wins, by life and number. Pure.

use std::sync::Arc;

use hashbrown::HashMap;

use super::MAX_PUSHED;
use crate::fleet::bus::{Change, Key, LAST_LIFE, MAX_KEY};

/// Before the node's name in relayed keys.
pub const PREFIX: &str = "px/";

/// How new a word is: the life of the node, and the number of the change in that life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Version {
    /// Which life.
    pub generation: u64,
    /// Which change.
    pub seq: u64,
}

/// The relayed key of `key` of `node`; `None` when that is too long.
pub fn relayed_key(node: &str, key: &Key) -> Option<Key> {
    Key::new(&format!("{PREFIX}{node}/{}", key.as_str())).ok()
}

/// Whether `key` of `node` with a value of so many octets can be relayed.
pub fn fits(node: &str, key: &Key, octets: usize) -> bool {
    PREFIX.len() + node.len() + 1 + key.as_str().len() <= MAX_KEY && octets <= MAX_PUSHED
}

/// The relayed value.
pub fn relayed_value(version: Version, value: &str) -> String {
    format!("{} {} {value}", version.generation, version.seq)
}

/// A word of a node that pushes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pushed {
    /// The change, owned by the node that pushed it.
    pub change: Change,
    /// The number of the change in that life.
    pub seq: u64,
}

/// What was pushed, of the key by which a DNS node relays it. `None` when the change is no such one, or
/// broken.
pub fn unwrap_pushed(change: &Change) -> Option<Pushed> {
    let (node, key) = change.key.as_str().strip_prefix(PREFIX)?.split_once('/')?;
    let mut parts = change.value.splitn(3, ' ');
    let generation = parts.next()?.parse().ok().filter(|g| *g <= LAST_LIFE)?;
    let seq = parts.next()?.parse().ok()?;
    let value = parts.next()?;
    // Nothing is relayed twice.
    if key.starts_with(PREFIX) || node.is_empty() {
        return None;
    }
    Some(Pushed {
        change: Change {
            owner: node.into(),
            generation,
            key: Key::new(key).ok()?,
            value: value.into(),
        },
        seq,
    })
}

/// The newest word per key of every node that pushes, whoever relays it.
#[derive(Clone, Debug, Default)]
pub struct Newest {
    versions: HashMap<(Arc<str>, Key), Version>,
}

impl Newest {
    /// What a change of the bus says: itself where nobody relayed it, what was pushed where that is newer
    /// than all before, and nothing otherwise. That a relaying node retires its own key says nothing of
    /// the node that pushed.
    pub fn take(&mut self, change: &Change) -> Option<Change> {
        if !change.key.as_str().starts_with(PREFIX) {
            return Some(change.clone());
        }
        let pushed = unwrap_pushed(change)?;
        let version = Version {
            generation: pushed.change.generation,
            seq: pushed.seq,
        };
        let of = (pushed.change.owner.clone(), pushed.change.key.clone());
        let known = self.versions.entry(of).or_default();
        if version <= *known {
            return None;
        }
        *known = version;
        Some(pushed.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relayed(by: &str, version: (u64, u64), key: &str, value: &str) -> Change {
        let (generation, seq) = version;
        Change {
            owner: by.into(),
            generation: 77,
            key: relayed_key("nat1", &Key::new(key).unwrap()).unwrap(),
            value: relayed_value(Version { generation, seq }, value)
                .as_str()
                .into(),
        }
    }

    #[test]
    fn the_newest_word_wins_whoever_relays_it() {
        let mut newest = Newest::default();
        let mut take = |by: &str, version, value: &str| {
            let taken = newest.take(&relayed(by, version, "v/1", value))?;
            assert_eq!((&*taken.owner, taken.key.as_str()), ("nat1", "v/1"));
            Some((taken.generation, taken.value.to_string()))
        };
        assert_eq!(take("dns1", (5, 1), "a b  c"), Some((5, "a b  c".into())));
        assert_eq!(take("dns2", (5, 1), "a b  c"), None, "the same again");
        assert_eq!(take("dns2", (5, 3), ""), Some((5, String::new())));
        assert_eq!(take("dns1", (5, 2), "late"), None);
        assert_eq!(take("dns1", (4, 9), "earlier life"), None);
        assert_eq!(take("dns1", (6, 1), "new"), Some((6, "new".into())));
    }

    #[test]
    fn what_is_not_relayed_passes_and_what_is_broken_does_not() {
        let mut newest = Newest::default();
        let own = |key: &str, value: &str| Change {
            owner: "dns1".into(),
            generation: 1,
            key: Key::new(key).unwrap(),
            value: value.into(),
        };
        assert_eq!(newest.take(&own("v/1", "x")), Some(own("v/1", "x")));
        for (key, value) in [
            ("px/nat1/v/1", ""),
            ("px/nat1/v/1", "1 2"),
            ("px/nat1/v/1", "x 2 y"),
            ("px/nat1/v/1", "99999999999999999999999 2 y"),
            ("px/nat1", "1 2 y"),
            ("px//v/1", "1 2 y"),
            ("px/nat1/px/other/v/1", "1 2 1 2 y"),
        ] {
            assert_eq!(newest.take(&own(key, value)), None, "{key} {value}");
        }
        let key = Key::new(&"k".repeat(MAX_KEY)).unwrap();
        assert_eq!(relayed_key("nat1", &key), None);
        assert!(!fits("nat1", &key, 1));
        let key = Key::new("v/1").unwrap();
        assert!(fits("nat1", &key, MAX_PUSHED) && !fits("nat1", &key, MAX_PUSHED + 1));
        let last = Version {
            generation: u64::MAX,
            seq: u64::MAX,
        };
        let longest = relayed_value(last, &"x".repeat(MAX_PUSHED));
        assert!(longest.len() <= crate::fleet::bus::MAX_VALUE);
    }
}
