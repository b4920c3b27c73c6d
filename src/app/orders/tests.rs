//! Several nodes in one process: orders, cuts, deaths, restarts, wrong clocks.

mod world;

use std::time::Duration;

use self::world::{Fleet, world};
use super::*;
use crate::admin::desk::{Asked, Ends, Wish};
use crate::health::{OverrideKind, Scope};
use crate::ids::RegionId;
use crate::overrides::{Kind, Mark, ScopeKind};

const HOUR: Duration = Duration::from_secs(3600);

fn wanted(what: Asked, region: &str) -> WantedOrder {
    WantedOrder {
        wishes: vec![Wish {
            scope: ScopeKind::Region,
            name: region.to_owned(),
            what,
        }],
        owner: "alice".to_owned(),
        reason: "kernel update".to_owned(),
        ends: None,
        demand: None,
        break_glass: None,
        mark: None,
    }
}

fn drain(region: &str) -> WantedOrder {
    wanted(Asked::Set(Kind::Drain), region)
}

fn disable(region: &str) -> WantedOrder {
    wanted(Asked::Set(Kind::Disable), region)
}

const EU: Scope = Scope::Region(RegionId(0));
const US: Scope = Scope::Region(RegionId(1));

#[tokio::test]
async fn an_order_is_acknowledged_when_every_node_has_it() {
    let fleet = Fleet::start(&["a", "b", "c"]);
    let taken = fleet.desk("a").give(drain("eu")).await.unwrap();
    assert_eq!((taken.applied, taken.of), (3, 3), "{taken:?}");
    assert_eq!(taken.said, ["drain of region eu"]);
    // No waiting: the answer says that it is so.
    for node in ["a", "b", "c"] {
        assert_eq!(fleet.in_force(node), [(EU, OverrideKind::Drain)]);
    }
    let cleared = fleet
        .desk("b")
        .give(wanted(Asked::Clear(None), "eu"))
        .await
        .unwrap();
    assert_eq!(cleared.applied, 3);
    for node in ["a", "b", "c"] {
        assert_eq!(fleet.in_force(node), []);
        let events: Vec<String> = fleet
            .desk(node)
            .audit_where(9, |_| true)
            .into_iter()
            .map(|l| l.event)
            .collect();
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!(events[0], "replaced");
    }
}

#[tokio::test]
async fn a_cut_off_node_is_named_and_opposing_orders_settle_on_the_later() {
    let fleet = Fleet::start(&["a", "b", "c"]);
    fleet.cut(&["a"], &["b", "c"]);
    let taken = fleet.desk("a").give(drain("eu")).await.unwrap();
    assert_eq!((taken.applied, taken.of), (1, 3));
    let unreachable = |node: &str| (node.to_owned(), "unreachable".to_owned());
    assert_eq!(taken.missing, [unreachable("b"), unreachable("c")]);
    fleet.advance(Duration::from_secs(3)).await;
    let taken = fleet
        .desk("c")
        .give(wanted(Asked::Set(Kind::ForceUp), "eu"))
        .await
        .unwrap();
    assert_eq!(taken.applied, 2, "{taken:?}");
    assert_eq!(fleet.in_force("a"), [(EU, OverrideKind::Drain)]);
    assert_eq!(fleet.in_force("b"), [(EU, OverrideKind::ForceUp)]);
    fleet.heal();
    fleet
        .settle("all have the later order", |f| {
            ["a", "b", "c"]
                .iter()
                .all(|n| f.in_force(n) == [(EU, OverrideKind::ForceUp)])
        })
        .await;
    // The one that lost can be found.
    let audit = fleet.desk("b").audit_where(9, |_| true);
    assert!(
        audit
            .iter()
            .any(|l| l.event == "lost" && l.text.contains("drain of region eu")),
        "{audit:?}"
    );
}

#[tokio::test]
async fn an_author_killed_after_the_answer_loses_nothing_and_others_carry_its_orders() {
    let mut fleet = Fleet::start(&["a", "b", "c", "d", "e"]);
    fleet.desk("a").give(drain("eu")).await.unwrap();
    fleet.kill("a");
    for node in ["b", "c", "d", "e"] {
        assert_eq!(fleet.in_force(node), [(EU, OverrideKind::Drain)]);
    }
    assert_eq!(fleet.carriers().len(), 0);
    fleet.advance(Duration::from_secs(620)).await;
    let carriers = fleet.carriers();
    assert_eq!(carriers.len(), 3, "{carriers:?}");
    // One that never heard of it learns it from those, with the author's signature.
    fleet.forget_space("a");
    fleet.restart_empty("e");
    fleet
        .settle("the newcomer has it", |f| {
            f.in_force("e") == [(EU, OverrideKind::Drain)]
        })
        .await;
}

#[tokio::test]
async fn a_whole_fleet_that_restarts_goes_on_from_its_stores() {
    let mut fleet = Fleet::start(&["a", "b", "c"]);
    let mut order = drain("eu");
    order.ends = Some(Ends::After(HOUR));
    fleet.desk("a").give(order).await.unwrap();
    fleet
        .desk("b")
        .give(wanted(Asked::Set(Kind::ForceUp), "us"))
        .await
        .unwrap();
    let all = [(EU, OverrideKind::Drain), (US, OverrideKind::ForceUp)];
    for node in ["a", "b", "c"] {
        fleet.kill(node);
        fleet.forget_space(node);
    }
    for node in ["c", "b", "a"] {
        fleet.restart(node);
        // Before anything else has run: the first view has them.
        assert_eq!(fleet.in_force(node), all);
    }
    fleet.advance(HOUR).await;
    for node in ["a", "b", "c"] {
        assert_eq!(fleet.in_force(node), [(US, OverrideKind::ForceUp)]);
        assert!(
            fleet
                .desk(node)
                .audit_where(5, |_| true)
                .iter()
                .any(|l| l.event == "expired")
        );
    }
}

#[tokio::test]
async fn orders_of_a_node_whose_clock_is_an_hour_ahead_are_quarantined() {
    let fleet = Fleet::start(&["a", "b", "c"]);
    fleet.desk("a").give(drain("eu")).await.unwrap();
    fleet.set_calendar("c", HOUR);
    let taken = fleet.desk("c").give(disable("eu")).await.unwrap();
    assert_eq!(taken.applied, 1, "{taken:?}");
    assert!(
        taken.missing[0].1.contains("check both clocks"),
        "{taken:?}"
    );
    assert_eq!(fleet.in_force("c"), [(EU, OverrideKind::Disable)]);
    for node in ["a", "b"] {
        assert_eq!(fleet.in_force(node), [(EU, OverrideKind::Drain)]);
        let listing = fleet.desk(node).list();
        let ahead = listing.quarantined[0].ahead_ms;
        assert!((3_590_000..3_610_000).contains(&ahead), "{ahead}");
        assert_eq!(fleet.gauges(node).quarantined.load(Ordering::Relaxed), 1);
    }
    // An operator gives the order again where the clock is right: that confirms it, everywhere.
    fleet
        .desk("b")
        .give(wanted(Asked::Set(Kind::ForceUp), "eu"))
        .await
        .unwrap();
    for node in ["a", "b", "c"] {
        assert_eq!(
            fleet.in_force(node),
            [(EU, OverrideKind::ForceUp)],
            "{node}"
        );
    }
    fleet.advance(HOUR + HOUR).await;
    for node in ["a", "b", "c"] {
        assert_eq!(
            fleet.in_force(node),
            [(EU, OverrideKind::ForceUp)],
            "{node}"
        );
    }
}

#[tokio::test]
async fn a_quarantined_order_comes_into_force_when_its_time_does() {
    let fleet = Fleet::start(&["a", "b"]);
    fleet.set_calendar("b", HOUR);
    fleet.desk("b").give(drain("eu")).await.unwrap();
    assert_eq!(fleet.in_force("a"), []);
    fleet.advance(HOUR).await;
    assert_eq!(fleet.in_force("a"), [(EU, OverrideKind::Drain)]);
    assert!(fleet.desk("a").audit_where(1, |_| true)[0].event == "believed");
}

#[tokio::test]
async fn a_switchover_is_all_or_nothing_and_rules_are_named_with_both_numbers() {
    let fleet = Fleet::start(&["a", "b"]);
    let mut both = drain("eu");
    both.wishes.extend(drain("us").wishes);
    let Err(Refusal::Breaks(rules)) = fleet.desk("a").give(both.clone()).await else {
        panic!("draining both regions was taken");
    };
    assert_eq!(
        rules,
        [
            "at least one region must stay on: name www.gslb.test is served from 2 regions now, and \
          would be from 0"
        ]
    );
    assert_eq!(fleet.in_force("a"), []);
    assert_eq!(fleet.desk("a").audit_where(1, |_| true)[0].event, "refused");

    let mut much = drain("eu");
    much.demand = Some(60);
    let Err(Refusal::Breaks(rules)) = fleet.desk("a").give(much).await else {
        panic!("less than the demand was left");
    };
    assert!(
        rules[0].contains("25 % of the capacity") && rules[0].contains("60 % is demanded"),
        "{rules:?}"
    );

    let mut wrong = drain("eu");
    wrong.wishes.extend(drain("uss").wishes);
    let unknown = fleet.desk("a").give(wrong).await.unwrap_err();
    assert_eq!(
        unknown,
        Refusal::Unknown("the configuration has no region `uss`; did you mean `us`?".to_owned())
    );
    assert_eq!(fleet.in_force("a"), []);

    both.break_glass = Some("the sea has risen".to_owned());
    let taken = fleet.desk("a").give(both).await.unwrap();
    assert_eq!(taken.applied, 2);
    let all = [(EU, OverrideKind::Drain), (US, OverrideKind::Drain)];
    for node in ["a", "b"] {
        assert_eq!(fleet.in_force(node), all);
    }
    let line = &fleet.desk("b").audit_where(1, |_| true)[0];
    assert!(
        line.text.contains("the sea has risen") && line.text.contains("at least one region"),
        "{line:?}"
    );
}

#[tokio::test]
async fn an_order_ends_by_itself_and_a_set_calendar_is_followed() {
    let fleet = Fleet::start(&["a"]);
    let mut order = drain("eu");
    order.ends = Some(Ends::After(HOUR));
    let taken = fleet.desk("a").give(order).await.unwrap();
    assert!(taken.expires.is_some());
    fleet.advance(HOUR / 2).await;
    assert_eq!(fleet.in_force("a"), [(EU, OverrideKind::Drain)]);
    // The calendar is set forward by half an hour and more: the end is now.
    fleet.set_calendar("a", HOUR / 2 + Duration::from_secs(1));
    fleet.advance(Duration::from_secs(3)).await;
    assert_eq!(fleet.in_force("a"), []);
}

#[tokio::test]
async fn what_is_not_signed_by_its_author_is_refused_and_counted() {
    let fleet = Fleet::start(&["a", "b"]);
    fleet.desk("a").give(drain("eu")).await.unwrap();
    let good = fleet.told("a");
    fleet
        .desk("a")
        .give(wanted(Asked::Clear(None), "eu"))
        .await
        .unwrap();
    for (key, value) in good {
        for forged in [
            value.replace("drain", "disable").replace(".0.a", ".7.a"),
            value
                .replace("region eu", "region us")
                .replace(".0.a", ".8.a"),
            "tradewind-order 9\n".to_owned(),
            "no order at all".to_owned(),
        ] {
            let stamp = forged.lines().nth(1).and_then(|l| l.strip_prefix("stamp "));
            let key = stamp.map_or(key.clone(), |s| format!("ov/{s}"));
            fleet.whisper("a", &key, &forged);
        }
    }
    fleet
        .settle("all four are refused", |f| {
            f.gauges("b").refused.load(Ordering::Relaxed) == 4
        })
        .await;
    assert_eq!(fleet.in_force("b"), []);
}

#[tokio::test]
async fn an_order_about_nothing_here_is_kept_until_a_reload_brings_it() {
    let fleet = Fleet::start(&["a", "b"]);
    let snapshot = world(&["us"]);
    fleet.adopt("b", snapshot).await;
    fleet.desk("a").give(drain("eu")).await.unwrap();
    assert_eq!(fleet.in_force("b"), []);
    assert_eq!(fleet.desk("b").list().standing.0.len(), 1);
    fleet.adopt("b", world(&["eu", "us"])).await;
    assert_eq!(fleet.in_force("b"), [(EU, OverrideKind::Drain)]);
}

#[tokio::test]
async fn a_failback_reaches_every_node_steers_nothing_and_ends_after_an_hour() {
    let fleet = Fleet::start(&["a", "b"]);
    let failback = || wanted(Asked::Set(Kind::Failback), "eu");
    fleet.desk("a").give(drain("us")).await.unwrap();
    let taken = fleet.desk("a").give(failback()).await.unwrap();
    assert_eq!((taken.applied, taken.of), (2, 2), "{taken:?}");
    assert_eq!(taken.said, ["failback of region eu"]);
    assert!(taken.warnings[0].starts_with("nothing of region eu waits"));
    for node in ["a", "b"] {
        let kinds: Vec<Kind> = fleet
            .desk(node)
            .list()
            .standing
            .0
            .iter()
            .map(|o| o.kind)
            .collect();
        assert_eq!(kinds, [Kind::Drain, Kind::Failback], "{node}");
        assert_eq!(fleet.in_force(node), [(US, OverrideKind::Drain)], "{node}");
    }
    fleet.advance(HOUR).await;
    assert_eq!(fleet.desk("b").list().standing.0.len(), 1);
    // With an end it stands that long, and only then beside other orders.
    let mut mixed = failback();
    mixed.wishes.extend(disable("us").wishes);
    let Err(Refusal::Invalid { detail, .. }) = fleet.desk("a").give(mixed.clone()).await else {
        panic!("a failback for ever was taken");
    };
    assert!(detail.contains("give an end for all"), "{detail}");
    mixed.ends = Some(Ends::After(HOUR * 3));
    assert_eq!(fleet.desk("a").give(mixed).await.unwrap().applied, 2);
    fleet.advance(HOUR * 2).await;
    assert_eq!(fleet.desk("b").list().standing.0.len(), 2);
}

#[tokio::test]
async fn s1_the_request_that_made_an_order_is_known_where_the_order_is() {
    let mut fleet = Fleet::start(&["a", "b", "c"]);
    fleet.cut(&["c"], &["a", "b"]);
    let mark = Mark {
        key: [7; 16],
        body: [1; 8],
    };
    let marked = WantedOrder {
        mark: Some(mark),
        ..drain("eu")
    };
    fleet.desk("a").give(marked).await.unwrap();
    const DAY: Duration = Duration::from_secs(86_400);
    let made = |fleet: &Fleet, node: &str, within| fleet.desk(node).made_with(&mark.key, within);
    for node in ["a", "b"] {
        let made = made(&fleet, node, DAY).unwrap();
        assert_eq!((made.mark, &*made.node), (mark, "a"), "at {node}");
        assert_eq!(fleet.desk(node).made_with(&[8; 16], DAY), None);
    }
    // Beyond the cut nobody can know it; after it everybody does.
    assert_eq!(made(&fleet, "c", DAY), None);
    fleet.heal();
    fleet
        .settle("c has it", |fleet| made(fleet, "c", DAY).is_some())
        .await;
    // It outlives the process, and is forgotten when its time is over.
    for node in ["a", "b"] {
        fleet.kill(node);
        fleet.restart(node);
        assert!(made(&fleet, node, DAY).is_some(), "at {node}");
    }
    fleet.advance(HOUR).await;
    assert!(made(&fleet, "b", HOUR).is_none());
    assert!(made(&fleet, "b", 2 * HOUR).unwrap().ago >= HOUR);
    // Orders without a key are nobody's.
    fleet.desk("a").give(drain("eu")).await.unwrap();
    assert_eq!(fleet.desk("a").made_with(&[0; 16], DAY), None);
}
