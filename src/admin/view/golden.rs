//! What the API shows of the demo, kept as samples for those who read it: `tests/golden/api/*.json`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::config::Config;
use super::endpoints::{EndpointDetail, Endpoints, Filter};
use super::generation::InForce;
use super::matrix::{self, Matrix};
use super::monitors::Monitors;
use super::name::NameDetail;
use super::names::Names;
use super::nodes::Nodes;
use super::pools::{PoolDetail, Pools};
use super::regions::Regions;
use super::status::{Beside, Status};
use crate::admin::desk::Listing;
use crate::admin::fleet::{FleetStatus, Life, MemberStatus};
use crate::app::load::{Wanted, load_all};
use crate::health::{Board, Cause, Override, OverrideKind, Overrides, Scope, State, Verdict};
use crate::ids::{EndpointId, NameId, PoolId, RegionId};
use crate::overrides::Standing;
use crate::snapshot::{Parts, View};
use crate::steer::Measurements;
use crate::telemetry::{ProbeStats, Stats};
use crate::time::{Moment, Wall};
use crate::units::Generation;

const NOW: Moment = Moment(100_000_000_000);

/// The demo with one endpoint down, and one region drained.
fn view() -> (View, FleetStatus, Arc<crate::config::Effective>) {
    let wanted = Wanted {
        config: Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo"),
        node: Some("demo".to_owned()),
        ..Wanted::default()
    };
    let loaded = load_all(&wanted).unwrap();
    let snapshot = loaded.compiled.snapshot;
    let down = "connect failed: connection refused";
    let verdicts = snapshot.steering.endpoints.iter().map(|e| Verdict {
        state: State::Up,
        cause: Cause::Passing,
        since: Moment(40_000_000_000),
        steady_for: Some(Duration::from_secs(1)),
        last_probe: Some(Moment(99_500_000_000)),
        ..match &*e.name {
            "us-2" => Verdict {
                last_error: Some(down.into()),
                failures: 2,
                ..Verdict::unmonitored()
            },
            _ => Verdict::unmonitored(),
        }
    });
    let mut verdicts: Vec<Verdict> = verdicts.collect();
    let at = snapshot
        .steering
        .endpoints
        .iter()
        .position(|e| &*e.name == "us-2")
        .unwrap();
    verdicts[at].state = State::Down;
    verdicts[at].cause = Cause::Failing(down.into());
    let ap = snapshot
        .steering
        .regions
        .iter()
        .position(|r| &*r.name == "ap")
        .unwrap();
    let rtt = |e: usize| Some(Duration::from_micros(300 + 10 * e as u64));
    let parts = Parts {
        measurements: Arc::new(Measurements {
            rtt: (0..verdicts.len()).map(rtt).collect(),
            ..Measurements::default()
        }),
        overrides: Arc::new(Overrides(vec![Override {
            scope: Scope::Region(RegionId::from_index(ap)),
            kind: OverrideKind::Drain,
            owner: "ana".into(),
            reason: "new switches".into(),
            expires: Some(Moment(3_700_000_000_000)),
        }])),
        // 2026-01-01T00:00:00Z.
        wall: Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600)),
        ..Parts::new(snapshot, Arc::new(Board::new(verdicts)))
    };
    let fleet = FleetStatus {
        cluster: None,
        node: "demo".to_owned(),
        config: "5f0c7a1d9be24683".to_owned(),
        members: vec![MemberStatus {
            node: "demo".to_owned(),
            region: "eu".to_owned(),
            roles: vec!["dns", "probe", "admin"],
            life: Life::Own,
            config: Some("5f0c7a1d9be24683".to_owned()),
            generation: Some(7),
            ..MemberStatus::default()
        }],
        counts: Vec::new(),
    };
    (
        View::new(Generation(7), NOW, parts),
        fleet,
        loaded.effective,
    )
}

fn same(name: &str, shown: &impl Serialize) {
    let root = env!("CARGO_MANIFEST_DIR");
    let path = Path::new(root).join(format!("tests/golden/api/{name}.json"));
    let text = serde_json::to_string_pretty(shown)
        .unwrap()
        .replace(&format!("{root}/"), "")
        + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{} differs from {text}\nUPDATE_GOLDEN=1 writes it anew; others read these shapes",
        path.display()
    );
}

#[test]
fn what_is_shown_of_the_demo_has_its_golden_shapes() {
    let (view, fleet, effective) = view();
    let orders = Listing {
        now_ms: view.wall.unix_ms(NOW),
        standing: Standing(Vec::new()),
        quarantined: Vec::new(),
        durable: false,
    };
    let beside = Beside {
        fleet: &fleet,
        orders: &orders,
        drills: 0,
        stats: &Stats::default(),
    };
    let probes = ProbeStats::default();
    same("status", &Status::of(&view, beside, NOW));
    same("generation", &InForce::of(&view, fleet.config.clone()));
    same("names", &Names::of(&view, (None, None), None, 2));
    same("name", &NameDetail::of(&view, NameId(3), NOW));
    same("pools", &Pools::of(&view, (None, None), None, 2, NOW));
    same("pool", &PoolDetail::of(&view, PoolId(2), NOW));
    let filter = Filter {
        limit: 2,
        ..Filter::default()
    };
    same("endpoints", &Endpoints::of(&view, &filter, NOW));
    same(
        "endpoint",
        &EndpointDetail::of(&view, EndpointId(5), &probes, NOW),
    );
    same("regions", &Regions::of(&view, NOW));
    same("monitors", &Monitors::of(&view, NOW));
    let filter = matrix::Filter {
        limit: 3,
        ..matrix::Filter::default()
    };
    same("votes", &Matrix::of(&view, &filter, NOW));
    let page = effective.page("pools.eu", 0, 9).unwrap();
    same("config", &Config::of(fleet.config.clone(), page));
    same("nodes", &Nodes::of(&view, fleet, NOW));
}

#[test]
fn pages_of_any_size_make_the_whole() {
    let (view, ..) = view();
    for limit in [1, 2, 4, 5, 6, 100] {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = Names::of(&view, (None, None), after.as_ref(), limit);
            assert_eq!((page.total, page.matching), (4, 4));
            names.extend(page.names.into_iter().map(|n| n.name));
            match page.next {
                Some(next) => after = Some(next.parse().unwrap()),
                None => break,
            }
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!((names.len(), count), (4, 4), "{limit} a page: {names:?}");
        let (mut endpoints, mut after) = (Vec::new(), None);
        loop {
            let page = Endpoints::of(
                &view,
                &Filter {
                    after: after.as_deref(),
                    limit,
                    ..Filter::default()
                },
                NOW,
            );
            assert_eq!((page.total, page.matching), (6, 6));
            endpoints.extend(page.endpoints.into_iter().map(|e| e.name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(endpoints, ["ap-1", "ap-2", "eu-1", "eu-2", "us-1", "us-2"]);
    }
}

#[test]
fn filters_let_through_what_they_say() {
    let (view, ..) = view();
    let names = |q, standing| Names::of(&view, (q, standing), None, 10).matching;
    assert_eq!(names(Some("s"), None), 4);
    assert_eq!(names(Some("sticky"), None), 1);
    assert_eq!(names(None, Some("normal")), 4);
    assert_eq!(names(None, Some("last-resort")), 0);
    let shown = |pool, region, state| {
        let filter = Filter {
            pool,
            region,
            state,
            limit: 10,
            ..Filter::default()
        };
        Endpoints::of(&view, &filter, NOW).matching
    };
    use super::condition::Condition;
    assert_eq!(shown(Some("us"), None, None), 2);
    assert_eq!(shown(None, Some("ap"), None), 2);
    assert_eq!(shown(None, None, Some(Condition::Down)), 1);
    assert_eq!(shown(None, None, Some(Condition::Drained)), 2);
    assert_eq!(shown(Some("us"), Some("ap"), None), 0);
    assert_eq!(shown(Some("nothing"), None, None), 0);
}
