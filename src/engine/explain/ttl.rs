//! Where the TTL of an answer comes from (requirement T1).

use crate::health::State;
use crate::snapshot::View;
use crate::steer::{Step, TtlBound};
use crate::units::Ttl;

use super::{Explanation, Query};

/// Where the TTL comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TtlDerivation {
    /// What is answered.
    pub ttl: Ttl,
    /// The name's smallest.
    pub min: Ttl,
    /// The name's largest.
    pub max: Ttl,
    /// What bounds it.
    pub bound: TtlBound,
    /// Which of the name's bounds was put on it: `min` or `max`.
    pub clamped: Option<&'static str>,
    /// Whose probe could change the answer first.
    pub first: Option<Member>,
}

/// An endpoint whose probe could change the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name.
    pub endpoint: String,
    /// Whether it is up.
    pub up: bool,
    /// Results of the other kind that it takes; `None` where this node does not probe it.
    pub results: Option<u32>,
}

impl TtlDerivation {
    /// That of an explained answer.
    pub(super) fn of(view: &View, q: &Query<'_>, told: &Explanation) -> TtlDerivation {
        let group = view.snapshot.steering.group_of(q.id);
        let (min, max) = (group.ttl_min, group.ttl_max);
        // Of two families the shorter one counts.
        let ttls = told.steps.iter().filter_map(|step| match step {
            Step::Ttl { ttl, why } => Some((*ttl, why)),
            _ => None,
        });
        let bound = ttls.min_by_key(|(ttl, _)| *ttl);
        let bound = bound.map_or(TtlBound::Untold, |(_, why)| why.clone());
        let steady = bound.steady_secs().map(Ttl::from_secs);
        let clamped = match (&bound, steady) {
            (TtlBound::Untold | TtlBound::OverrideEnd, _) => None,
            (TtlBound::Nothing { .. }, _) => Some("max"),
            (_, Some(steady)) if steady < min => Some("min"),
            (_, Some(steady)) if steady > max => Some("max"),
            (_, Some(_)) => None,
            (_, None) => Some("min"),
        };
        TtlDerivation {
            ttl: told.ttl,
            min,
            max,
            first: bound.endpoint().and_then(|e| member(view, e)),
            bound,
            clamped,
        }
    }

    /// What the step in the explanation does not say.
    pub(super) fn line(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        let results = first.results?;
        let (now, what) = match first.up {
            true => ("up", "failure"),
            false => ("down", "pass"),
        };
        let plural = match (results, first.up) {
            (1, _) => "",
            (_, true) => "s",
            (_, false) => "es",
        };
        let endpoint = &first.endpoint;
        Some(format!(
            "ttl: {endpoint} is {now}; {results} {what}{plural} would change that"
        ))
    }
}

fn member(view: &View, name: &str) -> Option<Member> {
    let snapshot = &view.snapshot;
    let at = snapshot
        .steering
        .endpoints
        .binary_search_by(|e| (*e.name).cmp(name));
    let id = crate::ids::EndpointId::from_index(at.ok()?);
    let verdict = view.board.verdict(id);
    let up = verdict.state == State::Up;
    let monitor = snapshot.target_of.get(id.index()).copied().flatten();
    let monitor = monitor.and_then(|t| snapshot.targets.get(t.index()));
    let monitor = monitor.and_then(|t| snapshot.monitors.get(t.monitor.index()));
    let results = monitor.map(|m| match up {
        true => m.fall.saturating_sub(verdict.failures).max(1),
        false => m.rise.saturating_sub(verdict.passes).max(1),
    });
    Some(Member {
        endpoint: name.to_owned(),
        up,
        results,
    })
}
