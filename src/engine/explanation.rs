//! What explain says: plain data and its one text form.

use std::fmt;
use std::net::IpAddr;

use crate::dns::Rtype;
use crate::net::Prefix;
use crate::steer::decision::Standing;
use crate::steer::{Decision, Draw, Step};
use crate::units::{Generation, ScopeLen, Ttl};

use super::locate::Whereabouts;

/// An endpoint that was chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    /// Its name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// The data answered: an address or a CNAME target.
    pub data: String,
}

/// Why a query gets its answer. Plain data; [`Explanation::lines`] is its one text form.
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// The name asked for.
    pub name: String,
    /// Aliases followed from it, if any: the last one is the steered owner or covered by it.
    pub aliases: Vec<String>,
    /// The steered owner; a wildcard where one covers the name, or the name it is an alias of.
    pub owner: String,
    /// The type answered.
    pub qtype: Rtype,
    /// The node that answers.
    pub node: String,
    /// The generation of its view.
    pub generation: Generation,
    /// The address that decided.
    pub client: IpAddr,
    /// The ECS network of the query.
    pub ecs: Option<Prefix>,
    /// Why that address decided.
    pub client_why: &'static str,
    /// What is known of it.
    pub whereabouts: Whereabouts,
    /// The way to the decision.
    pub steps: Vec<Step>,
    /// The decision.
    pub decision: Decision,
    /// The chosen endpoints in answer order; empty unless endpoints are answered.
    pub answered: Vec<Answered>,
    /// In words what is answered where it is not endpoints.
    pub otherwise: Option<String>,
    /// For how long.
    pub ttl: Ttl,
    /// The ECS scope sent back where the query has the option.
    pub scope: ScopeLen,
    /// The chance it was decided with; the same draw decides the same again.
    pub draw: Draw,
}

impl Explanation {
    /// The explanation for people, one fact per line: what `_explain` and the command line show.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} {} on node {} at generation {}",
            self.name, self.qtype, self.node, self.generation
        )];
        for alias in &self.aliases {
            lines.push(format!("alias of {alias}"));
        }
        let last = self.aliases.last().unwrap_or(&self.name);
        if self.owner != *last {
            // A wildcard covers the name; anything else is named by `alias-of`.
            let how = if self.owner.starts_with("*.") {
                "steered by"
            } else {
                "alias-of"
            };
            lines.push(format!("{how} {}", self.owner));
        }
        lines.push(match (self.ecs, self.client_why) {
            (Some(ecs), why) if ecs.addr() == self.client => format!("client {ecs}: {why}"),
            (Some(ecs), why) => format!("client {}: {why} (ECS {ecs})", self.client),
            (None, why) => format!("client {}: {why}", self.client),
        });
        lines.push(format!("place of {}", self.whereabouts));
        lines.extend(self.steps.iter().map(ToString::to_string));
        lines.push(format!(
            "draw {:016x} turn {}",
            self.draw.random, self.draw.turn
        ));
        for a in &self.answered {
            lines.push(format!(
                "answer {} {}: endpoint {} of pool {} in region {}",
                self.qtype, a.data, a.endpoint, a.pool, a.region
            ));
        }
        if let Some(words) = &self.otherwise {
            lines.push(format!("answer: {words}"));
        }
        lines.push(format!(
            "ttl {}, scope {}{}, {}{}",
            self.ttl,
            self.scope,
            // The step above told how far the plan holds, which nobody asked for.
            if self.ecs.is_none() && self.decision.scope > self.scope {
                " (no ECS network to answer)"
            } else {
                ""
            },
            StandingText(self.decision.standing),
            if self.decision.overridden {
                ", overridden"
            } else {
                ""
            }
        ));
        lines
    }
}

/// A standing in words.
struct StandingText(Standing);

impl fmt::Display for StandingText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Standing::Normal => "normal",
            Standing::Held => "held",
            Standing::Degraded => "degraded",
            Standing::LastResort => "last resort",
        })
    }
}
