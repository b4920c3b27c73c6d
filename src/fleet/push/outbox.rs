//! What a node that pushes has said in this life: its keys with their last values, each with the number
//! of its change. A slow connection is sent the newest value per key, so nothing piles up. Pure.

use std::collections::BTreeMap;

use super::frame::Frame;
use crate::fleet::bus::{Key, Value};

/// Retired keys that are remembered for connections that have not heard of it.
const GRAVES: usize = 256;

/// The node's own keys.
#[derive(Clone, Debug, Default)]
pub struct Outbox {
    seq: u64,
    /// Retired ones with the empty value.
    keys: BTreeMap<Key, (u64, Value)>,
    graves: usize,
}

impl Outbox {
    /// The last change; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Sets a value, the empty one to retire; `false` when it is so already.
    pub fn put(&mut self, key: &Key, value: &str) -> bool {
        let known = self.keys.get(key).map_or("", |(_, v)| v);
        if known == value {
            return false;
        }
        self.graves += usize::from(value.is_empty());
        self.graves -= usize::from(known.is_empty() && self.keys.contains_key(key));
        self.seq += 1;
        self.keys.insert(key.clone(), (self.seq, value.into()));
        true
    }

    /// The changes after `seq`, oldest first; retired keys are left out of a first report.
    pub fn since(&self, seq: u64) -> Vec<Frame> {
        let mut found: Vec<_> = self
            .keys
            .iter()
            .filter(|(_, (s, value))| *s > seq && !(seq == 0 && value.is_empty()))
            .collect();
        found.sort_unstable_by_key(|(_, (s, _))| *s);
        found
            .into_iter()
            .map(|(key, (seq, value))| Frame::Put {
                seq: *seq,
                key: key.clone(),
                value: value.clone(),
            })
            .collect()
    }

    /// Forgets retired keys, when there are many, whose end every connection has been sent: all up to
    /// `heard`. A new connection reports in full, and so needs none.
    pub fn bury(&mut self, heard: u64) {
        if self.graves > GRAVES {
            self.keys
                .retain(|_, (seq, value)| !value.is_empty() || *seq > heard);
            self.graves = self.keys.values().filter(|(_, v)| v.is_empty()).count();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puts(frames: Vec<Frame>) -> Vec<(u64, String, String)> {
        frames
            .into_iter()
            .map(|f| match f {
                Frame::Put { seq, key, value } => (seq, key.as_str().into(), value.to_string()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn row(seq: u64, key: &str, value: &str) -> (u64, String, String) {
        (seq, key.into(), value.into())
    }

    #[test]
    fn a_connection_gets_the_newest_value_of_each_key_once() {
        let mut out = Outbox::default();
        let (a, b) = (Key::new("a").unwrap(), Key::new("b").unwrap());
        assert!(!out.put(&a, ""), "retiring nothing is no change");
        assert!(out.put(&a, "1") && out.put(&b, "1") && out.put(&a, "2"));
        assert!(!out.put(&a, "2"));
        assert_eq!(puts(out.since(0)), [row(2, "b", "1"), row(3, "a", "2")]);
        assert_eq!(puts(out.since(2)), [row(3, "a", "2")]);
        assert!(out.put(&a, ""));
        assert_eq!(puts(out.since(3)), [row(4, "a", "")]);
        assert_eq!(puts(out.since(0)), [row(2, "b", "1")]);
        assert_eq!(out.seq(), 4);
    }

    #[test]
    fn retired_keys_are_forgotten_once_all_have_heard() {
        let mut out = Outbox::default();
        let key = |n: usize| Key::new(&format!("k{n}")).unwrap();
        for n in 0..1000 {
            out.put(&key(n), "x");
            out.put(&key(n), "");
        }
        out.bury(1000);
        assert_eq!(out.since(1000).len(), 500);
        out.put(&key(999), "again");
        assert_eq!(out.graves, 499);
        out.bury(out.seq());
        assert_eq!(puts(out.since(0)).len(), 1);
        assert_eq!((out.keys.len(), out.graves), (1, 0));
    }
}
