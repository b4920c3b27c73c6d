//! Where the client is: plans, scopes, hashing (E2, E3, E4, E7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::world::{Dice, World, random_draw};
use crate::geo::Slot6;
use crate::geo::table::embedded_v4;
use crate::ids::NameId;
use crate::net::{Family, Prefix};
use crate::steer::refine::{Terrain, Viewpoint, refine};
use crate::steer::{Chooser, Criterion, NoTrace, Sight, SiteKey, Stage, decide};

/// A random address of the prefix of `len` bits around `addr`, often an end of it.
fn inside(d: &mut Dice, addr: IpAddr, len: u8) -> IpAddr {
    let p = Prefix::containing(addr, len);
    match d.below(4) {
        0 => p.addr(),
        1 => p.last(),
        _ => match (p.addr(), p.last()) {
            (IpAddr::V4(lo), IpAddr::V4(hi)) => {
                let free = u32::from(lo) ^ u32::from(hi);
                Ipv4Addr::from(u32::from(lo) | (d.word() as u32 & free)).into()
            }
            (IpAddr::V6(lo), IpAddr::V6(hi)) => {
                let free = u128::from(lo) ^ u128::from(hi);
                let word = u128::from(d.word()) << 64 | u128::from(d.word());
                Ipv6Addr::from(u128::from(lo) | (word & free)).into()
            }
            (lo, _) => lo,
        },
    }
}

/// The address after a prefix, if there is one.
fn after(p: Prefix) -> Option<IpAddr> {
    match p.last() {
        IpAddr::V4(a) => u32::from(a)
            .checked_add(1)
            .map(|a| Ipv4Addr::from(a).into()),
        IpAddr::V6(a) => u128::from(a)
            .checked_add(1)
            .map(|a| Ipv6Addr::from(a).into()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn e2_scope_is_sound(seed: u64) {
        let mut w = World::random(seed);
        let d = &mut Dice::new(!seed);
        for _ in 0..3 {
            let live = w.live();
            for _ in 0..20 {
                let name = NameId::from_index(d.below(w.steering.names.len()));
                let family = d.of(&Family::ALL);
                let addr = w.addr(d);
                let draw = random_draw(d);
                let here = decide(&w.steering, &live, &w.ask(name, family, addr, draw), &mut NoTrace);
                for _ in 0..8 {
                    let other = inside(d, addr, here.scope.0);
                    let ask = w.ask(name, family, other, draw);
                    let there = decide(&w.steering, &live, &ask, &mut NoTrace);
                    prop_assert_eq!(here, there, "{} and {} inside {}", addr, other, here.scope);
                }
            }
            w.shake(d);
        }
    }

    #[test]
    fn e3_scope_is_minimal(seed: u64) {
        let w = World::random(seed);
        let d = &mut Dice::new(!seed);
        let live = w.live();
        for _ in 0..20 {
            let name = NameId::from_index(d.below(w.steering.names.len()));
            let addr = w.addr(d);
            let (slot, len) = live.slot(&w.steering, name, addr);
            if len == 0 {
                continue;
            }
            let parent = Prefix::containing(addr, len - 1);
            let mut at = Some(parent.addr());
            let mut differs = false;
            while let Some(a) = at.filter(|a| parent.contains(*a)) {
                let (other, n) = live.slot(&w.steering, name, a);
                if other != slot {
                    differs = true;
                    break;
                }
                prop_assert!(n >= len, "the parent {parent} of {addr}/{len} has one slot");
                at = after(Prefix::containing(a, n));
            }
            prop_assert!(differs, "the parent {parent} of {addr}/{len} has one slot");
        }
    }

    #[test]
    fn e2_a_plan_is_what_refining_at_the_address_gives(seed: u64) {
        let w = World::random(seed);
        let d = &mut Dice::new(!seed);
        for _ in 0..20 {
            let name = NameId::from_index(d.below(w.steering.names.len()));
            let shape = &w.steering.shapes[w.steering.group_of(name).shape.index()];
            let addr = w.addr(d);
            // An address that carries an IPv4 address is that of an IPv4 client.
            let client = match addr {
                IpAddr::V6(a) => match w.geo.v6.get(a.into()) {
                    Slot6::Embedded { offset } => Ipv4Addr::from(embedded_v4(a.into(), offset)).into(),
                    Slot6::Value(_) => addr,
                },
                IpAddr::V4(_) => addr,
            };
            let stages = &w.steering.policies[shape.policy.index()].stages;
            let networks: Vec<Option<Prefix>> = stages
                .iter()
                .filter_map(|s| match s {
                    Stage::Geo { rules, .. } => Some(rules),
                    _ => None,
                })
                .map(|rules| {
                    rules
                        .iter()
                        .flat_map(|r| &r.matches)
                        .filter_map(|c| match c {
                            Criterion::Network(p) if p.contains(client) => Some(*p),
                            _ => None,
                        })
                        .max_by_key(Prefix::len)
                })
                .collect();
            let terrain = Terrain {
                stages,
                regions_of: &shape.regions,
                pools_of: &shape.pools,
                priorities: &shape.priorities,
                regions: &w.steering.regions,
                label: &|_| String::new(),
            };
            let viewpoint = Viewpoint {
                location: w.geo.location(w.geo.locate(addr).id),
                networks: &networks,
            };
            let refined = refine(&terrain, &viewpoint, &Sight::none(), &mut NoTrace);
            let (slot, _) = shape.partition.lookup(addr);
            let plan = &shape.partition.plans[slot.plan.index()];
            prop_assert_eq!(&plan.tiers, &refined.tiers);
            let timed = stages.iter().any(|s| matches!(s, Stage::Latency { .. }));
            let key = SiteKey::of(&w.steering.sites, &w.steering.regions, viewpoint.location);
            prop_assert_eq!(plan.sites, if timed { key } else { SiteKey::default() });
            // Stages split, they neither merge nor repeat.
            let mut all: Vec<u16> = refined.tiers.0.concat();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), count);
        }
    }

    #[test]
    fn e4_scope_is_as_long_as_what_is_hashed(seed: u64) {
        let w = World::random(seed);
        let live = w.live();
        let d = &mut Dice::new(!seed);
        for _ in 0..20 {
            let ask = w.random_ask(d);
            let shape = w.steering.group_of(ask.name).shape;
            let policy = &w.steering.policies[w.steering.shapes[shape.index()].policy.index()];
            let decision = decide(&w.steering, &live, &ask, &mut NoTrace);
            let ecs = matches!(ask.client.source, crate::steer::ClientSource::Ecs(_));
            if let Chooser::Sticky { prefix4, prefix6 } = policy.chooser
                && decision.chosen != crate::steer::Chosen::NoData
                && ecs
            {
                let least = if ask.client.addr.is_ipv4() { prefix4 } else { prefix4.min(prefix6) };
                prop_assert!(decision.scope.0 >= least);
            }
            let blind = policy.stages.iter().all(|s| matches!(s, Stage::Failover));
            if blind && !matches!(policy.chooser, Chooser::Sticky { .. }) {
                prop_assert_eq!(decision.scope.0, 0);
            }
        }
    }
}
