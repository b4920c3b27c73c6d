//! What this node saw of the answers to the names of a drill, out of the samples of queries that every
//! node takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Drills;
use super::drive::Grounds;
use super::files::File;
use super::world::Ground;
use crate::app::flows::recent::Heard;
use crate::drill::State;
use crate::drill::answers::{Answer, Answers, Tally, When};
use crate::net::{Family, Prefix};
use crate::overrides::Reach;
use crate::snapshot::View;

/// So long before a drill is compared with.
const BEFORE: Duration = Duration::from_secs(30);

/// How far the samples were read for each drill.
#[derive(Debug, Default)]
pub(super) struct Cursors(HashMap<Arc<str>, u64>);

impl Drills {
    /// Counts the answers of each drill under way that were given since the last time.
    pub(super) fn count_answers(&self, cursors: &mut Cursors, grounds: &mut Grounds) {
        let Some(flows) = &self.tools.flows else {
            return;
        };
        let now_ms = self.now_ms();
        let files: Vec<File> = self.known().files.0.values().cloned().collect();
        cursors
            .0
            .retain(|id, _| files.iter().any(|f| f.charter.drill.id == *id));
        for file in files {
            let id = &file.charter.drill.id;
            let state = file.course().state(now_ms, file.charter.ends_ms);
            let Some(begun) = file.course().begun_ms() else {
                continue;
            };
            if matches!(state, State::Reported(_)) || file.charter.drill.reach == Reach::Label {
                continue;
            }
            let view = self.tools.publisher.latest();
            let from = cursors.0.get(id).copied().unwrap_or(0);
            let (heard, next) = flows.heard_since(&view.snapshot, from);
            cursors.0.insert(id.clone(), next);
            let Some(ground) = grounds.of(&file.charter, &view) else {
                continue;
            };
            let course = file.course();
            let ended = state
                .end()
                .map(|_| course.ended_ms().unwrap_or(file.charter.ends_ms));
            let reach = file.charter.drill.reach;
            let mut found = Tally::default();
            for h in heard.iter().filter(|h| concerns(h, reach, ground)) {
                let at_ms = self.tools.clock.wall().unix_ms(h.at);
                if let Some(when) = when(at_ms, begun, ended) {
                    add(&mut found, h, when, ground, &view);
                }
            }
            if found != Tally::default() {
                self.say(id, |word| word.answers.get_or_insert_default().plus(&found));
            }
        }
    }
}

/// Whether an answer is to a name of the drill, for a client that it concerns.
fn concerns(heard: &Heard, reach: Reach, ground: &Ground) -> bool {
    let meant = match reach {
        Reach::Everybody => true,
        // Who sends a wider network than the canary is answered as before.
        Reach::Canary(canary) => {
            canary.contains(heard.client.addr()) && heard.client.len() >= canary.len()
        }
        Reach::Label => false,
    };
    meant && ground.names.contains(&heard.name)
}

/// When an answer was given, seen from the drill; `None`: long before it.
fn when(at_ms: u64, begun: u64, ended: Option<u64>) -> Option<(When, u64)> {
    let since = |from: u64| (at_ms - from) / 1000;
    match ended {
        Some(end) if at_ms >= end => Some((When::After, since(end))),
        _ if at_ms >= begun => Some((When::During, since(begun))),
        _ => {
            let early = Duration::from_millis(begun - at_ms);
            (early <= BEFORE).then_some((When::Before, 0))
        }
    }
}

fn add(found: &mut Tally, heard: &Heard, when: (When, u64), ground: &Ground, view: &View) {
    let steering = &view.snapshot.steering;
    let to: Vec<(&str, bool)> = heard
        .endpoints
        .iter()
        .map(|e| {
            let pool = steering.endpoints[e.index()].pool;
            let region = steering.pools[pool.index()].region;
            let name = &*steering.regions[region.index()].name;
            (name, ground.covered.contains(e))
        })
        .collect();
    found.add(&Answer {
        when,
        weight: heard.weight,
        to: &to,
    });
}

/// What all nodes together saw.
pub(super) fn together(file: &File) -> Answers {
    match file.charter.drill.reach {
        Reach::Label => return Answers::Label,
        Reach::Canary(canary) if canary.len() > finest(canary) => return Answers::TooFine,
        Reach::Canary(_) | Reach::Everybody => {}
    }
    let (mut nodes, mut tally) = (Vec::new(), Tally::default());
    for (node, word) in &file.words {
        if let Some(seen) = &word.answers {
            nodes.push(node.to_string());
            tally.plus(seen);
        }
    }
    match nodes.is_empty() {
        true => Answers::NotAsked,
        false => Answers::Seen { nodes, tally },
    }
}

/// The longest client network that samples tell.
fn finest(canary: Prefix) -> u8 {
    match canary.family() {
        Family::V4 => 24,
        Family::V6 => 48,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer_is_told_from_the_beginning_and_the_end() {
        let begun = 100_000;
        assert_eq!(when(69_999, begun, None), None);
        assert_eq!(when(70_000, begun, None), Some((When::Before, 0)));
        assert_eq!(when(99_999, begun, None), Some((When::Before, 0)));
        assert_eq!(when(100_000, begun, None), Some((When::During, 0)));
        assert_eq!(when(102_500, begun, Some(103_000)), Some((When::During, 2)));
        assert_eq!(when(104_999, begun, Some(103_000)), Some((When::After, 1)));
    }

    #[test]
    fn a_canary_counts_the_clients_that_it_concerns() {
        let ground = Ground {
            covered: Default::default(),
            names: vec![crate::ids::NameId::from_index(3)],
            takers: Vec::new(),
        };
        let heard = |name: usize, client: &str| Heard {
            at: crate::time::Moment::ZERO,
            weight: 1,
            name: crate::ids::NameId::from_index(name),
            client: client.parse().unwrap(),
            endpoints: Box::default(),
        };
        let canary = Reach::Canary("198.51.100.0/24".parse().unwrap());
        let counts = |h: &Heard, reach| concerns(h, reach, &ground);
        assert!(counts(&heard(3, "198.51.100.0/24"), canary));
        assert!(!counts(&heard(3, "198.51.101.0/24"), canary));
        assert!(
            !counts(&heard(3, "198.51.0.0/16"), canary),
            "a part of it is meant only"
        );
        assert!(counts(&heard(3, "203.0.113.0/24"), Reach::Everybody));
        assert!(!counts(&heard(2, "203.0.113.0/24"), Reach::Everybody));
        assert!(!counts(&heard(3, "203.0.113.0/24"), Reach::Label));
    }
}
