//! Starting and reloading, on virtual time.

use super::*;
use crate::geo::{Coordinates, GeoTable};
use crate::health::{Monitor, MonitorKind, Observation, Outcome, ProbeTarget, State, TcpCheck};
use crate::ids::{EndpointId, MonitorId, PoolId, RegionId, TargetId};
use crate::snapshot::Settings;
use crate::steer::{Endpoint, Pool, Region, Steering};
use crate::time::SimClock;
use crate::units::Weight;
use crate::zone::ZoneSet;

const S: Duration = Duration::from_secs(1);

/// Endpoints with these last octets, each probed by one monitor.
fn snapshot(hosts: &[u8]) -> Arc<Snapshot> {
    let addr = |host: &u8| std::net::Ipv4Addr::new(192, 0, 2, *host).into();
    let ids = || (0..hosts.len()).map(EndpointId::from_index);
    let endpoint = |host: &u8| Endpoint {
        name: format!("e{host:03}").into(),
        pool: PoolId(0),
        address: Some(addr(host)),
        cname: None,
        port: 80,
        weight: Weight::ONE,
        backup: false,
        enabled: true,
    };
    let geo = GeoTable::empty();
    let region = Region {
        name: "eu".into(),
        coordinates: Coordinates::new(50.0, 8.0).unwrap(),
    };
    let pool = Pool {
        name: "eu".into(),
        region: RegionId(0),
        endpoints: ids().collect(),
        min_live: 1,
    };
    Arc::new(Snapshot {
        zones: ZoneSet::default(),
        steering: Steering::build(
            vec![region],
            vec![pool],
            hosts.iter().map(endpoint).collect(),
            Vec::new(),
            Vec::new(),
            &geo,
        ),
        geo,
        monitors: vec![Monitor {
            name: "m".into(),
            kind: MonitorKind::Tcp(TcpCheck::default()),
            interval: S * 10,
            timeout: S,
            rise: 3,
            fall: 3,
            jitter_percent: 0,
            port: None,
            source: Vec::new(),
            family: None,
            retries: 0,
        }],
        targets: hosts
            .iter()
            .zip(ids())
            .map(|(host, e)| ProbeTarget {
                addr: addr(host),
                port: 80,
                monitor: MonitorId(0),
                endpoints: vec![e],
            })
            .collect(),
        target_of: (0..hosts.len())
            .map(|t| Some(TargetId::from_index(t)))
            .collect(),
        traffic: Arc::default(),
        settings: Settings::default(),
    })
}

fn new(hosts: &[u8]) -> (JudgeLoop, Wiring, Arc<SimClock>) {
    let clock = Arc::new(SimClock::default());
    clock.advance(S);
    let (judge, wiring) = JudgeLoop::new(
        snapshot(hosts),
        Arc::default(),
        clock.clone(),
        S * 5,
        Kept::default(),
    );
    (judge, wiring, clock)
}

fn pass(plan: u64, target: u32) -> ProbeReport {
    ProbeReport {
        plan,
        observation: Observation {
            target: TargetId(target),
            at: Moment(2_000_000_000),
            outcome: Outcome::Pass {
                rtt: Duration::from_millis(1),
            },
        },
    }
}

fn states(wiring: &Wiring) -> Vec<State> {
    let view = wiring.publisher.latest();
    view.board.iter().map(|(_, v)| v.state).collect()
}

#[test]
fn h1_a_reload_that_leaves_nothing_to_wait_for_ends_the_wait() {
    let (mut j, w, _) = new(&[1, 2]);
    j.observe(&pass(1, 0));
    assert!(!*w.first_round_done.borrow(), "192.0.2.2 is awaited");
    j.adopt(snapshot(&[1]));
    assert_eq!(states(&w), [State::Up]);
    assert!(*w.first_round_done.borrow(), "or DNS would never be served");
}

#[test]
fn h1_reloads_do_not_lengthen_the_wait_at_the_start() {
    let (mut j, w, clock) = new(&[1]);
    let end = j.patience_ends;
    clock.advance(S * 4);
    j.adopt(snapshot(&[1, 2]));
    assert_eq!(j.patience_ends, end);
    clock.advance(S);
    j.stop_waiting(clock.now());
    assert!(*w.first_round_done.borrow());
    // Once DNS is served each reload has its own wait.
    j.adopt(snapshot(&[1, 2, 3]));
    assert_eq!(j.patience_ends, Some(clock.now() + S * 5));
}

#[test]
fn what_was_under_way_at_a_reload_counts_for_the_target_it_was_about() {
    let (mut j, w, _) = new(&[7, 8, 9]);
    for t in [0, 2] {
        j.observe(&pass(1, t));
    }
    j.adopt(snapshot(&[8, 9]));
    assert!(!*w.first_round_done.borrow());
    assert!(!j.observe(&pass(1, 0)), "192.0.2.7 is gone");
    assert!(j.observe(&pass(1, 1)), "192.0.2.8 has another number now");
    assert_eq!(states(&w), [State::Up, State::Up]);
    assert!(*w.first_round_done.borrow());
    assert!(!j.observe(&pass(0, 0)), "from before that");
}
