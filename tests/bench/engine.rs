//! Engine time per query: parse → decide → wire, without sockets.
//!
//! For static, absent, weighted, geo + ECS and signed names, at 1, 1,000 and 100,000 names and with 1 and
//! 1,000,000 networks. Each variant is asked a *hot set*: 1,024 distinct queries drawn at random out
//! of the whole, asked again and again, because that is what traffic looks like, and because against
//! uniformly random questions about everything every cache loses in the end, whatever the program
//! does. The column `cold` shows that case as well, with 65,536 distinct queries; it is not judged.
//!
//! All variants run interleaved, round by round, because the speed of shared machines drifts; the
//! ratio of the medians of a workload's slowest and fastest variant says whether the cost is flat.
//!
//! `cargo bench --bench engine`; with `-- --quick` fewer rounds. Ends with lines
//! `flat WORKLOAD ratio VALUE` and exit code 1 where a value exceeds 1.5.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tradewind::dns::name::WireName;
use tradewind::dnssec::key::{SECURE_ENTRY_POINT, ZONE_KEY};
use tradewind::dnssec::{Algorithm, Denial, Keys, Lifetime, SigningKey, ZoneKeys};
use tradewind::engine::{Inbound, Presigner, Reply, Scratch, Transport, answer};
use tradewind::geo::{Coordinates, GeoTable, Location};
use tradewind::health::{Board, Verdict};
use tradewind::ids::{EndpointId, NameId, PolicyId, PoolId, RegionId};
use tradewind::net::{Family, Prefix};
use tradewind::snapshot::{Parts, Settings, Snapshot, View};
use tradewind::steer::{
    Chooser, Endpoint, LastResort, Member, NameInput, Policy, Pool, Region, Stage, Steering,
};
use tradewind::telemetry::DnsCounters;
use tradewind::time::{Moment, Wall};
use tradewind::units::{Generation, Ttl, Weight};
use tradewind::zone::ZoneSet;
use tradewind::zone::set::SteeredAt;

/// Distinct queries of a hot set.
const HOT: usize = 1_024;
/// Times that a hot set is asked in a round before it counts, to displace the other variants'.
const WARMING: usize = 2;
/// Times that it is asked then.
const PASSES: usize = 4;
/// Distinct queries of the cold figure.
const COLD: usize = 65_536;
/// Most that a workload's slowest variant may cost over its fastest.
const FLAT: f64 = 1.5;
/// When everything is asked.
const NOW: Moment = Moment(1_000_000_000);

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Workload {
    Static,
    NxDomain,
    Weighted,
    GeoEcs,
    /// As static, with DO, in a signed zone whose signatures are warm.
    Signed,
}

impl Workload {
    const ALL: [Workload; 5] = [
        Workload::Static,
        Workload::NxDomain,
        Workload::Weighted,
        Workload::GeoEcs,
        Workload::Signed,
    ];

    /// Whether its names are in the zone's file, and not steered.
    fn in_file(self) -> bool {
        matches!(
            self,
            Workload::Static | Workload::NxDomain | Workload::Signed
        )
    }

    fn name(self) -> &'static str {
        match self {
            Workload::Static => "static",
            Workload::NxDomain => "nxdomain",
            Workload::GeoEcs => "geo-ecs",
            Workload::Weighted => "weighted",
            Workload::Signed => "signed",
        }
    }
}

struct Variant {
    workload: Workload,
    names: usize,
    networks: usize,
    view: View,
    hot: Queries,
    cold: Queries,
    scratch: Scratch,
    /// Nanoseconds per query of each round.
    hot_rounds: Vec<f64>,
    cold_rounds: Vec<f64>,
}

/// A list of queries of a variant.
#[derive(Clone, Copy)]
enum Set {
    Hot,
    Cold,
}

/// Packets one behind the other, as a receive buffer holds them.
#[derive(Default)]
struct Queries {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Queries {
    fn push(&mut self, packet: &[u8]) {
        self.bytes.extend_from_slice(packet);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.bytes[start..*end])
    }
}

fn name(i: usize) -> WireName {
    format!("n{i:06}.bench.example")
        .parse()
        .expect("a valid name")
}

/// As long as a name that exists.
fn absent(i: usize) -> WireName {
    format!("x{i:06x}.bench.example")
        .parse()
        .expect("a valid name")
}

/// A geo table with `networks` networks of 5,000 different places.
fn geo(networks: usize) -> GeoTable {
    let mut random = Random(42);
    let places: Vec<Location> = (0..5000)
        .map(|_| Location {
            coordinates: Coordinates::new(
                random.below(140) as f64 - 60.0 + random.below(1000) as f64 / 1000.0,
                random.below(359) as f64 - 179.0,
            ),
            ..Location::default()
        })
        .collect();
    let mut list = Vec::with_capacity(networks);
    for i in 0..networks {
        // Spread over 1.0.0.0 to 223.255.255.255, /24 or a little shorter.
        let addr = if networks == 1 {
            Ipv4Addr::new(20, 0, 0, 0)
        } else {
            let step = (223u64 << 24) / networks as u64;
            Ipv4Addr::from(((1u64 << 24) + i as u64 * step) as u32)
        };
        let len = if networks == 1 {
            8
        } else {
            22 + (random.below(3) as u8)
        };
        list.push((
            Prefix::containing(IpAddr::V4(addr), len),
            places[random.below(places.len())],
        ));
    }
    GeoTable::from_prefixes(list)
}

fn zone(workload: Workload, names: usize) -> (ZoneSet, Vec<WireName>) {
    let owners: Vec<WireName> = (0..names).map(name).collect();
    let mut text = String::from(
        "$TTL 300\n@ IN SOA ns1 hostmaster 1 3600 600 86400 60\n IN NS ns1\nns1 IN A 192.0.2.53\n",
    );
    if workload.in_file() {
        for i in 0..names {
            use std::fmt::Write;
            let _ = writeln!(text, "n{i:06} IN A 192.0.2.{}", i % 250 + 1);
        }
    }
    let apex: WireName = "bench.example".parse().expect("a valid name");
    let parsed = tradewind::zone::parse::parse(&text, &apex).expect("a valid zone");
    let steered: Vec<SteeredAt> = if workload.in_file() {
        Vec::new()
    } else {
        let at = owners.iter().enumerate();
        at.map(|(i, owner)| SteeredAt {
            owner: owner.clone(),
            name: NameId::from_index(i),
            cname: false,
            https: false,
        })
        .collect()
    };
    (
        ZoneSet::build(vec![parsed], &steered).expect("a consistent zone"),
        owners,
    )
}

fn steering(workload: Workload, owners: &[WireName], geo: &GeoTable) -> Steering {
    let at = |lat, lon| Coordinates::new(lat, lon).expect("on the globe");
    let regions: Vec<Region> = [
        ("ap", at(1.35, 103.82)),
        ("eu", at(50.11, 8.68)),
        ("sa", at(-23.55, -46.63)),
        ("us", at(38.95, -77.45)),
    ]
    .into_iter()
    .map(|(name, coordinates)| Region {
        name: name.into(),
        coordinates,
    })
    .collect();
    let mut pools = Vec::new();
    let mut endpoints = Vec::new();
    for (r, region) in regions.iter().enumerate() {
        let pool = PoolId::from_index(r);
        let mut ids = Vec::new();
        for e in 0..2u8 {
            ids.push(EndpointId::from_index(endpoints.len()));
            endpoints.push(Endpoint {
                name: format!("{}-{e}", region.name).into(),
                pool,
                address: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, r as u8 * 10 + e))),
                cname: None,
                port: 80,
                weight: Weight::ONE,
                backup: false,
                enabled: true,
            });
        }
        pools.push(Pool {
            name: region.name.clone(),
            region: RegionId::from_index(r),
            endpoints: ids,
            min_live: 1,
        });
    }
    let stages = match workload {
        Workload::GeoEcs => vec![Stage::Proximity {
            band_km: 0.0,
            bias_km: Vec::new(),
        }],
        _ => Vec::new(),
    };
    let policy = Policy {
        name: "bench".into(),
        stages,
        chooser: Chooser::Weighted,
    };
    let members: Vec<Member> = (0..pools.len())
        .map(|p| Member {
            pool: PoolId::from_index(p),
            weight: Weight((p as u32 + 1) * 10),
            priority: 1,
            backup: false,
        })
        .collect();
    let names = if workload.in_file() {
        Vec::new()
    } else {
        owners
            .iter()
            .map(|owner| NameInput {
                owner: owner.clone(),
                members: members.clone(),
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
            })
            .collect()
    };
    Steering::build(regions, pools, endpoints, vec![policy], names, geo)
}

/// A query for `owner` with EDNS, and ECS for `subnet` where there is one.
fn packet(owner: &WireName, subnet: Option<u32>) -> Vec<u8> {
    let mut p = vec![0x12, 0x34, 0x00, 0x00, 0, 1, 0, 0, 0, 0, 0, 1];
    p.extend_from_slice(owner.as_bytes());
    p.extend_from_slice(&[0, 1, 0, 1]);
    let rdlen = if subnet.is_some() { 11u16 } else { 0 };
    p.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
    p.extend_from_slice(&rdlen.to_be_bytes());
    if let Some(subnet) = subnet {
        p.extend_from_slice(&[0, 8, 0, 7, 0, 1, 24, 0]);
        p.extend_from_slice(&subnet.to_be_bytes()[..3]);
    }
    p
}

/// A key for the zone, of both kinds in one.
fn keys() -> Keys {
    let algorithm = Algorithm::EcdsaP256;
    let secret = SigningKey::generate(algorithm).expect("random bits");
    let key = SigningKey::from_pkcs8(algorithm, ZONE_KEY | SECURE_ENTRY_POINT, &secret)
        .expect("it was made here");
    let key = Arc::new(key);
    let apex: WireName = "bench.example".parse().expect("a valid name");
    let zone = ZoneKeys {
        apex: apex.clone(),
        generation: 1,
        dnskey: vec![key.dnskey().into()],
        cds: Vec::new(),
        cdnskey: Vec::new(),
        ttl: Ttl::from_secs(300),
        key_signing: vec![key.clone()],
        zone_signing: vec![key],
        denial: Denial::Compact,
        lifetime: Lifetime::default(),
    };
    Keys {
        zones: [(apex, Arc::new(zone))].into(),
    }
}

fn variant(workload: Workload, names: usize, networks: usize) -> Variant {
    let geo = geo(networks);
    let (zones, owners) = zone(workload, names);
    let steering = steering(workload, &owners, &geo);
    let endpoints = steering.endpoints.len();
    let snapshot = Arc::new(Snapshot {
        zones,
        geo,
        steering,
        monitors: Vec::new(),
        targets: Vec::new(),
        traffic: Arc::default(),
        target_of: vec![None; endpoints],
        settings: Settings::default(),
    });
    let signed = workload == Workload::Signed;
    let board = Arc::new(Board::new(vec![Verdict::unmonitored(); endpoints]));
    let parts = Parts {
        keys: Arc::new(if signed { keys() } else { Keys::default() }),
        wall: Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600)),
        ..Parts::new(snapshot, board)
    };
    let view = View::new(Generation(1), Moment::ZERO, parts);
    let ahead = Presigner::default().pass(&view, NOW, |_| ControlFlow::Continue(()));
    assert!(ahead.is_continue(), "nothing ends the pass");
    let mut random = Random(7);
    let mut queries = |count| {
        let mut queries = Queries::default();
        for _ in 0..count {
            let owner = match workload {
                Workload::NxDomain => absent(random.below(1 << 20)),
                _ => owners[random.below(owners.len())].clone(),
            };
            let subnet = (workload == Workload::GeoEcs)
                .then(|| ((1 << 24) + random.below(223 << 24) as u32) & 0xffff_ff00);
            let mut packet = packet(&owner, subnet);
            if signed {
                let flags = packet.len() - 4;
                packet[flags] |= 0x80; // DO
            }
            queries.push(&packet);
        }
        queries
    };
    let (hot, cold) = (queries(HOT), queries(COLD));
    Variant {
        workload,
        names,
        networks,
        view,
        hot,
        cold,
        scratch: scratch(),
        hot_rounds: Vec::new(),
        cold_rounds: Vec::new(),
    }
}

impl Variant {
    fn hot_round(&mut self) {
        for _ in 0..WARMING {
            self.pass(Set::Hot);
        }
        let start = Instant::now();
        for _ in 0..PASSES {
            self.pass(Set::Hot);
        }
        let queries = (HOT * PASSES) as f64;
        self.hot_rounds
            .push(start.elapsed().as_nanos() as f64 / queries);
    }

    fn cold_round(&mut self) {
        let start = Instant::now();
        self.pass(Set::Cold);
        self.cold_rounds
            .push(start.elapsed().as_nanos() as f64 / COLD as f64);
    }

    fn pass(&mut self, which: Set) {
        let mut out = [0u8; 1232];
        let peer = "192.0.2.1:5353".parse().expect("an address");
        let Variant {
            view,
            hot,
            cold,
            scratch,
            ..
        } = self;
        let queries = match which {
            Set::Hot => hot,
            Set::Cold => cold,
        };
        for packet in queries.iter() {
            let inbound = Inbound {
                packet,
                peer,
                transport: Transport::Udp,
            };
            let reply = answer(view, &inbound, NOW, scratch, &mut out);
            assert!(
                matches!(black_box(reply), Reply::Send(n) if n > 55),
                "every query is answered"
            );
        }
    }

    fn is_of(&self, workload: Workload) -> bool {
        self.workload == workload
    }
}

fn scratch() -> Scratch {
    Scratch::new(1, Arc::new(DnsCounters::default()))
}

fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn least(of: &[f64]) -> f64 {
    of.iter().copied().fold(f64::INFINITY, f64::min)
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let (hot, cold) = if quick { (100, 3) } else { (500, 15) };
    let mut variants = Vec::new();
    for workload in Workload::ALL {
        let sizes: &[usize] = match workload {
            // More names than the cache of signatures holds are not warm.
            Workload::Signed => &[1, 1_000],
            _ => &[1, 1_000, 100_000],
        };
        for &names in sizes {
            variants.push(variant(workload, names, 1));
            if workload == Workload::GeoEcs {
                variants.push(variant(workload, names, 1_000_000));
            }
        }
    }
    for round in 0..hot {
        for v in &mut variants {
            v.hot_round();
            if round < cold {
                v.cold_round();
            }
        }
    }
    println!("workload    names  networks   ns min  ns median  ns cold");
    for v in &variants {
        println!(
            "{:<9} {:>7} {:>9} {:>8.0} {:>10.0} {:>8.0}",
            v.workload.name(),
            v.names,
            v.networks,
            least(&v.hot_rounds),
            median(&v.hot_rounds),
            median(&v.cold_rounds),
        );
    }
    let mut flat = true;
    for workload in Workload::ALL {
        let of = variants.iter().filter(|v| v.is_of(workload));
        let medians: Vec<f64> = of.map(|v| median(&v.hot_rounds)).collect();
        let most = medians.iter().copied().fold(0.0, f64::max);
        let ratio = most / least(&medians);
        println!("flat {} ratio {ratio:.2}", workload.name());
        flat &= ratio <= FLAT;
    }
    if !flat {
        std::process::exit(1);
    }
}
