//! Answering allocates nothing per query: proved with an allocator that counts per thread.

#![expect(
    unsafe_code,
    reason = "a global allocator cannot be written without it"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tradewind::dns::name::WireName;
use tradewind::dns::svcb::Service;
use tradewind::dnssec::{Algorithm, Denial, Keys};
use tradewind::engine::{Inbound, Presigner, Reply, Scratch, Transport, answer};
use tradewind::geo::{Coordinates, GeoTable, Location};
use tradewind::health::{Board, Verdict};
use tradewind::ids::{EndpointId, PolicyId, PoolId, RegionId};
use tradewind::limit::{AccessLists, Limit, Networks, Prefixes, RateTable, Rules, Secret, Secrets};
use tradewind::net::{Family, Prefix};
use tradewind::server::udp;
use tradewind::snapshot::{Parts, Publisher, Settings, Snapshot, View};
use tradewind::steer::{
    Chooser, Endpoint, LastResort, Member, NameInput, Policy, Pool, Region, Stage, Steering,
};
use tradewind::telemetry::{DnsCounters, DnsEvent};
use tradewind::time::{Clock, Moment, Wall};
use tradewind::units::{Generation, Ttl, Weight};
use tradewind::zone::ZoneSet;
use tradewind::zone::set::SteeredAt;

use crate::support::signed::zone_keys;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count_one() {
    // Fails only while the thread ends, when nobody looks any more.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

/// Allocations of this thread so far.
fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local that
// needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: the caller keeps `alloc`'s contract, which is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_one();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_one();
        // SAFETY: as above; `at` came from `System` through this allocator.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ZONE: &str = "\
$TTL 300
@          IN SOA   ns1 hostmaster 1 3600 600 86400 60
@          IN NS    ns1
ns1        IN A     192.0.2.53
static     IN A     192.0.2.1
static     IN A     192.0.2.2
alias      IN CNAME static
to-steered IN CNAME geo
*.wild     IN TXT   \"wild\"
a.ent      IN A     192.0.2.3
sub        IN NS    ns.sub
ns.sub     IN A     192.0.2.4
_s._tcp    IN SRV   0 0 443 geo
@          IN MX    1 static
al         IN HTTPS 0 geo
old        IN DNAME ent
";

/// Steered names, one per chooser.
const STEERED: [(&str, Chooser); 5] = [
    ("geo", Chooser::Weighted),
    ("random", Chooser::Random),
    (
        "sticky",
        Chooser::Sticky {
            prefix4: 24,
            prefix6: 48,
        },
    ),
    ("turns", Chooser::RoundRobin),
    ("weighted", Chooser::Weighted),
];

fn owner(label: &str) -> WireName {
    format!("{label}.t.example").parse().unwrap()
}

fn geo() -> GeoTable {
    let place = |lat, lon| Location {
        coordinates: Coordinates::new(lat, lon),
        ..Location::default()
    };
    let v4 = |a, b, len| Prefix::containing(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), len);
    GeoTable::from_prefixes([
        (v4(20, 0, 8), place(50.0, 8.0)),
        (v4(20, 7, 16), place(39.0, -77.0)),
        ("2a00::/12".parse().unwrap(), place(39.0, -77.0)),
    ])
}

fn steering(geo: &GeoTable) -> Steering {
    let mut regions = Vec::new();
    let mut pools = Vec::new();
    let mut endpoints = Vec::new();
    for (r, (name, lat, lon)) in [("eu", 50.1, 8.7), ("us", 39.0, -77.5)]
        .into_iter()
        .enumerate()
    {
        let coordinates = Coordinates::new(lat, lon).unwrap();
        regions.push(Region {
            name: name.into(),
            coordinates,
        });
        let first = endpoints.len();
        for e in 0..4u8 {
            let v4 = IpAddr::from([192, 0, 2, 100 + 10 * r as u8 + e]);
            let v6 = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, r as u16, u16::from(e)]);
            endpoints.push(Endpoint {
                name: format!("{name}-{e}").into(),
                pool: PoolId::from_index(r),
                address: Some(if e < 2 { v4 } else { v6 }),
                cname: None,
                port: 80,
                weight: Weight(u32::from(e) + 1),
                backup: false,
                enabled: true,
            });
        }
        pools.push(Pool {
            name: name.into(),
            region: RegionId::from_index(r),
            endpoints: (first..endpoints.len())
                .map(EndpointId::from_index)
                .collect(),
            min_live: 1,
        });
    }
    let policies = STEERED
        .iter()
        .map(|(name, chooser)| Policy {
            name: (*name).into(),
            stages: match *name {
                "geo" => vec![Stage::Proximity {
                    band_km: 0.0,
                    bias_km: Vec::new(),
                }],
                _ => Vec::new(),
            },
            chooser: *chooser,
        })
        .collect();
    let names = STEERED.iter().enumerate().map(|(i, (name, _))| NameInput {
        owner: owner(name),
        members: (0..pools.len())
            .map(|p| Member {
                pool: PoolId::from_index(p),
                weight: Weight(p as u32 + 1),
                priority: 1,
                backup: false,
            })
            .collect(),
        policy: PolicyId::from_index(i),
        families: Family::ALL.to_vec(),
        cname: false,
        ttl_min: Ttl::from_secs(5),
        ttl_max: Ttl::from_secs(60),
        last_resort: LastResort::AllEligible,
        answers: 2,
        ignore_ecs: false,
        https: Some(Service::new(1, &["h2"], true, Some(8443))),
        aliases: Vec::new(),
    });
    let names = names.collect();
    Steering::build(regions, pools, endpoints, policies, names, geo)
}

fn view() -> View {
    view_with(Settings::default())
}

fn view_with(settings: Settings) -> View {
    let geo = geo();
    let steering = steering(&geo);
    let steered: Vec<SteeredAt> = STEERED
        .iter()
        .map(|(name, _)| SteeredAt {
            owner: owner(name),
            name: steering.name_id(&owner(name)).unwrap(),
            cname: false,
            https: true,
        })
        .collect();
    let apex: WireName = "t.example".parse().unwrap();
    let zone = tradewind::zone::parse::parse(ZONE, &apex).unwrap();
    let endpoints = steering.endpoints.len();
    let snapshot = Snapshot {
        zones: ZoneSet::build(vec![zone], &steered).unwrap(),
        geo,
        steering,
        monitors: Vec::new(),
        targets: Vec::new(),
        target_of: vec![None; endpoints],
        traffic: Arc::default(),
        settings,
    };
    View::new(
        Generation(1),
        Moment::ZERO,
        Parts {
            cookies: Arc::new(Secrets::new([Secret::new([7; 16])])),
            rates: Arc::new(RateTable::new(1 << 16, [1, 2])),
            ..Parts::new(
                Arc::new(snapshot),
                Arc::new(Board::new(vec![Verdict::unmonitored(); endpoints])),
            )
        },
    )
}

const A: u16 = 1;
const NS: u16 = 2;
const MX: u16 = 15;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const HTTPS: u16 = 65;
const ANY: u16 = 255;

/// A query with these EDNS options; `None` leaves EDNS out.
fn query(name: &WireName, qtype: u16, options: Option<&[u8]>) -> Vec<u8> {
    let mut p = vec![
        0x12,
        0x34,
        1,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        u8::from(options.is_some()),
    ];
    p.extend_from_slice(name.as_bytes());
    p.extend_from_slice(&qtype.to_be_bytes());
    p.extend_from_slice(&[0, 1]);
    if let Some(options) = options {
        p.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
        p.extend_from_slice(&(options.len() as u16).to_be_bytes());
        p.extend_from_slice(options);
    }
    p
}

/// 20.7.x.0/24 and others by `n`, as an ECS option.
fn ecs4(n: u8) -> Vec<u8> {
    vec![0, 8, 0, 7, 0, 1, 24, 0, 20, n % 12, n]
}

/// What is asked, by kind.
fn workload() -> Vec<(&'static str, Vec<u8>)> {
    let mut list: Vec<(&'static str, Vec<u8>)> = vec![
        ("static A", query(&owner("static"), A, Some(&[]))),
        ("static without EDNS", query(&owner("static"), A, None)),
        ("NODATA", query(&owner("static"), AAAA, Some(&[]))),
        ("NXDOMAIN", query(&owner("missing.far.below"), A, Some(&[]))),
        ("empty non-terminal", query(&owner("ent"), A, Some(&[]))),
        ("wildcard", query(&owner("some.wild"), TXT, Some(&[]))),
        ("CNAME to static", query(&owner("alias"), A, Some(&[]))),
        (
            "CNAME to steered",
            query(&owner("to-steered"), A, Some(&ecs4(7))),
        ),
        ("referral", query(&owner("deep.sub"), A, Some(&[]))),
        ("ANY", query(&owner("static"), ANY, Some(&[]))),
        (
            "REFUSED",
            query(&"other.example".parse().unwrap(), A, Some(&[])),
        ),
        ("NSID", query(&owner("static"), A, Some(&[0, 3, 0, 0]))),
        (
            "bogon ECS",
            query(&owner("geo"), A, Some(&[0, 8, 0, 5, 0, 1, 8, 0, 10])),
        ),
        (
            "malformed ECS",
            query(&owner("geo"), A, Some(&[0, 8, 0, 5, 0, 9, 8, 0, 10])),
        ),
        (
            "cookie",
            query(
                &owner("static"),
                A,
                Some(&[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]),
            ),
        ),
        (
            "malformed cookie",
            query(&owner("static"), A, Some(&[0, 10, 0, 3, 1, 2, 3])),
        ),
        ("class CH", {
            let mut p = query(&"version.bind".parse().unwrap(), TXT, None);
            *p.last_mut().unwrap() = 3;
            p
        }),
        ("two questions", {
            let mut p = query(&owner("static"), A, None);
            p[5] = 2;
            p
        }),
        ("cut short", query(&owner("static"), A, None)[..20].to_vec()),
        ("a response", {
            let mut p = query(&owner("static"), A, None);
            p[2] |= 0x80;
            p
        }),
    ];
    list.extend([
        ("NS", query(&"t.example".parse().unwrap(), NS, Some(&[]))),
        ("MX", query(&"t.example".parse().unwrap(), MX, Some(&[]))),
        (
            "SRV to steered",
            query(&owner("_s._tcp"), SRV, Some(&ecs4(3))),
        ),
        (
            "HTTPS alias of steered",
            query(&owner("al"), HTTPS, Some(&ecs4(3))),
        ),
        ("DNAME", query(&owner("a.old"), A, Some(&[]))),
    ]);
    for (name, _) in STEERED {
        for qtype in [A, AAAA, HTTPS] {
            list.push(("steered", query(&owner(name), qtype, Some(&[]))));
            for n in 0..50 {
                list.push((
                    "steered with ECS",
                    query(&owner(name), qtype, Some(&ecs4(n))),
                ));
            }
            let v6 = [0, 8, 0, 10, 0, 2, 48, 0, 0x2a, 0x01, 0, 0, 0, 0];
            list.push((
                "steered with IPv6 ECS",
                query(&owner(name), qtype, Some(&v6)),
            ));
        }
    }
    list
}

#[test]
fn the_allocator_counts() {
    let before = allocations();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(allocations(), before + 1);
}

#[test]
fn answering_allocates_nothing_per_query() {
    let view = view();
    let workload = workload();
    let mut scratch = Scratch::new(7, Arc::new(DnsCounters::default()));
    let mut out = vec![0; 65_535];
    for transport in [Transport::Udp, Transport::Tcp] {
        for peer in ["198.51.100.7:4000", "[2a00::7]:4000"] {
            let peer: SocketAddr = peer.parse().unwrap();
            // The first query to a steered name makes room for the turns of all names.
            let first = query(&owner("geo"), A, Some(&[]));
            let inbound = Inbound {
                packet: &first,
                peer,
                transport,
            };
            assert!(matches!(
                answer(&view, &inbound, Moment(1), &mut scratch, &mut out),
                Reply::Send(_)
            ));
            for round in 0..20 {
                for (kind, packet) in &workload {
                    let inbound = Inbound {
                        packet,
                        peer,
                        transport,
                    };
                    let before = allocations();
                    let reply = answer(&view, &inbound, Moment(round), &mut scratch, &mut out);
                    let made = allocations() - before;
                    assert_eq!(made, 0, "{kind} over {transport:?} from {peer}");
                    let silent = *kind == "a response";
                    assert_eq!(reply == Reply::Drop, silent, "{kind}");
                }
            }
        }
    }
}

/// The view with its zone signed, and all that its names can answer signed ahead.
fn signed_view(denial: Denial) -> View {
    let plain = view();
    let keys = zone_keys("t.example", Algorithm::EcdsaP256, denial);
    let board = plain.board.clone();
    let parts = Parts {
        keys: Arc::new(Keys {
            zones: [(keys.apex.clone(), Arc::new(keys))].into(),
        }),
        wall: Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600)),
        ..Parts::new(plain.snapshot.clone(), board)
    };
    let view = View::new(Generation(2), Moment::ZERO, parts);
    let pass = Presigner::default().pass(&view, Moment(1), |_| ControlFlow::Continue(()));
    assert!(pass.is_continue());
    view
}

#[test]
fn a_signed_answer_allocates_nothing_once_it_is_warm() {
    for denial in [Denial::Compact, Denial::Nsec3] {
        let view = signed_view(denial);
        let mut scratch = Scratch::new(7, Arc::new(DnsCounters::default()));
        let mut out = vec![0; 65_535];
        for round in 0..20 {
            for (kind, mut packet) in workload() {
                if packet.get(11) != Some(&1) || packet.len() < 30 {
                    continue;
                }
                // DO, in the OPT record behind the question.
                let question = 12 + packet[12..].iter().position(|b| *b == 0).unwrap() + 5;
                packet[question + 7] |= 0x80;
                if packet[question - 4..question - 2] == HTTPS.to_be_bytes() {
                    // The hints of a steered HTTPS set change with each draw, in content and order.
                    continue;
                }
                let inbound = Inbound {
                    packet: &packet,
                    peer: "198.51.100.7:4000".parse().unwrap(),
                    transport: Transport::Tcp,
                };
                let before = allocations();
                answer(&view, &inbound, Moment(round), &mut scratch, &mut out);
                let made = allocations() - before;
                // The first round makes what cannot be made ahead: names that clients made up.
                assert!(round < 2 || made == 0, "{kind}: {made} {denial:?}");
            }
        }
        let made = scratch.counters.get(DnsEvent::SignatureMade);
        let near = scratch.counters.get(DnsEvent::SignatureNear);
        assert!(made < 10 && near > 1_000, "{made} made, {near} near");
    }
}

#[test]
fn limiting_allocates_nothing_per_query() {
    let view = view_with(Settings {
        rules: Rules {
            networks: Networks::new(AccessLists {
                deny: &["203.0.113.0/24".parse().unwrap()],
                ..AccessLists::default()
            }),
            responses: Limit::per_second(1),
            prefixes: Prefixes::new(24, 56),
            slip: 2,
            ..Rules::default()
        },
        ..Settings::default()
    });
    let workload = workload();
    let mut scratch = Scratch::new(7, Arc::new(DnsCounters::default()));
    let mut out = vec![0; 1_232];
    // What is made once, at first use, is made before: every kind of query to a node without limits,
    // whatever hashes and chance let through here.
    let unlimited = self::view();
    for (_, packet) in &workload {
        for peer in ["198.51.100.7:4000", "[2a00::7]:4000"] {
            let inbound = Inbound {
                packet,
                peer: peer.parse().unwrap(),
                transport: Transport::Udp,
            };
            answer(&unlimited, &inbound, Moment(1), &mut scratch, &mut out);
        }
    }
    let mut kinds = [0; 3];
    for (i, (kind, packet)) in workload.iter().cycle().take(4_000).enumerate() {
        let peer: SocketAddr = match i % 4 {
            3 => "203.0.113.9:4000",
            1 => "[2a00::7]:4000",
            _ => "198.51.100.7:4000",
        }
        .parse()
        .unwrap();
        let inbound = Inbound {
            packet,
            peer,
            transport: Transport::Udp,
        };
        let before = allocations();
        let reply = answer(&view, &inbound, Moment(1), &mut scratch, &mut out);
        let made = allocations() - before;
        assert_eq!(made, 0, "query {i}, {kind} from {peer}");
        kinds[match reply {
            Reply::Drop => 0,
            Reply::Send(_) if out[2] & 2 != 0 => 1,
            Reply::Send(_) | Reply::SendAndClose(_) | Reply::Transfer => 2,
        }] += 1;
    }
    assert!(
        kinds.iter().all(|n| *n > 20),
        "dropped, truncated, answered: {kinds:?}"
    );
}

/// The clock of a UDP worker, which reads it once per batch: so what the worker's thread allocates
/// from batch to batch shows here.
#[derive(Default)]
struct Witness {
    batches: AtomicU64,
    at_last: AtomicU64,
    /// Allocations between batches after the first 16.
    extra: AtomicU64,
}

impl Clock for Witness {
    fn now(&self) -> Moment {
        let made = allocations();
        let before = self.at_last.swap(made, Ordering::Relaxed);
        let batch = self.batches.fetch_add(1, Ordering::Relaxed);
        if batch > 16 {
            self.extra.fetch_add(made - before, Ordering::Relaxed);
        }
        Moment(batch)
    }

    fn wall(&self) -> Wall {
        Wall::default()
    }
}

#[test]
fn a_udp_worker_allocates_nothing_per_batch() {
    // On a wildcard, so that control data takes part as well.
    let bound = udp::bind("0.0.0.0:0".parse().unwrap(), 1).unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, bound.local_addr().port()));
    let witness = Arc::new(Witness::default());
    let clock: Arc<dyn Clock> = witness.clone();
    let counters = vec![Arc::new(DnsCounters::default())];
    let server = bound
        .start(&Publisher::new(view()), &clock, counters)
        .unwrap();

    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.connect(to).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut answer = [0; 1500];
    let workload = workload();
    for _ in 0..4 {
        for (kind, packet) in &workload {
            if *kind != "a response" {
                client.send(packet).unwrap();
                client.recv(&mut answer).unwrap();
            }
        }
    }
    drop(server);
    let batches = witness.batches.load(Ordering::Relaxed);
    assert!(batches > 1_000, "{batches} batches");
    assert_eq!(
        witness.extra.load(Ordering::Relaxed),
        0,
        "over {batches} batches"
    );
}
