//! The words of a decision: goes the way to a published offer again, with the trace on.

use super::clients::asks;
use super::facts::{Facts, Lane};
use super::offer::Candidate;
use super::partition::Slot;
use super::refine::{Terrain, Viewpoint, refine};
use super::resolve::GroupNow;
use super::rules::Networks;
use super::{
    Ask, Chooser, Chosen, ClientSource, Live, Recorder, Sight, Steering, Step, Trace, TtlBound,
};

/// Refines and resolves again what `live` holds for `ask`, telling every step, and returns what
/// bounds the TTL. Without the inputs of the view there is nothing to tell.
pub(super) fn retrace<T: Trace>(
    steering: &Steering,
    live: &Live,
    ask: &Ask,
    slot: Slot,
    lane: Lane,
    trace: &mut T,
) -> TtlBound {
    let mut steps = Recorder::default();
    let bound = {
        let Some(context) = trace.context() else {
            return TtlBound::Untold;
        };
        let group = steering.group_of(ask.name);
        let shape = &steering.shapes[group.shape.index()];
        let stages = &steering.policies[shape.policy.index()].stages;
        let label = |m: u16| {
            let pool = group.members[usize::from(m)].pool;
            steering.pools[pool.index()].name.to_string()
        };
        let terrain = Terrain {
            stages,
            regions_of: &shape.regions,
            pools_of: &shape.pools,
            priorities: &shape.priorities,
            regions: &steering.regions,
            label: &label,
        };
        let networks = Networks::of(stages);
        let geo = context.geo;
        let viewpoint = Viewpoint {
            location: geo.location(geo.locate(ask.client.addr).id),
            networks: networks.of_address(ask.client.addr, geo),
        };
        let facts = Facts::new(
            steering,
            context.board,
            context.measurements,
            context.overrides,
            live.at,
        )
        .with(&live.clients);
        let name = live.is_named(ask.name).then_some(ask.name);
        let now = GroupNow::new(&facts, group, name);
        // Also where the clients' own times change nothing they are told.
        let id = live.plan(steering, ask.name, ask.client.addr);
        let narrow = live.clients.narrow(steering, group.shape, id);
        let base = narrow.map_or(id, |n| n.base);
        let plan = &shape.partition.plans[base.index()];
        let asks = asks(steering, shape).is_some();
        let sight = Sight {
            key: plan.sites,
            rtt: &|site, m| now.rtt(site, m),
            clients: narrow.map(|n| &*n.word),
            measured: &|m| match asks {
                true => facts.measured(ask.client.addr, shape.regions[usize::from(m)]),
                false => String::new(),
            },
            label: &|site| facts.site(site),
        };
        let refined = refine(&terrain, &viewpoint, &sight, &mut steps);
        let mut candidates = Vec::new();
        let pace = now.pace(id);
        let (offer, bound) = now.offer(&refined.tiers.0, pace, lane, &mut candidates, &mut steps);
        debug_assert!(
            live.offer(steering, ask.name, slot.plan, lane)
                .is_some_and(|(published, theirs)| {
                    let here = super::offer::Offer {
                        first: published.first,
                        len: candidates.len() as u32,
                        ..offer
                    };
                    here == *published && candidates == theirs
                }),
            "the way gone again must lead to the published offer"
        );
        bound
    };
    for step in steps.steps {
        trace.step(|| step);
    }
    bound
}

/// Tells who stood for choice and how it fell.
pub(super) fn choice<T: Trace>(
    steering: &Steering,
    live: &Live,
    ask: &Ask,
    chooser: Chooser,
    candidates: &[Candidate],
    chosen: &Chosen,
    trace: &mut T,
) {
    let Chosen::Endpoints(picks) = chosen else {
        return;
    };
    let name = |e: crate::ids::EndpointId| steering.endpoints[e.index()].name.to_string();
    let total = candidates.last().map_or(1, |c| c.upto) as f64;
    let mut before = 0;
    let shares = candidates
        .iter()
        .map(|c| {
            let share = c.upto - before;
            before = c.upto;
            (name(c.endpoint), share as f64 * 100.0 / total)
        })
        .collect();
    trace.step(|| Step::Candidates { shares });
    let (chooser, by) = match chooser {
        Chooser::Weighted => ("weighted", format!("draw {:016x}", ask.draw.random)),
        Chooser::Random => ("random", format!("draw {:016x}", ask.draw.random)),
        Chooser::RoundRobin => ("round-robin", format!("turn {}", ask.draw.turn)),
        Chooser::Sticky { prefix4, prefix6 } => (
            "sticky",
            format!("hash of the client's /{prefix4} (IPv4) or /{prefix6} (IPv6)"),
        ),
    };
    debug_assert!(
        live.hashes.endpoints.is_empty() || live.hashes.endpoints.len() == steering.endpoints.len()
    );
    trace.step(|| Step::Drawn {
        chooser,
        by,
        picks: picks.as_slice().iter().map(|e| name(*e)).collect(),
    });
}

/// Why the scope is what it is.
pub(super) fn scope(ask: &Ask, slot: Slot, len: u8, hashed: Option<u8>, blind: bool) -> String {
    let plan = slot.plan.0;
    match (ask.client.source, hashed) {
        (ClientSource::ResolverForBogon(_), _) if !blind || hashed.is_some() => {
            "special-purpose client addresses are not used; all of them in it get the resolver's answer"
                .to_owned()
        }
        (_, Some(bits)) if bits >= len => {
            format!("the client is hashed by it (plan {plan} holds for /{len})")
        }
        _ if blind => "where the client is makes no difference".to_owned(),
        _ => format!("the widest prefix around the client with plan {plan} alone"),
    }
}
