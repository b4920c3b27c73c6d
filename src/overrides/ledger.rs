//! All records a node knows, and which of them stand.
//!
//! A set that only grows, apart from what is long over: which record stands for a subject follows
//! from the set alone, so nodes that know the same records agree, in whatever order these came
//! (last writer wins, by [`Stamp`]). Only whether a stamp far ahead is believed depends on the node's
//! own calendar, and settles when that reaches it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::record::{Entry, Kind, Record, Subject};
use super::stamp::{MAX_AHEAD_MS, Stamp};

/// Records of which nothing stands any more are kept for a day, in milliseconds: what they overruled
/// may still be on its way.
const KEEP_LOSERS_MS: u64 = 86_400_000;

/// What was cleared or has expired is kept for 30 days, in milliseconds, so that a node that was away
/// does not bring back what it still has.
const KEEP_ENDED_MS: u64 = 30 * 86_400_000;

/// Most records of which nothing stands.
const MAX_LOSERS: usize = 1_000;

/// A record with what this node thinks of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The record.
    pub record: Arc<Record>,
    /// Whether its stamp was believed. It stays so when the calendar steps back, or that would lift
    /// orders.
    pub believed: bool,
}

/// What taking in a record changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Accepted {
    /// It was known.
    Known,
    /// It is new.
    New {
        /// How far its stamp is ahead, in milliseconds, where that is too far to believe it.
        ahead: Option<u64>,
        /// Subjects for which it lost against a later record, with that.
        lost: Vec<(Subject, Arc<Record>)>,
        /// Subjects for which it replaced an earlier record, with that.
        replaced: Vec<(Subject, Arc<Record>)>,
    },
}

/// What time alone changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Turned {
    /// Records that are believed now.
    pub believed: Vec<Arc<Record>>,
    /// Records that are no longer kept.
    pub dropped: Vec<Stamp>,
}

/// One order in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InForce {
    /// What it is about.
    pub subject: Subject,
    /// What is ordered.
    pub kind: Kind,
    /// With owner, reason and end.
    pub record: Arc<Record>,
}

/// All orders in force at one time, by subject.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing(pub Vec<InForce>);

/// A record that is kept but not believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// The record.
    pub record: Arc<Record>,
    /// How far it is ahead, in milliseconds.
    pub ahead_ms: u64,
}

/// The records.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    records: BTreeMap<Stamp, Held>,
    /// The record that stands for each subject, also when that is cleared or has expired.
    winners: BTreeMap<Subject, Stamp>,
}

impl Ledger {
    /// The ledger of records that were stored, with what was thought of them.
    pub fn load(records: impl IntoIterator<Item = Held>, now_ms: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for mut held in records {
            held.believed |= !held.record.stamp.is_ahead(now_ms);
            ledger.records.insert(held.record.stamp.clone(), held);
        }
        ledger.winners = ledger.elect();
        ledger
    }

    /// Takes in a record. One that was believed once is not doubted again.
    pub fn accept(&mut self, record: Arc<Record>, now_ms: u64) -> Accepted {
        if self.records.contains_key(&record.stamp) {
            return Accepted::Known;
        }
        let stamp = record.stamp.clone();
        let believed = !stamp.is_ahead(now_ms);
        self.records.insert(
            stamp.clone(),
            Held {
                record: record.clone(),
                believed,
            },
        );
        let before = std::mem::take(&mut self.winners);
        self.winners = self.elect();
        let (mut lost, mut replaced) = (Vec::new(), Vec::new());
        for Entry { subject, .. } in &record.entries {
            let now = self.winners.get(subject);
            if now == Some(&stamp) {
                if let Some(old) = before.get(subject).and_then(|s| self.get(s)) {
                    replaced.push((subject.clone(), old.clone()));
                }
            } else if let Some(winner) = now.and_then(|s| self.get(s)).filter(|_| believed) {
                lost.push((subject.clone(), winner.clone()));
            }
        }
        Accepted::New {
            ahead: (!believed).then(|| stamp.ms.saturating_sub(now_ms)),
            lost,
            replaced,
        }
    }

    /// Lets time pass: believes what it has reached, forgets what is long over.
    pub fn turn(&mut self, now_ms: u64) -> Turned {
        let mut turned = Turned::default();
        for held in self.records.values_mut() {
            if !held.believed && !held.record.stamp.is_ahead(now_ms) {
                held.believed = true;
                turned.believed.push(held.record.clone());
            }
        }
        if !turned.believed.is_empty() {
            self.winners = self.elect();
        }
        let standing: HashSet<&Stamp> = self.winners.values().collect();
        let mut losers = 0;
        // From the latest, so that of too many losers the earliest go.
        for (stamp, held) in self.records.iter().rev() {
            let age = now_ms.saturating_sub(stamp.ms);
            let over = if !held.believed {
                false
            } else if standing.contains(stamp) {
                let end = held.record.expires.unwrap_or(u64::MAX);
                let cleared = held
                    .record
                    .entries
                    .iter()
                    .all(|e| e.kind.is_none() || self.winners.get(&e.subject) != Some(stamp));
                let ended = if cleared { stamp.ms } else { end.max(stamp.ms) };
                ended.saturating_add(KEEP_ENDED_MS) <= now_ms
            } else {
                losers += 1;
                age > KEEP_LOSERS_MS || losers > MAX_LOSERS
            };
            if over {
                turned.dropped.push(stamp.clone());
            }
        }
        if !turned.dropped.is_empty() {
            for stamp in &turned.dropped {
                self.records.remove(stamp);
            }
            self.winners = self.elect();
        }
        turned
    }

    /// When [`Ledger::turn`] or what is in force changes by itself, in milliseconds since 1970.
    pub fn next_turn(&self, now_ms: u64) -> Option<u64> {
        let ends = self
            .standing(now_ms)
            .0
            .into_iter()
            .filter_map(|o| o.record.expires);
        let believed = self
            .records
            .values()
            .filter(|h| !h.believed)
            .map(|h| h.record.stamp.ms - MAX_AHEAD_MS);
        ends.chain(believed).min()
    }

    /// What is in force.
    pub fn standing(&self, now_ms: u64) -> Standing {
        let orders = self.winners.iter().filter_map(|(subject, stamp)| {
            let record = self.get(stamp)?;
            let entry = record.entries.iter().find(|e| e.subject == *subject)?;
            (!record.has_expired(now_ms)).then_some(())?;
            Some(InForce {
                subject: subject.clone(),
                kind: entry.kind?,
                record: record.clone(),
            })
        });
        Standing(orders.collect())
    }

    /// What is kept but not believed.
    pub fn quarantined(&self, now_ms: u64) -> Vec<Quarantined> {
        let voided = self.voided();
        let held = self.records.values();
        held.filter(|h| !h.believed && !voided.contains(&h.record.stamp))
            .map(|h| Quarantined {
                record: h.record.clone(),
                ahead_ms: h.record.stamp.ms.saturating_sub(now_ms),
            })
            .collect()
    }

    /// The records that must reach every node: those that stand for a subject, and those that wait to.
    pub fn told(&self) -> Vec<Arc<Record>> {
        let standing: HashSet<&Stamp> = self.winners.values().collect();
        let told = self.records.values();
        told.filter(|h| !h.believed || standing.contains(&h.record.stamp))
            .map(|h| h.record.clone())
            .collect()
    }

    /// The stamps that a new record about `subjects`, made at `stamp`, must overrule by name: those
    /// later than its own. What already was overruled stays so.
    pub fn later<'s>(
        &self,
        subjects: impl Iterator<Item = &'s Subject> + Clone,
        stamp: &Stamp,
    ) -> Vec<Stamp> {
        let about = |r: &Record| {
            subjects
                .clone()
                .any(|s| r.entries.iter().any(|e| e.subject == *s))
        };
        self.records
            .range(stamp.clone()..)
            .filter(|(_, held)| about(&held.record))
            .map(|(s, _)| s.clone())
            .collect()
    }

    /// The record with a stamp.
    pub fn get(&self, stamp: &Stamp) -> Option<&Arc<Record>> {
        self.records.get(stamp).map(|h| &h.record)
    }

    /// Every record, by stamp.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Held> {
        self.records.values()
    }

    /// The stamps that a believed record overrules by name.
    fn voided(&self) -> HashSet<&Stamp> {
        let believed = self.records.values().filter(|h| h.believed);
        believed.flat_map(|h| &h.record.voids).collect()
    }

    fn elect(&self) -> BTreeMap<Subject, Stamp> {
        let voided = self.voided();
        let mut winners = BTreeMap::new();
        // In the order of stamps: the latest stays.
        for (stamp, held) in &self.records {
            if held.believed && !voided.contains(stamp) {
                for entry in &held.record.entries {
                    winners.insert(entry.subject.clone(), stamp.clone());
                }
            }
        }
        winners
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::record;
    use super::*;
    use crate::overrides::{Class, ScopeKind};
    use crate::units::Weight;
    use proptest::prelude::*;

    /// Later than every stamp of [`record`].
    const LATER: u64 = 100_000;

    fn filled<'r>(records: impl IntoIterator<Item = &'r Arc<Record>>, now: u64) -> Ledger {
        let mut ledger = Ledger::default();
        for r in records {
            ledger.accept(r.clone(), now);
        }
        ledger
    }

    /// Distinct stamps: two nodes never make the same.
    fn records() -> impl Strategy<Value = Vec<Arc<Record>>> {
        prop::collection::vec(record(), 1..12).prop_map(|all| {
            let by_stamp: BTreeMap<Stamp, Arc<Record>> = all
                .into_iter()
                .map(|r| (r.stamp.clone(), Arc::new(r)))
                .collect();
            by_stamp.into_values().collect()
        })
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_and_repetition_do_not_matter(
            records in records().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle())),
            now in 0..LATER,
        ) {
            let (sorted, shuffled) = records;
            let a = filled(&sorted, now);
            let b = filled(shuffled.iter().chain(&sorted), now);
            prop_assert_eq!(&a, &b);
            // Cut anywhere, the two halves meet again.
            let (left, right) = shuffled.split_at(shuffled.len() / 2);
            let mut left = filled(left, now);
            for held in filled(right, now).records() {
                left.accept(held.record.clone(), now);
            }
            prop_assert_eq!(a, left);
        }

        #[test]
        fn nodes_with_other_clocks_agree_once_all_have_reached_the_stamps(
            records in records(), now_a in 0..LATER, now_b in 0..LATER,
        ) {
            let mut a = filled(&records, now_a);
            let mut b = filled(records.iter().rev(), now_b);
            a.turn(LATER);
            b.turn(LATER);
            prop_assert_eq!(a.standing(LATER), b.standing(LATER));
        }

        #[test]
        fn the_latest_that_nobody_overruled_stands(records in records()) {
            let ledger = filled(&records, LATER);
            let voided: Vec<&Stamp> = records.iter().flat_map(|r| &r.voids).collect();
            for order in ledger.standing(LATER).0 {
                let latest = records
                    .iter()
                    .filter(|r| !voided.contains(&&r.stamp))
                    .filter(|r| r.entries.iter().any(|e| e.subject == order.subject))
                    .max_by_key(|r| r.stamp.clone());
                prop_assert_eq!(Some(&order.record), latest);
                prop_assert!(!order.record.has_expired(LATER));
            }
        }

        #[test]
        fn what_is_told_and_what_is_stored_are_enough(records in records(), now in 0..LATER) {
            let ledger = filled(&records, now);
            let loaded = Ledger::load(ledger.records().cloned(), 0);
            prop_assert_eq!(loaded.standing(now), ledger.standing(now));
            // Without overruling by name, those told make the same picture.
            if records.iter().all(|r| r.voids.is_empty()) {
                let told = filled(&ledger.told(), now);
                prop_assert_eq!(told.standing(now), ledger.standing(now));
            }
        }
    }

    fn order(ms: u64, node: &str, kind: Option<Kind>) -> Record {
        Record {
            stamp: Stamp {
                ms,
                count: 0,
                node: node.into(),
            },
            owner: "op".into(),
            reason: "".into(),
            expires: None,
            broke: None,
            drill: None,
            mark: None,
            entries: vec![Entry {
                subject: eu(),
                kind,
            }],
            voids: Vec::new(),
            signed: None,
        }
    }

    fn eu() -> Subject {
        Subject {
            class: Class::State,
            scope: ScopeKind::Region,
            name: "eu".into(),
        }
    }

    fn kinds(ledger: &Ledger, now: u64) -> Vec<Kind> {
        ledger.standing(now).0.iter().map(|o| o.kind).collect()
    }

    const DAY: u64 = 86_400_000;

    #[test]
    fn a_failback_stands_beside_state_and_weight() {
        let mut ledger = Ledger::default();
        let with = |ms, kind: Kind| {
            let mut record = order(ms, "a", Some(kind));
            record.entries[0].subject.class = kind.class();
            Arc::new(record)
        };
        ledger.accept(with(10, Kind::Drain), 20);
        ledger.accept(with(11, Kind::Weight(Weight(3))), 20);
        let accepted = ledger.accept(with(12, Kind::Failback), 20);
        assert!(
            matches!(accepted, Accepted::New { ref replaced, .. } if replaced.is_empty()),
            "{accepted:?}"
        );
        let all = [Kind::Drain, Kind::Weight(Weight(3)), Kind::Failback];
        assert_eq!(kinds(&ledger, 20), all);
        // A later one replaces the earlier one, and nothing else.
        let again = ledger.accept(with(13, Kind::Failback), 20);
        assert!(
            matches!(again, Accepted::New { ref replaced, .. } if replaced.len() == 1),
            "{again:?}"
        );
        assert_eq!(kinds(&ledger, 20), all);
        let mut wrong = order(14, "a", Some(Kind::Failback));
        assert!(wrong.check().is_err(), "a failback is no state");
        wrong.entries[0].subject.class = Class::Failback;
        assert_eq!(wrong.check(), Ok(()));
    }

    #[test]
    fn one_from_a_clock_an_hour_ahead_waits_until_its_time_and_is_seen() {
        let mut ledger = Ledger::default();
        let (now, hour) = (DAY, 3_600_000);
        ledger.accept(order(now, "a", Some(Kind::Drain)).into(), now);
        let fast = ledger.accept(order(now + hour, "b", None).into(), now);
        assert!(
            matches!(
                fast,
                Accepted::New {
                    ahead: Some(3_600_000),
                    ..
                }
            ),
            "{fast:?}"
        );
        assert_eq!(kinds(&ledger, now), [Kind::Drain]);
        assert_eq!(ledger.quarantined(now)[0].ahead_ms, hour);
        let due = ledger.next_turn(now).unwrap();
        assert_eq!(due, now + hour - MAX_AHEAD_MS);
        assert!(ledger.turn(due - 1).believed.is_empty());
        assert_eq!(ledger.turn(due).believed.len(), 1);
        assert_eq!(kinds(&ledger, due), []);
        assert_eq!(
            ledger.turn(now),
            Turned::default(),
            "a step back doubts nothing again"
        );
        assert_eq!(kinds(&ledger, now), []);
    }

    #[test]
    fn an_operator_overrules_one_that_waits() {
        let mut ledger = Ledger::default();
        let (now, hour) = (DAY, 3_600_000);
        ledger.accept(order(now + hour, "b", Some(Kind::Disable)).into(), now);
        let mut word = order(now + 5, "a", Some(Kind::Drain));
        word.voids = ledger.later([eu()].iter(), &word.stamp);
        ledger.accept(word.into(), now + 5);
        assert_eq!(ledger.quarantined(now + 5), []);
        ledger.turn(now + 2 * hour);
        assert_eq!(kinds(&ledger, now + 2 * hour), [Kind::Drain]);
        // It is no lock: the next order needs no later stamp than the one overruled.
        ledger.accept(order(now + 99, "c", None).into(), now + 99);
        assert_eq!(kinds(&ledger, now + 99), []);
    }

    #[test]
    fn what_ends_does_not_bring_back_what_it_replaced() {
        let mut ledger = Ledger::default();
        ledger.accept(order(10, "a", Some(Kind::Disable)).into(), 20);
        let mut short = order(20, "a", Some(Kind::Drain));
        short.expires = Some(1_000);
        let replaced = ledger.accept(short.into(), 20);
        assert!(matches!(replaced, Accepted::New { ref replaced, .. } if replaced.len() == 1));
        assert_eq!(ledger.next_turn(20), Some(1_000));
        assert_eq!(kinds(&ledger, 999), [Kind::Drain]);
        assert_eq!(kinds(&ledger, 1_000), []);
        let late = ledger.accept(order(15, "b", Some(Kind::ForceUp)).into(), 1_000);
        assert!(
            matches!(late, Accepted::New { ref lost, .. } if lost.len() == 1),
            "{late:?}"
        );
        assert_eq!(kinds(&ledger, 1_000), []);
    }

    #[test]
    fn tombstones_stay_thirty_days_and_orders_without_end_for_ever() {
        let mut ledger = Ledger::default();
        ledger.accept(order(10, "a", Some(Kind::Disable)).into(), 20);
        ledger.accept(order(20, "a", None).into(), 20);
        assert_eq!(ledger.turn(2 * DAY).dropped.len(), 1, "the loser");
        assert_eq!(ledger.told().len(), 1);
        assert_eq!(ledger.turn(30 * DAY).dropped.len(), 0);
        assert_eq!(ledger.turn(31 * DAY).dropped.len(), 1, "the tombstone");
        assert_eq!(ledger.told().len(), 0);
        ledger.accept(order(31 * DAY, "a", Some(Kind::Disable)).into(), 31 * DAY);
        assert_eq!(ledger.turn(999 * DAY).dropped.len(), 0);
        assert_eq!(kinds(&ledger, 999 * DAY), [Kind::Disable]);
    }
}
