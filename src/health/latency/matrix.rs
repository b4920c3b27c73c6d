//! The matrix of sites and checks: hears all vantages and says what counts. Pure: time comes as an
//! argument.

use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;

use crate::chunked::Chunked;
use crate::health::{CheckKey, Monitor, ProbeTarget, Says, Testimony};
use crate::ids::{SiteId, TargetId, VantageId};
use crate::time::Moment;

use super::cell::{Cell, is_far};
use super::row::{Row, Suspicion, Voice};
use super::{SiteTime, SiteTimes, Sites, VantageHeard};

/// Time between two looks at all cells.
pub(super) const SWEEP: Duration = Duration::from_secs(30);

/// What is heard is gathered for so long before cells are looked at.
const GATHER: Duration = Duration::from_secs(1);

/// Cells that time alone may change are looked at so often.
const WATCH: Duration = Duration::from_secs(5);

/// How long a first value is taken to have been true: the time constant of what vantages tell.
pub(super) const SETTLED: Duration = Duration::from_secs(120);

/// Only against values that are at least so old is a vantage found suspect: those of a fleet that has
/// just started prove nothing.
const PROVEN: Duration = Duration::from_secs(600);

/// A suspect vantage that is alone at its site is believed again after this time: the world has
/// changed, however odd.
const REHABILITATED: Duration = Duration::from_secs(3600);

/// A row with fewer checks than this cannot be told from its endpoints.
const FEW: usize = 3;

/// One cell, and what readers were told of it.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    cell: Cell,
    told: SiteTime,
    /// When a value first counted.
    born: Option<Moment>,
    /// Whether it is among [`LatencyMatrix::dirty`].
    dirty: bool,
}

/// All vantages and sites.
#[derive(Clone, Debug)]
pub struct LatencyMatrix {
    sites: Sites,
    own: Option<VantageId>,
    /// By target.
    checks: Vec<CheckKey>,
    /// By target: address and port.
    places: Vec<(IpAddr, u16)>,
    /// By target: whether its check measures a distance at all.
    measured: Vec<bool>,
    index: HashMap<CheckKey, u32>,
    /// By endpoint: its target.
    target_of: Vec<Option<u32>>,
    /// By target: its endpoints.
    endpoints_of: Vec<Vec<u32>>,
    /// By vantage.
    rows: Vec<Row>,
    /// By site, then by target.
    slots: Vec<Vec<Slot>>,
    /// Cells to look at, with site and target.
    dirty: Vec<(u32, u32)>,
    /// Cells of which readers were not told the newest.
    news: Vec<(u32, u32)>,
    /// Whether readers have another matrix altogether.
    all_news: bool,
    looked: Moment,
    swept: Moment,
    /// Whether some cell must be looked at soon though nothing is heard of it.
    uneasy: bool,
}

impl LatencyMatrix {
    /// A matrix that heard nothing yet. `own` is this node's name, and `endpoints` the number of all
    /// endpoints.
    pub fn new(
        sites: &Sites,
        own: &str,
        monitors: &[Monitor],
        targets: &[ProbeTarget],
        endpoints: usize,
        now: Moment,
    ) -> LatencyMatrix {
        let mut matrix = LatencyMatrix {
            sites: Sites::default(),
            own: None,
            checks: Vec::new(),
            places: Vec::new(),
            measured: Vec::new(),
            index: HashMap::new(),
            target_of: Vec::new(),
            endpoints_of: Vec::new(),
            rows: Vec::new(),
            slots: Vec::new(),
            dirty: Vec::new(),
            news: Vec::new(),
            all_news: true,
            looked: now,
            swept: now,
            uneasy: false,
        };
        matrix.adopt(sites, own, monitors, targets, endpoints);
        matrix
    }

    /// Goes over to another configuration. What a vantage told of a check stays where both are in it
    /// again; what counts at a site stays for its addresses and ports: an edited `interval` must not
    /// move clients.
    pub fn adopt(
        &mut self,
        sites: &Sites,
        own: &str,
        monitors: &[Monitor],
        targets: &[ProbeTarget],
        endpoints: usize,
    ) {
        let checks: Vec<CheckKey> = targets
            .iter()
            .map(|t| CheckKey::of(t.addr, t.port, &monitors[t.monitor.index()]))
            .collect();
        let index: HashMap<CheckKey, u32> = checks.iter().copied().zip(0..).collect();
        let rows = sites
            .vantages
            .iter()
            .map(|(name, site)| match self.sites.vantage(name) {
                Some(old) => self.rows[old.index()].adopt(*site, &index, &self.checks),
                None => Row::new(*site, checks.len()),
            });
        let rows = rows.collect();
        let places: Vec<(IpAddr, u16)> = targets.iter().map(|t| (t.addr, t.port)).collect();
        let old_places: HashMap<(IpAddr, u16), u32> =
            self.places.iter().copied().zip(0..).collect();
        let measured: Vec<bool> = targets
            .iter()
            .map(|t| monitors[t.monitor.index()].kind.measures_distance())
            .collect();
        let slots = sites.sites.iter().map(|site| {
            let old = self.sites.sites.iter().position(|s| s.name == site.name);
            let slot = |((key, place), measured): ((_, _), &bool)| {
                let known = self.index.get(key).or_else(|| old_places.get(place));
                let known = known.and_then(|t| Some(self.slots[old?][*t as usize]));
                let mut slot = Slot {
                    dirty: false,
                    ..known.unwrap_or_default()
                };
                slot.told.moving |= *measured && slot.told.rtt.is_none();
                slot
            };
            checks
                .iter()
                .zip(&places)
                .zip(&measured)
                .map(slot)
                .collect()
        });
        let slots = slots.collect();
        self.places = places;
        self.measured = measured;
        self.target_of = vec![None; endpoints];
        for (number, target) in targets.iter().enumerate() {
            for endpoint in &target.endpoints {
                self.target_of[endpoint.index()] = Some(number as u32);
            }
        }
        let ids = |t: &ProbeTarget| t.endpoints.iter().map(|e| e.0).collect();
        self.endpoints_of = targets.iter().map(ids).collect();
        self.rows = rows;
        self.slots = slots;
        self.own = sites.vantage(own);
        self.sites = sites.clone();
        self.checks = checks;
        self.index = index;
        self.dirty.clear();
        self.news.clear();
        self.all_news = true;
        // Everything is looked at next.
        self.swept = Moment::ZERO;
        self.uneasy = true;
    }

    /// Takes in what this node's own probe of `target` makes of its distance; `None`: not enough is
    /// known yet.
    pub fn own(&mut self, target: TargetId, rtt: Option<Duration>, now: Moment) {
        let Some(own) = self.own.filter(|_| target.index() < self.checks.len()) else {
            return;
        };
        let row = &mut self.rows[own.index()];
        row.alive = Some(now);
        row.set(target.index(), rtt);
        let site = row.site;
        self.touch(site, target.index());
    }

    /// Whether this node fails its own reference targets, or is late itself.
    pub fn own_is_blind(&mut self, blind: bool) {
        if let Some(own) = self.own {
            self.rows[own.index()].blind = blind;
        }
    }

    /// Takes in what another node tells. What comes under this node's own name, or under that of none
    /// that the configuration knows as a vantage, is not believed.
    pub fn hear(&mut self, testimony: &Testimony, now: Moment) {
        let Some(vantage) = self.sites.vantage(&testimony.vantage) else {
            return;
        };
        if self.own == Some(vantage) {
            return;
        }
        let row = &mut self.rows[vantage.index()];
        match &testimony.says {
            Says::Rtts { chunk, rtts } => {
                let mut changed = Vec::new();
                row.replace(*chunk, rtts, &self.index, |target| changed.push(target));
                let site = row.site;
                for target in changed {
                    self.touch(site, target);
                }
            }
            Says::Alive { blind } => {
                row.alive = Some(now);
                row.blind = *blind;
            }
            // What it said stands frozen until it is back, or too old.
            Says::Leaving => row.alive = None,
            Says::Votes { .. } => {}
        }
    }

    fn touch(&mut self, site: SiteId, target: usize) {
        let slot = &mut self.slots[site.index()][target];
        if !std::mem::replace(&mut slot.dirty, true) {
            self.dirty.push((site.0, target as u32));
        }
    }

    /// When [`LatencyMatrix::step`] is due next.
    pub fn due(&self) -> Moment {
        let mut due = self.swept + SWEEP;
        if !self.dirty.is_empty() {
            due = due.min(self.looked + GATHER);
        }
        if self.uneasy {
            due = due.min(self.looked + WATCH);
        }
        due
    }

    /// Looks at what was heard and what time has brought. Says whether something that steers changed.
    pub fn step(&mut self, now: Moment) -> bool {
        let sweep = now.since(self.swept) >= SWEEP;
        let whole = self.hear_voices(sweep, now);
        self.looked = now;
        let dirty = std::mem::take(&mut self.dirty);
        let mut changed = false;
        if sweep || whole {
            self.swept = now;
            self.uneasy = false;
            for site in 0..self.slots.len() as u32 {
                for target in 0..self.checks.len() as u32 {
                    changed |= self.look(site, target, now);
                }
            }
        } else {
            for (site, target) in dirty {
                changed |= self.look(site, target, now);
            }
        }
        changed
    }

    /// Finds out which vantages are believed. Says whether that changed.
    fn hear_voices(&mut self, sweep: bool, now: Moment) -> bool {
        for v in 0..self.rows.len() {
            if std::mem::take(&mut self.rows[v].news) || sweep {
                let suspicion = self.suspicion(v, now);
                let before = &mut self.rows[v].suspicion;
                let since = before.map_or(now, |(_, since)| since);
                *before = suspicion.map(|s| (s, since));
                let long = now.since(since) >= REHABILITATED;
                if suspicion.is_some() && long && self.is_alone(v) {
                    self.rows[v].suspicion = None;
                    for slot in &mut self.slots[self.rows[v].site.index()] {
                        slot.cell.forget();
                        slot.born = None;
                    }
                }
            }
        }
        let mut changed = false;
        for row in &mut self.rows {
            let voice = row.voice(now);
            changed |= std::mem::replace(&mut row.voice, voice) != voice;
        }
        changed
    }

    fn is_alone(&self, v: usize) -> bool {
        let mut others = self.rows.iter().enumerate();
        let site = self.rows[v].site;
        !others.any(|(o, r)| o != v && r.site == site && r.voice == Voice::Speaks)
    }

    /// Whether most values of a row moved, while the vantages elsewhere saw no such thing, and how far.
    /// Without another vantage there is nobody to ask.
    fn suspicion(&self, v: usize, now: Moment) -> Option<Suspicion> {
        let others: Vec<usize> = (0..self.rows.len())
            .filter(|o| *o != v && self.rows[*o].voice == Voice::Speaks)
            .filter(|o| self.rows[*o].measured() > 0)
            .collect();
        if others.is_empty() {
            return None;
        }
        let (mut compared, mut moved) = (0, Vec::new());
        for target in 0..self.checks.len() {
            if let Some(shift) = self.shift(v, target, now) {
                compared += 1;
                moved.extend(shift.map(|s| (target, s)));
            }
        }
        if compared < FEW || moved.len() * 2 <= compared {
            return None;
        }
        moved.retain(|(target, (up, _))| {
            let seen = others.iter().filter_map(|o| self.shift(*o, *target, now));
            let (all, same) = seen.fold((0, 0), |(all, same), s| {
                (all + 1, same + usize::from(s.is_some_and(|s| s.0 == *up)))
            });
            same * 2 <= all
        });
        let jumped = moved.iter().filter(|(_, s)| s.1 == Suspicion::Jumped);
        if jumped.count() * 2 > compared {
            Some(Suspicion::Jumped)
        } else {
            (moved.len() * 2 > compared).then_some(Suspicion::Moved)
        }
    }

    /// Whether a vantage's value of a target is above (`true`) or below what counts at its site, and
    /// how far; nothing where it is about the same. `None` where one of both is missing or too young.
    fn shift(&self, v: usize, target: usize, now: Moment) -> Option<Option<(bool, Suspicion)>> {
        let row = &self.rows[v];
        let slot = &self.slots[row.site.index()][target];
        slot.born.filter(|b| now.since(*b) >= PROVEN)?;
        let (value, reference) = (row.get(target)?, slot.cell.reference()?);
        // On a local network a few milliseconds are many times nothing.
        let double = value > reference * 2.0 || value < reference / 2.0;
        let how = if double && (value - reference).abs() > 5_000.0 {
            Some(Suspicion::Jumped)
        } else {
            is_far(value, reference).then_some(Suspicion::Moved)
        };
        Some(how.map(|how| (value > reference, how)))
    }

    /// Brings one cell to `now`. Says whether something that steers changed.
    fn look(&mut self, site: u32, target: u32, now: Moment) -> bool {
        if !self.measured[target as usize] {
            self.slots[site as usize][target as usize].dirty = false;
            return false;
        }
        let latest = self.median(SiteId(site), target as usize);
        let slot = &mut self.slots[site as usize][target as usize];
        slot.dirty = false;
        slot.cell.renew(latest, now);
        if slot.cell.uneasy() {
            self.uneasy = true;
            slot.dirty = true;
            self.dirty.push((site, target));
        }
        let told = slot.cell.told(now);
        if told.rtt.is_some() {
            slot.born.get_or_insert(now);
        }
        let old = std::mem::replace(&mut slot.told, told);
        if old != told && !self.all_news {
            self.news.push((site, target));
        }
        !old.steers_as(&told)
    }

    /// The median over a site's vantages that are believed, and when the last of them was heard; of an
    /// even number the lower one of the middle, because an overloaded vantage only ever adds.
    fn median(&self, site: SiteId, target: usize) -> Option<(Duration, Moment)> {
        let rows = self.rows.iter();
        let believed = rows.filter(|r| r.site == site && r.voice == Voice::Speaks);
        let mut values = Vec::new();
        let mut said = Moment::ZERO;
        for row in believed {
            if let Some(value) = row.get(target) {
                values.push(value);
                said = said.max(row.alive.unwrap_or_default());
            }
        }
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.get(values.len().checked_sub(1)? / 2)?;
        Some((Duration::from_micros(*middle as u64), said))
    }

    /// Brings what readers were told last up to date, at the cost of what changed since.
    pub fn renew(&mut self, times: &mut SiteTimes) {
        let endpoints = self.target_of.len();
        let fits =
            times.rows.len() == self.slots.len() && times.rows.iter().all(|r| r.len() == endpoints);
        if std::mem::take(&mut self.all_news) || !fits {
            let row = |slots: &Vec<Slot>| -> Chunked<SiteTime> {
                let told =
                    |t: &Option<u32>| t.map_or_else(SiteTime::default, |t| slots[t as usize].told);
                self.target_of.iter().map(told).collect()
            };
            times.rows = self.slots.iter().map(row).collect();
            self.news.clear();
        }
        for (site, target) in self.news.drain(..) {
            let told = self.slots[site as usize][target as usize].told;
            for endpoint in &self.endpoints_of[target as usize] {
                if self.target_of[*endpoint as usize] == Some(target) {
                    times.rows[site as usize].set(*endpoint as usize, told);
                }
            }
        }
        let now = |r: &Row| VantageHeard {
            voice: r.voice,
            heard: r.alive,
            measured: r.measured(),
        };
        times.vantages = self.rows.iter().map(now).collect();
    }
}
