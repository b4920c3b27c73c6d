//! The matrix on virtual time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::health::monitor::tests::monitor;
use crate::health::{CheckKey, Monitor, ProbeTarget, Says, Testimony};
use crate::ids::{EndpointId, MonitorId, RegionId, SiteId, TargetId};
use crate::time::Moment;

const EU: SiteId = SiteId(0);
const US: SiteId = SiteId(1);

fn at(secs: u64) -> Moment {
    Moment::ZERO + Duration::from_secs(secs)
}

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Vantages eu1, eu2, eu3 at one site and us1 at another.
fn sites() -> Sites {
    let (eu, us) = ((RegionId(0), "eu"), (RegionId(1), "us"));
    Sites::of([
        ("eu1", eu, None),
        ("eu2", eu, None),
        ("eu3", eu, None),
        ("us1", us, None),
    ])
}

fn target(i: usize) -> ProbeTarget {
    ProbeTarget {
        addr: IpAddr::V4(Ipv4Addr::new(192, 0, 2, i as u8)),
        port: 80,
        monitor: MonitorId(0),
        endpoints: vec![EndpointId::from_index(i)],
    }
}

fn key(i: usize, monitor: &Monitor) -> CheckKey {
    let t = target(i);
    CheckKey::of(t.addr, t.port, monitor)
}

/// A matrix of so many targets, each with one endpoint, on the node eu1.
struct Fleet {
    matrix: LatencyMatrix,
    targets: usize,
    now: u64,
}

impl Fleet {
    fn new(targets: usize) -> Fleet {
        let list: Vec<ProbeTarget> = (0..targets).map(target).collect();
        Fleet {
            matrix: LatencyMatrix::new(&sites(), "eu1", &[monitor()], &list, targets, at(0)),
            targets,
            now: 0,
        }
    }

    fn says(&mut self, vantage: &str, says: Says) {
        let vantage = vantage.into();
        let now = at(self.now);
        self.matrix.hear(&Testimony { vantage, says }, now);
    }

    /// `vantage` is alive and tells a time of each target.
    fn tells(&mut self, vantage: &str, rtts: &[u64]) {
        let rtts = rtts.iter().enumerate();
        let rtts: Arc<[_]> = rtts.map(|(i, n)| (key(i, &monitor()), ms(*n))).collect();
        self.says(vantage, Says::Alive { blind: false });
        self.says(vantage, Says::Rtts { chunk: 0, rtts });
    }

    /// All vantages tell their times every ten seconds for so long.
    fn runs(&mut self, secs: u64, rows: &[(&str, &[u64])]) {
        for _ in 0..secs / 10 {
            self.now += 10;
            for (vantage, rtts) in rows {
                if *vantage == "eu1" {
                    for (i, n) in rtts.iter().enumerate() {
                        let now = at(self.now);
                        let target = TargetId::from_index(i);
                        self.matrix.own(target, Some(ms(*n)), now);
                    }
                } else {
                    self.tells(vantage, rtts);
                }
            }
            self.matrix.step(at(self.now));
        }
    }

    fn times(&mut self) -> SiteTimes {
        let mut times = SiteTimes::default();
        self.matrix.renew(&mut times);
        assert_eq!(times.rows[0].len(), self.targets);
        times
    }

    fn row(&mut self, site: SiteId) -> Vec<Option<u64>> {
        let times = self.times();
        let millis = |i| {
            let time = times.get(site, EndpointId::from_index(i));
            time.rtt.map(|d| d.as_millis() as u64)
        };
        (0..self.targets).map(millis).collect()
    }

    fn voices(&mut self) -> Vec<Voice> {
        self.times().vantages.iter().map(|v| v.voice).collect()
    }
}

#[test]
fn a_site_is_the_median_of_its_vantages() {
    let mut f = Fleet::new(1);
    f.runs(10, &[("eu1", &[10]), ("eu2", &[900]), ("eu3", &[12])]);
    f.runs(10, &[("us1", &[80])]);
    assert_eq!((f.row(EU), f.row(US)), (vec![Some(12)], vec![Some(80)]));
}

#[test]
fn a_value_counts_at_once_when_it_is_the_first_and_later_after_a_dwell() {
    let mut f = Fleet::new(1);
    f.runs(10, &[("us1", &[50])]);
    assert_eq!(f.row(US), [Some(50)]);
    f.runs(60, &[("us1", &[90])]);
    let cell = f.times().get(US, EndpointId(0));
    assert_eq!((cell.rtt, cell.latest), (Some(ms(50)), Some(ms(90))));
    assert!(cell.moving);
    f.runs(10, &[("us1", &[90])]);
    let cell = f.times().get(US, EndpointId(0));
    assert_eq!((cell.rtt, cell.moving), (Some(ms(90)), false));
    // An excursion of less than a dwell is none.
    f.runs(50, &[("us1", &[200])]);
    f.runs(10, &[("us1", &[90])]);
    f.runs(50, &[("us1", &[200])]);
    assert_eq!(f.row(US), [Some(90)]);
}

#[test]
fn a_small_difference_counts_when_it_lasts() {
    let mut f = Fleet::new(1);
    f.runs(10, &[("us1", &[50])]);
    f.runs(600, &[("us1", &[54])]);
    assert_eq!(f.row(US), [Some(50)]);
    f.runs(900, &[("us1", &[54])]);
    assert!(f.row(US)[0] > Some(52), "{:?}", f.row(US));
}

#[test]
fn a_silent_vantage_freezes_and_is_forgotten_after_ten_minutes() {
    let mut f = Fleet::new(3);
    f.runs(60, &[("us1", &[50, 60, 70]), ("eu1", &[1, 2, 3])]);
    f.runs(120, &[("eu1", &[1, 2, 3])]);
    assert_eq!(f.voices()[3], Voice::Silent);
    assert_eq!(f.row(US), [Some(50), Some(60), Some(70)]);
    f.runs(420, &[("eu1", &[1, 2, 3])]);
    let cell = f.times().get(US, EndpointId(0));
    assert_eq!((cell.rtt, cell.moving), (Some(ms(50)), true), "about to go");
    f.runs(120, &[("eu1", &[1, 2, 3])]);
    assert_eq!(f.row(US), [None; 3]);
    // It comes back with other values: they count at once.
    f.runs(10, &[("us1", &[90, 60, 70])]);
    assert_eq!(f.row(US), [Some(90), Some(60), Some(70)]);
}

#[test]
fn a_vantage_that_stops_or_is_blind_is_not_believed_and_what_it_said_stands() {
    let mut f = Fleet::new(3);
    f.runs(60, &[("us1", &[50, 60, 70]), ("eu1", &[1, 2, 3])]);
    f.says("us1", Says::Leaving);
    f.runs(10, &[("eu1", &[1, 2, 3])]);
    assert_eq!(f.voices()[3], Voice::Silent);
    assert_eq!(f.row(US)[0], Some(50));
    f.runs(10, &[("us1", &[50, 60, 70])]);
    for _ in 0..12 {
        f.runs(10, &[("eu1", &[1, 2, 3])]);
        f.tells("us1", &[500, 20, 70]);
        f.says("us1", Says::Alive { blind: true });
    }
    assert_eq!(f.voices()[3], Voice::Blind);
    assert_eq!(f.row(US), [Some(50), Some(60), Some(70)]);
}

const GOOD: [u64; 5] = [20, 40, 60, 80, 100];
const TENFOLD: [u64; 5] = [200, 400, 600, 800, 1000];
const GARBAGE: [u64; 5] = [100, 1, 3000, 5, 7];

#[test]
fn a_broken_vantage_is_suspect_and_changes_nothing() {
    for broken in [TENFOLD, GARBAGE, [1; 5]] {
        let mut f = Fleet::new(5);
        f.runs(900, &[("us1", &GOOD), ("eu1", &[50; 5])]);
        let before = f.row(US);
        f.runs(500, &[("us1", &broken), ("eu1", &[50; 5])]);
        assert_eq!(f.voices(), {
            use Voice::{Silent, Speaks, Suspect};
            [Speaks, Silent, Silent, Suspect]
        });
        assert_eq!(f.row(US), before);
        // For ten minutes its word stands as it was, then the site has none.
        f.runs(120, &[("us1", &broken), ("eu1", &[50; 5])]);
        assert_eq!(f.row(US), [None; 5]);
        f.runs(20, &[("us1", &GOOD), ("eu1", &[50; 5])]);
        assert_eq!(f.voices()[3], Voice::Speaks);
        assert_eq!(f.row(US), before);
    }
}

#[test]
fn a_broken_vantage_among_several_of_a_site_is_left_out() {
    let mut f = Fleet::new(5);
    let others: [(&str, &[u64]); 2] = [("eu1", &[50; 5]), ("us1", &GOOD)];
    f.runs(900, &[others[0], others[1], ("eu2", &[50; 5])]);
    f.runs(900, &[others[0], others[1], ("eu2", &[1; 5])]);
    assert_eq!(f.voices()[1], Voice::Suspect);
    assert_eq!(f.row(EU), [Some(50); 5]);
    // One that comes new is measured against what the others said.
    f.runs(60, &[others[0], others[1], ("eu3", &TENFOLD)]);
    assert_eq!(f.voices()[2], Voice::Suspect);
    // And stays out as long as others speak for the site.
    f.runs(5_000, &[others[0], others[1], ("eu3", &TENFOLD)]);
    assert_eq!(f.voices()[2], Voice::Suspect);
}

#[test]
fn what_all_vantages_see_is_the_world() {
    let mut f = Fleet::new(5);
    f.runs(900, &[("us1", &GOOD), ("eu1", &[50; 5])]);
    // Three of five endpoints go down: both vantages time out on them, one after the other.
    let (us, eu) = ([2000, 2000, 2000, 80, 100], [2000, 2000, 2000, 50, 50]);
    f.runs(20, &[("us1", &us), ("eu1", &[50; 5])]);
    assert_eq!(f.voices()[3], Voice::Suspect, "it is alone so far");
    f.runs(200, &[("us1", &us), ("eu1", &eu)]);
    assert_eq!(
        (f.voices()[0], f.voices()[3]),
        (Voice::Speaks, Voice::Speaks)
    );
    assert_eq!(f.row(US)[..3], [Some(2000); 3]);
}

#[test]
fn a_new_world_is_accepted_after_an_hour() {
    let mut f = Fleet::new(5);
    f.runs(900, &[("us1", &GOOD), ("eu1", &[50; 5])]);
    f.runs(3_500, &[("us1", &TENFOLD), ("eu1", &[50; 5])]);
    assert_eq!(f.row(US), [None; 5]);
    f.runs(200, &[("us1", &TENFOLD), ("eu1", &[50; 5])]);
    assert_eq!(f.row(US)[0], Some(200));
    assert_eq!(f.voices()[3], Voice::Speaks);
}

#[test]
fn a_node_alone_is_always_believed() {
    let mut f = Fleet::new(5);
    f.runs(900, &[("eu1", &GOOD)]);
    f.runs(200, &[("eu1", &TENFOLD)]);
    assert_eq!(f.voices()[0], Voice::Speaks);
    assert_eq!(f.row(EU)[0], Some(200));
}

#[test]
fn nobody_speaks_for_this_node_or_from_nowhere() {
    let mut f = Fleet::new(1);
    f.tells("eu1", &[1]);
    f.tells("mallory", &[1]);
    f.now += 10;
    assert!(!f.matrix.step(at(f.now)));
    assert_eq!(f.row(EU), [None]);
}

#[test]
fn a_check_may_move_to_another_chunk() {
    let mut f = Fleet::new(2);
    let rtts = |of: &[usize]| -> Arc<[(CheckKey, Duration)]> {
        of.iter().map(|i| (key(*i, &monitor()), ms(50))).collect()
    };
    f.says("us1", Says::Alive { blind: false });
    let says = |chunk, of: &[usize]| Says::Rtts {
        chunk,
        rtts: rtts(of),
    };
    f.says("us1", says(0, &[0, 1]));
    // The new chunk comes before the old one lets go.
    f.says("us1", says(1, &[1]));
    f.says("us1", says(0, &[0]));
    f.matrix.step(at(1));
    assert_eq!(f.row(US), [Some(50), Some(50)]);
    assert_eq!(f.times().vantages[3].measured, 2);
    f.says("us1", says(1, &[]));
    assert_eq!(f.times().vantages[3].measured, 1);
    assert_eq!(f.row(US), [Some(50), Some(50)], "not told is not far");
}

#[test]
fn an_edited_monitor_moves_nothing_and_a_known_check_keeps_its_place() {
    let mut f = Fleet::new(3);
    f.runs(60, &[("us1", &[50, 60, 70]), ("eu1", &[1, 2, 3])]);
    let edited = Monitor {
        interval: Duration::from_secs(5),
        ..monitor()
    };
    let list: Vec<ProbeTarget> = [2, 0].map(target).to_vec();
    f.matrix.adopt(&sites(), "eu1", &[edited], &list, 3);
    f.matrix.step(at(f.now));
    assert_eq!(f.row(US), [Some(50), None, Some(70)]);
    assert_eq!(f.times().vantages[3].measured, 0);
    // The other nodes go over to it as well, or back.
    f.matrix.adopt(&sites(), "eu1", &[monitor()], &list, 3);
    f.matrix.step(at(f.now));
    assert_eq!(f.row(US), [Some(50), None, Some(70)]);
    assert_eq!(f.times().vantages[3].measured, 2);
}

/// What one vantage says next.
#[derive(Clone, Debug)]
enum Word {
    Own(usize, u64),
    Tells(usize, Vec<u64>),
    Blind(usize),
    Leaves(usize),
    Nothing(u64),
}

fn word() -> impl Strategy<Value = Word> {
    let rtt = prop_oneof![3 => 40..60_u64, 1 => 0..200_u64, 1 => 0..3_000_u64];
    prop_oneof![
        (0..4_usize, rtt.clone()).prop_map(|(t, n)| Word::Own(t, n)),
        (0..3_usize, proptest::collection::vec(rtt, 0..4)).prop_map(|(v, r)| Word::Tells(v, r)),
        (0..3_usize).prop_map(Word::Blind),
        (0..3_usize).prop_map(Word::Leaves),
        (0..400_u64).prop_map(Word::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// T1: a value that is told as standing stands for a dwell from then on, whatever is heard; and
    /// what is renewed step by step is what a new reader is told.
    #[test]
    fn t1_what_is_told_as_standing_stands(words in proptest::collection::vec(word(), 1..200)) {
        let mut f = Fleet::new(4);
        let mut kept = SiteTimes::default();
        // By site and endpoint: what was told as standing, and until when it must hold.
        let mut held = [[(None, 0_u64); 4]; 2];
        for w in words {
            let other = |v: usize| ["eu2", "eu3", "us1"][v];
            let mut passes = 7;
            match w {
                Word::Own(t, n) => {
                    f.matrix.own(TargetId::from_index(t), Some(ms(n)), at(f.now));
                }
                Word::Tells(v, rtts) => f.tells(other(v), &rtts),
                Word::Blind(v) => f.says(other(v), Says::Alive { blind: true }),
                Word::Leaves(v) => f.says(other(v), Says::Leaving),
                Word::Nothing(secs) => passes = secs,
            }
            let until = f.now + passes;
            while f.now < until {
                f.now += 1;
                if f.matrix.due() <= at(f.now) {
                    let steers = f.matrix.step(at(f.now));
                    let before = kept.clone();
                    f.matrix.renew(&mut kept);
                    if before.alike(&kept) {
                        prop_assert_eq!(before.differing(&kept).next().is_some(), steers);
                    }
                }
                for (s, row) in held.iter_mut().enumerate() {
                    for (e, (value, end)) in row.iter_mut().enumerate() {
                        let time = kept.get(SiteId::from_index(s), EndpointId::from_index(e));
                        if f.now < *end {
                            prop_assert_eq!(*value, time.rtt, "site {} at {}", s, f.now);
                        }
                        if time.rtt.is_some() && !time.moving {
                            (*value, *end) = (time.rtt, f.now + DWELL.as_secs());
                        }
                    }
                }
            }
            let rows = f.times().rows;
            prop_assert!(kept.rows.is_empty() || rows == kept.rows);
        }
    }
}
