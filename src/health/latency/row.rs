//! A row of the matrix: what one vantage says, and whether it is believed.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::health::CheckKey;
use crate::ids::SiteId;
use crate::time::Moment;

/// A vantage that said nothing for so long is silent.
const SILENCE: Duration = Duration::from_secs(60);

/// A row that moves as a whole is watched for so long: smoothed values take their time to show whether
/// it only moved or jumped.
const SETTLES: Duration = Duration::from_secs(300);

/// No value.
const NONE: u32 = u32::MAX;

/// Whether a vantage is believed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Voice {
    /// It is.
    Speaks,
    /// Nothing was heard of it for a minute: what it said stands frozen for ten.
    Silent,
    /// It fails its own reference targets or is late itself.
    Blind,
    /// Most of what it measures moved at once, and other vantages saw nothing of it: the trouble is
    /// its own.
    Suspect,
}

impl Voice {
    /// One word for it.
    pub fn text(self) -> &'static str {
        match self {
            Voice::Speaks => "believed",
            Voice::Silent => "frozen",
            Voice::Blind => "blind",
            Voice::Suspect => "suspect",
        }
    }
}

/// How much most values of a row are off.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Suspicion {
    /// So far that each would count after a dwell.
    Moved,
    /// To more than twice or less than half.
    Jumped,
}

/// The times that a vantage tells in one chunk.
type Chunk = Arc<[(CheckKey, Duration)]>;

/// One vantage.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Where it stands.
    pub(super) site: SiteId,
    /// When it was last heard.
    pub(super) alive: Option<Moment>,
    /// What it says of itself.
    pub(super) blind: bool,
    /// How much most of its values are off for no reason that others see, and since when.
    pub(super) suspicion: Option<(Suspicion, Moment)>,
    /// Whether it spoke at the last look.
    pub(super) voice: Voice,
    /// Whether it said something of its targets since the last look.
    pub(super) news: bool,
    /// By target, in microseconds.
    heard: Vec<u32>,
    /// By target: the chunk that said so.
    chunk_of: Vec<u16>,
    /// How many of `heard` are values.
    measured: u32,
    /// What was said, kept for a configuration that knows more checks.
    chunks: HashMap<u16, Chunk>,
}

impl Row {
    /// A vantage that was not heard yet, on so many targets.
    pub(super) fn new(site: SiteId, targets: usize) -> Row {
        Row {
            site,
            alive: None,
            blind: false,
            suspicion: None,
            voice: Voice::Silent,
            news: false,
            heard: vec![NONE; targets],
            chunk_of: vec![0; targets],
            measured: 0,
            chunks: HashMap::new(),
        }
    }

    /// What it says of a target.
    pub(super) fn get(&self, target: usize) -> Option<f64> {
        let us = self.heard[target];
        (us != NONE).then(|| f64::from(us))
    }

    /// How many targets it tells a time of.
    pub(super) fn measured(&self) -> u32 {
        self.measured
    }

    /// Takes in its word on one target.
    pub(super) fn set(&mut self, target: usize, rtt: Option<Duration>) {
        let us = rtt.map_or(NONE, |d| {
            u32::try_from(d.as_micros()).map_or(NONE - 1, |us| us.min(NONE - 1))
        });
        let old = std::mem::replace(&mut self.heard[target], us);
        self.measured += u32::from(us != NONE);
        self.measured -= u32::from(old != NONE);
        self.news = true;
    }

    /// Takes in a chunk, which replaces what it said before. Calls `changed` for each target whose
    /// value is another one.
    pub(super) fn replace(
        &mut self,
        number: u16,
        chunk: &Chunk,
        index: &HashMap<CheckKey, u32>,
        mut changed: impl FnMut(usize),
    ) {
        let old = self.chunks.insert(number, chunk.clone());
        let gone = old.iter().flat_map(|c| c.iter());
        for target in gone.filter_map(|(key, _)| index.get(key)) {
            let target = *target as usize;
            // A check that has moved to another chunk is not this chunk's to take back.
            if self.chunk_of[target] == number && self.heard[target] != NONE {
                self.set(target, None);
                changed(target);
            }
        }
        for (key, rtt) in chunk.iter() {
            let Some(target) = index.get(key) else {
                continue;
            };
            let target = *target as usize;
            self.chunk_of[target] = number;
            self.set(target, Some(*rtt));
            changed(target);
        }
        self.news = true;
    }

    /// This vantage under another configuration: what it said of checks that are still there stands.
    pub(super) fn adopt(
        &self,
        site: SiteId,
        index: &HashMap<CheckKey, u32>,
        old_targets: &[CheckKey],
    ) -> Row {
        let mut row = Row {
            alive: self.alive,
            blind: self.blind,
            ..Row::new(site, index.len())
        };
        for (target, key) in old_targets.iter().enumerate() {
            if let (Some(us), Some(new)) = (self.get(target), index.get(key)) {
                row.set(*new as usize, Some(Duration::from_micros(us as u64)));
                row.chunk_of[*new as usize] = self.chunk_of[target];
            }
        }
        for (number, chunk) in &self.chunks {
            row.replace(*number, chunk, index, |_| ());
        }
        row
    }

    fn is_suspect(&self, now: Moment) -> bool {
        match self.suspicion {
            Some((Suspicion::Moved, since)) => now.since(since) < SETTLES,
            Some((Suspicion::Jumped, _)) => true,
            None => false,
        }
    }

    /// Whether it is believed at `now`.
    pub(super) fn voice(&self, now: Moment) -> Voice {
        match self.alive {
            Some(at) if now.since(at) <= SILENCE => {
                if self.blind {
                    Voice::Blind
                } else if self.is_suspect(now) {
                    Voice::Suspect
                } else {
                    Voice::Speaks
                }
            }
            _ => Voice::Silent,
        }
    }
}
