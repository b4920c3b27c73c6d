//! An explanation with all that can be said: for programs, and for people who ask further.

use crate::dns::name::WireName;
use crate::engine::drill::concerning;
use crate::snapshot::{Supposed, View};
use crate::steer::Draw;
use crate::time::Moment;

use super::bounds::ScopeBounds;
use super::eliminations::{self, Elimination};
use super::members::{self, CandidateNow, OrderNow, StageTold};
use super::ttl::TtlDerivation;
use super::whatif::{self, Counterfactual};
use super::{ExplainClient, ExplainError, Explanation, Query, describe, find, not_found};

/// Why a query gets its answer, what holds it there, and what it would take to be another.
#[derive(Clone, PartialEq, Debug)]
pub struct FullExplanation {
    /// The way to the answer.
    pub told: Explanation,
    /// Every endpoint of the name's pools, in their order; at most 1,000.
    pub candidates: Vec<CandidateNow>,
    /// How many endpoints the name's pools have.
    pub candidates_in_all: usize,
    /// Who was put out or put behind, by which rule.
    pub eliminations: Vec<Elimination>,
    /// The tiers after each stage.
    pub stages: Vec<StageTold>,
    /// What bounds the scope.
    pub bounds: ScopeBounds,
    /// What bounds the TTL.
    pub ttl: TtlDerivation,
    /// The overrides in force about the name, its pools, their endpoints and regions.
    pub orders: Vec<OrderNow>,
    /// What it would take for another answer, each decided as stated.
    pub counterfactuals: Vec<Counterfactual>,
    /// Whether all of them were looked for; a name with very many endpoints ends the search early.
    pub searched: bool,
}

/// [`explain`](super::explain()) with all that can be said. A pure function of the view, as the answer is: with a view
/// of the past it explains the past.
///
/// # Errors
/// As [`explain`](super::explain()).
pub fn explain_in_full(
    view: &View,
    name: &WireName,
    qtype: u16,
    client: ExplainClient,
    draw: Draw,
    now: Moment,
) -> Result<FullExplanation, ExplainError> {
    let found = find(view, name.as_bytes(), qtype).ok_or_else(|| not_found(view, name, qtype))?;
    let query = Query {
        id: found.id,
        label: found.label,
        qtype,
        asker: client.asker(),
        draw,
        now,
    };
    let (told, decided) = describe(view, name.as_bytes(), found, &query);
    let told = told.asked_by(client);
    let shares = decided.shares(view, &query);
    let stages = members::stages(&told.steps);
    // Under a drill with a scope its orders are in force for who asks, as if they were for everybody.
    let drill = decided.under.drill;
    let drill = drill.or_else(|| concerning(view, &decided.who, now));
    let drilled = drill.map(|drill| {
        let addr = decided.who.client.addr;
        let plan = view.live.plan(&view.snapshot.steering, query.id, addr);
        let supposed = Supposed {
            overrides: drill.overrides.clone(),
            ..Supposed::of(view)
        };
        view.supposing(&supposed, (query.id, plan), view.published)
    });
    let under = drilled.as_ref().unwrap_or(view);
    let asked = Query {
        label: None,
        ..query
    };
    let (candidates, candidates_in_all) =
        members::candidates(under, &asked, &decided, &shares, &stages);
    let (mut counterfactuals, searched) = whatif::counterfactuals(under, &asked, &decided);
    if let (Some(drill), Some(_)) = (decided.under.drill, query.label) {
        // What it gives then is what the name itself gives.
        let said = format!("; drill-{}.NAME itself would not exist then", drill.id);
        let mut ended = counterfactuals.iter_mut();
        ended
            .by_ref()
            .filter(|c| {
                c.supposed
                    .iter()
                    .any(|s| members::ends(under, s, &drill.id))
            })
            .for_each(|c| c.text.push_str(&said));
    }
    Ok(FullExplanation {
        eliminations: eliminations::of(view, &query, &told.steps, &shares),
        bounds: ScopeBounds::of(view, &query, &decided),
        ttl: TtlDerivation::of(view, &query, &told),
        orders: members::orders(under, &asked),
        candidates,
        candidates_in_all,
        stages,
        counterfactuals,
        searched,
        told,
    })
}

impl FullExplanation {
    /// What [`Explanation::lines`] does not say, for people: what bounds the scope, and what it would take
    /// for another answer.
    pub fn further_lines(&self) -> Vec<String> {
        let mut lines = self.bounds.lines();
        lines.extend(self.ttl.line());
        let said = self.counterfactuals.iter();
        lines.extend(said.map(|c| format!("what if: {}", c.text)));
        lines
    }
}
