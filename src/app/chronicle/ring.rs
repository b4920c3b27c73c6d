//! What happened lately, in memory: events by number, and how verdicts changed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::history::fact::Verdict;
use crate::history::{Event, Fact, Filter, Told};

/// Events kept in memory.
pub(super) const EVENTS: usize = 10_000;

/// Changes of verdicts kept in memory, of all endpoints together.
const CHANGES: usize = 50_000;

/// Of one endpoint.
const CHANGES_OF_ONE: usize = 500;

/// The last events.
#[derive(Debug)]
pub(super) struct Ring {
    next: u64,
    events: VecDeque<Arc<Told>>,
}

impl Ring {
    /// Goes on after these, with numbers from `next` on.
    pub(super) fn load(events: Vec<Told>, next: u64) -> Ring {
        let after = events.last().map_or(1, |e| e.number + 1);
        Ring {
            next: after.max(next),
            events: events.into_iter().map(Arc::new).collect(),
        }
    }

    /// Numbers an event and keeps it.
    pub(super) fn push(&mut self, event: &Event) -> Arc<Told> {
        let told = Arc::new(Told::of(event, self.next));
        self.next += 1;
        self.events.push_back(told.clone());
        if self.events.len() > EVENTS {
            self.events.pop_front();
        }
        told
    }

    /// Wanted events, latest first; the number from which on earlier ones are not here.
    pub(super) fn page(&self, filter: &Filter, limit: usize) -> (Vec<Arc<Told>>, u64) {
        let wanted = self.events.iter().rev().filter(|e| filter.wants(e));
        let begins = self.events.front().map_or(self.next, |e| e.number);
        (wanted.take(limit).cloned().collect(), begins)
    }

    /// Events after a number, earliest first; and whether some of them are not here any more.
    pub(super) fn after(&self, number: u64) -> (Vec<Arc<Told>>, bool) {
        let from = self.events.partition_point(|e| e.number <= number);
        let begins = self.events.front().map_or(self.next, |e| e.number);
        // A number that was never given comes from another node, or from before a loss.
        let gap = number + 1 < begins || number >= self.next;
        let all = match number >= self.next {
            true => self.events.iter().cloned().collect(),
            false => self.events.range(from..).cloned().collect(),
        };
        (all, gap)
    }

    /// The last number that was given; 0: none.
    pub(super) fn last(&self) -> u64 {
        self.next - 1
    }
}

/// A verdict that came into force.
pub(super) type Turn = (u64, Arc<Verdict>);

/// How verdicts changed.
#[derive(Debug, Default)]
pub(super) struct Turns {
    by_endpoint: HashMap<Arc<str>, VecDeque<Turn>>,
    /// Endpoints in the order of their changes, so that the oldest go first.
    order: VecDeque<Arc<str>>,
}

impl Turns {
    /// Takes in what became so.
    pub(super) fn learn(&mut self, at_ms: u64, facts: &[Fact]) {
        for fact in facts {
            let Fact::Verdict {
                endpoint,
                verdict: Some(verdict),
            } = fact
            else {
                continue;
            };
            let of = self.by_endpoint.entry(endpoint.clone()).or_default();
            if of.back().is_some_and(|(_, last)| alike(last, verdict)) {
                continue;
            }
            of.push_back((at_ms, verdict.clone()));
            if of.len() > CHANGES_OF_ONE {
                of.pop_front();
            } else {
                self.order.push_back(endpoint.clone());
            }
        }
        while self.order.len() > CHANGES {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            if let Some(of) = self.by_endpoint.get_mut(&oldest) {
                of.pop_front();
                if of.is_empty() {
                    self.by_endpoint.remove(&oldest);
                }
            }
        }
    }

    /// The changes of an endpoint after a time, with what was so at that time, earliest first.
    pub(super) fn since(&self, endpoint: &str, since_ms: u64) -> Vec<Turn> {
        let Some(of) = self.by_endpoint.get(endpoint) else {
            return Vec::new();
        };
        // A calendar that was set back leaves them out of order: none is left out for that.
        let before = of.iter().rposition(|(at_ms, _)| *at_ms <= since_ms);
        of.range(before.unwrap_or(0)..).cloned().collect()
    }

    /// The changes of an endpoint, latest first.
    pub(super) fn of(&self, endpoint: &str, limit: usize) -> Vec<Turn> {
        let of = self.by_endpoint.get(endpoint);
        of.map_or_else(Vec::new, |of| {
            of.iter().rev().take(limit).cloned().collect()
        })
    }
}

/// Whether a person would see no difference.
pub(super) fn alike(a: &Verdict, b: &Verdict) -> bool {
    let opinions = |v: &Verdict| {
        let votes = v.votes.as_ref();
        votes.map(|votes| {
            votes
                .iter()
                .map(|v| (v.vantage.clone(), v.opinion))
                .collect::<Vec<_>>()
        })
    };
    (
        a.state, a.cause, &a.failure, a.since_ms, a.stale, a.held, a.share,
    ) == (
        b.state, b.cause, &b.failure, b.since_ms, b.stale, b.held, b.share,
    ) && opinions(a) == opinions(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::What;
    use crate::history::testing::judged;

    fn event(at_ms: u64) -> Event {
        Event {
            at_ms,
            node: "n1".into(),
            generation: 1,
            what: What::Member {
                node: "n2".to_owned(),
                step: "joined",
            },
        }
    }

    #[test]
    fn numbers_go_on_and_the_oldest_make_room() {
        let mut ring = Ring::load(Vec::new(), 5);
        assert_eq!(ring.last(), 4);
        for at in 0..EVENTS as u64 + 10 {
            ring.push(&event(at));
        }
        assert_eq!(ring.last(), EVENTS as u64 + 14);
        let (page, begins) = ring.page(&Filter::default(), 2);
        assert_eq!(begins, 15);
        assert_eq!(page[0].number, ring.last());
        assert_eq!(page[1].number, ring.last() - 1);
    }

    #[test]
    fn who_was_away_gets_what_it_missed_or_is_told_that_some_is_gone() {
        let mut ring = Ring::load(Vec::new(), 1);
        (0..5).for_each(|at| drop(ring.push(&event(at))));
        let numbers = |ring: &Ring, after| {
            let (all, gap) = ring.after(after);
            (all.iter().map(|e| e.number).collect::<Vec<_>>(), gap)
        };
        assert_eq!(numbers(&ring, 3), (vec![4, 5], false));
        assert_eq!(numbers(&ring, 5), (vec![], false));
        assert_eq!(numbers(&ring, 0), (vec![1, 2, 3, 4, 5], false));
        assert_eq!(numbers(&ring, 77), (vec![1, 2, 3, 4, 5], true));
        ring.events.pop_front();
        assert_eq!(numbers(&ring, 0), (vec![2, 3, 4, 5], true));
        assert_eq!(numbers(&ring, 1), (vec![2, 3, 4, 5], false));
    }

    #[test]
    fn changes_of_verdicts_are_bounded() {
        let mut turns = Turns::default();
        let fact = |endpoint: &str, since_ms| judged(endpoint, "up", since_ms);
        for n in 0..600 {
            turns.learn(n, &[fact("a", n), fact("a", n), fact(&format!("e{n}"), 0)]);
        }
        assert_eq!(turns.of("a", 1_000).len(), CHANGES_OF_ONE);
        assert_eq!(turns.of("a", 2)[0].0, 599);
        assert_eq!(turns.of("e7", 9).len(), 1);
        assert!(turns.of("other", 9).is_empty());
        for n in 0..CHANGES as u64 {
            turns.learn(n, &[fact(&format!("f{n}"), 0)]);
        }
        assert!(turns.of("e7", 9).is_empty());
        assert_eq!(turns.order.len(), CHANGES);
        let kept: usize = turns.by_endpoint.values().map(VecDeque::len).sum();
        assert_eq!(kept, CHANGES);
    }
}
