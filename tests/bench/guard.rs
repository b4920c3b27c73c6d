//! What protection costs per query: the engine with and without rates, access lists and cookies.
//!
//! All variants run interleaved, round by round, and are shown as their difference to the unprotected
//! engine in the same round. `cargo bench --bench guard`; with `-- --quick` fewer rounds. Ends with a
//! line `guard VARIANT NANOSECONDS` each, the median of the differences.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tradewind::dns::name::WireName;
use tradewind::engine::{Inbound, Reply, Scratch, Transport, answer};
use tradewind::geo::GeoTable;
use tradewind::health::Board;
use tradewind::limit::{AccessLists, Limit, Networks, Prefixes, RateTable, Rules, Secrets};
use tradewind::net::Prefix;
use tradewind::snapshot::{Parts, Settings, Snapshot, View};
use tradewind::steer::Steering;
use tradewind::telemetry::DnsCounters;
use tradewind::time::Moment;
use tradewind::units::Generation;
use tradewind::zone::ZoneSet;

const ZONE: &str = "$TTL 300
@ IN SOA ns1 hostmaster 1 3600 600 86400 60
  IN NS ns1
ns1 IN A 192.0.2.53
";

/// Queries of a round.
const QUERIES: u32 = 20_000;
/// Time between two queries: a million a second.
const APART: Duration = Duration::from_micros(1);

struct Variant {
    name: &'static str,
    view: View,
    /// Distinct client prefixes.
    prefixes: u32,
    packet: Vec<u8>,
    /// Whether answers are dropped or cut.
    limited: bool,
    scratch: Scratch,
    rounds: Vec<f64>,
}

fn view(rules: Rules) -> View {
    let apex: WireName = "bench.example".parse().expect("a valid name");
    let zone = tradewind::zone::parse::parse(ZONE, &apex).expect("a valid zone");
    let geo = GeoTable::empty();
    let table = RateTable::new(1 << 20, [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321]);
    let snapshot = Snapshot {
        zones: ZoneSet::build(vec![zone], &[]).expect("a consistent zone"),
        steering: Steering::build(vec![], vec![], vec![], vec![], vec![], &geo),
        geo,
        monitors: Vec::new(),
        targets: Vec::new(),
        traffic: Arc::default(),
        target_of: Vec::new(),
        settings: Settings {
            rules,
            ..Settings::default()
        },
    };
    let secret = "e5e973e5a6b2a43f48e7dc849e37bfcf"
        .parse()
        .expect("a secret");
    let parts = Parts {
        rates: Arc::new(table),
        cookies: Arc::new(Secrets::new([secret])),
        ..Parts::new(Arc::new(snapshot), Arc::new(Board::new(Vec::new())))
    };
    View::new(Generation(1), Moment::ZERO, parts)
}

fn rules(per_second: u32) -> Rules {
    let list = |texts: &[&str]| -> Vec<Prefix> {
        texts
            .iter()
            .map(|t| t.parse().expect("a network"))
            .collect()
    };
    Rules {
        networks: Networks::new(AccessLists {
            allow: &[],
            deny: &list(&["198.51.100.0/24", "203.0.113.0/24"]),
            exempt: &list(&["127.0.0.0/8", "::1"]),
        }),
        responses: Limit::per_second(per_second),
        prefixes: Prefixes::new(24, 56),
        slip: 2,
        ..Rules::default()
    }
}

fn packet(name: &str, options: &[u8]) -> Vec<u8> {
    let owner: WireName = name.parse().expect("a valid name");
    let mut p = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    p.extend_from_slice(owner.as_bytes());
    p.extend_from_slice(&[0, 1, 0, 1]);
    p.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
    p.extend_from_slice(&(options.len() as u16).to_be_bytes());
    p.extend_from_slice(options);
    p
}

impl Variant {
    fn new(name: &'static str, rules: Rules, prefixes: u32, packet: Vec<u8>) -> Variant {
        Variant {
            name,
            view: view(rules),
            prefixes,
            packet,
            limited: false,
            scratch: Scratch::new(1, Arc::new(DnsCounters::default())),
            rounds: Vec::new(),
        }
    }

    fn peer(&self, i: u32) -> SocketAddr {
        // A cheap permutation, so that neighbours do not follow each other.
        let n = i.wrapping_mul(0x9E37_79B1) % self.prefixes;
        let addr = Ipv4Addr::from((20 << 24) + (n << 8) + 7);
        SocketAddr::new(IpAddr::V4(addr), 5353)
    }

    fn round(&mut self, number: u32, now: &mut Moment) {
        let mut out = [0u8; 1232];
        let start = Instant::now();
        for i in 0..QUERIES {
            *now = *now + APART;
            let inbound = Inbound {
                packet: &self.packet,
                peer: self.peer(number * QUERIES + i),
                transport: Transport::Udp,
            };
            let reply = answer(&self.view, &inbound, *now, &mut self.scratch, &mut out);
            assert!(
                self.limited || matches!(black_box(reply), Reply::Send(n) if n > 50),
                "every query is answered"
            );
        }
        let each = start.elapsed().as_nanos() as f64 / f64::from(QUERIES);
        self.rounds.push(each);
    }
}

/// The cookie option that a client at `peer` holds.
fn cookie_option(view: &View, peer: SocketAddr) -> Vec<u8> {
    let mut option = vec![0, 10, 0, 8];
    option.extend_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let query = packet("ns1.bench.example", &option);
    let mut scratch = Scratch::new(1, Arc::new(DnsCounters::default()));
    let mut out = [0; 1232];
    let inbound = Inbound {
        packet: &query,
        peer,
        transport: Transport::Udp,
    };
    match answer(
        view,
        &inbound,
        Moment(1_000_000_000),
        &mut scratch,
        &mut out,
    ) {
        Reply::Send(len) => out[len - 28..len].to_vec(),
        other => panic!("{other:?}"),
    }
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let rounds = if quick { 101 } else { 401 };
    let plain = packet("ns1.bench.example", &[]);
    let most = 100_000_000;
    let mut variants = vec![
        Variant::new("off", Rules::default(), 1, plain.clone()),
        Variant::new("rates-1-client", rules(most), 1, plain.clone()),
        Variant::new("off-1000-clients", Rules::default(), 1_000, plain.clone()),
        Variant::new("rates-1000-clients", rules(most), 1_000, plain.clone()),
        Variant::new(
            "rates-1000000-clients",
            rules(1_000),
            1_000_000,
            plain.clone(),
        ),
        Variant::new("flood-limited", rules(1_000), 1, plain),
    ];
    variants[5].limited = true;
    let option = cookie_option(&variants[1].view, variants[1].peer(0));
    let with_cookie = packet("ns1.bench.example", &option);
    variants.push(Variant::new(
        "rates-and-cookie",
        rules(most),
        1,
        with_cookie,
    ));
    let mut now = Moment(2_000_000_000);
    for number in 0..rounds {
        for v in &mut variants {
            v.round(number, &mut now);
        }
    }
    let base = variants[0].rounds.clone();
    println!("variant                  ns median   to off");
    for v in &variants {
        let mut all = v.rounds.clone();
        let mut over: Vec<f64> = v.rounds.iter().zip(&base).map(|(a, b)| a - b).collect();
        all.sort_by(f64::total_cmp);
        over.sort_by(f64::total_cmp);
        let (median, over) = (all[all.len() / 2], over[over.len() / 2]);
        println!("{:<24} {median:>9.1} {over:>+8.1}", v.name);
    }
    for v in &variants[1..] {
        let mut over: Vec<f64> = v.rounds.iter().zip(&base).map(|(a, b)| a - b).collect();
        over.sort_by(f64::total_cmp);
        println!("guard {} {:.1}", v.name, over[over.len() / 2]);
    }
}
