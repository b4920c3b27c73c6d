//! What one node says of one drill: as it is told to the fleet and kept in the store.
//!
//! A node only ever writes its own word, so two words of one node are never at odds: the one with the
//! higher number is the later.

mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::drill::answers::Tally;
use crate::drill::demand::{By, Measured};
use crate::drill::report::{Applied, Check, Note};
use crate::drill::{Charter, Counts, Course, End, Phase, Step};
use crate::fleet::bus::MAX_VALUE;
use crate::overrides::{Drill, Effect, Reach, ScopeKind};

/// What is written is of this version.
const VERSION: u8 = 1;

/// Longest text of a step, a note or a check, in octets.
const TEXT: usize = 240;

/// Most notes of one node.
const NOTES: usize = 8;

/// Most checks.
const CHECKS: usize = 12;

/// What a proxy saw of the traffic of what the drill is about.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Seen {
    /// Since the drill began.
    pub(super) away: Counts,
    /// Since it was over.
    pub(super) back: Counts,
}

/// What a proxy counted lately, whatever the drill is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Recent {
    /// Requests answered within the last ten seconds.
    pub(super) requests: u64,
    /// Of them with 5xx.
    pub(super) errors: u64,
    /// When that was counted, in milliseconds since 1970.
    pub(super) at_ms: u64,
}

/// What one node says.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Word {
    /// Counts this node's words about the drill.
    pub(super) number: u64,
    pub(super) charter: Charter,
    /// The phases that this node has noted.
    pub(super) course: Course,
    pub(super) checks: Vec<Check>,
    pub(super) notes: Vec<Note>,
    /// The turn in which this node drives, and since when; a later turn is of whoever took over.
    pub(super) drives: Option<(u64, u64)>,
    pub(super) begun: Option<Applied>,
    pub(super) over: Option<Applied>,
    pub(super) seen: Option<Seen>,
    pub(super) recent: Option<Recent>,
    /// What was seen of DNS answers.
    pub(super) answers: Option<Tally>,
}

impl Word {
    /// An empty word about a drill.
    pub(super) fn about(charter: Charter) -> Word {
        Word {
            number: 0,
            charter,
            course: Course::default(),
            checks: Vec::new(),
            notes: Vec::new(),
            drives: None,
            begun: None,
            over: None,
            seen: None,
            recent: None,
            answers: None,
        }
    }

    /// The text of it.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&Written::of(self)).unwrap_or_default()
    }

    /// The text for other nodes, of which there is a longest: where it would be longer, seconds are left
    /// out, and sums stay.
    pub(super) fn told(&self) -> String {
        let whole = self.text();
        if whole.len() <= MAX_VALUE {
            return whole;
        }
        let mut less = self.clone();
        less.answers = less.answers.map(|a| a.without_seconds());
        let text = less.text();
        if text.len() <= MAX_VALUE {
            return text;
        }
        less.seen = None;
        less.answers = None;
        less.text()
    }

    /// Reads a text.
    pub(super) fn parse(text: &str) -> Result<Word, String> {
        let written: Written = serde_json::from_str(text).map_err(|e| e.to_string())?;
        written
            .word()
            .ok_or_else(|| "a field of the drill is malformed".to_owned())
    }
}

#[derive(Serialize, Deserialize)]
struct Written {
    v: u8,
    n: u64,
    id: String,
    reach: String,
    effect: String,
    scope: String,
    name: String,
    owner: String,
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broke: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    demand: Option<u8>,
    errors: u8,
    node: String,
    planned: u64,
    ends: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    steps: Vec<(u8, u64, String, String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checks: Vec<(String, bool, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<(u64, String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drives: Option<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    over: Option<(u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<[(u64, u64, Vec<u32>); 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recent: Option<(u64, u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answers: Option<tally::Written>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measured: Option<(String, f64, f64, f64)>,
}

const PHASES: [Phase; 5] = [
    Phase::Planned,
    Phase::Checked,
    Phase::Running,
    Phase::Ended,
    Phase::Reported,
];

impl Written {
    fn of(word: &Word) -> Written {
        let c = &word.charter;
        let applied = |a: Applied| (a.generation, a.at_ms);
        let counts = |c: &Counts| (c.before, c.seconds, c.after.clone());
        let place = |phase: &Phase| PHASES.iter().position(|p| p == phase).unwrap_or(0) as u8;
        let steps = word.course.0.iter().map(|(phase, s)| {
            let end = s.end.map_or("", End::word).to_owned();
            (place(phase), s.at_ms, end, s.node.to_string(), cut(&s.text))
        });
        let checks = word.checks.iter().take(CHECKS);
        let notes = word.notes.iter().take(NOTES);
        Written {
            v: VERSION,
            n: word.number,
            id: c.drill.id.to_string(),
            reach: c.drill.reach.to_string(),
            effect: c.effect.word().to_owned(),
            scope: c.scope.word().to_owned(),
            name: c.name.to_string(),
            owner: c.owner.to_string(),
            reason: c.reason.to_string(),
            broke: c.break_glass.as_deref().map(str::to_owned),
            demand: c.demand,
            errors: c.max_errors,
            node: c.node.to_string(),
            planned: c.planned_ms,
            ends: c.ends_ms,
            steps: steps.collect(),
            checks: checks
                .map(|c| (c.rule.clone(), c.holds, cut(&c.text)))
                .collect(),
            notes: notes
                .map(|n| (n.at_ms, n.node.to_string(), cut(&n.text)))
                .collect(),
            drives: word.drives,
            begun: word.begun.map(applied),
            over: word.over.map(applied),
            seen: word
                .seen
                .as_ref()
                .map(|s| [counts(&s.away), counts(&s.back)]),
            recent: word.recent.map(|r| (r.requests, r.errors, r.at_ms)),
            answers: word.answers.as_ref().map(tally::Written::of),
            measured: c.measured.map(|m| {
                let by = m.by.word().to_owned();
                (by, m.now, m.per_weight, m.weight)
            }),
        }
    }

    fn word(self) -> Option<Word> {
        (self.v == VERSION && Drill::is_id(&self.id)).then_some(())?;
        let mut course = BTreeMap::new();
        for (place, at_ms, end, node, text) in self.steps {
            let end = match &*end {
                "" => None,
                word => Some(End::from_word(word)?),
            };
            let phase = *PHASES.get(usize::from(place))?;
            // The end says how, and nothing else does.
            (end.is_some() == (phase == Phase::Ended)).then_some(())?;
            let step = Step {
                at_ms,
                end,
                node: node.into(),
                text,
            };
            course.insert(phase, step);
        }
        let applied = |(generation, at_ms)| Applied { generation, at_ms };
        let counts = |(before, seconds, after): (u64, u64, Vec<u32>)| Counts {
            before,
            seconds,
            after,
        };
        let most = crate::drill::shift::FINE + crate::drill::shift::COARSE;
        let fits = |s: &[(u64, u64, Vec<u32>); 2]| s.iter().all(|c| c.2.len() <= most);
        self.seen.as_ref().is_none_or(fits).then_some(())?;
        let answers = match self.answers {
            Some(written) => Some(written.tally()?),
            None => None,
        };
        let measured = match self.measured {
            Some((by, now, per_weight, weight)) => Some(Measured {
                by: By::from_word(&by)?,
                now,
                per_weight,
                weight,
            }),
            None => None,
        };
        Some(Word {
            number: self.n,
            charter: Charter {
                drill: Drill {
                    id: self.id.into(),
                    reach: Reach::from_text(&self.reach)?,
                },
                effect: Effect::from_word(&self.effect)?,
                scope: ScopeKind::from_word(&self.scope)?,
                name: self.name.into(),
                owner: self.owner.into(),
                reason: self.reason.into(),
                break_glass: self.broke.map(Arc::from),
                demand: self.demand,
                measured,
                max_errors: self.errors,
                node: self.node.into(),
                planned_ms: self.planned,
                ends_ms: self.ends,
            },
            course: Course(course),
            checks: self
                .checks
                .into_iter()
                .take(CHECKS)
                .map(|(rule, holds, text)| Check { rule, holds, text })
                .collect(),
            notes: self
                .notes
                .into_iter()
                .take(NOTES)
                .map(|(at_ms, node, text)| Note {
                    at_ms,
                    node: node.into(),
                    text,
                })
                .collect(),
            drives: self.drives,
            begun: self.begun.map(applied),
            over: self.over.map(applied),
            seen: self.seen.map(|[away, back]| Seen {
                away: counts(away),
                back: counts(back),
            }),
            recent: self.recent.map(|(requests, errors, at_ms)| Recent {
                requests,
                errors,
                at_ms,
            }),
            answers,
        })
    }
}

/// The text, as long as it may be.
fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::drill::answers::{Answer, When};
    use proptest::prelude::*;

    /// A charter of tests.
    pub(in crate::app::drills) fn charter(id: &str) -> Charter {
        Charter {
            drill: Drill {
                id: id.into(),
                reach: Reach::Everybody,
            },
            effect: Effect::Fail,
            scope: ScopeKind::Region,
            name: "eu".into(),
            owner: "alice".into(),
            reason: "quarterly drill".into(),
            break_glass: None,
            demand: Some(60),
            measured: None,
            max_errors: 5,
            node: "n1".into(),
            planned_ms: 1_000,
            ends_ms: 61_000,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            number: u64,
            text in "\\PC{0,60}",
            after in prop::collection::vec(any::<u32>(), 0..180),
            turn in prop::option::of((0..9u64, 0..9u64)),
            steps in 0..5usize,
        ) {
            let mut word = Word::about(charter("k2f9"));
            word.number = number;
            word.drives = turn;
            let node: Arc<str> = "n2".into();
            for (at, phase) in PHASES.iter().take(steps).enumerate() {
                let end = (*phase == Phase::Ended).then_some(End::RolledBack);
                let step = Step { at_ms: at as u64, end, node: node.clone(), text: text.clone() };
                word.course.0.insert(*phase, step);
            }
            word.notes.push(Note { at_ms: 5, node, text: text.clone() });
            word.checks.push(Check { rule: "quorum".to_owned(), holds: true, text });
            word.begun = Some(Applied { generation: 7, at_ms: 9 });
            word.seen = Some(Seen {
                away: Counts { before: 3, seconds: 10, after },
                back: Counts::default(),
            });
            word.recent = Some(Recent { requests: 9, errors: 1, at_ms: 3 });
            let to = [("eu", true)];
            for second in [0, 3] {
                let when = (When::During, second);
                word.answers.get_or_insert_default().add(&Answer { when, weight: 2, to: &to });
            }
            word.charter.measured = Some(Measured {
                by: By::Flows,
                now: 12.5,
                per_weight: 3.0,
                weight: 7.0,
            });
            prop_assert_eq!(Word::parse(&word.text()), Ok(word));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = Word::parse(&text);
        }
    }

    #[test]
    fn the_longest_word_fits_the_bus() {
        let mut word = Word::about(charter("k2f9"));
        let long = "x".repeat(999);
        word.charter.reason = "r".repeat(500).into();
        word.charter.break_glass = Some("b".repeat(500).into());
        word.charter.name = "n".repeat(255).into();
        let node: Arc<str> = "n".repeat(40).into();
        for phase in PHASES {
            let end = (phase == Phase::Ended).then_some(End::RolledBack);
            let text = long.clone();
            let step = Step {
                at_ms: 1 << 43,
                end,
                node: node.clone(),
                text,
            };
            word.course.0.insert(phase, step);
        }
        let text = long.clone();
        word.notes = vec![
            Note {
                at_ms: 1 << 43,
                node,
                text: text.clone()
            };
            99
        ];
        word.checks = vec![
            Check {
                rule: "takers-healthy".to_owned(),
                holds: true,
                text
            };
            8
        ];
        assert!(word.text().len() < MAX_VALUE, "{}", word.text().len());
        // With all the seconds of a busy node it does not fit, and sums are told without them.
        let names: Vec<String> = (0..30)
            .map(|n| format!("region-{n}-{}", "x".repeat(50)))
            .collect();
        let tally = word.answers.get_or_insert_default();
        for (second, name) in (0..60).cycle().zip(&names).take(600) {
            for when in When::ALL {
                let to = [(name.as_str(), true)];
                tally.add(&Answer {
                    when: (when, second),
                    weight: 1 << 20,
                    to: &to,
                });
            }
        }
        for second in 0..60 {
            let to = [("eu", true)];
            tally.add(&Answer {
                when: (When::After, second),
                weight: 1 << 24,
                to: &to,
            });
            tally.add(&Answer {
                when: (When::During, second),
                weight: 1 << 24,
                to: &to,
            });
        }
        word.notes.truncate(2);
        let told = word.told();
        assert!(told.len() <= MAX_VALUE, "{}", told.len());
        let read = Word::parse(&told).unwrap();
        assert_eq!(read.charter, word.charter);
    }
}
