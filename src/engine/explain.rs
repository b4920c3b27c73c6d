//! Explain: the same decision, with its trace.

mod bounds;
mod eliminations;
mod full;
mod members;
mod ttl;
mod whatif;

pub use bounds::{Bounded, Neighbour, ScopeBounds};
pub use eliminations::Elimination;
pub use full::{FullExplanation, explain_in_full};
pub use members::{CandidateNow, OrderNow, StageTold};
pub use ttl::{Member, TtlDerivation};
pub use whatif::{Condition, Counterfactual, Possible, Supposition, suppose};

use std::net::IpAddr;

use crate::dns::name::{WireName, display_wire};
use crate::dns::{Rtype, rtype};
use crate::ids::{EndpointId, NameId};
use crate::net::{Family, Prefix};
use crate::snapshot::View;
use crate::snapshot::drills::ScopedDrill;
use crate::steer::decision::Standing;
use crate::steer::trace::Context;
use crate::steer::{
    Ask, Chosen, Client, Decision, Draw, LastResort, Recorder, Share, Steering, Trace, decide,
};
use crate::time::Moment;
use crate::units::{ScopeLen, Ttl};
use crate::zone::Found;

use super::Scratch;
use super::client::{Asker, Who, Why, who};
use super::dname::substitute;
use super::drill::{Under, labelled};
use super::explanation::{Answered, Explanation};
use super::locate::Whereabouts;
use super::resolve::{MAX_LINKS, family};
use super::service::Both;

/// For whom to explain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExplainClient {
    /// The client's address.
    pub addr: IpAddr,
    /// `Some`: the address comes in an ECS option with this source prefix length (0 asks not to
    /// use it; bits beyond it are cleared). `None`: it is the resolver's own.
    pub source: Option<u8>,
    /// The resolver that sends the ECS option; decides where the option's address cannot. `None`:
    /// one at the client's own address.
    pub resolver: Option<IpAddr>,
}

/// Why there is nothing to explain.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExplainError {
    /// The name is in no zone served here.
    #[error("no zone here holds `{name}`{}", hint(.nearest))]
    NotServed {
        /// The name.
        name: String,
        /// The most similar steered name.
        nearest: Option<String>,
    },
    /// The name is not steered.
    #[error("`{name}` is not a steered name{}", hint(.nearest))]
    NotSteered {
        /// The name.
        name: String,
        /// The most similar steered name.
        nearest: Option<String>,
    },
    /// The name has ordinary records.
    #[error("`{name}` is not steered: it has records of the zone, the same for every client{}", hint(.nearest))]
    Static {
        /// The name.
        name: String,
        /// The most similar steered name.
        nearest: Option<String>,
    },
    /// The name is steered, but not for this type.
    #[error(
        "`{name}` is steered, but not its type {qtype}; ask for A or AAAA, or HTTPS where it has `https`"
    )]
    TypeNotSteered {
        /// The name.
        name: String,
        /// The type.
        qtype: Rtype,
    },
}

fn hint(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!("; did you mean `{name}`?"),
        None => String::new(),
    }
}

/// Explains what `name` answers to `client` with this draw.
///
/// Static aliases are followed as for a query.
///
/// # Errors
/// When the name is not steered, or not for the type.
pub fn explain(
    view: &View,
    name: &WireName,
    qtype: u16,
    client: ExplainClient,
    draw: Draw,
    now: Moment,
) -> Result<Explanation, ExplainError> {
    let asker = client.asker();
    let found = find(view, name.as_bytes(), qtype).ok_or_else(|| not_found(view, name, qtype))?;
    let query = Query {
        id: found.id,
        label: found.label,
        qtype,
        asker,
        draw,
        now,
    };
    let (e, _) = describe(view, name.as_bytes(), found, &query);
    Ok(e.asked_by(client))
}

impl ExplainClient {
    /// As a packet would say it.
    pub(super) fn asker(&self) -> Asker {
        let addr = self.addr.to_canonical();
        Asker {
            resolver: self.resolver.map_or(addr, |r| r.to_canonical()),
            network: self
                .source
                .filter(|len| *len > 0)
                .map(|len| Prefix::containing(self.addr, len)),
        }
    }
}

impl Explanation {
    /// Says so where the resolver decides and nobody said which one asks.
    fn asked_by(mut self, client: ExplainClient) -> Explanation {
        if self.client_why == BOGON && client.resolver.is_none() {
            self.client_why = BOGON_ALONE;
        }
        self
    }
}

/// All that an answer follows from besides the view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'v> {
    pub(super) id: NameId,
    /// The drill whose label stands before the name.
    pub(super) label: Option<&'v ScopedDrill>,
    pub(super) qtype: u16,
    pub(super) asker: Asker,
    pub(super) draw: Draw,
    pub(super) now: Moment,
}

const BOGON: &str = "the resolver's address: the ECS network is special-purpose address space";

/// Where nobody said which resolver sends the option.
const BOGON_ALONE: &str = "special-purpose address space: the resolver's address decides; none was \
                           given, so one at this address is taken";

/// Whether `name` is steered, so that `_explain.NAME` exists.
pub(super) fn exists(view: &View, name: &[u8]) -> bool {
    find(view, name, rtype::A).is_some()
}

/// Explains for `_explain.NAME TXT`: the type that the name answers, and the draw that the next
/// query would get. `None` where the name is not steered.
pub(super) fn for_dns(
    view: &View,
    name: &[u8],
    asker: Asker,
    scratch: &Scratch,
    now: Moment,
) -> Option<(Explanation, ScopeLen)> {
    let found = find(view, name, rtype::A)?;
    let group = view.snapshot.steering.group_of(found.id);
    let qtype = match group.families.first() {
        Some(Family::V6) => rtype::AAAA,
        _ => rtype::A,
    };
    let draw = scratch.peek(found.id, family(group, qtype));
    let query = Query {
        id: found.id,
        label: found.label,
        qtype,
        asker,
        draw,
        now,
    };
    let (e, _) = describe(view, name, found, &query);
    let scope = e.scope;
    Some((e, scope))
}

/// A steered name, and the way to it.
pub(super) struct Steered<'v> {
    pub(super) id: NameId,
    aliases: Vec<String>,
    /// Of the zone that holds it.
    negative_ttl: Option<Ttl>,
    /// The drill whose label stands before the name.
    pub(super) label: Option<&'v ScopedDrill>,
}

pub(super) fn find<'v>(view: &'v View, name: &[u8], qtype: u16) -> Option<Steered<'v>> {
    let (label, name) = match labelled(view, name) {
        Some((drill, steered)) => (Some(drill), steered),
        None => (None, name),
    };
    let mut at = name.to_vec();
    let mut aliases = Vec::new();
    for _ in 0..=MAX_LINKS {
        let hit = view.snapshot.zones.lookup(&at, qtype);
        match hit.found {
            Found::Steered { name } => {
                return Some(Steered {
                    id: name,
                    aliases,
                    negative_ttl: hit.zone.map(|zone| zone.negative_ttl),
                    label,
                });
            }
            Found::Cname { target, .. } => {
                aliases.push(target.to_string());
                at = target.as_bytes().to_vec();
            }
            Found::Dname { owner, target, .. } => {
                let next = substitute(&at, owner, target)?;
                let mut text = String::new();
                // Writing to a String cannot fail.
                let _ = display_wire(next.as_bytes(), &mut text);
                aliases.push(text);
                at = next.as_bytes().to_vec();
            }
            _ => return None,
        }
    }
    None
}

fn not_found(view: &View, name: &WireName, qtype: u16) -> ExplainError {
    let text = name.to_string();
    if find(view, name.as_bytes(), rtype::A).is_some() {
        return ExplainError::TypeNotSteered {
            name: text,
            qtype: Rtype(qtype),
        };
    }
    let nearest = view
        .snapshot
        .steering
        .names
        .iter()
        .map(|n| n.owner.to_string())
        .map(|owner| (strsim::jaro_winkler(&owner, &text), owner))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, owner)| owner);
    let lookup = view.snapshot.zones.lookup(name.as_bytes(), qtype);
    match (lookup.zone, lookup.found) {
        (None, _) => ExplainError::NotServed {
            name: text,
            nearest,
        },
        (Some(_), Found::Answer(_) | Found::NoData) => ExplainError::Static {
            name: text,
            nearest,
        },
        (Some(_), _) => ExplainError::NotSteered {
            name: text,
            nearest,
        },
    }
}

fn describe<'v>(
    view: &'v View,
    name: &[u8],
    found: Steered<'v>,
    q: &Query<'v>,
) -> (Explanation, Told<'v>) {
    let snapshot = &view.snapshot;
    let steering = &snapshot.steering;
    let group = steering.group_of(found.id);
    let who = who(view, found.id, q.asker);
    let under = Under::of(view, found.id, &who, q.label, q.now);
    let mut trace = Recorder::new(Context {
        geo: &snapshot.geo,
        board: &view.board,
        measurements: &view.measurements,
        overrides: under.drill.map_or(&view.overrides, |d| &d.overrides),
    });
    let told = Told::decide(view, q, &mut trace);
    let who = &told.who;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = display_wire(name, &mut text);
    let explanation = Explanation {
        name: text,
        aliases: found.aliases,
        owner: steering.names[found.id.index()].owner.to_string(),
        qtype: told.rtype(view, q),
        node: snapshot.settings.node.to_string(),
        generation: view.generation,
        client: who.client.addr,
        ecs: q.asker.network,
        client_why: client_why(who),
        whereabouts: Whereabouts::of(&snapshot.geo, who.client.addr),
        steps: trace.steps,
        answered: answered(view, &told.picks, group.cname),
        otherwise: otherwise(&told, &group.last_resort),
        // What has no data is kept by resolvers as long as its zone says.
        ttl: match (&told.decision.chosen, found.negative_ttl) {
            (Chosen::NoData, Some(ttl)) => ttl,
            _ => told.ttl,
        },
        scope: told.scope,
        decision: told.decision,
        draw: q.draw,
    };
    (explanation, told)
}

fn client_why(who: &Who) -> &'static str {
    match who.why {
        Why::Ecs => "from its ECS option",
        Why::NoEcs => "the resolver's address: no ECS network was sent",
        Why::Ignored => "the resolver's address: the name ignores ECS",
        Why::Bogon => BOGON,
    }
}

/// What is told of a decision for one family or for both.
pub(super) struct Told<'v> {
    /// The one, or the lesser of the two.
    pub(super) decision: Decision,
    picks: Vec<EndpointId>,
    pub(super) ttl: Ttl,
    scope: ScopeLen,
    /// For whom.
    who: Who,
    /// Under which drill.
    under: Under<'v>,
    /// The decision of each family.
    pub(super) each: Vec<(Family, Decision)>,
}

impl<'v> Told<'v> {
    /// Decides as a query of this type would have it decided.
    pub(super) fn decide<T: Trace>(view: &'v View, q: &Query<'v>, trace: &mut T) -> Told<'v> {
        let steering = &view.snapshot.steering;
        let group = steering.group_of(q.id);
        let who = who(view, q.id, q.asker);
        let under = Under::of(view, q.id, &who, q.label, q.now);
        if q.qtype == rtype::HTTPS && !group.cname {
            let asked = (q.asker, q.label);
            let both = Both::decide(view, q.id, asked, q.draw, q.now, trace);
            return Told::both(both, who, under);
        }
        let family = family(group, q.qtype);
        let ask = q.ask(who.client, family);
        let decision = decide(steering, under.live, &ask, trace);
        Told {
            picks: match &decision.chosen {
                Chosen::Endpoints(picks) => picks.as_slice().to_vec(),
                _ => Vec::new(),
            },
            ttl: decision.ttl,
            scope: under.scope(&who, &decision),
            each: vec![(family, decision)],
            decision,
            who,
            under,
        }
    }

    fn both(both: Both<'v>, who: Who, under: Under<'v>) -> Told<'v> {
        let lesser = both.lesser().map(|(_, d)| *d);
        let picks = both.answered().flat_map(|(_, _, p)| p.as_slice().to_vec());
        Told {
            picks: picks.collect(),
            ttl: both.ttl(),
            scope: both.scope(),
            each: both.each().collect(),
            decision: lesser.unwrap_or(Decision {
                chosen: Chosen::NoData,
                ttl: Ttl::ZERO,
                scope: ScopeLen(0),
                standing: Standing::Normal,
                overridden: false,
            }),
            who,
            under,
        }
    }

    /// The type of the records that are answered.
    fn rtype(&self, view: &View, q: &Query<'_>) -> Rtype {
        let group = view.snapshot.steering.group_of(q.id);
        Rtype(if group.cname {
            rtype::CNAME
        } else if q.qtype == rtype::HTTPS {
            rtype::HTTPS
        } else {
            match family(group, q.qtype) {
                Family::V4 => rtype::A,
                Family::V6 => rtype::AAAA,
            }
        })
    }

    /// All whom the client's plan offers in all families, with the share of the plan's clients that each gets.
    pub(super) fn offered(&self, view: &View, q: &Query<'_>) -> Vec<Share> {
        let steering = &view.snapshot.steering;
        let asks = self
            .each
            .iter()
            .map(|(family, _)| q.ask(self.who.client, *family));
        asks.flat_map(|ask| self.under.live.offered(steering, &ask))
            .collect()
    }

    /// Among whom it was drawn, in all families.
    pub(super) fn shares(&self, view: &View, q: &Query<'_>) -> Vec<Share> {
        let steering: &Steering = &view.snapshot.steering;
        let each = self.each.iter();
        each.flat_map(|(family, decision)| {
            let ask = q.ask(self.who.client, *family);
            self.under.live.shares(steering, &ask, decision)
        })
        .collect()
    }
}

impl Query<'_> {
    fn ask(&self, client: Client, family: Family) -> Ask {
        Ask {
            name: self.id,
            family,
            client,
            now: self.now,
            draw: self.draw,
        }
    }
}

fn answered(view: &View, picks: &[EndpointId], cname: bool) -> Vec<Answered> {
    let steering = &view.snapshot.steering;
    picks
        .iter()
        .map(|pick| {
            let endpoint = &steering.endpoints[pick.index()];
            let pool = &steering.pools[endpoint.pool.index()];
            let data = if cname {
                endpoint.cname.as_ref().map(ToString::to_string)
            } else {
                endpoint.address.map(|a| a.to_string())
            };
            Answered {
                endpoint: endpoint.name.to_string(),
                pool: pool.name.to_string(),
                region: steering.regions[pool.region.index()].name.to_string(),
                data: data.unwrap_or_default(),
            }
        })
        .collect()
}

fn otherwise(told: &Told, last_resort: &LastResort) -> Option<String> {
    match (&told.decision.chosen, last_resort) {
        // One family may have endpoints where the other has none.
        _ if !told.picks.is_empty() => None,
        (Chosen::Endpoints(_), _) => None,
        (Chosen::LastResortCname, LastResort::Cname(target)) => {
            Some(format!("CNAME {target}, the last resort"))
        }
        (Chosen::LastResortCname | Chosen::ServFail, _) => Some("SERVFAIL".to_owned()),
        (Chosen::NoData, _) => Some("no data of this type".to_owned()),
    }
}
