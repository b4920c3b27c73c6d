//! The side that is taken over, as a machine: what it hears → what it does.
//!
//! Until the new process says that it serves, every end of the conversation but that one leads back to
//! where it began: whatever was given up is taken back.

use std::time::Duration;

use super::message::{Message, VERSION};

/// For a message that the other side has at hand.
const PROMPT: Duration = Duration::from_secs(10);

/// For what the new process does beside its first round of probes: reading its keys and its store.
const START: Duration = Duration::from_secs(30);

/// Longest first round that is believed.
const LONGEST_ROUND: Duration = Duration::from_secs(600);

/// How far it has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Somebody has come.
    Greeting,
    /// It has the sockets.
    Given,
    /// What only one can have is being given up.
    Releasing,
    /// The new process has all, and does its first round of probes.
    Released,
    /// The new process serves, or it is over.
    Ended,
}

/// What happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The new process says something.
    Said(Message),
    /// All is given up; or why not.
    Released(Result<(), String>),
    /// The new process has gone.
    Gone,
    /// It was silent for longer than it may.
    Late,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send the sockets, and that these were all.
    GiveSockets,
    /// Give up what only one can have.
    Release,
    /// Say so.
    Say(Message),
    /// Take back what was given up.
    TakeBack,
    /// Stop reading, drain and end.
    HandOver,
    /// Log that it came to nothing, and why.
    Failed(String),
}

/// The machine.
#[derive(Debug)]
pub struct Giver {
    node: String,
    stage: Stage,
    round: Duration,
    speaks: u32,
}

impl Giver {
    /// The version that both speak.
    pub fn speaks(&self) -> u32 {
        self.speaks
    }

    /// The side of the process that runs `node`, when somebody has come.
    pub fn new(node: &str) -> Giver {
        Giver {
            node: node.to_owned(),
            stage: Stage::Greeting,
            round: Duration::ZERO,
            speaks: 1,
        }
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// How long the new process may be silent now.
    pub fn patience(&self) -> Duration {
        match self.stage {
            Stage::Released => START + self.round,
            _ => PROMPT,
        }
    }

    /// What is to be done, in this order.
    pub fn on(&mut self, event: Event) -> Vec<Step> {
        match (self.stage, event) {
            (Stage::Ended, _) => Vec::new(),
            (
                Stage::Greeting,
                Event::Said(Message::Hello {
                    version,
                    node,
                    patience,
                }),
            ) => self.greet(version, &node, patience),
            (Stage::Given, Event::Said(Message::Release)) => {
                self.stage = Stage::Releasing;
                vec![Step::Release]
            }
            (Stage::Releasing, Event::Released(Ok(()))) => {
                self.stage = Stage::Released;
                vec![Step::Say(Message::Released)]
            }
            (Stage::Releasing, Event::Released(Err(why))) => self.end(&why, Some(&why)),
            (Stage::Released, Event::Said(Message::Serving)) => {
                self.stage = Stage::Ended;
                vec![Step::HandOver]
            }
            (_, Event::Said(Message::GaveUp(why))) => {
                self.end(&format!("the new process gave up: {why}"), None)
            }
            (_, Event::Gone) => self.end("the new process has ended", None),
            (_, Event::Late) => {
                let after = self.patience();
                let why = format!("the new process was silent for {after:?}");
                let told = format!("{why}; the old one goes on serving");
                self.end(&why, Some(&told))
            }
            (_, Event::Said(_) | Event::Released(_)) => {
                let why = "the new process said something out of turn";
                self.end(why, Some("that was out of turn; restart the node instead"))
            }
        }
    }

    fn greet(&mut self, version: u32, node: &str, patience: Duration) -> Vec<Step> {
        if version == 0 {
            let why = "the new process speaks no version that there is";
            return self.end(why, Some("that is no version; restart the node instead"));
        }
        if node != self.node {
            let told = format!(
                "the process that has this state directory runs node `{}`, not `{node}`; give each \
                 node a `state-dir` of its own",
                self.node
            );
            return self.end(&format!("the new process runs node `{node}`"), Some(&told));
        }
        self.round = patience.min(LONGEST_ROUND);
        self.stage = Stage::Given;
        self.speaks = version.min(VERSION);
        if self.speaks == 1 {
            // It knows of no other.
            return vec![Step::GiveSockets];
        }
        vec![Step::Say(Message::Speaks(self.speaks)), Step::GiveSockets]
    }

    fn end(&mut self, why: &str, told: Option<&str>) -> Vec<Step> {
        let before = std::mem::replace(&mut self.stage, Stage::Ended);
        let mut steps = Vec::new();
        // First of all: the new process has to let go before anything can be taken back.
        if let Some(told) = told {
            steps.push(Step::Say(Message::Refused(told.to_owned())));
        }
        if matches!(before, Stage::Releasing | Stage::Released) {
            steps.push(Step::TakeBack);
        }
        steps.push(Step::Failed(why.to_owned()));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hello() -> Event {
        Event::Said(Message::Hello {
            version: VERSION,
            node: "n1".to_owned(),
            patience: Duration::from_secs(5),
        })
    }

    /// The events of a takeover that succeeds, with the stage that each leads to.
    fn good() -> [(Event, Stage); 4] {
        [
            (hello(), Stage::Given),
            (Event::Said(Message::Release), Stage::Releasing),
            (Event::Released(Ok(())), Stage::Released),
            (Event::Said(Message::Serving), Stage::Ended),
        ]
    }

    fn giver_after(steps: usize) -> Giver {
        let mut giver = Giver::new("n1");
        for (event, stage) in good().into_iter().take(steps) {
            giver.on(event);
            assert_eq!(giver.stage(), stage);
        }
        giver
    }

    #[test]
    fn p2_a_takeover_goes_step_by_step() {
        let mut giver = Giver::new("n1");
        let done: Vec<Vec<Step>> = good().into_iter().map(|(e, _)| giver.on(e)).collect();
        assert_eq!(
            done,
            [
                vec![Step::Say(Message::Speaks(VERSION)), Step::GiveSockets],
                vec![Step::Release],
                vec![Step::Say(Message::Released)],
                vec![Step::HandOver],
            ]
        );
        assert_eq!(giver.on(Event::Gone), [], "it is over");
    }

    #[test]
    fn p2_the_older_version_is_spoken_and_the_first_knows_of_no_other() {
        for (version, speaks) in [(1, 1), (VERSION, VERSION), (VERSION + 1, VERSION)] {
            let mut giver = Giver::new("n1");
            let done = giver.on(Event::Said(Message::Hello {
                version,
                node: "n1".to_owned(),
                patience: Duration::ZERO,
            }));
            assert_eq!(giver.speaks(), speaks);
            let told = done.contains(&Step::Say(Message::Speaks(speaks)));
            assert_eq!((told, done.last()), (version > 1, Some(&Step::GiveSockets)));
        }
    }

    #[test]
    fn p2_whenever_the_new_process_dies_or_dawdles_what_was_given_up_is_taken_back() {
        for steps in 0..4 {
            for event in [
                Event::Gone,
                Event::Late,
                Event::Said(Message::GaveUp("no disk".to_owned())),
                Event::Said(Message::AllCounts),
            ] {
                let mut giver = giver_after(steps);
                let done = giver.on(event.clone());
                let taken_back = done.contains(&Step::TakeBack);
                assert_eq!(taken_back, steps >= 2, "{event:?} after {steps}: {done:?}");
                assert!(!done.contains(&Step::HandOver));
                assert!(matches!(done.last(), Some(Step::Failed(_))), "{done:?}");
                let told = matches!(done[0], Step::Say(Message::Refused(_)));
                // Nobody is told who has gone or goes.
                let goes = matches!(event, Event::Gone | Event::Said(Message::GaveUp(_)));
                assert_eq!(told, !goes, "{event:?}");
                assert_eq!(giver.stage(), Stage::Ended);
            }
        }
    }

    #[test]
    fn what_cannot_be_given_up_ends_it() {
        let mut giver = giver_after(2);
        let done = giver.on(Event::Released(Err("the disk hangs".to_owned())));
        assert!(done.contains(&Step::TakeBack), "a part of it may be gone");
    }

    #[test]
    fn another_node_and_no_version_are_refused_with_what_to_do() {
        let of = |version, node: &str| {
            let hello = Message::Hello {
                version,
                node: node.to_owned(),
                patience: Duration::ZERO,
            };
            let done = Giver::new("n1").on(Event::Said(hello));
            let Some(Step::Say(Message::Refused(why))) = done.first() else {
                panic!("{done:?}");
            };
            assert!(!done.contains(&Step::TakeBack));
            why.clone()
        };
        assert!(of(0, "n1").contains("restart the node instead"));
        assert!(of(VERSION, "n2").contains("give each node a `state-dir` of its own"));
    }

    #[test]
    fn a_long_first_round_is_waited_for_but_not_for_ever() {
        let mut giver = giver_after(3);
        assert_eq!(giver.patience(), START + Duration::from_secs(5));
        giver = Giver::new("n1");
        giver.on(Event::Said(Message::Hello {
            version: VERSION,
            node: "n1".to_owned(),
            patience: Duration::MAX,
        }));
        giver.on(Event::Said(Message::Release));
        giver.on(Event::Released(Ok(())));
        assert_eq!(giver.patience(), START + LONGEST_ROUND);
    }

    proptest! {
        /// Whatever comes in whatever order: it hands over only after all steps, at most once, and
        /// takes back exactly what it gave up.
        #[test]
        fn p2_any_order_of_events_is_safe(order in prop::collection::vec(0usize..8, 0..12)) {
            let mut giver = Giver::new("n1");
            let mut released = false;
            let mut handed = 0;
            for number in order {
                let event = match number {
                    0..4 => good()[number].0.clone(),
                    4 => Event::Gone,
                    5 => Event::Late,
                    6 => Event::Said(Message::Refused(String::new())),
                    _ => Event::Released(Err("no".to_owned())),
                };
                for step in giver.on(event) {
                    match step {
                        Step::Release => released = true,
                        Step::TakeBack => {
                            prop_assert!(released);
                            released = false;
                        }
                        Step::HandOver => {
                            prop_assert!(released);
                            handed += 1;
                        }
                        _ => {}
                    }
                }
                let ended = giver.stage() == Stage::Ended;
                prop_assert!(!ended || handed == 1 || !released);
            }
            prop_assert!(handed <= 1);
        }
    }
}
