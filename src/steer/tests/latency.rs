//! Round-trip times of several sites: whose word counts for whom, and how steady the answers are.

use std::time::Duration;

use super::three::{REGIONS, Three, ask, five};
use super::world::{Dice, NOW};
use crate::health::CheckKey;
use crate::health::latency::{SiteTimes, VantageHeard, Voice};
use crate::health::monitor::tests::monitor;
use crate::health::{
    Board, LatencyMatrix, ProbeTarget, Says, SiteTime, Sites, SmoothedRtt, Testimony, Verdict,
};
use crate::ids::{EndpointId, MonitorId, RegionId, TargetId};
use crate::steer::*;
use crate::time::Moment;
use crate::units::Ttl;

/// Clients in Berlin, New York and Tokyo.
const CLIENTS: [&str; 3] = ["192.0.2.0", "198.51.100.0", "203.0.113.0"];

fn latency(percent: u32) -> Vec<Stage> {
    vec![Stage::Latency {
        tolerance: Tolerance { percent, ..five() },
        fallback_band_km: 0.0,
        clients: false,
    }]
}

/// A vantage in each region, which are in the order ap, eu, us.
fn three_sites() -> Three {
    let mut t = Three::new(latency(10), Chooser::Weighted);
    t.sites = Sites::of([0, 1, 2].map(|r| {
        let name = REGIONS[r as usize].0;
        (name, (RegionId(r), name), None)
    }));
    t
}

/// What the sites say in milliseconds of the pools ap, eu, us: a row for each site.
fn told(rows: &[[Option<u64>; 3]]) -> SiteTimes {
    let row = |times: &[Option<u64>; 3]| {
        let both = times.iter().flat_map(|t| [*t, *t]);
        let time = |t: Option<u64>| t.map(Duration::from_millis).map(SiteTime::still);
        both.map(|t| time(t).unwrap_or_default()).collect()
    };
    SiteTimes {
        rows: rows.iter().map(row).collect(),
        ..SiteTimes::default()
    }
}

/// The pools that each of [`CLIENTS`] is sent to.
fn pools(t: &Three, sites: &SiteTimes) -> [String; 3] {
    let s = t.steering();
    let board = Board::new(t.verdicts.clone());
    let measurements = Measurements {
        sites: sites.clone(),
        ..Measurements::default()
    };
    let live = Live::resolve(&s, &board, &measurements, &t.overrides, NOW);
    CLIENTS.map(|client| {
        let mut seen = Vec::new();
        for i in 0..64 {
            let d = decide(&s, &live, &ask(client, i), &mut NoTrace);
            let Chosen::Endpoints(picks) = d.chosen else {
                panic!("{d:?}")
            };
            let pool = s.endpoints[picks.as_slice()[0].index()].pool;
            seen.push(s.pools[pool.index()].name.to_string());
        }
        seen.sort();
        seen.dedup();
        seen.join("+")
    })
}

const FAR: [[Option<u64>; 3]; 3] = [
    [Some(2), Some(160), Some(220)],
    [Some(160), Some(2), Some(90)],
    [Some(220), Some(90), Some(2)],
];

#[test]
fn each_client_follows_the_site_that_stands_nearest_to_it() {
    let t = three_sites();
    assert_eq!(pools(&t, &told(&FAR)), ["eu", "us", "ap"]);
    // Seen from eu, us has become the fastest, and from us, ap.
    let mut rows = FAR;
    rows[1] = [Some(160), Some(50), Some(20)];
    rows[2] = [Some(10), Some(90), Some(30)];
    assert_eq!(pools(&t, &told(&rows)), ["us", "ap", "ap"]);
}

#[test]
fn where_the_nearest_site_knows_too_little_the_next_one_speaks_and_then_distance() {
    let t = three_sites();
    let mut rows = FAR;
    rows[1][0] = None;
    // For Berlin us speaks now, which is nearest to us.
    assert_eq!(pools(&t, &told(&rows)), ["us", "us", "ap"]);
    rows[2][0] = None;
    // Then ap, which alone knows all.
    assert_eq!(pools(&t, &told(&rows)), ["ap", "ap", "ap"]);
    rows[0][1] = None;
    assert_eq!(pools(&t, &told(&rows)), ["eu", "us", "ap"], "by distance");
    assert_eq!(
        pools(&t, &SiteTimes::default()),
        ["eu", "us", "ap"],
        "nothing was ever measured"
    );
}

#[test]
fn where_no_site_dominates_one_of_three_cannot_move_a_client() {
    // Sites of three systems in Frankfurt: of three equal weights none is more than half.
    let mut t = three_sites();
    let eu = (RegionId(1), "eu");
    t.sites = Sites::of([("a", eu, Some(1)), ("b", eu, Some(2)), ("c", eu, Some(3))]);
    let good = [Some(160), Some(2), Some(90)];
    for broken in 0..3 {
        let mut rows = [good; 3];
        rows[broken] = [Some(1), Some(700), Some(900)];
        assert_eq!(pools(&t, &told(&rows)), ["eu", "eu", "eu"], "{broken}");
    }
}

#[test]
fn the_larger_of_width_and_share_is_the_tolerance() {
    let mut t = three_sites();
    let rows = |eu, us| told(&[[Some(300), Some(eu), Some(us)]; 3]);
    assert_eq!(pools(&t, &rows(20, 25))[0], "eu+us");
    assert_eq!(pools(&t, &rows(20, 26))[0], "eu");
    assert_eq!(pools(&t, &rows(100, 110))[0], "eu+us");
    t.policy.stages = latency(0);
    assert_eq!(pools(&t, &rows(100, 110))[0], "eu");
}

#[test]
fn explain_says_which_vantages_it_believed_and_what_each_said() {
    let t = three_sites();
    let s = t.steering();
    let now = |voice| VantageHeard {
        voice,
        heard: Some(NOW),
        measured: 6,
    };
    let measurements = Measurements {
        sites: SiteTimes {
            vantages: [Voice::Suspect, Voice::Speaks, Voice::Silent]
                .map(now)
                .into(),
            ..told(&FAR)
        },
        ..Measurements::default()
    };
    let board = Board::new(t.verdicts.clone());
    let live = Live::resolve(&s, &board, &measurements, &t.overrides, NOW);
    let mut trace = Recorder::new(Context {
        geo: &t.geo,
        board: &board,
        measurements: &measurements,
        overrides: &t.overrides,
    });
    decide(&s, &live, &ask(CLIENTS[0], 1), &mut trace);
    let words: Vec<String> = trace.steps.iter().map(Step::to_string).collect();
    assert_eq!(
        words[1],
        "vantages nearest the client: eu, us (us frozen), ap (ap suspect)"
    );
    assert_eq!(
        words[2],
        "latency by round-trip time, tolerance 5ms or 10%: \
         eu (rtt 2.0 ms (eu 2.0 ms, us 90.0 ms, ap 160.0 ms)) > \
         us (rtt 90.0 ms (eu 90.0 ms, us 2.0 ms, ap 220.0 ms)) … 1 more"
    );
}

/// The noise of the simulation: first-order autoregressive with σ = 6 ms, and every 33rd sample a
/// spike of 80 ms in the mean.
struct Noise {
    dice: Dice,
    state: f64,
}

/// Correlation of a sample with the next one. Without smoothing the faster of 50 and 52 ms then changes
/// about a hundred times an hour.
const CORRELATION: f64 = 0.75;

impl Noise {
    fn new(seed: u64) -> Noise {
        Noise {
            dice: Dice::new(seed),
            state: 0.0,
        }
    }

    fn uniform(&mut self) -> f64 {
        (self.dice.word() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn sample(&mut self, base: f64) -> Duration {
        let gauss: f64 = (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0;
        let fresh = 6.0 * (1.0 - CORRELATION * CORRELATION).sqrt();
        self.state = CORRELATION * self.state + fresh * gauss;
        let spike = if self.uniform() < 0.03 {
            -80.0 * (1.0 - self.uniform()).ln()
        } else {
            0.0
        };
        Duration::from_secs_f64((base + self.state + spike).max(0.1) / 1e3)
    }
}

/// One vantage's probes of the six endpoints of [`Three`].
struct Prober {
    name: &'static str,
    base: [f64; 3],
    noise: Vec<Noise>,
    smoothed: [SmoothedRtt; 6],
}

impl Prober {
    fn new(name: &'static str, base: [f64; 3], seed: u64) -> Prober {
        Prober {
            name,
            base,
            noise: (0..6).map(|i| Noise::new(seed * 64 + i)).collect(),
            smoothed: [SmoothedRtt::default(); 6],
        }
    }

    /// Probes all endpoints and tells the matrix, as this node or as another one.
    fn probes(&mut self, own: bool, factor: f64, matrix: &mut LatencyMatrix, now: Moment) {
        let mut rtts = Vec::new();
        for e in 0..6 {
            let sample = self.noise[e].sample(self.base[e / 2]).mul_f64(factor);
            self.smoothed[e].connected(sample, now);
            let confident = self.smoothed[e].confident();
            if own {
                matrix.own(TargetId::from_index(e), confident, now);
            } else if let Some(rtt) = confident {
                rtts.push((key(e), rtt));
            }
        }
        if !own {
            let says = [
                Says::Alive { blind: false },
                Says::Rtts {
                    chunk: 0,
                    rtts: rtts.into(),
                },
            ];
            for says in says {
                let vantage = self.name.into();
                matrix.hear(&Testimony { vantage, says }, now);
            }
        }
    }
}

fn targets(s: &Steering) -> Vec<ProbeTarget> {
    let target = |(i, e): (usize, &Endpoint)| ProbeTarget {
        addr: e.address.unwrap(),
        port: e.port,
        monitor: MonitorId(0),
        endpoints: vec![EndpointId::from_index(i)],
    };
    s.endpoints.iter().enumerate().map(target).collect()
}

fn key(e: usize) -> CheckKey {
    let s = three_sites().steering();
    CheckKey::of(s.endpoints[e].address.unwrap(), 80, &monitor())
}

/// The simulation of sites at 50 and 52 ms with a real shift of 40 ms after two hours: flips of the
/// answers per hour before it, and the time until the answers follow it.
fn shifted(seed: u64) -> (f64, Duration) {
    let mut t = Three::new(latency(10), Chooser::Weighted);
    t.name.ttl_max = Ttl::from_secs(300);
    let s = t.steering();
    let targets = targets(&s);
    let start = Moment::ZERO;
    let mut matrix = LatencyMatrix::new(&t.sites, "node", &[monitor()], &targets, 6, start);
    let mut prober = Prober::new("node", [300.0, 50.0, 52.0], seed);
    let board = Board::new(vec![Verdict::unmonitored(); 6]);
    let mut measurements = Measurements::default();
    let (mut flips, mut before) = (0, Vec::new());
    for round in 0..1080_u64 {
        let now = start + Duration::from_secs(10 * round);
        if round == 720 {
            prober.base[1] += 40.0;
        }
        prober.probes(true, 1.0, &mut matrix, now);
        for second in 0..10 {
            let now = now + Duration::from_secs(second);
            if matrix.due() > now || !matrix.step(now) {
                continue;
            }
            matrix.renew(&mut measurements.sites);
            let live = Live::resolve(&s, &board, &measurements, &t.overrides, now);
            let mut seen: Vec<u32> = (0..64)
                .filter_map(
                    |i| match decide(&s, &live, &ask(CLIENTS[0], i), &mut NoTrace).chosen {
                        Chosen::Endpoints(p) => Some(s.endpoints[p.as_slice()[0].index()].pool.0),
                        _ => None,
                    },
                )
                .collect();
            seen.sort_unstable();
            seen.dedup();
            if round >= 720 && seen == [2] {
                let shift = start + Duration::from_secs(7200);
                return (f64::from(flips) / 2.0, now.since(shift));
            }
            if round > 3 && round < 720 && seen != before {
                flips += 1;
            }
            before = seen;
        }
    }
    panic!("the answers never followed");
}

#[test]
fn jitter_flips_no_answers_and_a_real_shift_is_followed() {
    let runs: Vec<(f64, Duration)> = (1..=20).map(shifted).collect();
    let flips = runs.iter().map(|r| r.0).sum::<f64>() / 20.0;
    let slowest = runs.iter().map(|r| r.1).max().unwrap();
    let mut times: Vec<u64> = runs.iter().map(|r| r.1.as_secs()).collect();
    times.sort_unstable();
    let figures = format!(
        "{flips:.2} flips per hour, reaction median {} s, max {slowest:?}",
        times[10]
    );
    assert!(flips <= 2.0, "{figures}");
    assert!(slowest <= Duration::from_secs(180), "{figures}");
}

#[test]
fn one_broken_vantage_moves_no_client() {
    // Ten times too slow, ten times too fast, and another factor for each sample.
    for broken in ["slow", "fast", "garbage"] {
        for victim in 0..3 {
            let t = three_sites();
            let s = t.steering();
            let mut matrix =
                LatencyMatrix::new(&t.sites, "eu", &[monitor()], &targets(&s), 6, Moment::ZERO);
            let base = FAR.map(|row| row.map(|n| n.unwrap() as f64 + 10.0));
            let mut probers: Vec<Prober> = (0..3)
                .map(|i| Prober::new(REGIONS[i].0, base[i], 1 + i as u64))
                .collect();
            let mut times = SiteTimes::default();
            let mut dice = Dice::new(7);
            // Half an hour, and then ten minutes with one of them broken.
            for round in 0..240_u64 {
                let now = Moment::ZERO + Duration::from_secs(10 * round);
                for (i, prober) in probers.iter_mut().enumerate() {
                    let factor = match broken {
                        _ if i != victim || round < 180 => 1.0,
                        "slow" => 10.0,
                        "fast" => 0.1,
                        _ => (dice.below(10_000) as f64 / 1e2).max(0.01),
                    };
                    if broken == "garbage" && factor != 1.0 {
                        prober.base.rotate_left(1);
                    }
                    prober.probes(i == 1, factor, &mut matrix, now);
                }
                if matrix.step(now) && round > 6 {
                    matrix.renew(&mut times);
                    assert_eq!(
                        pools(&t, &times),
                        ["eu", "us", "ap"],
                        "{broken} {victim} at {round}"
                    );
                }
            }
            matrix.renew(&mut times);
            assert_eq!(
                times.vantages[victim].voice,
                Voice::Suspect,
                "{broken} {victim}"
            );
        }
    }
}
