//! Whole lives of keys, written out.

use super::world::{Op, World};
use crate::dnssec::rollover::{Terms, forecast};
use crate::dnssec::{Layout, Policy, Role};
use std::time::Duration;

const HOUR: u64 = 3_600;
const DAY: u64 = 86_400;

/// What happened, each with the hours since the start.
fn told(world: &World) -> String {
    let mut keys: Vec<u16> = Vec::new();
    let mut text = String::new();
    for (at, event) in &world.told {
        let tag = event.tag.unwrap();
        let number = keys.iter().position(|k| *k == tag).unwrap_or_else(|| {
            keys.push(tag);
            keys.len() - 1
        });
        let line = event
            .to_string()
            .replace(&tag.to_string(), &format!("#{}", number + 1));
        let hours = (at - 1_000_000) as f64 / 3_600.0;
        text.push_str(&format!("{hours:8.2} h  {line}\n"));
    }
    text
}

fn golden(name: &str, found: &str) {
    let path = format!(
        "{}/tests/golden/rollover/{name}.txt",
        env!("CARGO_MANIFEST_DIR")
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(std::path::Path::new(&path).parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        want == found,
        "{path} is stale; run with UPDATE_GOLDEN=1:\n{found}"
    );
}

fn ksk_zsk() -> Policy {
    Policy {
        layout: Layout::KskZsk,
        zsk_lifetime: Some(Duration::from_secs(90 * DAY)),
        ..Policy::default()
    }
}

#[test]
fn the_default_policy_with_a_roll_of_its_key() {
    let mut world = World::with(Policy::default(), HOUR);
    world.settle();
    world.pass(DAY);
    world.apply(&Op::Roll(Role::Csk));
    world.settle();
    world.assert_settled();
    golden("csk", &told(&world));
}

#[test]
fn a_ksk_and_zsks_over_half_a_year() {
    let mut world = World::with(ksk_zsk(), HOUR);
    world.pass(3 * HOUR);
    world.apply(&Op::ParentSwaps);
    world.pass(100 * DAY);
    world.apply(&Op::Roll(Role::Ksk));
    world.pass(2 * HOUR);
    world.apply(&Op::ParentSwaps);
    world.pass(81 * DAY);
    golden("ksk-zsk", &told(&world));
}

#[test]
fn rfc6781_section_4_1_4_algorithm_roll_is_conservative() {
    let mut world = World::with(Policy::default(), HOUR);
    world.settle();
    world.apply(&Op::Algorithm(crate::dnssec::Algorithm::Ed25519));
    world.settle();
    world.assert_settled();
    golden("algorithm", &told(&world));
}

#[test]
fn rfc8078_section_4_back_to_unsigned() {
    let mut world = World::with(Policy::default(), HOUR);
    world.settle();
    world.apply(&Op::Layout(Layout::Insecure));
    world.settle();
    assert_eq!(world.state.live().count(), 0);
    golden("insecure", &told(&world));
}

#[test]
fn a_parent_that_never_acts_stops_a_ksk_roll_and_nothing_else() {
    let mut world = World::with(ksk_zsk(), HOUR);
    world.settle_for(DAY * 3);
    world.apply(&Op::Roll(Role::Ksk));
    world.pass(400 * DAY);
    let of = |role| world.state.keys.iter().filter(|k| k.role == role).count();
    assert_eq!(of(Role::Ksk), 2);
    assert_eq!(of(Role::Zsk), 5, "{:#?}", world.state);
}

#[test]
fn a_second_order_waits_for_the_first_to_end() {
    let mut world = World::with(Policy::default(), HOUR);
    world.settle();
    world.apply(&Op::Roll(Role::Csk));
    let before = world.state.clone();
    let e = crate::dnssec::rollover::order_roll(&mut world.state, Role::Csk, world.now);
    assert!(e.unwrap_err().0.contains("a roll-over is under way: CSK"));
    let e = crate::dnssec::rollover::order_roll(&mut world.state, Role::Ksk, world.now);
    assert!(e.unwrap_err().0.contains("no KSK to roll; it has: csk"));
    assert_eq!(world.state, before);
}

#[test]
fn the_forecast_is_what_happens() {
    let mut world = World::with(ksk_zsk(), HOUR);
    world.settle_for(DAY * 3);
    let terms = Terms {
        policy: &world.policy,
        zone_ttl: HOUR,
        imported: &[],
    };
    let end = world.now + 200 * DAY;
    let said = forecast(&world.state, &terms, world.now, end, 1000);
    let from = world.told.len();
    world.pass(200 * DAY);
    let done: Vec<_> = world.told[from..]
        .iter()
        .map(|(at, e)| (*at, e.role, e.change))
        .collect();
    let said: Vec<_> = said
        .events
        .iter()
        .map(|u| (u.at, u.event.role, u.event.change))
        .collect();
    assert!(said.len() > 10);
    assert_eq!(said, done);
}
