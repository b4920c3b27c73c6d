//! What the proxies of the whole fleet know of the way to clients, by prefix and region, and when it
//! counts. Pure: time comes as an argument.
//!
//! Each node's word about a prefix takes the place of what it said before: a path is the sum of all that a
//! node measured. The words of a region's nodes are merged. A first value counts after a dwell; from then
//! on it changes as slowly as what vantages measure ([`Cell`]); and it goes when no connection confirmed
//! it for the time after which it expires, told a dwell ahead, so that TTLs know of every change.
//!
//! Paths of nodes are on the calendar, so that a node which has just begun knows how old they are;
//! dwells are on the monotonic clock. A calendar that is wrong makes paths expire early or late, no more.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::health::latency::Cell;
use crate::ids::RegionId;
use crate::net::Prefix;
use crate::time::{Moment, Wall};

use super::ClientPath;
use super::times::{ClientPace, ClientTime, ClientTimes, ClientsOf};

/// Paths of one node that are held at most: as many as a node may tell.
pub const PER_NODE: usize = 4096;

/// Paths of all nodes that are held at most: some 10 MiB.
const MOST: usize = 65_536;

/// Time between two looks at all paths.
const LOOK: Duration = Duration::from_secs(1);

/// The moment of the calendar that `now` is.
pub fn calendar(wall: Wall, now: Moment) -> Moment {
    Moment(wall.unix_ms(now).saturating_mul(1_000_000))
}

/// What a node says of the way to a prefix.
#[derive(Clone, PartialEq, Debug)]
pub struct PathHeard {
    /// The node.
    pub node: Arc<str>,
    /// /24 or /48.
    pub prefix: Prefix,
    /// Everything it knows of it, on the calendar: moments count from 1970.
    pub path: ClientPath,
}

/// What is believed of one prefix as seen from one region.
#[derive(Clone, Debug, Default)]
struct Held {
    /// By node.
    paths: Vec<(Arc<str>, ClientPath)>,
    cell: Cell,
    /// Since when enough is known.
    born: Option<Moment>,
}

/// All that proxies know of clients.
#[derive(Debug)]
pub struct FleetPaths {
    pace: ClientPace,
    /// By node: the name of its region.
    regions: HashMap<Box<str>, Arc<str>>,
    /// By the name of a region.
    ids: HashMap<Arc<str>, RegionId>,
    /// By prefix and the name of the region, so that what is known outlives a reload.
    held: HashMap<(Prefix, Arc<str>), Held>,
    /// Paths held, of each node.
    counts: HashMap<Arc<str>, usize>,
    looked: Moment,
    told: ClientTimes,
}

impl FleetPaths {
    /// Nothing heard yet.
    pub fn new(now: Moment) -> FleetPaths {
        FleetPaths {
            pace: ClientPace::default(),
            regions: HashMap::new(),
            ids: HashMap::new(),
            held: HashMap::new(),
            counts: HashMap::new(),
            looked: now,
            told: ClientTimes::default(),
        }
    }

    /// Goes over to another configuration: where nodes stand, how regions are numbered, and how fast
    /// values come and go. What a node said that is no more, or stands elsewhere, is dropped.
    pub fn adopt<'n>(
        &mut self,
        pace: ClientPace,
        regions: impl Iterator<Item = (&'n str, RegionId)>,
        nodes: impl Iterator<Item = (&'n str, &'n str)>,
    ) {
        self.pace = pace;
        self.ids = regions.map(|(name, id)| (Arc::from(name), id)).collect();
        self.regions = nodes
            .filter_map(|(node, region)| {
                let (name, _) = self.ids.get_key_value(region)?;
                Some((Box::from(node), name.clone()))
            })
            .collect();
        for ((_, region), held) in &mut self.held {
            let here = |node: &str| self.regions.get(node) == Some(region);
            held.paths.retain(|(node, _)| here(node));
        }
        self.held.retain(|_, held| !held.paths.is_empty());
        self.recount();
        self.told.pace = pace;
        // Everything is told anew: regions may have other numbers.
        self.told.revision += 1;
        self.looked = Moment::ZERO;
    }

    fn recount(&mut self) {
        self.counts.clear();
        for held in self.held.values() {
            for (node, _) in &held.paths {
                *self.counts.entry(node.clone()).or_default() += 1;
            }
        }
    }

    /// Takes in what a node says of a prefix; of a node that the configuration does not know, or of
    /// something that is no client prefix, nothing is believed.
    pub fn hear(&mut self, heard: &PathHeard) {
        let Some(region) = self.regions.get(&*heard.node) else {
            return;
        };
        if super::prefix_of(heard.prefix.addr()) != heard.prefix {
            return;
        }
        let key = (heard.prefix, region.clone());
        if let Some(held) = self.held.get_mut(&key)
            && let Some((_, path)) = held.paths.iter_mut().find(|(n, _)| *n == heard.node)
        {
            // What several relay of a node comes in any order, and a node that restarted begins anew.
            if heard.path.at() >= path.at() {
                *path = heard.path;
            }
            return;
        }
        let all: usize = self.counts.values().sum();
        let of_node = self.counts.get(&heard.node).copied().unwrap_or_default();
        if of_node >= PER_NODE && !self.displace(Some(&heard.node), heard.path.at())
            || all >= MOST && !self.displace(None, heard.path.at())
        {
            self.told.displaced += 1;
            return;
        }
        let held = self.held.entry(key).or_default();
        held.paths.push((heard.node.clone(), heard.path));
        *self.counts.entry(heard.node.clone()).or_default() += 1;
    }

    /// Drops the sixteenth part of what is held that was confirmed longest ago, of one node or of all; says
    /// whether something was older than `than`.
    fn displace(&mut self, of: Option<&Arc<str>>, than: Moment) -> bool {
        let meant = |node: &Arc<str>| of.is_none_or(|of| of == node);
        let paths = self.held.values().flat_map(|h| &h.paths);
        let mut ages: Vec<Moment> = paths
            .filter(|(node, path)| meant(node) && path.at() < than)
            .map(|(_, path)| path.at())
            .collect();
        if ages.is_empty() {
            return false;
        }
        ages.sort_unstable();
        let last = ages[ages.len() / 16];
        let mut dropped = 0;
        self.held.retain(|_, held| {
            let before = held.paths.len();
            held.paths
                .retain(|(node, path)| !meant(node) || path.at() > last);
            dropped += (before - held.paths.len()) as u64;
            !held.paths.is_empty()
        });
        self.told.displaced += dropped;
        self.recount();
        true
    }

    /// When [`FleetPaths::step`] is due next; never while nothing is known.
    pub fn due(&self) -> Option<Moment> {
        let idle = self.held.is_empty() && self.told.rows.is_empty();
        (!idle).then_some(self.looked + LOOK)
    }

    /// Looks at what was heard and what time has brought. Says whether something that steers changed.
    pub fn step(&mut self, now: Moment, wall: Wall) -> bool {
        let today = calendar(wall, now);
        self.looked = now;
        let (pace, mut expired) = (self.pace, 0);
        let mut rows: Vec<(Prefix, ClientTime)> = Vec::with_capacity(self.told.rows.len());
        let ids = &self.ids;
        self.held.retain(|(prefix, region), held| {
            let before = held.paths.len();
            held.paths
                .retain(|(_, path)| today.since(path.at()) <= pace.expire);
            expired += (before - held.paths.len()) as u64;
            if held.paths.is_empty() {
                return false;
            }
            if let Some(region) = ids.get(region)
                && let Some(time) = held.look(*region, pace, now, today)
            {
                rows.push((*prefix, time));
            }
            true
        });
        if expired > 0 {
            self.recount();
        }
        self.told.expired += expired;
        self.told.held = self.counts.values().sum();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.region.cmp(&b.1.region)));
        let rows: Arc<[ClientsOf]> = rows
            .chunk_by(|a, b| a.0 == b.0)
            .map(|of| ClientsOf {
                prefix: of[0].0,
                times: of.iter().map(|(_, time)| *time).collect(),
            })
            .collect();
        let alike = |a: &ClientsOf, b: &ClientsOf| {
            let mut pairs = a.times.iter().zip(&*b.times);
            a.prefix == b.prefix
                && a.times.len() == b.times.len()
                && pairs.all(|(a, b)| a.steers_as(b))
        };
        let mut pairs = rows.iter().zip(&*self.told.rows);
        let same = rows.len() == self.told.rows.len()
            && pairs.all(|(a, b)| alike(a, b))
            && self.told.pace == pace;
        self.told.rows = rows;
        self.told.at = now;
        self.told.pace = pace;
        self.told.revision += u64::from(!same);
        !same
    }

    /// What readers are told.
    pub fn times(&self) -> ClientTimes {
        self.told.clone()
    }
}

impl Held {
    /// Brings it to `now`; `None`: too little is known.
    fn look(
        &mut self,
        region: RegionId,
        pace: ClientPace,
        now: Moment,
        today: Moment,
    ) -> Option<ClientTime> {
        let mut paths = self.paths.iter().map(|(_, path)| *path);
        let mut whole = paths.next()?;
        paths.for_each(|path| whole.merge(&path));
        let Some(latest) = whole.distance_within(pace.expire, today) else {
            (self.cell, self.born) = (Cell::default(), None);
            return None;
        };
        // Its clock is that of a value that is heard now: how old it is decides `expire` alone.
        self.cell.renew(Some((latest, now)), now);
        let born = *self.born.get_or_insert(now);
        let (age, told) = (today.since(whole.at()), self.cell.told(now));
        let counts = now.since(born) >= pace.dwell;
        let ends = age + pace.dwell + LOOK * 2 >= pace.expire;
        Some(ClientTime {
            region,
            rtt: told.rtt.filter(|_| counts),
            latest,
            connections: whole.connections(),
            age,
            moving: !counts || told.moving || ends,
        })
    }
}
