//! Random small worlds, each grown from one number.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::balance::mix::{nth, scale};
use crate::geo::location::Code;
use crate::geo::table::EMBEDDED;
use crate::geo::{Coordinates, GeoTable, Location, Slot6, Source};
use crate::health::clients::{ClientTime, ClientTimes, ClientsOf, prefix_of};
use crate::health::{
    Board, Cause, Guard, Override, OverrideKind, Overrides, Scope, SiteTime, Sites, State, Verdict,
};
use crate::ids::{EndpointId, LocationId, NameId, PolicyId, PoolId, RegionId};
use crate::net::{Family, Key, Prefix, RangeMap};
use crate::steer::*;
use crate::time::Moment;
use crate::units::{Ttl, Weight};

/// A repeatable source of choices.
pub(super) struct Dice {
    seed: u64,
    n: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice { seed, n: 0 }
    }

    pub(super) fn word(&mut self) -> u64 {
        self.n += 1;
        nth(self.seed, self.n)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        scale(self.word(), n as u64) as usize
    }

    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

pub(super) const NOW: Moment = Moment(1_000_000_000_000);

pub(super) struct World {
    pub(super) geo: GeoTable,
    pub(super) steering: Steering,
    pub(super) names: Vec<NameInput>,
    pub(super) board: Board,
    pub(super) measurements: Measurements,
    pub(super) overrides: Overrides,
    /// IPv4 addresses where something begins or ends.
    pub(super) borders: Vec<u32>,
}

pub(super) fn code(s: &str) -> Code {
    Code::new(s).unwrap()
}

impl World {
    pub(super) fn random(seed: u64) -> World {
        let d = &mut Dice::new(seed);
        let mut borders = vec![u32::from(Ipv4Addr::new(10, 0, 0, 0))];
        let geo = random_geo(d, &mut borders);
        let regions: Vec<Region> = (0..3 + d.below(2)).map(|i| region(i, d)).collect();
        let mut pools = Vec::new();
        let mut endpoints = Vec::new();
        for p in 0..2 + d.below(4) {
            let mut ids = Vec::new();
            for i in 0..1 + d.below(4) {
                ids.push(EndpointId::from_index(endpoints.len()));
                endpoints.push(random_endpoint(d, p, i));
            }
            pools.push(Pool {
                name: format!("pool-{p}").into(),
                region: RegionId::from_index(d.below(regions.len())),
                endpoints: ids,
                min_live: d.below(3) as u32,
            });
        }
        let policies: Vec<Policy> = (0..3)
            .map(|i| random_policy(d, i, regions.len(), pools.len(), &mut borders))
            .collect();
        let names: Vec<NameInput> = (0..3)
            .map(|i| random_name(d, i, policies.len(), pools.len(), endpoints.len()))
            .collect();
        let sites = random_sites(d, regions.len());
        let steering = Steering::build_seen_from(
            sites,
            regions,
            pools,
            endpoints,
            policies,
            names.clone(),
            &geo,
        );
        let mut world = World {
            geo,
            steering,
            names,
            board: Board::default(),
            measurements: Measurements::default(),
            overrides: Overrides::default(),
            borders,
        };
        world.shake(d);
        world
    }

    /// New health, measurements and overrides.
    pub(super) fn shake(&mut self, d: &mut Dice) {
        let n = self.steering.endpoints.len();
        let ill = 1 + d.below(6);
        self.board = Board::new((0..n).map(|_| random_verdict(d, ill)).collect());
        let known = d.below(4);
        let rows = 0..self.steering.sites.sites.len();
        let row = |_| (0..n).map(|_| random_time(d, known)).collect();
        self.measurements.sites.rows = rows.map(row).collect();
        // Sometimes as they were.
        if !d.one_in(3) {
            self.measurements.clients = random_clients(d, &self.steering, &self.borders);
        }
        let count = if d.one_in(2) { 0 } else { d.below(5) };
        self.overrides = Overrides(
            (0..count)
                .map(|_| random_override(d, &self.steering))
                .collect(),
        );
    }

    pub(super) fn live(&self) -> Live {
        Live::resolve(
            &self.steering,
            &self.board,
            &self.measurements,
            &self.overrides,
            NOW,
        )
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context {
            geo: &self.geo,
            board: &self.board,
            measurements: &self.measurements,
            overrides: &self.overrides,
        }
    }

    /// An address worth asking from: anything, or near a border, in any of its forms.
    pub(super) fn addr(&self, d: &mut Dice) -> IpAddr {
        let v4 = match d.below(3) {
            0 => d.word() as u32,
            _ => d.of(&self.borders).wrapping_add(d.of(&[
                0,
                u32::MAX,
                1,
                256,
                0u32.wrapping_sub(300),
            ])),
        };
        match d.below(4) {
            0 | 1 => Ipv4Addr::from(v4).into(),
            2 => {
                let (block, len, offset) = d.of(&EMBEDDED);
                let inner = u128::from(v4) << (96 - offset);
                let rest = u128::from(d.word()) & !u128::MAX.first_of(len);
                let rest = rest & (u128::MAX >> offset >> 32.min(127 - offset));
                Ipv6Addr::from(u128::from(block) | inner | rest).into()
            }
            _ => {
                let near: &[u128] = &[
                    0,
                    1,
                    0x2001 << 112,
                    0x2001_0db8 << 96,
                    0xfc00 << 112,
                    0x0064_ff9a << 96,
                ];
                let base = d.of(near);
                let shift = d.below(128) as u32;
                let noise = (u128::from(d.word()) << 64 | u128::from(d.word())) >> shift;
                Ipv6Addr::from(base ^ noise).into()
            }
        }
    }

    /// Asks as the engine does: special-purpose client addresses give way to the resolver's.
    pub(super) fn ask(&self, name: NameId, family: Family, addr: IpAddr, draw: Draw) -> Ask {
        let (slot, n) = self.steering.slot(name, addr);
        let client = if slot.bogon {
            Client {
                addr: "192.0.2.53".parse().unwrap(),
                source: ClientSource::ResolverForBogon(n),
            }
        } else {
            Client {
                addr,
                source: ClientSource::Ecs(24),
            }
        };
        Ask {
            name,
            family,
            client,
            now: NOW,
            draw,
        }
    }

    pub(super) fn random_ask(&self, d: &mut Dice) -> Ask {
        let name = NameId::from_index(d.below(self.steering.names.len()));
        let family = d.of(&Family::ALL);
        let addr = self.addr(d);
        self.ask(name, family, addr, random_draw(d))
    }
}

pub(super) fn random_draw(d: &mut Dice) -> Draw {
    Draw {
        random: d.word(),
        turn: d.word() as u32,
    }
}

fn random_geo(d: &mut Dice, borders: &mut Vec<u32>) -> GeoTable {
    let mut locations = vec![Location::default(); 2];
    for i in 0..5 {
        let us = d.one_in(2);
        locations.push(Location {
            continent: Some(code(if us { "NA" } else { "EU" })),
            country: d.one_in(3).then(|| code(if us { "US" } else { "DE" })),
            subdivision: d.one_in(4).then(|| code(if us { "CA" } else { "BY" })),
            coordinates: (!d.one_in(4)).then(|| point(d)),
            asn: d.one_in(2).then_some(64500 + i % 2),
            source: Source::OWN,
        });
    }
    let mut v4 = vec![(u32::from(Ipv4Addr::new(10, 0, 0, 0)), 8, GeoTable::BOGON)];
    let mut v6 = vec![(0xfc00 << 112, 7, Slot6::Value(GeoTable::BOGON))];
    if d.one_in(8) {
        v4.clear(); // then the IPv4 half may be uniform
    }
    for _ in 0..d.below(12) {
        let key = d.word() as u32 & 0x0fff_ffff;
        let len = 4 + d.below(22) as u8;
        borders.extend([key.first_of(len), key.last_of(len)]);
        v4.push((key, len, LocationId(2 + d.below(5) as u32)));
    }
    for _ in 0..d.below(6) {
        let key = 0x2001_0db8 << 96 | u128::from(d.word()) << 32;
        let len = 24 + d.below(40) as u8;
        v6.push((key, len, Slot6::Value(LocationId(2 + d.below(5) as u32))));
    }
    for (block, len, offset) in EMBEDDED {
        v6.push((block.into(), len, Slot6::Embedded { offset }));
    }
    GeoTable {
        v4: RangeMap::from_prefixes(GeoTable::UNKNOWN, v4),
        v6: RangeMap::from_prefixes(Slot6::Value(GeoTable::UNKNOWN), v6),
        locations,
        inputs: vec!["own networks".into()],
    }
}

fn point(d: &mut Dice) -> Coordinates {
    Coordinates::new(d.below(120) as f64 - 60.0, d.below(360) as f64 - 180.0).unwrap()
}

fn region(i: usize, d: &mut Dice) -> Region {
    Region {
        name: REGIONS[i].into(),
        coordinates: point(d),
    }
}

/// Up to four sites, of which two may be of one region.
fn random_sites(d: &mut Dice, regions: usize) -> Sites {
    let names = ["a", "b", "c", "d"];
    let count = d.below(names.len() + 1);
    Sites::of(names.iter().take(count).map(|name| {
        let region = d.below(regions);
        let place = (RegionId::from_index(region), REGIONS[region]);
        (*name, place, d.one_in(2).then(|| 64500 + d.below(2) as u32))
    }))
}

/// What clients measured, of prefixes near where something begins or ends, many of them side by side.
fn random_clients(d: &mut Dice, steering: &Steering, borders: &[u32]) -> ClientTimes {
    let regions = steering.regions.len();
    let mut rows = std::collections::BTreeMap::new();
    for _ in 0..d.below(12) {
        let addr: IpAddr = match d.below(3) {
            0 => {
                let key = 0x2001_0db8 << 96 | u128::from(d.word() & 3) << 80;
                Ipv6Addr::from(key).into()
            }
            _ => {
                let near = d.of(borders).wrapping_add((d.below(4) as u32) << 8);
                Ipv4Addr::from(near.wrapping_sub(512)).into()
            }
        };
        let times = (0..regions).map(RegionId::from_index);
        let times: Vec<ClientTime> = times
            .filter_map(|region| {
                let latest = Duration::from_millis(d.below(60) as u64);
                let known = d.below(3) > 0;
                known.then(|| ClientTime {
                    region,
                    rtt: (!d.one_in(8)).then_some(latest),
                    latest,
                    connections: 5,
                    age: Duration::from_secs(3),
                    moving: d.one_in(8),
                })
            })
            .collect();
        let prefix = prefix_of(addr);
        rows.insert(
            prefix,
            ClientsOf {
                prefix,
                times: times.into(),
            },
        );
    }
    ClientTimes {
        revision: d.word(),
        at: NOW,
        rows: rows.into_values().collect(),
        ..ClientTimes::default()
    }
}

/// The names of the regions.
const REGIONS: [&str; 4] = ["region-0", "region-1", "region-2", "region-3"];

/// What a site says of an endpoint, which knows `known + 1` of four.
pub(super) fn random_time(d: &mut Dice, known: usize) -> SiteTime {
    if d.below(4) > known {
        return SiteTime::default();
    }
    SiteTime {
        moving: d.one_in(6),
        ..SiteTime::still(Duration::from_millis(d.below(80) as u64))
    }
}

fn random_endpoint(d: &mut Dice, pool: usize, i: usize) -> Endpoint {
    let address: IpAddr = if d.one_in(2) {
        Ipv4Addr::new(127, 0, pool as u8, i as u8).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, pool as u16, i as u16).into()
    };
    Endpoint {
        name: format!("endpoint-{pool}-{i}").into(),
        pool: PoolId::from_index(pool),
        address: Some(address),
        cname: d
            .one_in(2)
            .then(|| format!("e{pool}{i}.example").parse().unwrap()),
        port: 80,
        weight: Weight(d.below(4) as u32),
        backup: d.one_in(5),
        enabled: !d.one_in(8),
    }
}

fn random_policy(
    d: &mut Dice,
    i: usize,
    regions: usize,
    pools: usize,
    borders: &mut Vec<u32>,
) -> Policy {
    let mut stages = Vec::new();
    for _ in 0..d.below(4) {
        stages.push(match d.below(3) {
            0 => Stage::Failover,
            1 => random_rules(d, regions, pools, borders),
            _ => Stage::Proximity {
                band_km: d.below(3000) as f64,
                bias_km: vec![(RegionId::from_index(d.below(regions)), 500.0)],
            },
        });
    }
    if d.one_in(2) {
        stages.push(Stage::Latency {
            tolerance: Tolerance {
                width: Duration::from_millis(d.below(20) as u64),
                percent: d.below(30) as u32,
            },
            fallback_band_km: 1000.0,
            clients: d.one_in(2),
        });
        if d.one_in(2) {
            stages.push(Stage::Failover);
        }
    }
    Policy {
        name: format!("policy-{i}").into(),
        stages,
        chooser: match d.below(4) {
            0 => Chooser::Weighted,
            1 => Chooser::RoundRobin,
            2 => Chooser::Random,
            _ => Chooser::Sticky {
                prefix4: 8 + d.below(25) as u8,
                prefix6: 16 + d.below(113) as u8,
            },
        },
    }
}

fn random_rules(d: &mut Dice, regions: usize, pools: usize, borders: &mut Vec<u32>) -> Stage {
    let mut rules = Vec::new();
    for _ in 0..1 + d.below(4) {
        let mut matches = Vec::new();
        for _ in 0..1 + d.below(3) {
            matches.push(match d.below(8) {
                0 => Criterion::Default,
                1 => Criterion::Continent(code(d.of(&["EU", "NA"]))),
                2 => Criterion::Country(code(d.of(&["DE", "US"]))),
                3 => Criterion::Subdivision(code("US"), code("CA")),
                4 => Criterion::Asn(64500 + d.below(2) as u32),
                5 => {
                    let key = 0x2001_0db8 << 96 | u128::from(d.word()) << 32;
                    let len = 33 + d.below(30) as u8;
                    Criterion::Network(Prefix::containing(Ipv6Addr::from(key).into(), len))
                }
                _ => {
                    // Also inside the special-purpose block 10.0.0.0/8.
                    let key = d.word() as u32 & 0x0fff_ffff;
                    let len = 4 + d.below(28) as u8;
                    borders.extend([key.first_of(len), key.last_of(len)]);
                    Criterion::Network(Prefix::containing(Ipv4Addr::from(key).into(), len))
                }
            });
        }
        rules.push(GeoRule {
            matches,
            regions: vec![RegionId::from_index(d.below(regions))],
            pools: if d.one_in(3) {
                vec![PoolId::from_index(d.below(pools))]
            } else {
                Vec::new()
            },
        });
    }
    Stage::Geo {
        mode: d.of(&[GeoMode::Prefer, GeoMode::Prefer, GeoMode::Fence]),
        rules,
    }
}

fn random_name(
    d: &mut Dice,
    i: usize,
    policies: usize,
    pools: usize,
    endpoints: usize,
) -> NameInput {
    let mut members: Vec<Member> = (0..pools)
        .map(|p| Member {
            pool: PoolId::from_index(p),
            weight: Weight(d.below(4) as u32),
            priority: d.below(3) as u32,
            backup: d.one_in(5),
        })
        .collect();
    while members.len() > 1 && d.one_in(3) {
        members.remove(d.below(members.len()));
    }
    let cname = d.one_in(5);
    let min = d.below(10) as u32;
    NameInput {
        owner: format!("n{i}.gslb.example").parse().unwrap(),
        members,
        policy: PolicyId::from_index(d.below(policies)),
        families: match d.below(3) {
            _ if cname => Vec::new(),
            0 => vec![Family::V4],
            _ => vec![Family::V6, Family::V4],
        },
        cname,
        ttl_min: Ttl::from_secs(min),
        ttl_max: Ttl::from_secs(min + d.below(60) as u32),
        last_resort: match d.below(7) {
            0 => LastResort::Endpoints(vec![EndpointId::from_index(d.below(endpoints))]),
            1 => LastResort::Pool(PoolId::from_index(d.below(pools))),
            2 => LastResort::Cname("sorry.example".parse().unwrap()),
            3 => LastResort::ServFail,
            _ => LastResort::AllEligible,
        },
        answers: 1 + d.below(6) as u8,
        https: None,
        aliases: Vec::new(),
        ignore_ecs: d.one_in(6),
    }
}

pub(super) fn random_verdict(d: &mut Dice, ill: usize) -> Verdict {
    let state = match d.below(8) {
        n if n < ill => State::Down,
        7 => State::Unknown {
            counts_as_up: d.one_in(2),
        },
        _ => State::Up,
    };
    Verdict {
        state,
        cause: Cause::Passing,
        since: Moment(NOW.0 / 2),
        steady_for: (!d.one_in(4)).then(|| Duration::from_millis(d.below(60_000) as u64)),
        last_error: d.one_in(2).then(|| Arc::from("connect failed: refused")),
        held: match d.below(12) {
            0 if state.serves() => Some(Guard::Brake),
            1 if state == State::Down => Some(Guard::Manual),
            _ => None,
        },
        share: if d.one_in(8) { 50 } else { 100 },
        ..Verdict::unmonitored()
    }
}

pub(super) fn random_override(d: &mut Dice, s: &Steering) -> Override {
    Override {
        scope: match d.below(4) {
            0 => Scope::Endpoint(EndpointId::from_index(d.below(s.endpoints.len()))),
            1 => Scope::Pool(PoolId::from_index(d.below(s.pools.len()))),
            2 => Scope::Region(RegionId::from_index(d.below(s.regions.len()))),
            _ => Scope::Name(NameId::from_index(d.below(s.names.len()))),
        },
        kind: match d.below(5) {
            0 => OverrideKind::Drain,
            1 => OverrideKind::Disable,
            2 => OverrideKind::ForceUp,
            3 => OverrideKind::ForceDown,
            _ => OverrideKind::Weight(Weight(d.below(4) as u32)),
        },
        owner: "alice".into(),
        reason: "drill".into(),
        expires: match d.below(4) {
            0 => None,
            1 => Some(Moment(NOW.0 - 1)), // has ended already
            _ => Some(NOW + Duration::from_millis(d.below(30_000) as u64)),
        },
    }
}
