//! The steps of a drill: planned → checked → running → finished, aborted or rolled back → reported.
//!
//! Any node may note a step, and several may note the same one. What is kept is a set from which the
//! state follows, whoever noted what first and in whatever order it arrived: of two words about one
//! phase the earlier stands. Time alone ends a drill that nobody drives any more.

use std::collections::BTreeMap;
use std::sync::Arc;

/// How a drill ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum End {
    /// Somebody ended it, or it never began.
    Aborted,
    /// It ended itself, because something was not as it must be.
    RolledBack,
    /// Its time was over.
    Finished,
}

impl End {
    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            End::Aborted => "aborted",
            End::RolledBack => "rolled-back",
            End::Finished => "finished",
        }
    }

    /// Of what stands in texts.
    pub fn from_word(word: &str) -> Option<End> {
        [End::Aborted, End::RolledBack, End::Finished]
            .into_iter()
            .find(|e| e.word() == word)
    }
}

/// A phase of a drill; each is entered once, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// What is to be done is written down.
    Planned,
    /// It is safe to begin, or rules are broken knowingly.
    Checked,
    /// Its order is in force.
    Running,
    /// Its order is no more.
    Ended,
    /// What it showed is written down.
    Reported,
}

/// Where a drill stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Nothing has changed yet.
    Planned,
    /// Nothing has changed yet, and it may begin.
    Checked,
    /// Under way.
    Running,
    /// Over; what it showed is still gathered.
    Ended(End),
    /// Over, and the report is whole.
    Reported(End),
}

impl State {
    /// As people read it.
    pub fn word(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Checked => "checked",
            State::Running => "running",
            State::Ended(end) => end.word(),
            State::Reported(_) => "reported",
        }
    }

    /// How it ended.
    pub fn end(self) -> Option<End> {
        match self {
            State::Ended(end) | State::Reported(end) => Some(end),
            State::Planned | State::Checked | State::Running => None,
        }
    }
}

/// A phase that was entered.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Step {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// How, where it is the end.
    pub end: Option<End>,
    /// The node that says so.
    pub node: Arc<str>,
    /// In words.
    pub text: String,
}

/// Why a step cannot be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a drill that is {} cannot be {}", .from.word(), .to)]
pub struct OutOfTurn {
    /// Where it stands.
    pub from: State,
    /// What was wanted.
    pub to: &'static str,
}

/// The steps that are known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Course(pub BTreeMap<Phase, Step>);

impl Course {
    /// A drill that is planned.
    pub fn plan(at_ms: u64, node: &Arc<str>, text: String) -> Course {
        let mut course = Course::default();
        course.note(Phase::Planned, at_ms, None, node, text);
        course
    }

    /// Where a drill that ends at `ends_ms` at the latest stands at `now_ms`.
    pub fn state(&self, now_ms: u64, ends_ms: u64) -> State {
        let over = now_ms >= ends_ms;
        let ended = self.0.get(&Phase::Ended).and_then(|s| s.end);
        let begun = self.0.contains_key(&Phase::Running);
        let end = match (ended, begun) {
            // Who says that it ended after its time has come late: time had ended it.
            (Some(_), true) if self.ended_ms().is_some_and(|at| at >= ends_ms) => {
                Some(End::Finished)
            }
            (Some(end), _) => Some(end),
            (None, true) if over => Some(End::Finished),
            (None, false) if over => Some(End::Aborted),
            (None, _) => None,
        };
        match end {
            Some(end) if self.0.contains_key(&Phase::Reported) => State::Reported(end),
            Some(end) => State::Ended(end),
            None if begun => State::Running,
            None if self.0.contains_key(&Phase::Checked) => State::Checked,
            None => State::Planned,
        }
    }

    /// Notes that it may begin.
    ///
    /// # Errors
    /// When it is not planned.
    pub fn check(
        &mut self,
        (at_ms, ends_ms): (u64, u64),
        node: &Arc<str>,
        text: String,
    ) -> Result<(), OutOfTurn> {
        self.must(State::Planned, "checked", (at_ms, ends_ms))?;
        self.note(Phase::Checked, at_ms, None, node, text);
        Ok(())
    }

    /// Notes that its order is in force.
    ///
    /// # Errors
    /// When it is not checked.
    pub fn begin(
        &mut self,
        (at_ms, ends_ms): (u64, u64),
        node: &Arc<str>,
        text: String,
    ) -> Result<(), OutOfTurn> {
        self.must(State::Checked, "begun", (at_ms, ends_ms))?;
        self.note(Phase::Running, at_ms, None, node, text);
        Ok(())
    }

    /// Notes that it is over; possible in every state in which it is not.
    ///
    /// # Errors
    /// When it is over already.
    pub fn end(
        &mut self,
        end: End,
        (at_ms, ends_ms): (u64, u64),
        node: &Arc<str>,
        text: String,
    ) -> Result<(), OutOfTurn> {
        let from = self.state(at_ms.min(ends_ms.saturating_sub(1)), ends_ms);
        if from.end().is_some() {
            let to = end.word();
            return Err(OutOfTurn { from, to });
        }
        self.note(Phase::Ended, at_ms.min(ends_ms), Some(end), node, text);
        Ok(())
    }

    /// Notes that the report is whole.
    ///
    /// # Errors
    /// When it is not over, or reported already.
    pub fn report(
        &mut self,
        (at_ms, ends_ms): (u64, u64),
        node: &Arc<str>,
        text: String,
    ) -> Result<(), OutOfTurn> {
        let from = self.state(at_ms, ends_ms);
        if !matches!(from, State::Ended(_)) {
            let to = "reported";
            return Err(OutOfTurn { from, to });
        }
        self.note(Phase::Reported, at_ms, None, node, text);
        Ok(())
    }

    /// When it was over, as far as somebody said so.
    pub fn ended_ms(&self) -> Option<u64> {
        self.0.get(&Phase::Ended).map(|s| s.at_ms)
    }

    /// When its order came into force.
    pub fn begun_ms(&self) -> Option<u64> {
        self.0.get(&Phase::Running).map(|s| s.at_ms)
    }

    /// Takes in what another says.
    pub fn merge(&mut self, other: &Course) {
        for (phase, step) in &other.0 {
            match self.0.get(phase) {
                Some(known) if known <= step => {}
                _ => drop(self.0.insert(*phase, step.clone())),
            }
        }
    }

    fn note(&mut self, phase: Phase, at_ms: u64, end: Option<End>, node: &Arc<str>, text: String) {
        let step = Step {
            at_ms,
            end,
            node: node.clone(),
            text,
        };
        self.0.entry(phase).or_insert(step);
    }

    fn must(
        &self,
        state: State,
        to: &'static str,
        (at_ms, ends_ms): (u64, u64),
    ) -> Result<(), OutOfTurn> {
        let from = self.state(at_ms, ends_ms);
        match from == state {
            true => Ok(()),
            false => Err(OutOfTurn { from, to }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ENDS: u64 = 10_000;

    /// What somebody may try: a step at a time.
    #[derive(Clone, Debug)]
    enum Try {
        Check,
        Begin,
        End(End),
        Report,
    }

    fn tries() -> impl Strategy<Value = Vec<(u64, Try, String)>> {
        let one = prop_oneof![
            Just(Try::Check),
            Just(Try::Begin),
            Just(Try::End(End::Aborted)),
            Just(Try::End(End::RolledBack)),
            Just(Try::End(End::Finished)),
            Just(Try::Report),
        ];
        prop::collection::vec((0..2 * ENDS, one, "[a-c]"), 0..12).prop_map(|mut all| {
            all.sort_by_key(|(at, ..)| *at);
            all
        })
    }

    fn apply(course: &mut Course, at: u64, what: &Try, node: &str) -> Result<(), OutOfTurn> {
        let (time, node, text) = ((at, ENDS), node.into(), String::new());
        match what {
            Try::Check => course.check(time, &node, text),
            Try::Begin => course.begin(time, &node, text),
            Try::End(end) => course.end(*end, time, &node, text),
            Try::Report => course.report(time, &node, text),
        }
    }

    fn played(tries: &[(u64, Try, String)]) -> Course {
        let mut course = Course::plan(0, &"a".into(), String::new());
        for (at, what, node) in tries {
            let _ = apply(&mut course, *at, what, node);
        }
        course
    }

    fn rank(state: State) -> u8 {
        match state {
            State::Planned => 0,
            State::Checked => 1,
            State::Running => 2,
            State::Ended(_) => 3,
            State::Reported(_) => 4,
        }
    }

    proptest! {
        #[test]
        fn a_drill_always_ends_and_never_outlives_its_deadline(tries in tries()) {
            let course = played(&tries);
            for after in [ENDS, ENDS + 1, u64::MAX] {
                prop_assert!(course.state(after, ENDS).end().is_some(), "{course:?}");
            }
            prop_assert!(course.ended_ms().is_none_or(|at| at <= ENDS));
            if course.begun_ms().is_none() {
                prop_assert!(!matches!(course.state(ENDS, ENDS).end(), Some(End::Finished))
                    || course.ended_ms().is_some());
            }
        }

        #[test]
        fn it_can_be_aborted_in_every_state_that_is_no_end(tries in tries(), now in 0..ENDS) {
            let earlier: Vec<_> = tries.into_iter().filter(|(at, ..)| *at <= now).collect();
            let mut course = played(&earlier);
            let before = course.state(now, ENDS);
            let done = course.end(End::Aborted, (now, ENDS), &"b".into(), String::new());
            match before.end() {
                Some(_) => {
                    prop_assert!(done.is_err());
                    prop_assert_eq!(course.state(now, ENDS), before);
                }
                None => prop_assert_eq!(course.state(now, ENDS), State::Ended(End::Aborted)),
            }
        }

        #[test]
        fn it_only_goes_forward(tries in tries(), times in prop::collection::vec(0..2 * ENDS, 1..8)) {
            let mut times = times;
            times.sort_unstable();
            let mut course = Course::plan(0, &"a".into(), String::new());
            let mut last = 0;
            let mut tries = tries.into_iter().peekable();
            for now in times {
                while let Some((at, what, node)) = tries.next_if(|(at, ..)| *at <= now) {
                    let _ = apply(&mut course, at, &what, &node);
                }
                let here = rank(course.state(now, ENDS));
                prop_assert!(here >= last);
                last = here;
            }
        }

        #[test]
        fn what_nodes_know_meets_in_one_whatever_came_first(
            a in tries(), b in tries(), c in tries(), now in 0..2 * ENDS,
        ) {
            let (a, b, c) = (played(&a), played(&b), played(&c));
            let join = |x: &Course, y: &Course| {
                let mut x = x.clone();
                x.merge(y);
                x
            };
            prop_assert_eq!(join(&a, &b), join(&b, &a));
            prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
            prop_assert_eq!(join(&a, &a), a.clone());
            // Who learns more never finds a drill less far.
            let (own, met) = (a.state(now, ENDS), join(&a, &b).state(now, ENDS));
            prop_assert!(rank(met) >= rank(own));
        }
    }

    #[test]
    fn steps_out_of_turn_say_so() {
        let mut course = Course::plan(0, &"a".into(), String::new());
        let e = course.begin((1, ENDS), &"a".into(), String::new());
        assert_eq!(
            e.unwrap_err().to_string(),
            "a drill that is planned cannot be begun"
        );
        course.check((1, ENDS), &"a".into(), String::new()).unwrap();
        course.begin((2, ENDS), &"a".into(), String::new()).unwrap();
        assert_eq!(course.state(ENDS - 1, ENDS), State::Running);
        assert_eq!(course.state(ENDS, ENDS), State::Ended(End::Finished));
    }

    #[test]
    fn of_two_ends_the_earlier_stands() {
        let mut a = Course::plan(0, &"a".into(), String::new());
        let mut b = a.clone();
        a.end(End::Aborted, (7, ENDS), &"a".into(), "by alice".into())
            .unwrap();
        b.end(
            End::RolledBack,
            (5, ENDS),
            &"b".into(),
            "us-1 is down".into(),
        )
        .unwrap();
        a.merge(&b);
        assert_eq!(a.state(8, ENDS), State::Ended(End::RolledBack));
        assert_eq!(a.0[&Phase::Ended].text, "us-1 is down");
    }
}
