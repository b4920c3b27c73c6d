//! The web application firewall: requests that look like attacks are refused, or only noted.
//!
//! [`Inspector`] is the place for a fuller one. What the proxy asks of it is little: it sees the head,
//! then the beginning of the body where it wants that, gathers [`Findings`] and gives a [`Verdict`].
//! [`RuleSet`] is the one built in: rules of a configuration, each with a score; scores add up, and a
//! request that reaches the threshold is refused. It guards against what is common and is no promise
//! that an application is safe. An implementation over another engine lives beside it, is made by
//! `compile` from its own table, and takes its place in [`crate::traffic::Plan::waf`].

mod forms;
mod rules;

pub use forms::forms;
pub use rules::{Mode, Place, Rule, RuleSet, RuleSetError, Sizes};

use std::net::IpAddr;

use crate::message::RequestHead;

/// What judges requests. One for all threads; what it gathers of a request is in [`Findings`].
pub trait Inspector {
    /// Looks at a head. The target's path is in the form in which routes are matched.
    fn head(&self, head: &RequestHead, client: IpAddr, findings: &mut Findings);

    /// So many octets of the beginning of this request's body are wanted; 0: none, it is not held up.
    fn wanted(&self, head: &RequestHead) -> usize;

    /// Looks at the beginning of a body; `whole`: that is all of it.
    fn body(&self, head: &RequestHead, start: &[u8], whole: bool, findings: &mut Findings);

    /// What to do, after each step.
    fn verdict(&self, findings: &Findings) -> Verdict;

    /// How long the whole body may be at most, after all steps: one whose length nobody said ends there,
    /// also where it was not looked at. `None`: as long as the listener lets it.
    fn longest(&self, _head: &RequestHead, _findings: &Findings) -> Option<u64> {
        None
    }

    /// The name of a rule in the findings, for the log.
    fn rule(&self, number: u32) -> &str;
}

/// What was found of a request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Findings {
    /// The sum of the scores.
    pub score: u32,
    /// Numbers of the rules that matched, each once.
    pub rules: Vec<u32>,
}

impl Findings {
    /// Adds a rule that matched; a second time it counts for nothing.
    pub fn add(&mut self, rule: u32, score: u32) {
        if !self.rules.contains(&rule) {
            self.rules.push(rule);
            self.score = self.score.saturating_add(score);
        }
    }
}

/// What to do with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may go on.
    Pass,
    /// It may go on, and would be refused if the rules were in force.
    Detected,
    /// It is refused with this status.
    Deny(u16),
}
