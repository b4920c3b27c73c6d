//! What explain says, word for word, for the demo's configuration in several situations.
//!
//! `UPDATE_GOLDEN=1` rewrites the files.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tradewind::app::load::{Wanted, load_all};
use tradewind::engine::{ExplainClient, explain};
use tradewind::health::{Board, Cause, Override, OverrideKind, Overrides, Scope, State, Verdict};
use tradewind::ids::EndpointId;
use tradewind::net::Prefix;
use tradewind::snapshot::{Parts, Snapshot, View};
use tradewind::steer::Draw;
use tradewind::time::Moment;
use tradewind::units::Generation;

use crate::support::demo::package;

const NOW: Moment = Moment(1_000_000_000_000);

fn snapshot() -> Arc<Snapshot> {
    let wanted = Wanted {
        config: package().join("config/demo"),
        node: Some("demo".to_owned()),
        ..Wanted::default()
    };
    load_all(&wanted)
        .unwrap_or_else(|r| panic!("{r}"))
        .compiled
        .snapshot
}

/// A view in which the endpoints whose name starts with one of `dead` are down.
fn view(snapshot: &Arc<Snapshot>, dead: &[&str], overrides: Overrides) -> View {
    let verdicts = snapshot.steering.endpoints.iter().map(|e| {
        let down = dead.iter().any(|d| e.name.starts_with(d));
        let error: Arc<str> = "connect failed: Connection refused (os error 111)".into();
        Verdict {
            state: if down { State::Down } else { State::Up },
            cause: if down {
                Cause::Failing(error.clone())
            } else {
                Cause::Passing
            },
            since: Moment(900_000_000_000),
            steady_for: Some(Duration::from_secs(7)),
            last_probe: Some(Moment(999_000_000_000)),
            last_error: down.then_some(error),
            ..Verdict::unmonitored()
        }
    });
    View::new(
        Generation(7),
        NOW,
        Parts {
            overrides: Arc::new(overrides),
            ..Parts::new(snapshot.clone(), Arc::new(Board::new(verdicts.collect())))
        },
    )
}

fn told(view: &View, name: &str, client: &str) -> String {
    let prefix: Prefix = client.parse().unwrap();
    let client_of = ExplainClient {
        addr: prefix.addr(),
        source: Some(prefix.len()),
        resolver: Some("127.0.0.1".parse().unwrap()),
    };
    let draw = Draw {
        random: 0x0123_4567_89ab_cdef,
        turn: 3,
    };
    let e = explain(view, &name.parse().unwrap(), 1, client_of, draw, NOW).unwrap();
    e.lines().join("\n")
}

#[test]
fn explain_is_told_word_for_word() {
    let snapshot = snapshot();
    let eu1 = snapshot
        .steering
        .endpoints
        .iter()
        .position(|e| &*e.name == "eu-1")
        .unwrap();
    let drained = Overrides(vec![Override {
        scope: Scope::Endpoint(EndpointId::from_index(eu1)),
        kind: OverrideKind::Drain,
        owner: "ann".into(),
        reason: "disk swap".into(),
        expires: Some(NOW + Duration::from_secs(90)),
    }]);
    let situations: [(&str, &[&str], Overrides); 5] = [
        ("all-up", &[], Overrides::default()),
        ("eu-1-down", &["eu-1"], Overrides::default()),
        ("eu-down", &["eu-"], Overrides::default()),
        ("all-down", &["eu-", "us-", "ap-"], Overrides::default()),
        ("eu-1-drained", &[], drained),
    ];
    let mut stale = Vec::new();
    for (situation, dead, overrides) in situations {
        let view = view(&snapshot, dead, overrides);
        let mut text = String::new();
        for name in ["www", "split", "sticky", "primary", "shop"] {
            for client in [
                "192.0.2.0/24",
                "2001:db8:3::/48",
                "10.0.0.0/8",
                "8.8.8.0/24",
            ] {
                let lines = told(&view, &format!("{name}.gslb.example"), client);
                writeln!(text, "# {name} for {client}\n{lines}\n").unwrap();
            }
        }
        let path = package().join(format!("tests/golden/explain/{situation}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(format!("{}:\n{text}", path.display()));
        }
    }
    assert!(
        stale.is_empty(),
        "not as in the golden files:\n{}",
        stale.join("\n")
    );
}

/// The explanation in the README is one that the program gives.
#[test]
fn readme_shows_a_real_explanation() {
    let view = view(&snapshot(), &[], Overrides::default());
    let lines = told(&view, "www.gslb.example", "198.51.100.0/24");
    let readme = std::fs::read_to_string(package().join("README.md")).unwrap();
    assert!(
        readme.contains(&lines),
        "the README's explanation should be:\n{lines}"
    );
}
