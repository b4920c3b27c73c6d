//! What looking at samples costs per query: a desk without consumers, with one that takes few of many
//! queries, and with one that takes every query and is read meanwhile.
//!
//! All variants run interleaved, round by round, and are shown as their difference to the desk without
//! consumers in the same round. `cargo bench --bench tap`; with `-- --quick` fewer rounds. Ends with a
//! line `tap VARIANT NANOSECONDS` each, the median of the differences.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tradewind::dns::name::WireName;
use tradewind::engine::{Inbound, Reply, Transport};
use tradewind::geo::GeoTable;
use tradewind::health::Board;
use tradewind::server::desk::Desk;
use tradewind::server::tap::{Inlet, Taps};
use tradewind::snapshot::{Parts, Publisher, Settings, Snapshot, View};
use tradewind::steer::Steering;
use tradewind::time::{Clock, Moment, SimClock};
use tradewind::units::Generation;
use tradewind::zone::ZoneSet;

const ZONE: &str = "$TTL 300
@ IN SOA ns1 hostmaster 1 3600 600 86400 60
  IN NS ns1
ns1 IN A 192.0.2.53
";

/// Batches of a round, and queries of a batch.
const BATCHES: u32 = 1_000;
const BATCH: u32 = 32;

/// Time between two batches: a million queries a second.
const APART: Duration = Duration::from_micros(BATCH as u64);

fn view() -> View {
    let apex: WireName = "bench.example".parse().expect("a valid name");
    let zone = tradewind::zone::parse::parse(ZONE, &apex).expect("a valid zone");
    let geo = GeoTable::empty();
    let snapshot = Snapshot {
        zones: ZoneSet::build(vec![zone], &[]).expect("a consistent zone"),
        steering: Steering::build(vec![], vec![], vec![], vec![], vec![], &geo),
        geo,
        monitors: Vec::new(),
        targets: Vec::new(),
        traffic: Arc::default(),
        target_of: Vec::new(),
        settings: Settings::default(),
    };
    let parts = Parts::new(Arc::new(snapshot), Arc::new(Board::new(Vec::new())));
    View::new(Generation(1), Moment::ZERO, parts)
}

fn query() -> Vec<u8> {
    let owner: WireName = "ns1.bench.example".parse().expect("a valid name");
    let mut p = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    p.extend_from_slice(owner.as_bytes());
    p.extend_from_slice(&[0, 1, 0, 1]);
    p
}

struct Variant {
    name: &'static str,
    desk: Desk,
    clock: Arc<SimClock>,
    inlet: Option<Inlet>,
    rounds: Vec<f64>,
}

impl Variant {
    fn new(name: &'static str, per_second: Option<u32>) -> Variant {
        let clock = Arc::new(SimClock::default());
        let shared: Arc<dyn Clock> = clock.clone();
        let publisher = Publisher::new(view());
        let mut desk = Desk::new(&publisher, &shared, Arc::default());
        let mut taps = Taps::default();
        let inlet = per_second.map(|rate| taps.add(rate, 8192));
        desk.tap(&taps);
        Variant {
            name,
            desk,
            clock,
            inlet,
            rounds: Vec::new(),
        }
    }

    fn round(&mut self, packet: &[u8]) {
        let mut out = [0u8; 1232];
        let start = Instant::now();
        for _ in 0..BATCHES {
            self.clock.advance(APART);
            let mut round = self.desk.round();
            for _ in 0..BATCH {
                let inbound = Inbound {
                    packet,
                    peer: ([192, 0, 2, 1], 5353).into(),
                    transport: Transport::Udp,
                };
                let reply = round.answer(black_box(&inbound), &mut out);
                assert!(matches!(reply, Reply::Send(_)), "an answer");
            }
            if let Some(inlet) = &self.inlet {
                inlet.waiting().for_each(drop);
            }
        }
        let nanoseconds = start.elapsed().as_nanos() as f64;
        self.rounds.push(nanoseconds / f64::from(BATCHES * BATCH));
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let quick = std::env::args().any(|a| a == "--quick");
    let rounds = if quick { 20 } else { 400 };
    let packet = query();
    let mut all = [
        Variant::new("off", None),
        Variant::new("silent", Some(0)),
        Variant::new("sampled", Some(1_000)),
        Variant::new("every", Some(u32::MAX)),
    ];
    for _ in 0..rounds {
        for variant in &mut all {
            variant.round(&packet);
        }
    }
    let base = all[0].rounds.clone();
    println!("tap off {:.1}", median(base.clone()));
    for variant in &all[1..] {
        let more = variant.rounds.iter().zip(&base).map(|(a, b)| a - b);
        println!("tap {} {:+.1}", variant.name, median(more.collect()));
    }
}
