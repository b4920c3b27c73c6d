//! Snapshot and view: all that readers need together, published together.

use std::ops::Deref;
use std::sync::Arc;

use crate::dnssec::{Keys, SignatureCache};
use crate::geo::GeoTable;
use crate::health::clients::ClientPace;
use crate::health::{Board, Monitor, Overrides, ProbeTarget, VipEndpoint, council};
use crate::ids::TargetId;
use crate::limit::{RateTable, Rules, Secrets};
use crate::net::Prefix;
use crate::steer::{Known, Live, Measurements, Steering};
use crate::telemetry::RegionPlaces;
use crate::time::{Moment, Wall};
use crate::traffic::Plan;
use crate::units::Generation;
use crate::zone::ZoneSet;

use super::drills::{self, DrillMark, DrillOrders, ScopedDrill};
use super::expectations::Tried;
use super::transfer::Transfers;

/// Settings of the answering itself.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    /// This node's name (NSID, explain).
    pub node: Box<str>,
    /// All nodes of the configuration, by name.
    pub nodes: Vec<NodeFacts>,
    /// Sources that may ask `_explain.NAME TXT`.
    pub explain_allow: Vec<Prefix>,
    /// Zone transfers.
    pub transfers: Transfers,
    /// Endpoints that are VIPs, on proxies that this node hears of.
    pub vips: Arc<[VipEndpoint]>,
    /// Who judges what is up.
    pub council: Arc<council::Rules>,
    /// Who may ask, and how often.
    pub rules: Rules,
    /// What class CH says; at most 255 octets each, empty: nothing.
    pub chaos: ChaosTexts,
    /// Where workers count answers of each region.
    pub regions: RegionPlaces,
    /// What the configuration's authors expect of it, in the order of the files, as it was tried.
    pub expectations: Arc<[Tried]>,
    /// Answers a second that are looked at, of all DNS threads together; 0: none.
    pub samples_per_second: u32,
    /// How fast clients' own times come to count.
    pub client_pace: ClientPace,
}

/// What everybody knows of a node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeFacts {
    /// Its name.
    pub name: Box<str>,
    /// The region it stands in.
    pub region: Box<str>,
    /// What it does, in the configuration's words.
    pub roles: Vec<&'static str>,
}

/// Texts of class CH.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChaosTexts {
    /// `version.bind` and `version.server`.
    pub version: Box<str>,
    /// `id.server` and `hostname.bind`.
    pub id: Box<str>,
}

/// The compiled configuration. Immutable; built by `compile` only.
#[derive(Debug)]
pub struct Snapshot {
    /// Static data and where steered names sit in it.
    pub zones: ZoneSet,
    /// Address → location.
    pub geo: GeoTable,
    /// Pools, policies, names.
    pub steering: Steering,
    /// By [`crate::ids::MonitorId`].
    pub monitors: Vec<Monitor>,
    /// By [`TargetId`].
    pub targets: Vec<ProbeTarget>,
    /// For each endpoint its target; `None` without monitor.
    pub target_of: Vec<Option<TargetId>>,
    /// What this node's proxy does; empty without role `proxy`.
    pub traffic: Arc<Plan>,
    /// Settings.
    pub settings: Settings,
}

/// What a view is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Compiled configuration.
    pub snapshot: Arc<Snapshot>,
    /// Health.
    pub board: Arc<Board>,
    /// Round-trip times.
    pub measurements: Arc<Measurements>,
    /// The operators' word.
    pub overrides: Arc<Overrides>,
    /// The keys of signed zones.
    pub keys: Arc<Keys>,
    /// Signatures made so far; one cache for all views of a node.
    pub signatures: Arc<SignatureCache>,
    /// The calendar.
    pub wall: Wall,
    /// The rates of client prefixes.
    pub rates: Arc<RateTable>,
    /// The secrets of cookies; none: cookies are not answered.
    pub cookies: Arc<Secrets>,
    /// The drills in force.
    pub drills: Arc<[DrillOrders]>,
}

impl Parts {
    /// A snapshot and the health of its endpoints; nothing measured, no orders, no keys, no
    /// cookies.
    pub fn new(snapshot: Arc<Snapshot>, board: Arc<Board>) -> Parts {
        Parts {
            snapshot,
            board,
            measurements: Arc::default(),
            overrides: Arc::default(),
            keys: Arc::default(),
            signatures: Arc::default(),
            wall: Wall::default(),
            rates: Arc::default(),
            cookies: Arc::default(),
            drills: Arc::default(),
        }
    }

    fn known(&self) -> Known<'_> {
        Known {
            board: &self.board,
            measurements: &self.measurements,
            overrides: &self.overrides,
        }
    }
}

/// All that one answer needs, at one generation. Take it once per query or batch.
#[derive(Debug)]
pub struct View {
    /// Number of this view.
    pub generation: Generation,
    /// When it was published.
    pub published: Moment,
    /// What it is made of; `view.board` is `view.parts.board`.
    pub parts: Parts,
    /// The parts resolved into what each plan offers now.
    pub live: Live,
    /// The same under each drill that has a scope; empty nearly always.
    pub scoped: Box<[ScopedDrill]>,
    /// The views in which drills came and went.
    pub drill_marks: Box<[DrillMark]>,
}

impl View {
    /// A copy of what this view is made of: to suppose another one from, with other health, other orders
    /// or other measurements.
    pub fn parts(&self) -> Parts {
        self.parts.clone()
    }

    /// Resolves the parts into a view.
    pub fn new(generation: Generation, now: Moment, parts: Parts) -> View {
        let known = parts.known();
        let live = Live::resolve(
            &parts.snapshot.steering,
            known.board,
            known.measurements,
            known.overrides,
            now,
        );
        let scoped = drills::resolve(&parts.drills, &parts.snapshot.steering, known, now, None);
        let marks = drills::marks(&[], &parts.drills, generation, now);
        View::of(generation, now, parts, (live, scoped, marks))
    }

    /// As [`View::new`], at the cost of what is otherwise than in `before`, where that is of the same
    /// snapshot.
    pub fn after(before: &View, generation: Generation, now: Moment, parts: Parts) -> View {
        if !Arc::ptr_eq(&before.snapshot, &parts.snapshot) {
            let mut view = View::new(generation, now, parts);
            view.drill_marks = drills::marks(&before.drill_marks, &view.drills, generation, now);
            return view;
        }
        let was = before.known();
        let steering = &parts.snapshot.steering;
        let live = before.live.renew(steering, was, parts.known(), now);
        let scoped = Some((&*before.scoped, was));
        let scoped = drills::resolve(&parts.drills, steering, parts.known(), now, scoped);
        let marks = drills::marks(&before.drill_marks, &parts.drills, generation, now);
        View::of(generation, now, parts, (live, scoped, marks))
    }

    pub(super) fn of(
        generation: Generation,
        now: Moment,
        parts: Parts,
        (live, scoped, drill_marks): (Live, Box<[ScopedDrill]>, Box<[DrillMark]>),
    ) -> View {
        View {
            generation,
            published: now,
            parts,
            live,
            scoped,
            drill_marks,
        }
    }
}

impl Deref for View {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.parts
    }
}
