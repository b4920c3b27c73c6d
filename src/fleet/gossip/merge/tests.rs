//! What is believed of what gossip holds.

use super::*;

#[derive(Default, Clone)]
struct Keys {
    heartbeat: u64,
    version: u64,
    collected: u64,
    keys: BTreeMap<String, (String, u64)>,
}

impl Keys {
    fn set(&mut self, key: &str, value: &str) -> &mut Keys {
        self.version += 1;
        self.keys
            .insert(key.to_owned(), (value.to_owned(), self.version));
        self
    }

    fn beat(&mut self) -> &mut Keys {
        self.heartbeat += 1;
        self
    }
}

impl Space for Keys {
    fn heartbeat(&self) -> u64 {
        self.heartbeat
    }
    fn version(&self) -> u64 {
        self.version
    }
    fn collected(&self) -> u64 {
        self.collected
    }
    fn get(&self, key: &str) -> Option<&str> {
        Some(&self.keys.get(key)?.0)
    }
    fn after(&self, version: u64, take: &mut dyn FnMut(&str, &str, u64)) {
        for (key, (value, at)) in &self.keys {
            if *at > version {
                take(key, value, *at);
            }
        }
    }
}

const SILENCE: Duration = Duration::from_secs(3);

struct World {
    merge: Merge,
    counters: Arc<GossipCounters>,
    now: Moment,
}

fn life(generation: u64, host: u8) -> LifeId {
    LifeId {
        generation,
        address: SocketAddr::from(([10, 0, 0, host], 1)),
    }
}

fn probes() -> RolesOf {
    Arc::new(|name| {
        (name != "stranger").then_some(Roles {
            probe: true,
            ..Roles::default()
        })
    })
}

impl World {
    fn new() -> World {
        let counters: Arc<GossipCounters> = Arc::default();
        World {
            merge: Merge::new(
                "own".into(),
                life(5, 9),
                SILENCE,
                probes(),
                counters.clone(),
            ),
            counters,
            now: Moment::ZERO + Duration::from_secs(100),
        }
    }

    /// A pass over these lives, a second later.
    fn pass(&mut self, lives: &[(&str, LifeId, &Keys)]) -> Heard {
        self.now = self.now + Duration::from_secs(1);
        let mut heard = Heard::default();
        self.merge.begin();
        for (name, life, keys) in lives {
            self.merge
                .hear(name, *life, true, *keys, self.now, &mut heard);
        }
        self.merge.end();
        heard
    }

    fn value(&self, name: &str, key: &str) -> Option<String> {
        let view = self.merge.view();
        Some(view.owners.get(name)?.keys.get(key)?.to_string())
    }
}

#[test]
fn a_key_that_is_missing_is_no_state() {
    let mut world = World::new();
    let mut a = Keys::default();
    a.set("v/1", "up").set("v/2", "up");
    assert_eq!(world.pass(&[("a", life(1, 1), &a)]).changes.len(), 2);
    // Gossip starts over and has only a part: lower version, then others.
    let mut part = Keys {
        collected: 50,
        ..Keys::default()
    };
    assert!(world.pass(&[("a", life(1, 1), &part)]).changes.is_empty());
    part.set("v/2", "up").set("v/3", "up");
    part.version = 60;
    let heard = world.pass(&[("a", life(1, 1), &part)]);
    assert_eq!(heard.changes.len(), 1);
    assert_eq!(heard.changes[0].key.as_str(), "v/3");
    assert_eq!(world.value("a", "v/1").as_deref(), Some("up"));
    // It forgets the node altogether.
    assert!(world.pass(&[]).changes.is_empty());
    assert_eq!(world.value("a", "v/3").as_deref(), Some("up"));
    assert!(!world.merge.members()[0].alive);
    // Said explicitly it is gone.
    part.set("v/1", "");
    let heard = world.pass(&[("a", life(1, 1), &part)]);
    assert_eq!(heard.changes.len(), 1);
    assert_eq!(world.value("a", "v/1"), None);
}

#[test]
fn a_new_life_takes_over_when_it_is_complete_and_the_old_one_is_still() {
    let mut world = World::new();
    let (mut old, mut new) = (Keys::default(), Keys::default());
    old.set("v/1", "up")
        .set("v/2", "up")
        .set(COMPLETE, "1")
        .beat();
    new.set("v/1", "down").beat();
    world.pass(&[("a", life(1, 1), &old)]);
    for _ in 0..20 {
        new.beat();
        let heard = world.pass(&[("a", life(1, 1), &old), ("a", life(2, 1), &new)]);
        assert!(heard.changes.is_empty() && heard.remarks.is_empty());
    }
    new.set(COMPLETE, "1");
    let heard = world.pass(&[("a", life(1, 1), &old), ("a", life(2, 1), &new)]);
    let mut told: Vec<_> = heard
        .changes
        .iter()
        .map(|c| (c.key.as_str(), &*c.value, c.generation))
        .collect();
    told.sort_unstable();
    assert_eq!(told, [("v/1", "down", 2), ("v/2", "", 2)]);
    assert_eq!(world.merge.view().owners["a"].generation, 2);
    // What the old one is still said to have said no longer counts.
    old.set("v/1", "up");
    let heard = world.pass(&[("a", life(1, 1), &old), ("a", life(2, 1), &new)]);
    assert!(heard.changes.is_empty());
}

#[test]
fn a_life_that_leaves_makes_room_at_once() {
    let mut world = World::new();
    let (mut old, mut new) = (Keys::default(), Keys::default());
    old.set("v/1", "up").set(COMPLETE, "1").beat();
    new.set("v/1", "down").set(COMPLETE, "1").beat();
    world.pass(&[("a", life(1, 1), &old)]);
    old.beat();
    world.pass(&[("a", life(1, 1), &old), ("a", life(2, 1), &new)]);
    assert_eq!(world.value("a", "v/1").as_deref(), Some("up"));
    old.set(STATE, LEAVING).beat();
    world.pass(&[("a", life(1, 1), &old), ("a", life(2, 1), &new)]);
    assert_eq!(world.value("a", "v/1").as_deref(), Some("down"));
}

#[test]
fn of_two_living_ones_the_first_is_believed() {
    let mut world = World::new();
    let (mut first, mut second) = (Keys::default(), Keys::default());
    first.set("v/1", "up").set(COMPLETE, "1").beat();
    second.set("v/1", "down").set(COMPLETE, "1").beat();
    world.pass(&[("a", life(5, 1), &first)]);
    for generation in [9, 2] {
        let mut remarks = Vec::new();
        for _ in 0..30 {
            first.beat();
            second.beat();
            let lives = [
                ("a", life(5, 1), &first),
                ("a", life(generation, 2), &second),
            ];
            remarks.extend(world.pass(&lives).remarks);
            assert_eq!(world.value("a", "v/1").as_deref(), Some("up"));
        }
        let expected = Remark::Duplicate(Duplicate {
            node: "a".into(),
            believed: life(5, 1),
            other: life(generation, 2),
        });
        assert!(remarks.len() > 20, "{remarks:?}");
        assert!(remarks.iter().all(|r| *r == expected));
    }
    // The first one stops, the second goes on: now it is believed.
    for _ in 0..4 {
        second.beat();
        world.pass(&[("a", life(5, 1), &first), ("a", life(9, 2), &second)]);
    }
    assert_eq!(world.value("a", "v/1").as_deref(), Some("down"));
}

#[test]
fn what_is_not_accepted_never_reaches_readers_and_is_counted_once() {
    let mut world = World::new();
    let mut a = Keys::default();
    a.set("ov/1", "disable")
        .set("v/ä", "up")
        .set("v/big", &"x".repeat(MAX_VALUE + 1))
        .set("nobody", "1")
        .set("v/1", "up");
    let stranger = a.clone();
    let lives = [("a", life(1, 1), &a), ("stranger", life(1, 2), &stranger)];
    let heard = world.pass(&lives);
    assert_eq!(heard.changes.len(), 1);
    assert_eq!(heard.remarks.len(), 5);
    for _ in 0..5 {
        let heard = world.pass(&lives);
        assert!(heard.changes.is_empty() && heard.remarks.is_empty());
    }
    assert_eq!(world.counters.get(GossipEvent::Forbidden), 2);
    assert_eq!(world.counters.get(GossipEvent::BadValue), 2);
    assert_eq!(world.counters.get(GossipEvent::Stranger), 1);
    assert!(!world.merge.view().owners.contains_key("stranger"));
}

#[test]
fn a_changed_configuration_is_followed_both_ways() {
    let roles = Arc::new(std::sync::Mutex::new(Some(Roles::default())));
    let asked = roles.clone();
    let mut world = World::new();
    world.merge.roles_of = Arc::new(move |_| *asked.lock().unwrap());
    let mut a = Keys::default();
    a.set("v/1", "up").set("m/v", "1");
    assert_eq!(world.pass(&[("a", life(1, 1), &a)]).changes.len(), 1);
    let mut recheck = |now: Option<Roles>| {
        *roles.lock().unwrap() = now;
        let mut heard = Heard::default();
        world.merge.recheck(world.now, &mut heard);
        let read = world.pass(&[("a", life(1, 1), &a)]);
        heard.changes.extend(read.changes);
        let told = heard.changes.iter();
        told.map(|c| (c.key.as_str().to_owned(), c.value.to_string()))
            .collect::<Vec<_>>()
    };
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    let probe = Roles {
        probe: true,
        ..Roles::default()
    };
    assert_eq!(recheck(Some(probe)), [pair("v/1", "up")]);
    assert_eq!(recheck(Some(Roles::default())), [pair("v/1", "")]);
    assert_eq!(recheck(None), [pair("m/v", "")]);
    assert_eq!(world.counters.get(GossipEvent::Forbidden), 1);
    assert!(!world.merge.view().owners.contains_key("a"));
}

#[test]
fn a_dead_life_of_this_node_with_a_higher_generation_is_passed() {
    let mut world = World::new();
    let mut ahead = Keys::default();
    for _ in 0..30 {
        // As long as it lives it is another node, and not passed.
        ahead.beat();
        world.pass(&[("own", life(900, 3), &ahead)]);
        assert_eq!(world.merge.overtaken(world.now), None);
    }
    for _ in 0..11 {
        world.pass(&[("own", life(900, 3), &ahead), ("own", life(3, 9), &ahead)]);
    }
    assert_eq!(world.merge.overtaken(world.now), Some(901));
    world.merge.reborn(life(901, 9));
    assert_eq!(world.merge.overtaken(world.now), None);
}

/// Whoever could be believed under the highest of all numbers would keep the node out for good.
#[test]
fn a_life_that_no_clock_can_have_is_not_believed_and_counted_once() {
    let mut world = World::new();
    let mut forged = Keys::default();
    for _ in 0..30 {
        forged.beat();
        world.pass(&[("own", life(u64::MAX, 3), &forged)]);
    }
    for _ in 0..11 {
        world.pass(&[("own", life(u64::MAX, 3), &forged)]);
    }
    assert_eq!(world.merge.overtaken(world.now), None);
    assert_eq!(world.counters.get(GossipEvent::BadValue), 1);
}
