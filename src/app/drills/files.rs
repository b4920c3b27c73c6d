//! What this node knows of drills: every node's word about each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::word::Word;
use crate::drill::report::{Check, Note};
use crate::drill::{Charter, Course, Phase, State};

/// Drills that are kept; of more, the oldest go.
pub(super) const KEPT: usize = 50;

/// Most nodes that speak of one drill.
const NODES: usize = 256;

/// What is known of one drill.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) charter: Charter,
    /// By node.
    pub(super) words: BTreeMap<Arc<str>, Word>,
    /// Phases that were told as events here.
    pub(super) told: BTreeSet<Phase>,
    /// Whether the driver was told as an event here.
    pub(super) driver_told: Option<Arc<str>>,
}

impl File {
    /// All that nodes noted, met in one.
    pub(super) fn course(&self) -> Course {
        let mut all = Course::default();
        for word in self.words.values() {
            all.merge(&word.course);
        }
        all
    }

    pub(super) fn state(&self, now_ms: u64) -> State {
        self.course().state(now_ms, self.charter.ends_ms)
    }

    /// The turn, the node that drives in it, and since when: the latest turn counts, of two in one turn
    /// the node that comes first in the alphabet.
    pub(super) fn driver(&self) -> Option<(u64, Arc<str>, u64)> {
        let turns = self.words.iter();
        let turns = turns.filter_map(|(node, w)| w.drives.map(|(turn, at)| (turn, node, at)));
        turns
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(a.1)))
            .map(|(turn, node, at)| (turn, node.clone(), at))
    }

    /// The rules looked at before it began.
    pub(super) fn checks(&self) -> &[Check] {
        let mut words = self.words.values();
        words
            .find(|w| !w.checks.is_empty())
            .map_or(&[], |w| &w.checks)
    }

    /// Whether a rule was broken knowingly: then it is no reason to end the drill either.
    pub(super) fn broke(&self, rule: &str) -> bool {
        let mut checks = self.checks().iter();
        self.charter.break_glass.is_some() && checks.any(|c| c.rule == rule && !c.holds)
    }

    pub(super) fn notes(&self) -> Vec<Note> {
        let notes = self.words.values().flat_map(|w| w.notes.iter().cloned());
        let mut notes: Vec<Note> = notes.collect();
        notes.sort_unstable();
        notes.dedup();
        notes
    }
}

/// All drills that are known.
#[derive(Debug, Default)]
pub(super) struct Files(pub(super) BTreeMap<Arc<str>, File>);

/// The key of a word in the store.
pub(super) fn row(id: &str, node: &str) -> String {
    format!("{id}/{node}")
}

impl Files {
    /// Those that were stored.
    pub(super) fn load(rows: Vec<(String, String)>) -> Files {
        let mut files = Files::default();
        for (key, text) in rows {
            let read = key.split_once('/').zip(Word::parse(&text).ok());
            let Some(((_, node), word)) = read else {
                tracing::error!(
                    key,
                    "a drill in the store cannot be read and is passed over"
                );
                continue;
            };
            files.hear(&node.into(), word);
        }
        for file in files.0.values_mut() {
            // What was told before the restart is not told again.
            file.told = file.course().0.keys().copied().collect();
            file.driver_told = file.driver().map(|(_, node, _)| node);
        }
        files
    }

    /// Takes in a node's word; whether it was news.
    pub(super) fn hear(&mut self, node: &Arc<str>, word: Word) -> bool {
        let id = word.charter.drill.id.clone();
        let file = self.0.entry(id).or_insert_with(|| File {
            charter: word.charter.clone(),
            words: BTreeMap::new(),
            told: BTreeSet::new(),
            driver_told: None,
        });
        let known = file.words.get(node);
        if known.is_some_and(|k| k.number >= word.number)
            || known.is_none() && file.words.len() >= NODES
        {
            return false;
        }
        file.words.insert(node.clone(), word);
        true
    }

    /// The word of `own` about a drill, to be changed; it gets the next number.
    ///
    /// Numbers grow with the calendar too: a node that lost its store is heard all the same.
    pub(super) fn own(&mut self, id: &str, own: &Arc<str>, now_ms: u64) -> Option<&mut Word> {
        let file = self.0.get_mut(id)?;
        let charter = &file.charter;
        let word = file
            .words
            .entry(own.clone())
            .or_insert_with(|| Word::about(charter.clone()));
        word.number = now_ms.max(word.number + 1);
        Some(word)
    }

    /// Forgets the oldest of too many; gives the keys of what was stored of them.
    pub(super) fn forget(&mut self) -> Vec<String> {
        let mut gone = Vec::new();
        while self.0.len() > KEPT {
            let planned =
                |(id, file): &(&Arc<str>, &File)| (file.charter.planned_ms, (*id).clone());
            let oldest = self.0.iter().min_by_key(planned).map(|(id, _)| id.clone());
            let Some(oldest) = oldest else { break };
            if let Some(file) = self.0.remove(&oldest) {
                gone.extend(file.words.keys().map(|node| row(&oldest, node)));
            }
        }
        gone
    }

    /// By the time they were planned, the latest first.
    pub(super) fn latest(&self) -> Vec<&File> {
        let mut all: Vec<&File> = self.0.values().collect();
        all.sort_by(|a, b| {
            let key = |f: &File| (f.charter.planned_ms, f.charter.drill.id.clone());
            key(b).cmp(&key(a))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::word::tests::charter;
    use super::*;

    #[test]
    fn the_later_word_of_a_node_stands_and_the_latest_turn_drives() {
        let mut files = Files::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut word = Word::about(charter("x1"));
        word.number = 2;
        word.drives = Some((1, 10));
        assert!(files.hear(&a, word.clone()));
        assert!(!files.hear(
            &a,
            Word {
                number: 1,
                drives: None,
                ..word.clone()
            }
        ));
        assert!(files.hear(
            &b,
            Word {
                drives: Some((2, 20)),
                ..word.clone()
            }
        ));
        let driver = |f: &Files| {
            f.0["x1"]
                .driver()
                .map(|(turn, node, _)| (turn, node.to_string()))
        };
        assert_eq!(driver(&files), Some((2, "b".to_owned())));
        // Both took the same turn, cut off from each other: all choose the same.
        assert!(files.hear(
            &a,
            Word {
                number: 3,
                drives: Some((2, 21)),
                ..word
            }
        ));
        assert_eq!(driver(&files), Some((2, "a".to_owned())));
    }

    #[test]
    fn the_oldest_of_too_many_are_forgotten_with_their_rows() {
        let mut files = Files::default();
        for n in 0..KEPT as u64 + 2 {
            let mut charter = charter(&format!("d{n}"));
            charter.planned_ms = n;
            files.hear(
                &"a".into(),
                Word {
                    number: 1,
                    ..Word::about(charter)
                },
            );
        }
        assert_eq!(files.forget(), ["d0/a", "d1/a"]);
        assert_eq!(files.0.len(), KEPT);
        assert_eq!(files.latest()[0].charter.planned_ms, KEPT as u64 + 1);
        let rows = files.0["d7"]
            .words
            .iter()
            .map(|(node, w)| (row("d7", node), w.text()));
        let again = Files::load(rows.collect());
        assert_eq!(again.0["d7"].words, files.0["d7"].words);
    }
}
