//! What health, the operator and chance do (A4, F1, F2, F5, O6, T1, T3).

use proptest::prelude::*;

use super::world::{Dice, NOW, World};
use crate::health::{OverrideKind, Scope};
use crate::ids::{EndpointId, NameId};
use crate::net::Family;
use crate::steer::decision::Standing;
use crate::steer::{Ask, Chosen, Decision, LastResort, NoTrace, Steering, decide};
use crate::units::Ttl;

fn endpoints(d: &Decision) -> &[EndpointId] {
    match &d.chosen {
        Chosen::Endpoints(p) => p.as_slice(),
        _ => &[],
    }
}

/// Whether the operator or the configuration has taken the endpoint out, for this name.
fn out(w: &World, name: NameId, e: EndpointId) -> bool {
    let endpoint = &w.steering.endpoints[e.index()];
    let region = w.steering.pools[endpoint.pool.index()].region;
    let member = w
        .steering
        .group_of(name)
        .members
        .iter()
        .any(|m| m.pool == endpoint.pool);
    let order = |scope: Scope| {
        w.overrides
            .0
            .iter()
            .rev()
            .find(|o| {
                o.scope == scope
                    && o.expires.is_none_or(|end| end > NOW)
                    && !matches!(o.kind, OverrideKind::Weight(_))
            })
            .map(|o| o.kind)
    };
    let of_name = if member {
        order(Scope::Name(name))
    } else {
        None
    };
    let kind = order(Scope::Endpoint(e))
        .or(order(Scope::Pool(endpoint.pool)))
        .or(of_name)
        .or(order(Scope::Region(region)));
    !endpoint.enabled || matches!(kind, Some(OverrideKind::Drain | OverrideKind::Disable))
}

/// The pools in the plan of the asker: those not fenced out.
fn unfenced(s: &Steering, ask: &Ask) -> Vec<crate::ids::PoolId> {
    let group = s.group_of(ask.name);
    let (slot, _) = s.slot(ask.name, ask.client.addr);
    let plan = &s.shapes[group.shape.index()].partition.plans[slot.plan.index()];
    plan.tiers
        .0
        .iter()
        .flatten()
        .map(|m| group.members[usize::from(*m)].pool)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn f1_disabled_drained_and_fenced_out_never_come_back(seed: u64) {
        let w = World::random(seed);
        let live = w.live();
        let d = &mut Dice::new(!seed);
        for _ in 0..30 {
            let ask = w.random_ask(d);
            let group = w.steering.group_of(ask.name);
            let decision = decide(&w.steering, &live, &ask, &mut NoTrace);
            let allowed = unfenced(&w.steering, &ask);
            for e in endpoints(&decision) {
                prop_assert!(!out(&w, ask.name, *e), "{:?}", decision);
                let pool = w.steering.endpoints[e.index()].pool;
                let member = group.members.iter().any(|m| m.pool == pool);
                prop_assert!(allowed.contains(&pool) || !member, "fenced out: {:?}", decision);
            }
        }
    }

    #[test]
    fn f5_never_empty_and_the_last_resort_answers_while_anything_is_eligible(seed: u64) {
        let w = World::random(seed);
        let live = w.live();
        let d = &mut Dice::new(!seed);
        for _ in 0..30 {
            let ask = w.random_ask(d);
            let group = w.steering.group_of(ask.name);
            let decision = decide(&w.steering, &live, &ask, &mut NoTrace);
            let fits = |e: EndpointId| {
                let e = &w.steering.endpoints[e.index()];
                if group.cname { e.cname.is_some() } else { e.address.is_some_and(|a| Family::of(a) == ask.family) }
            };
            let eligible = unfenced(&w.steering, &ask)
                .iter()
                .flat_map(|p| &w.steering.pools[p.index()].endpoints)
                .any(|e| fits(*e) && !out(&w, ask.name, *e));
            match decision.chosen {
                Chosen::Endpoints(p) => {
                    prop_assert!(!p.as_slice().is_empty());
                    prop_assert!(p.as_slice().iter().all(|e| fits(*e)));
                }
                Chosen::NoData => prop_assert!(!group.cname && !group.families.contains(&ask.family)),
                Chosen::ServFail if group.last_resort == LastResort::AllEligible => {
                    prop_assert!(!eligible, "something was eligible");
                }
                Chosen::ServFail => {}
                Chosen::LastResortCname => {
                    prop_assert!(matches!(group.last_resort, LastResort::Cname(_)));
                }
            }
        }
    }

    #[test]
    fn f2_a_normal_answer_has_neither_zero_weight_nor_backup(seed: u64) {
        let mut w = World::random(seed);
        w.overrides.0.clear();
        let live = w.live();
        let d = &mut Dice::new(!seed);
        for _ in 0..30 {
            let ask = w.random_ask(d);
            let group = w.steering.group_of(ask.name);
            let decision = decide(&w.steering, &live, &ask, &mut NoTrace);
            // Whether anybody of the first choice serves: then nobody of the second is answered.
            let prime = |e: EndpointId| {
                let e = &w.steering.endpoints[e.index()];
                let m = group.members.iter().find(|m| m.pool == e.pool);
                e.weight.0 > 0 && !e.backup && m.is_some_and(|m| m.weight.0 > 0 && !m.backup)
            };
            if decision.standing == Standing::Normal {
                prop_assert!(endpoints(&decision).iter().all(|e| prime(*e)));
            }
            let fits = |e: EndpointId| {
                let x = &w.steering.endpoints[e.index()];
                let lane = if group.cname { x.cname.is_some() } else { x.address.is_some_and(|a| Family::of(a) == ask.family) };
                lane && x.enabled && w.board.verdict(e).state.serves()
            };
            let any = unfenced(&w.steering, &ask)
                .iter()
                .flat_map(|p| &w.steering.pools[p.index()].endpoints)
                .any(|e| fits(*e) && prime(*e));
            if any && decision.chosen != Chosen::NoData {
                prop_assert!(!endpoints(&decision).is_empty());
                prop_assert!(endpoints(&decision).iter().all(|e| prime(*e) && fits(*e)), "{:?}", decision);
            }
        }
    }

    #[test]
    fn a4_both_families_come_from_the_same_pools_unless_degraded(seed: u64) {
        let w = World::random(seed);
        let live = w.live();
        let d = &mut Dice::new(!seed);
        for _ in 0..30 {
            let mut ask = w.random_ask(d);
            let group = w.steering.group_of(ask.name);
            if group.cname || group.families.len() < 2 {
                continue;
            }
            ask.family = Family::V4;
            let v4 = decide(&w.steering, &live, &ask, &mut NoTrace);
            ask.family = Family::V6;
            let v6 = decide(&w.steering, &live, &ask, &mut NoTrace);
            prop_assert_eq!(v4.scope, v6.scope);
            prop_assert_eq!(v4.standing == Standing::Normal, v6.standing == Standing::Normal);
            if v4.standing == Standing::Normal {
                prop_assert_eq!(v4.ttl, v6.ttl, "t2: one rule for both families");
                // Over many draws the sets of pools are the same.
                let pools = |family: Family, d: &mut Dice| {
                    let mut ask = ask;
                    ask.family = family;
                    let mut seen = Vec::new();
                    ask.draw.turn = 0;
                    for _ in 0..300 {
                        ask.draw.random = d.word();
                        ask.draw.turn += 1;
                        let got = decide(&w.steering, &live, &ask, &mut NoTrace);
                        seen.extend(endpoints(&got).iter().map(|e| w.steering.endpoints[e.index()].pool));
                    }
                    seen.sort_unstable();
                    seen.dedup();
                    seen
                };
                let policy = w.steering.shapes[group.shape.index()].policy;
                let chooser = w.steering.policies[policy.index()].chooser;
                if !matches!(chooser, crate::steer::Chooser::Sticky { .. }) {
                    prop_assert_eq!(pools(Family::V4, d), pools(Family::V6, d));
                }
            }
        }
    }

    #[test]
    fn t1_t3_ttl_is_bounded(seed: u64) {
        let w = World::random(seed);
        let live = w.live();
        let d = &mut Dice::new(!seed);
        for _ in 0..30 {
            let ask = w.random_ask(d);
            let group = w.steering.group_of(ask.name);
            let decision = decide(&w.steering, &live, &ask, &mut NoTrace);
            if decision.chosen == Chosen::NoData {
                continue;
            }
            prop_assert!(decision.ttl <= group.ttl_max);
            if decision.standing != Standing::Normal {
                prop_assert!(decision.ttl <= group.ttl_min);
            }
            // While the candidate's own next event is nearer than the largest TTL, it bounds.
            if decision.standing == Standing::Normal && w.overrides.0.is_empty() {
                prop_assert!(decision.ttl >= group.ttl_min);
                for e in endpoints(&decision) {
                    if let Some(steady) = w.board.verdict(*e).steady_for {
                        prop_assert!(decision.ttl <= Ttl::floor(steady).max(group.ttl_min));
                    }
                }
            }
        }
    }

    #[test]
    fn answers_are_distinct_and_as_many_as_asked(seed: u64) {
        let w = World::random(seed);
        let live = w.live();
        let d = &mut Dice::new(!seed);
        for _ in 0..30 {
            let ask = w.random_ask(d);
            let name = &w.steering.names[ask.name.index()];
            let decision = decide(&w.steering, &live, &ask, &mut NoTrace);
            let mut picks = endpoints(&decision).to_vec();
            let n = picks.len();
            prop_assert!(n <= usize::from(name.answers));
            picks.sort_unstable();
            picks.dedup();
            prop_assert_eq!(picks.len(), n);
        }
    }

    #[test]
    fn o6_list_order_is_irrelevant(seed: u64) {
        let w = World::random(seed);
        let live = w.live();
        let mut names = w.names.clone();
        names.reverse();
        for n in &mut names {
            n.members.reverse();
            n.families.reverse();
        }
        let s = &w.steering;
        let turned = Steering::build_seen_from(
                w.steering.sites.clone(),
            s.regions.clone(), s.pools.clone(), s.endpoints.clone(), s.policies.clone(), names, &w.geo,
        );
        let other = crate::steer::Live::resolve(&turned, &w.board, &w.measurements, &w.overrides, NOW);
        let d = &mut Dice::new(!seed);
        for _ in 0..20 {
            let ask = w.random_ask(d);
            prop_assert_eq!(
                decide(s, &live, &ask, &mut NoTrace),
                decide(&turned, &other, &ask, &mut NoTrace)
            );
        }
    }
}
