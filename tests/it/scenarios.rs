//! Scenarios: several nodes in one process on virtual time, each with its own judge, council and view,
//! as files that hold times, observations, questions and expectations together.
//!
//! A scenario is a TOML file in `tests/scenarios`: `about` says what it shows, `config` names the
//! configuration in `tests/scenarios/config`, `extra` is appended to it, `script` has one line for each
//! thing that happens: a time from the start, and one of
//!
//! ```text
//! ENDPOINT… passes | fails | loses 30% | takes 400ms     what probes find there (`*`: everywhere)
//! cut NODE from NODE | ENDPOINT… | * | references        in both directions; `*` is all of them
//! heal NODE                                              all cuts of a node
//! stop NODE | start NODE [warm]                          warm: with what it remembered
//! clock NODE +1h | -1h                                   its calendar jumps
//! release ENDPOINT                                       an operator ends a failback
//! expect NODE: ENDPOINT up|down|unknown [WORD…]          held suspect hold manual flapping stale fresh 25%
//! ask NODE NAME: ENDPOINT… | SERVFAIL                    exactly these come in 200 answers
//! changes NODE ENDPOINT <= 4                             how often its state changed so far
//! ```
//!
//! where NODE may be `all`: every node that runs.

mod script;
mod world;

use std::path::PathBuf;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    about: String,
    config: String,
    #[serde(default)]
    extra: String,
    script: String,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios"))
}

fn play(file: &str) {
    let path = folder().join(file).with_extension("toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let scenario: Scenario =
        toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(!scenario.about.is_empty());
    let config = folder()
        .join("config")
        .join(&scenario.config)
        .with_extension("toml");
    let config = std::fs::read_to_string(config).unwrap() + "\n" + &scenario.extra;
    let mut world = world::World::new(&config);
    if let Err(wrong) = script::run(&mut world, &scenario.script) {
        panic!("{file}: {}\n{wrong}", scenario.about);
    }
}

macro_rules! scenarios {
    ($($name:ident)*) => {
        $(#[test] fn $name() { play(&stringify!($name).replace('_', "-")); })*

        #[test]
        fn every_file_is_played() {
            let played = [$(stringify!($name).replace('_', "-")),*];
            for entry in std::fs::read_dir(folder()).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                assert!(path.is_dir() || played.contains(&name), "{name} is not played");
            }
        }
    };
}

scenarios! {
    isolated_prober
    one_that_lies
    flapping
    split_brain
    clock_jump
    all_vantages_lost
    partition_heals
    slow_but_alive
    whole_region_loss
    mass_failure
    suspect_monitor
    restart_warm
    failback_hold
    failback_manual
    failback_ramp
}
