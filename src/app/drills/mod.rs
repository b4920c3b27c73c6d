//! Drills: begun by anybody, driven by one node at a time, known to all.
//!
//! The effect of a drill is an order in the ledger of [`super::orders`], with an end. What is kept
//! here is its story: every node tells its own word of it under `dr/ID`, keeps the words of all in its
//! store, and reads the same story out of them. One node drives: the first in the alphabet of those
//! that are there. It looks at what must end a drill, ends it, and writes the report; when it dies the
//! next one goes on. Two that drive at once, cut off from each other, do no harm: ending what has ended
//! changes nothing.

mod answers;
mod demand;
mod drive;
mod files;
mod metrics;
mod safety;
mod show;
mod traffic;
mod trouble;
mod word;
mod world;

pub(in crate::app) use self::drive::{Cleared, cleared};

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use self::files::Files;
use self::metrics::Counts;
use self::safety::Present;
use self::word::Word;
use self::world::Ground;
use super::chronicle::Chronicle;
use super::fleet::FleetDesk;
use super::flows::Flows;
use super::orders::Desk;
use super::proxy::SharedCarrier;
use super::store::Store;
use crate::admin::desk::{Asked, AuditLine, Ends, Refusal, WantedOrder, Wish};
use crate::admin::drills::{DrillDesk, NotAborted, WantedDrill};
use crate::drill::report::Note;
use crate::drill::{Charter, Course, End, Report};
use crate::fleet::StateBus;
use crate::overrides::{Class, Drill, Kind, Mark, ScopeKind, Stamp, Subject};
use crate::snapshot::{Publisher, View, orders};
use crate::time::{Clock, Moment};

/// What drills work with.
pub struct Tools {
    /// This node.
    pub node: Arc<str>,
    /// Nodes that take orders; the first of them that is there drives.
    pub peers: Vec<Arc<str>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Orders.
    pub orders: Arc<Desk>,
    /// What the fleet says.
    pub fleet: Arc<FleetDesk>,
    /// Where words are told.
    pub bus: Arc<dyn StateBus>,
    /// Where they are kept.
    pub store: Store,
    /// The view in force.
    pub publisher: Publisher,
    /// Where steps are told.
    pub chronicle: Chronicle,
    /// The proxy of this node.
    pub carrier: SharedCarrier,
    /// What is sampled of queries; `None`: nothing is.
    pub flows: Option<Arc<Flows>>,
}

/// Runs drills.
pub struct Drills {
    tools: Tools,
    known: Mutex<Known>,
    counts: Counts,
    /// What was noted before this process began is not counted, in milliseconds since 1970.
    since_ms: u64,
    /// One is begun at a time.
    beginning: tokio::sync::Mutex<()>,
}

/// What is known, and what of it others have yet to be told.
#[derive(Default)]
struct Known {
    files: Files,
    /// Drills of which this node's word is to be told and kept.
    untold: BTreeSet<Arc<str>>,
    /// Words of others that are to be kept.
    unkept: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Since when too few nodes are there.
    lacking: Option<Moment>,
    /// What this node's proxy was asked for within the last day.
    day: demand::Day,
    /// When that was told last.
    load_told: Option<Moment>,
}

/// Goes on with the drills that were stored, beside `orders`.
pub fn start(
    orders: &Arc<Desk>,
    (fleet, carrier, flows): (&Arc<FleetDesk>, &SharedCarrier, &Arc<Flows>),
    chronicle: &Chronicle,
    stored: Vec<(String, String)>,
    stopped: &watch::Receiver<bool>,
) -> Arc<Drills> {
    let of = orders.tools();
    let tools = Tools {
        node: of.node.clone(),
        peers: of.peers.clone(),
        clock: of.clock.clone(),
        orders: orders.clone(),
        fleet: fleet.clone(),
        bus: of.bus.clone(),
        store: of.store.clone(),
        publisher: of.publisher.clone(),
        chronicle: chronicle.clone(),
        carrier: carrier.clone(),
        flows: Some(flows.clone()),
    };
    let drills = Drills::new(tools, stored);
    tokio::spawn(drills.clone().run(stopped.clone()));
    drills
}

impl Drills {
    /// Goes on with the drills that were stored.
    pub fn new(tools: Tools, stored: Vec<(String, String)>) -> Arc<Drills> {
        let known = Known {
            files: Files::load(stored),
            ..Known::default()
        };
        let since_ms = tools.clock.wall().unix_ms(tools.clock.now());
        Arc::new(Drills {
            tools,
            known: Mutex::new(known),
            counts: Counts::default(),
            since_ms,
            beginning: tokio::sync::Mutex::default(),
        })
    }

    fn now_ms(&self) -> u64 {
        self.tools.clock.wall().unix_ms(self.tools.clock.now())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Each step leaves it whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The nodes that are there, of those that take orders.
    fn present(&self) -> Present {
        Present {
            alive: self.live_peers().len(),
            all: self.tools.peers.len(),
        }
    }

    /// The nodes that take orders and are there, in the order of the alphabet.
    fn live_peers(&self) -> Vec<Arc<str>> {
        let members = self.tools.bus.members();
        let is_live = |peer: &Arc<str>| {
            *peer == self.tools.node || members.iter().any(|m| m.alive && m.node == *peer)
        };
        let peers = self.tools.peers.iter().filter(|p| is_live(p));
        let mut live: Vec<Arc<str>> = peers.cloned().collect();
        live.sort();
        live
    }

    /// Changes this node's word about a drill.
    fn say(&self, id: &str, change: impl FnOnce(&mut Word)) {
        let now_ms = self.now_ms();
        let mut known = self.known();
        let id: Arc<str> = id.into();
        if let Some(word) = known.files.own(&id, &self.tools.node, now_ms) {
            change(word);
            known.untold.insert(id);
        }
    }

    /// As [`Drills::say`], about the phases: on top of what all nodes noted.
    fn step(&self, id: &str, change: impl FnOnce(&mut Course)) {
        let all = self.known().files.0.get(id).map(files::File::course);
        let Some(before) = all else { return };
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            self.say(id, |word| word.course = after);
        }
    }

    fn report(&self, id: &str, view: &View) -> Option<Report> {
        let now_ms = self.now_ms();
        let known = self.known();
        let file = known.files.0.get(id)?;
        let ground = Ground::of(&file.charter, view);
        Some(show::report(file, ground.as_ref(), view, now_ms))
    }

    /// What is wanted, as a charter of this configuration.
    fn charter(&self, wanted: &WantedDrill, view: &View) -> Result<Charter, Refusal> {
        if wanted.length < Charter::SHORTEST || wanted.length > Charter::LONGEST {
            return Err(Refusal::Invalid {
                parameter: "for",
                detail: format!(
                    "a drill lasts {} s to {} h, {} s are wanted; what shall last longer is an order \
                     such as `drain`",
                    Charter::SHORTEST.as_secs(),
                    Charter::LONGEST.as_secs() / 3600,
                    wanted.length.as_secs_f64()
                ),
            });
        }
        let steering = &view.snapshot.steering;
        let subject = Subject {
            class: Class::Drill,
            scope: wanted.scope,
            name: wanted.name.as_str().into(),
        };
        let name = orders::canonical(&subject, steering)
            .filter(|_| wanted.scope != ScopeKind::Name)
            .ok_or_else(|| super::orders::unknown(wanted.scope, &wanted.name, steering))?;
        let planned_ms = self.now_ms();
        let length = u64::try_from(wanted.length.as_millis()).unwrap_or(u64::MAX);
        let stamp = Stamp {
            ms: planned_ms,
            count: 0,
            node: self.tools.node.clone(),
        };
        Ok(Charter {
            drill: Drill {
                id: Drill::id_of(&stamp),
                reach: wanted.reach,
            },
            effect: wanted.effect,
            scope: wanted.scope,
            name: name.into(),
            owner: wanted.owner.as_str().into(),
            reason: wanted.reason.as_str().into(),
            break_glass: wanted.break_glass.as_deref().map(Arc::from),
            demand: wanted.demand,
            measured: None,
            max_errors: wanted.max_errors,
            node: self.tools.node.clone(),
            planned_ms,
            ends_ms: planned_ms.saturating_add(length),
        })
    }

    /// The order that a drill's effect is.
    async fn order(
        &self,
        charter: &Charter,
        mark: Option<Mark>,
    ) -> Result<crate::admin::desk::Taken, Refusal> {
        let wanted = WantedOrder {
            wishes: vec![Wish {
                scope: charter.scope,
                name: charter.name.to_string(),
                what: Asked::Set(Kind::Drill(charter.effect)),
            }],
            owner: charter.owner.to_string(),
            reason: charter.reason.to_string(),
            ends: Some(Ends::At(charter.ends_ms)),
            demand: charter.demand,
            break_glass: charter.break_glass.as_deref().map(str::to_owned),
            mark,
        };
        let drill = Some(charter.drill.clone());
        self.tools.orders.take_with(wanted, drill).await
    }

    /// Takes a drill's order back. Nothing there to take back is well, too.
    async fn lift(&self, charter: &Charter, owner: &str, reason: &str) -> Result<(), String> {
        let wanted = WantedOrder {
            wishes: vec![Wish {
                scope: charter.scope,
                name: charter.name.to_string(),
                what: Asked::Clear(Some(Class::Drill)),
            }],
            owner: owner.to_owned(),
            reason: reason.to_owned(),
            ends: None,
            demand: None,
            // The end of a drill is never refused.
            break_glass: Some("the end of a drill".to_owned()),
            mark: None,
        };
        let drill = Some(charter.drill.clone());
        match self.tools.orders.take_with(wanted, drill).await {
            Ok(_) | Err(Refusal::Unknown(_)) => Ok(()),
            Err(Refusal::Failed(why)) => Err(why),
            Err(Refusal::Invalid { detail, .. }) => Err(detail),
            Err(Refusal::Breaks(rules)) => Err(rules.join("; ")),
        }
    }

    fn refused(&self, charter: &Charter, rules: &[String]) {
        self.counts.refused();
        self.tools.orders.note(AuditLine {
            at_ms: charter.planned_ms,
            event: "refused".to_owned(),
            owner: charter.owner.to_string(),
            node: self.tools.node.to_string(),
            text: format!(
                "drill: {} for {}: {}",
                charter.what(),
                charter.whom(),
                rules.join("; ")
            ),
        });
    }
}

#[async_trait]
impl DrillDesk for Drills {
    async fn begin(&self, wanted: WantedDrill) -> Result<Report, Refusal> {
        let _one = self.beginning.lock().await;
        let view = self.tools.publisher.latest();
        let charter = self.charter(&wanted, &view)?;
        let ground = Ground::of(&charter, &view);
        let Some(ground) = ground.filter(|g| !g.names.is_empty()) else {
            return Err(Refusal::Invalid {
                parameter: "name",
                detail: format!(
                    "no steered name has endpoints of {} {}: a drill would show nothing",
                    charter.scope.word(),
                    charter.name
                ),
            });
        };
        let (charter, demanded) = self.demanding(charter, &ground, &view);
        let standing = self.tools.orders.standing();
        let (present, now) = (self.present(), self.tools.clock.now());
        let (c, v) = (charter.clone(), view.clone());
        // Of a large configuration it takes its time.
        let looked = tokio::task::spawn_blocking(move || {
            safety::checks((&c, &demanded), &ground, &v, &standing, present, now)
        });
        let checks = looked.await.map_err(|e| Refusal::Failed(e.to_string()))?;
        let broken = checks.iter().filter(|c| !c.holds);
        let broken: Vec<String> = broken.map(|c| format!("{}: {}", c.rule, c.text)).collect();
        if !broken.is_empty() && charter.break_glass.is_none() {
            self.refused(&charter, &broken);
            return Err(Refusal::Breaks(broken));
        }
        let id = charter.drill.id.clone();
        let time = (charter.planned_ms, charter.ends_ms);
        let node = &self.tools.node;
        let mut word = Word::about(charter.clone());
        word.course = Course::plan(
            charter.planned_ms,
            node,
            format!("{} for {}", charter.what(), charter.whom()),
        );
        let said = match broken.len() {
            0 => format!("all of {} rules hold", checks.len()),
            n => format!("{n} of {} rules are broken knowingly", checks.len()),
        };
        // It is planned and its time is not over: it may be checked.
        let _ = word.course.check(time, node, said);
        word.checks = checks;
        word.number = charter.planned_ms;
        {
            let mut known = self.known();
            known.files.hear(node, word);
            known.untold.insert(id.clone());
        }
        // Told before it begins: whoever has its order shall know what it is.
        self.tell();
        match self.order(&charter, wanted.mark).await {
            Ok(taken) => {
                let stamp = taken.stamp.parse::<Stamp>();
                let at_ms = stamp.map_or(charter.planned_ms, |s| s.ms);
                let said = format!("in force on {} of {} nodes", taken.applied, taken.of);
                self.step(&id, |course| {
                    // A node that had the order before may have said so.
                    let said = "its order is in force".to_owned();
                    let _ = course.begin((at_ms, charter.ends_ms), node, said);
                });
                let at_ms = self.now_ms();
                self.say(&id, |word| {
                    word.notes.push(Note {
                        at_ms,
                        node: node.clone(),
                        text: said,
                    });
                });
            }
            Err(refusal) => {
                let why = match &refusal {
                    Refusal::Breaks(rules) => rules.join("; "),
                    Refusal::Invalid { detail, .. } => detail.clone(),
                    Refusal::Unknown(why) | Refusal::Failed(why) => why.clone(),
                };
                let time = (self.now_ms(), charter.ends_ms);
                self.step(&id, |course| {
                    let _ = course.end(End::Aborted, time, node, why);
                });
                self.tell();
                return Err(refusal);
            }
        }
        self.look(None);
        self.tell();
        let view = self.tools.publisher.latest();
        self.report(&id, &view)
            .ok_or_else(|| Refusal::Failed("the drill is not known any more".to_owned()))
    }

    async fn abort(&self, id: &str, owner: &str, reason: &str) -> Result<Report, NotAborted> {
        let now_ms = self.now_ms();
        let file = self.known().files.0.get(id).cloned();
        let Some(file) = file else {
            return Err(NotAborted::Unknown(self.unknown(id)));
        };
        if let Some(end) = file.state(now_ms).end() {
            return Err(NotAborted::Over(format!(
                "drill {id} is over already: {}",
                end.word()
            )));
        }
        let said = match reason {
            "" => format!("by {owner}"),
            why => format!("by {owner}: {why}"),
        };
        let node = &self.tools.node;
        let time = (now_ms, file.charter.ends_ms);
        self.step(id, |course| {
            let _ = course.end(End::Aborted, time, node, said);
        });
        self.tell();
        let why = format!("drill {id} aborted: {reason}");
        let lifted = self.lift(&file.charter, owner, &why).await;
        lifted.map_err(NotAborted::Failed)?;
        self.look(None);
        self.tell();
        let view = self.tools.publisher.latest();
        self.report(id, &view)
            .ok_or_else(|| NotAborted::Unknown(self.unknown(id)))
    }

    fn list(&self) -> Vec<Report> {
        let view = self.tools.publisher.latest();
        let now_ms = self.now_ms();
        let known = self.known();
        let files = known.files.latest().into_iter();
        files
            .map(|file| {
                let ground = Ground::of(&file.charter, &view);
                show::report(file, ground.as_ref(), &view, now_ms)
            })
            .collect()
    }

    fn get(&self, id: &str) -> Option<Report> {
        self.report(id, &self.tools.publisher.latest())
    }
}

impl Drills {
    fn unknown(&self, id: &str) -> String {
        let known = self.known();
        let few = known.files.latest();
        let few: Vec<&str> = few.iter().take(5).map(|f| &*f.charter.drill.id).collect();
        match few.is_empty() {
            true => format!("there is no drill `{id}`; none was begun yet"),
            false => format!(
                "there is no drill `{id}`; the latest are {}",
                few.join(", ")
            ),
        }
    }
}
