//! A world of three regions whose every part a test can name.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::world::{NOW, code};
use crate::balance::mix::mix;
use crate::geo::table::EMBEDDED;
use crate::geo::{Coordinates, GeoTable, Location, Slot6};
use crate::health::{
    Board, Override, OverrideKind, Overrides, Scope, SiteTime, SiteTimes, Sites, State, Verdict,
};
use crate::ids::{EndpointId, LocationId, NameId, PolicyId, PoolId, RegionId};
use crate::net::{Family, RangeMap};
use crate::steer::*;
use crate::units::{Ttl, Weight};

/// Three regions with a pool each; every pool has two endpoints: `ap-1`, `ap-2`, `eu-1` …
pub(super) struct Three {
    pub(super) geo: GeoTable,
    pub(super) policy: Policy,
    pub(super) name: NameInput,
    pub(super) weights: [u32; 6],
    pub(super) min_live: u32,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) overrides: Overrides,
    /// Round-trip times from the only site.
    pub(super) rtt: Vec<Option<Duration>>,
    /// The only site, unless a test says otherwise.
    pub(super) sites: Sites,
}

pub(super) const REGIONS: [(&str, f64, f64); 3] = [
    ("ap", 1.35, 103.82),
    ("eu", 50.11, 8.68),
    ("us", 38.95, -77.45),
];

pub(super) fn at(latitude: f64, longitude: f64) -> Option<Coordinates> {
    Coordinates::new(latitude, longitude)
}

impl Three {
    pub(super) fn new(stages: Vec<Stage>, chooser: Chooser) -> Three {
        let place = |c: &str, coordinates| Location {
            country: Some(code(c)),
            coordinates,
            ..Location::default()
        };
        let v4 = [
            ([192, 0, 2, 0], 2),
            ([198, 51, 100, 0], 3),
            ([203, 0, 113, 0], 4),
        ];
        let v4 = v4.map(|(a, l)| (u32::from(Ipv4Addr::from(a)), 24, LocationId(l)));
        let bogon = (u32::from(Ipv4Addr::new(10, 0, 0, 0)), 8, GeoTable::BOGON);
        let embedded =
            EMBEDDED.map(|(block, len, offset)| (block.into(), len, Slot6::Embedded { offset }));
        Three {
            geo: GeoTable {
                v4: RangeMap::from_prefixes(GeoTable::UNKNOWN, v4.into_iter().chain([bogon])),
                v6: RangeMap::from_prefixes(Slot6::Value(GeoTable::UNKNOWN), embedded),
                locations: vec![
                    Location::default(),
                    Location::default(),
                    place("DE", at(52.5, 13.4)),
                    place("US", at(40.7, -74.0)),
                    place("JP", at(35.7, 139.7)),
                ],
                inputs: Vec::new(),
            },
            policy: Policy {
                name: "p".into(),
                stages,
                chooser,
            },
            name: NameInput {
                owner: "www.gslb.example".parse().unwrap(),
                members: (0..3)
                    .map(|p| Member {
                        pool: PoolId(p),
                        weight: Weight::ONE,
                        priority: [3, 1, 2][p as usize],
                        backup: false,
                    })
                    .collect(),
                policy: PolicyId(0),
                families: vec![Family::V4],
                cname: false,
                ttl_min: Ttl::from_secs(5),
                ttl_max: Ttl::from_secs(60),
                last_resort: LastResort::AllEligible,
                answers: 1,
                ignore_ecs: false,
                https: None,
                aliases: Vec::new(),
            },
            weights: [1; 6],
            min_live: 1,
            verdicts: vec![Verdict::unmonitored(); 6],
            overrides: Overrides::default(),
            rtt: Vec::new(),
            sites: Sites::of([("node", (RegionId(1), "eu"), None)]),
        }
    }

    pub(super) fn steering(&self) -> Steering {
        let regions = REGIONS.map(|(name, lat, lon)| Region {
            name: name.into(),
            coordinates: at(lat, lon).unwrap(),
        });
        let pools = (0..3u32).map(|p| Pool {
            name: REGIONS[p as usize].0.into(),
            region: RegionId(p),
            endpoints: vec![EndpointId(2 * p), EndpointId(2 * p + 1)],
            min_live: self.min_live,
        });
        let endpoints = (0..6u32).map(|e| Endpoint {
            name: format!("{}-{}", REGIONS[e as usize / 2].0, e % 2 + 1).into(),
            pool: PoolId(e / 2),
            address: Some(Ipv4Addr::new(127, 1 + e as u8 / 2, 0, 11 + e as u8 % 2).into()),
            cname: None,
            port: 80,
            weight: Weight(self.weights[e as usize]),
            backup: false,
            enabled: true,
        });
        Steering::build_seen_from(
            self.sites.clone(),
            regions.to_vec(),
            pools.collect(),
            endpoints.collect(),
            vec![self.policy.clone()],
            vec![self.name.clone()],
            &self.geo,
        )
    }

    pub(super) fn live(&self, steering: &Steering) -> Live {
        Live::resolve(
            steering,
            &Board::new(self.verdicts.clone()),
            &Measurements {
                sites: one_site(&self.rtt),
                ..Measurements::default()
            },
            &self.overrides,
            NOW,
        )
    }

    pub(super) fn down(&mut self, names: &[&str]) {
        for n in names {
            let e = self.id(n);
            self.verdicts[e].state = State::Down;
        }
    }

    pub(super) fn id(&self, name: &str) -> usize {
        let s = self.steering();
        s.endpoints.iter().position(|e| &*e.name == name).unwrap()
    }

    pub(super) fn order(&mut self, scope: Scope, kind: OverrideKind, secs: Option<u64>) {
        self.overrides.0.push(Override {
            scope,
            kind,
            owner: "alice".into(),
            reason: "drill".into(),
            expires: secs.map(|s| NOW + Duration::from_secs(s)),
        });
    }

    pub(super) fn asks(&self, client: &str) -> (Vec<String>, Decision) {
        let s = self.steering();
        let live = self.live(&s);
        let mut seen = Vec::new();
        let mut last = None;
        for i in 0..200 {
            let d = decide(&s, &live, &ask(client, i), &mut NoTrace);
            if let Chosen::Endpoints(p) = d.chosen {
                seen.extend(
                    p.as_slice()
                        .iter()
                        .map(|e| s.endpoints[e.index()].name.to_string()),
                );
            }
            last = Some(d);
        }
        seen.sort();
        seen.dedup();
        (seen, last.unwrap())
    }
}

/// What one site says that knows these times, all of which stand.
pub(super) fn one_site(rtt: &[Option<Duration>]) -> SiteTimes {
    let told = |t: &Option<Duration>| t.map_or_else(SiteTime::default, SiteTime::still);
    SiteTimes {
        rows: vec![rtt.iter().map(told).collect()],
        ..SiteTimes::default()
    }
}

pub(super) fn ask(client: &str, i: u64) -> Ask {
    Ask {
        name: NameId(0),
        family: Family::V4,
        client: Client {
            addr: client.parse().unwrap(),
            source: ClientSource::Ecs(24),
        },
        now: NOW,
        draw: Draw {
            random: mix(i + 1),
            turn: i as u32,
        },
    }
}

pub(super) fn networks(rules: &[(&str, u32)], default: u32) -> Stage {
    let mut all: Vec<GeoRule> = rules
        .iter()
        .map(|(net, region)| GeoRule {
            matches: vec![Criterion::Network(net.parse().unwrap())],
            regions: vec![RegionId(*region)],
            pools: Vec::new(),
        })
        .collect();
    all.push(GeoRule {
        matches: vec![Criterion::Default],
        regions: vec![RegionId(default)],
        pools: Vec::new(),
    });
    Stage::Geo {
        mode: GeoMode::Prefer,
        rules: all,
    }
}

/// A tolerance of 5 ms and no percentage.
pub(super) fn five() -> Tolerance {
    Tolerance {
        width: Duration::from_millis(5),
        percent: 0,
    }
}

pub(super) fn near() -> Stage {
    Stage::Proximity {
        band_km: 100.0,
        bias_km: Vec::new(),
    }
}
