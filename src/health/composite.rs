//! Composites: a check that asks nothing itself and follows from other checks of the same endpoint.
//!
//! The parts have their own rise and fall; what is believed of them is combined, without a second
//! delay. A part of which nothing is known is neither for nor against: the composite is decided as
//! soon as no word of an unknown part could change it (Kleene's three-valued logic).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::board::State;
use super::monitor::{Monitor, MonitorKind};

/// Most parts of one composite, its parts' parts and all below included.
pub const MAX_PARTS: usize = 64;

/// How many parts must be up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Need {
    /// Every one.
    All,
    /// One.
    Any,
    /// So many.
    AtLeast(u32),
}

impl Need {
    /// How many of `parts` parts that is.
    pub fn count(self, parts: usize) -> usize {
        match self {
            Need::All => parts,
            Need::Any => 1,
            Need::AtLeast(n) => n as usize,
        }
    }

    /// What follows for the whole: `None` while it hangs on parts that are unknown.
    pub fn combine(self, parts: impl IntoIterator<Item = State>) -> Option<bool> {
        let (mut up, mut possible, mut all) = (0, 0, 0);
        for state in parts {
            all += 1;
            up += usize::from(state == State::Up);
            possible += usize::from(state != State::Down);
        }
        let need = self.count(all);
        if up >= need {
            Some(true)
        } else if possible < need {
            Some(false)
        } else {
            None
        }
    }
}

/// A check made of others.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CompositeCheck {
    /// How many of them must be up.
    pub need: Need,
    /// The others, whole: with another part it is another check, here and on every other node.
    pub parts: Vec<Arc<Monitor>>,
}

impl CompositeCheck {
    /// The parts that have a say about an endpoint at `addr`: a part for the other family has none.
    pub fn parts_of(&self, addr: IpAddr) -> impl Iterator<Item = &Arc<Monitor>> {
        self.parts.iter().filter(move |p| p.probes(addr))
    }

    /// Parts, their parts and so on.
    pub fn size(&self) -> usize {
        let below = |p: &Arc<Monitor>| match &p.kind {
            MonitorKind::Composite(c) => 1 + c.size(),
            _ => 1,
        };
        self.parts.iter().map(below).sum()
    }

    /// The monitor `name` with this check. Its times are the longest of its parts' and it follows
    /// them at once; nothing is ever probed by them.
    pub fn into_monitor(self, name: Box<str>, port: Option<u16>) -> Monitor {
        let longest = |f: fn(&Monitor) -> Duration| {
            let times = self.parts.iter().map(|p| f(p));
            times.max().unwrap_or_default()
        };
        Monitor {
            name,
            interval: longest(|m| m.interval),
            timeout: longest(|m| m.timeout),
            rise: 1,
            fall: 1,
            jitter_percent: 0,
            port,
            source: Vec::new(),
            family: None,
            retries: 0,
            kind: MonitorKind::Composite(self),
        }
    }
}

/// One composite target in numbers of targets.
#[derive(Clone, Debug)]
pub(super) struct Composed {
    /// The target.
    pub(super) whole: usize,
    /// How many parts must be up.
    pub(super) need: Need,
    /// The targets that are its parts, in the order of the configuration.
    pub(super) parts: Vec<usize>,
}

/// All composite targets of a judge.
#[derive(Clone, Debug, Default)]
pub(super) struct Composites {
    /// Parts come before what they are parts of.
    list: Vec<Composed>,
    /// For each target with composites above it those composites, in the order of `list`.
    above: HashMap<usize, Vec<usize>>,
    /// By their own target, the place in `list`.
    by_whole: HashMap<usize, usize>,
}

impl Composites {
    /// The composites among `targets`.
    pub(super) fn new<'m>(
        targets: impl Iterator<Item = (IpAddr, u16, &'m Arc<Monitor>)> + Clone,
    ) -> Composites {
        let mut composites = Composites::default();
        let is_composite = |m: &Monitor| matches!(m.kind, MonitorKind::Composite(_));
        if !targets.clone().any(|(.., m)| is_composite(m)) {
            return composites;
        }
        let numbers: HashMap<(IpAddr, u16, &Monitor), usize> = targets
            .clone()
            .enumerate()
            .map(|(i, (addr, port, monitor))| ((addr, port, &**monitor), i))
            .collect();
        for (whole, (addr, port, monitor)) in targets.enumerate() {
            if let MonitorKind::Composite(check) = &monitor.kind {
                let number =
                    |p: &Arc<Monitor>| numbers.get(&(addr, p.probed_port(port), &**p)).copied();
                composites.list.push(Composed {
                    whole,
                    need: check.need,
                    parts: check.parts_of(addr).filter_map(number).collect(),
                });
            }
        }
        composites.sort();
        composites
    }

    /// Puts parts before wholes and gathers what lies above each target.
    fn sort(&mut self) {
        let by_whole: HashMap<usize, Composed> =
            self.list.drain(..).map(|c| (c.whole, c)).collect();
        fn depth(of: usize, all: &HashMap<usize, Composed>) -> usize {
            // A monitor holds its parts whole, so that none can be a part of itself.
            let parts = all.get(&of).map_or(&[][..], |c| &c.parts);
            parts.iter().map(|p| depth(*p, all) + 1).max().unwrap_or(0)
        }
        let mut sorted: Vec<(usize, usize)> = by_whole
            .keys()
            .map(|whole| (depth(*whole, &by_whole), *whole))
            .collect();
        sorted.sort_unstable();
        self.list = sorted.iter().map(|(_, w)| by_whole[w].clone()).collect();
        let places = self.list.iter().enumerate();
        self.by_whole = places.map(|(at, c)| (c.whole, at)).collect();
        for (at, composed) in self.list.iter().enumerate() {
            let mut below = composed.parts.clone();
            while let Some(part) = below.pop() {
                let above = self.above.entry(part).or_default();
                if above.last() != Some(&at) {
                    above.push(at);
                }
                below.extend(by_whole.get(&part).iter().flat_map(|c| &c.parts));
            }
        }
    }

    /// All, parts before wholes.
    pub(super) fn all(&self) -> std::ops::Range<usize> {
        0..self.list.len()
    }

    /// How many composites rest on the target.
    pub(super) fn count_above(&self, target: usize) -> usize {
        self.above.get(&target).map_or(0, Vec::len)
    }

    /// The `at`-th composite that rests on the target, parts before wholes.
    pub(super) fn above(&self, target: usize, at: usize) -> usize {
        self.above[&target][at]
    }

    /// A composite by its number.
    pub(super) fn get(&self, number: usize) -> &Composed {
        &self.list[number]
    }

    /// The composite that is this target, if it is one.
    pub(super) fn of(&self, target: usize) -> Option<&Composed> {
        self.by_whole.get(&target).map(|at| &self.list[*at])
    }
}

#[cfg(test)]
mod tests;
