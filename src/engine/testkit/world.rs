//! The small world: zones, three regions, policies and what is down.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::dns::name::WireName;
use crate::dns::svcb::Service;
use crate::dnssec::key::{SECURE_ENTRY_POINT, ZONE_KEY};
use crate::dnssec::{Algorithm, Denial, Keys, Lifetime, SignatureCache, SigningKey, ZoneKeys};
use crate::geo::location::Code;
use crate::geo::table::EMBEDDED;
use crate::geo::{Coordinates, GeoTable, Location, Slot6, Source};
use crate::health::{Board, Cause, Override, Overrides, SiteTimes, Sites, State, Verdict};
use crate::ids::{EndpointId, LocationId, NameId, PolicyId, PoolId, RegionId, SiteId};
use crate::limit::{RateTable, Rules, Secrets};
use crate::net::{Family, Prefix, RangeMap, bogon};
use crate::snapshot::{ChaosTexts, Parts, Settings, Snapshot, Transfers, View};
use crate::steer::{
    Chooser, Criterion, Endpoint, GeoMode, GeoRule, LastResort, Measurements, Member, NameInput,
    Policy, Pool, Region, Stage, Steering, Tolerance,
};
use crate::time::{Moment, Wall};
use crate::units::{Generation, Ttl, Weight};
use crate::zone::set::SteeredAt;
use crate::zone::{ZoneSet, parse::parse};

pub(in crate::engine) fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

/// A steered name of the small world.
#[derive(Clone)]
pub(in crate::engine) struct Steer {
    pub owner: &'static str,
    pub policy: &'static str,
    pub answers: u8,
    pub ignore_ecs: bool,
    pub cname: bool,
    pub families: Vec<Family>,
    pub last_resort: LastResort,
    pub https: Option<Service>,
    /// Further owners that share the decision.
    pub aliases: Vec<&'static str>,
}

impl Steer {
    pub(in crate::engine) fn new(owner: &'static str, policy: &'static str) -> Steer {
        Steer {
            owner,
            policy,
            answers: 1,
            ignore_ecs: false,
            cname: false,
            families: Family::ALL.to_vec(),
            last_resort: LastResort::AllEligible,
            https: None,
            aliases: Vec::new(),
        }
    }
}

/// Three regions with a pool each (`eu us ap`), two addresses of each family per pool, and policies
/// `geo`, `nested`, `near`, `sticky`, `near-sticky`, `weighted`, `turns`, `fast` and `own`.
#[derive(Clone)]
pub(in crate::engine) struct World {
    pub zones: Vec<(&'static str, String)>,
    pub names: Vec<Steer>,
    pub places: Vec<(&'static str, &'static str, (f64, f64))>,
    pub down: Vec<&'static str>,
    pub allow: Vec<&'static str>,
    pub overrides: Vec<Override>,
    pub generation: u64,
    pub transfers: Transfers,
    pub keys: Keys,
    pub signatures: Arc<SignatureCache>,
    pub rules: Rules,
    pub chaos: ChaosTexts,
    pub rates: Arc<RateTable>,
    pub cookies: Arc<Secrets>,
    /// Round-trip times in milliseconds: from a region's site to the endpoints of a region's pool. Where
    /// there is any, each region has a site.
    pub rtt: Vec<(&'static str, &'static str, u64)>,
}

/// The calendar in signed worlds: 2026-01-01T00:00:00Z when the clock starts.
pub(in crate::engine) const UNIX: u64 = 1_767_225_600;

pub(in crate::engine) const REGIONS: [(&str, f64, f64); 3] =
    [("eu", 50.0, 8.0), ("us", 39.0, -77.0), ("ap", 1.0, 104.0)];

/// The endpoints in the order of their names: `ap4-1 ap4-2 ap6-1 … us6-2`.
pub(in crate::engine) fn endpoint(of: &str) -> EndpointId {
    let mut all: Vec<String> = Vec::new();
    for (region, ..) in REGIONS {
        for family in [4, 6] {
            for n in 1..=2 {
                all.push(format!("{region}{family}-{n}"));
            }
        }
    }
    all.sort();
    EndpointId::from_index(all.iter().position(|e| e == of).unwrap())
}

impl World {
    pub(in crate::engine) fn new(zone: &'static str, text: &str) -> World {
        World {
            zones: vec![(zone, text.to_owned())],
            names: Vec::new(),
            places: vec![
                ("192.0.2.0/24", "EU", (50.0, 8.0)),
                ("198.51.100.0/24", "NA", (39.0, -77.0)),
                ("203.0.113.0/24", "AS", (1.0, 104.0)),
                ("2001:db8:1::/48", "EU", (50.0, 8.0)),
                ("2001:db8:2::/48", "NA", (39.0, -77.0)),
                ("2001:db8:3::/48", "AS", (1.0, 104.0)),
            ],
            down: Vec::new(),
            allow: vec!["127.0.0.0/8"],
            overrides: Vec::new(),
            generation: 1,
            transfers: Transfers::default(),
            keys: Keys::default(),
            signatures: Arc::default(),
            rules: Rules::default(),
            chaos: ChaosTexts::default(),
            rates: Arc::default(),
            cookies: Arc::default(),
            rtt: Vec::new(),
        }
    }

    /// Adds another zone.
    pub(in crate::engine) fn zone(mut self, zone: &'static str, text: &str) -> World {
        self.zones.push((zone, text.to_owned()));
        self
    }

    /// Signs a zone with a new KSK and ZSK.
    pub(in crate::engine) fn sign(mut self, zone: &str, denial: Denial) -> World {
        let key = |flags| {
            let secret = SigningKey::generate(Algorithm::EcdsaP256).unwrap();
            Arc::new(SigningKey::from_pkcs8(Algorithm::EcdsaP256, flags, &secret).unwrap())
        };
        let (ksk, zsk) = (key(ZONE_KEY | SECURE_ENTRY_POINT), key(ZONE_KEY));
        let mut dnskey = vec![ksk.dnskey().into(), zsk.dnskey().into()];
        dnskey.sort();
        let apex = name(zone);
        let keys = ZoneKeys {
            apex: apex.clone(),
            generation: 1,
            dnskey,
            cds: vec![[0, 1, 13, 2].iter().chain(&[7; 32]).copied().collect()],
            cdnskey: Vec::new(),
            ttl: Ttl::from_secs(3600),
            key_signing: vec![ksk],
            zone_signing: vec![zsk],
            denial,
            lifetime: Lifetime::default(),
        };
        self.keys.zones.insert(apex, Arc::new(keys));
        self
    }

    pub(in crate::engine) fn steer(mut self, s: Steer) -> World {
        self.names.push(s);
        self
    }

    pub(in crate::engine) fn view(&self) -> View {
        let geo = self.geo();
        let (pools, endpoints) = pools();
        let policies = policies();
        let regions = REGIONS
            .iter()
            .map(|(n, lat, lon)| Region {
                name: (*n).into(),
                coordinates: Coordinates::new(*lat, *lon).unwrap(),
            })
            .collect();
        let inputs = self.names.iter().map(|s| NameInput {
            owner: name(s.owner),
            members: (0..3)
                .map(|p| Member {
                    pool: PoolId(p),
                    weight: Weight::ONE,
                    priority: 1,
                    backup: false,
                })
                .collect(),
            policy: PolicyId::from_index(
                policies.iter().position(|p| &*p.name == s.policy).unwrap(),
            ),
            families: if s.cname {
                Vec::new()
            } else {
                s.families.clone()
            },
            cname: s.cname,
            ttl_min: Ttl::from_secs(5),
            ttl_max: Ttl::from_secs(60),
            last_resort: s.last_resort.clone(),
            answers: s.answers,
            ignore_ecs: s.ignore_ecs,
            https: s.https.clone(),
            aliases: s.aliases.iter().map(|a| name(a)).collect(),
        });
        let steering = Steering::build_seen_from(
            self.sites(),
            regions,
            pools,
            endpoints,
            policies.clone(),
            inputs.collect(),
            &geo,
        );
        let at = |owner: WireName, name: NameId| SteeredAt {
            owner,
            name,
            cname: steering.group_of(name).cname,
            https: steering.names[name.index()].https.is_some(),
        };
        let at: Vec<SteeredAt> = (0..steering.names.len())
            .flat_map(|i| {
                let n = &steering.names[i];
                let owners = std::iter::once(&n.owner).chain(&n.aliases);
                owners.map(move |o| at(o.clone(), NameId::from_index(i)))
            })
            .collect();
        let zones = self
            .zones
            .iter()
            .map(|(apex, text)| parse(text, &name(apex)).unwrap())
            .collect();
        let verdicts = steering
            .endpoints
            .iter()
            .map(|e| {
                let mut v = Verdict::unmonitored();
                if self.down.iter().any(|d| e.name.starts_with(d)) {
                    v.state = State::Down;
                    v.cause = Cause::Failing("connect failed: refused".into());
                }
                v
            })
            .collect();
        let count = steering.endpoints.len();
        let measurements = self.measurements(&steering);
        View::new(
            Generation(self.generation),
            Moment::ZERO,
            Parts {
                measurements: Arc::new(measurements),
                overrides: Arc::new(Overrides(self.overrides.clone())),
                keys: Arc::new(self.keys.clone()),
                signatures: self.signatures.clone(),
                wall: Wall::new(Moment::ZERO, Duration::from_secs(UNIX)),
                rates: self.rates.clone(),
                cookies: self.cookies.clone(),
                ..Parts::new(
                    Arc::new(Snapshot {
                        zones: ZoneSet::build(zones, &at).unwrap(),
                        geo,
                        steering,
                        monitors: Vec::new(),
                        targets: Vec::new(),
                        target_of: vec![None; count],
                        traffic: Arc::default(),
                        settings: Settings {
                            vips: Arc::default(),
                            council: Default::default(),
                            node: "node1".into(),
                            nodes: Vec::new(),
                            explain_allow: self.allow.iter().map(|p| p.parse().unwrap()).collect(),
                            transfers: self.transfers.clone(),
                            rules: self.rules.clone(),
                            chaos: self.chaos.clone(),
                            ..Settings::default()
                        },
                    }),
                    Arc::new(Board::new(verdicts)),
                )
            },
        )
    }

    fn sites(&self) -> Sites {
        let regions = REGIONS.iter().enumerate();
        let regions = regions.filter(|_| !self.rtt.is_empty());
        Sites::of(regions.map(|(i, (name, ..))| (*name, (RegionId(i as u32), *name), None)))
    }

    fn measurements(&self, steering: &Steering) -> Measurements {
        let sites = &steering.sites.sites;
        let mut times = SiteTimes::unknown(sites.len(), steering.endpoints.len());
        for (site, region, ms) in &self.rtt {
            let site = sites.iter().position(|s| &*s.name == *site).unwrap();
            for (e, endpoint) in steering.endpoints.iter().enumerate() {
                if endpoint.name.starts_with(region) {
                    times.suppose(
                        SiteId::from_index(site),
                        EndpointId::from_index(e),
                        Duration::from_millis(*ms),
                    );
                }
            }
        }
        Measurements {
            sites: times,
            ..Measurements::default()
        }
    }

    fn geo(&self) -> GeoTable {
        let mut locations = vec![Location::default(), Location::default()];
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (addr, len) in bogon::V4 {
            v4.push((u32::from(*addr), *len, GeoTable::BOGON));
        }
        for (addr, len) in bogon::V6 {
            v6.push((u128::from(*addr), *len, Slot6::Value(GeoTable::BOGON)));
        }
        for (addr, len, offset) in EMBEDDED {
            v6.push((addr.into(), len, Slot6::Embedded { offset }));
        }
        for (prefix, continent, (lat, lon)) in &self.places {
            let prefix: Prefix = prefix.parse().unwrap();
            let id = LocationId::from_index(locations.len());
            locations.push(Location {
                continent: Code::new(continent),
                coordinates: Coordinates::new(*lat, *lon),
                source: Source::OWN,
                ..Location::default()
            });
            match prefix.addr() {
                IpAddr::V4(a) => v4.push((a.into(), prefix.len(), id)),
                IpAddr::V6(a) => v6.push((a.into(), prefix.len(), Slot6::Value(id))),
            }
        }
        GeoTable {
            v4: RangeMap::from_prefixes(GeoTable::UNKNOWN, v4),
            v6: RangeMap::from_prefixes(Slot6::Value(GeoTable::UNKNOWN), v6),
            locations,
            inputs: vec!["own networks".into()],
        }
    }
}

/// The address of an endpoint: region 1..3, as the demo has them.
pub(in crate::engine) fn address(region: usize, family: usize, n: usize) -> IpAddr {
    if family == 4 {
        format!("127.{}.0.1{n}", region + 1).parse().unwrap()
    } else {
        format!("2001:db8:f::{}:{n}", region + 1).parse().unwrap()
    }
}

fn pools() -> (Vec<Pool>, Vec<Endpoint>) {
    // Pools sorted by name: ap eu us.
    let pool_of = |region: usize| PoolId([1, 2, 0][region]);
    let mut endpoints = Vec::new();
    for (r, (region, ..)) in REGIONS.iter().enumerate() {
        for family in [4, 6] {
            for n in 1..=2 {
                endpoints.push(Endpoint {
                    name: format!("{region}{family}-{n}").into(),
                    pool: pool_of(r),
                    address: Some(address(r, family, n)),
                    cname: Some(name(&format!("{region}-{n}.cdn.example.net"))),
                    port: 80,
                    weight: Weight::ONE,
                    backup: false,
                    enabled: true,
                });
            }
        }
    }
    endpoints.sort_by(|a, b| a.name.cmp(&b.name));
    let pools = [("ap", 2), ("eu", 0), ("us", 1)]
        .iter()
        .enumerate()
        .map(|(p, (pool, region))| Pool {
            name: (*pool).into(),
            region: RegionId(*region),
            endpoints: (0..endpoints.len())
                .filter(|e| endpoints[*e].pool.index() == p)
                .map(EndpointId::from_index)
                .collect(),
            min_live: 1,
        })
        .collect();
    (pools, endpoints)
}

fn policies() -> Vec<Policy> {
    let to = |region: u32, matches: Vec<Criterion>| GeoRule {
        matches,
        regions: vec![RegionId(region)],
        pools: Vec::new(),
    };
    let continent = |c: &str| Criterion::Continent(Code::new(c).unwrap());
    let network = |p: &str| Criterion::Network(p.parse().unwrap());
    let geo = |rules| Stage::Geo {
        mode: GeoMode::Prefer,
        rules,
    };
    let near = Stage::Proximity {
        band_km: 100.0,
        bias_km: Vec::new(),
    };
    let fast = Stage::Latency {
        tolerance: Tolerance {
            width: Duration::from_millis(5),
            percent: 10,
        },
        fallback_band_km: 100.0,
        clients: false,
    };
    let sticky = Chooser::Sticky {
        prefix4: 20,
        prefix6: 40,
    };
    let policy = |name: &str, stages, chooser| Policy {
        name: name.into(),
        stages,
        chooser,
    };
    let continents = vec![
        to(0, vec![continent("EU")]),
        to(1, vec![continent("NA")]),
        to(2, vec![continent("AS")]),
    ];
    vec![
        policy("geo", vec![geo(continents)], Chooser::Weighted),
        policy(
            "nested",
            vec![geo(vec![
                to(1, vec![network("1.0.0.0/8")]),
                to(2, vec![network("1.2.3.0/24")]),
                to(0, vec![Criterion::Default]),
            ])],
            Chooser::Weighted,
        ),
        policy(
            "own",
            vec![geo(vec![
                to(1, vec![network("10.1.0.0/16")]),
                to(0, vec![Criterion::Default]),
            ])],
            Chooser::Weighted,
        ),
        policy("near", vec![near.clone()], Chooser::Weighted),
        policy("sticky", vec![], sticky),
        policy("near-sticky", vec![near], sticky),
        policy("weighted", vec![], Chooser::Weighted),
        policy("turns", vec![], Chooser::RoundRobin),
        policy("fast", vec![fast], Chooser::Weighted),
    ]
}
