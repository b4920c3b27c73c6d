//! Who is not among those chosen from, and by which rule.

use std::collections::BTreeSet;

use crate::ids::EndpointId;
use crate::snapshot::View;
use crate::steer::{Ranked, Share, Step};

use super::Query;

/// Somebody who was put out, or put behind others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Elimination {
    /// The endpoint; `None`: all of the pool.
    pub endpoint: Option<String>,
    /// The pool.
    pub pool: String,
    /// The rule in one word: `health`, `override`, `min-live`, `proximity`, `geo fence` …
    pub rule: &'static str,
    /// In words, with what it was measured by.
    pub why: String,
}

/// Everybody who was eliminated on the way that `steps` tell, each for one reason; in the order of the
/// steps, those of later tiers last.
pub(super) fn of(view: &View, q: &Query<'_>, steps: &[Step], shares: &[Share]) -> Vec<Elimination> {
    let mut all: Vec<Elimination> = Vec::new();
    let add = |e: Elimination, all: &mut Vec<Elimination>| {
        // Of both families the same is told twice.
        if !all.contains(&e) {
            all.push(e);
        }
    };
    for step in steps {
        match step {
            Step::Stage {
                stage, by, fenced, ..
            } => {
                for pool in fenced {
                    let out = Elimination {
                        endpoint: None,
                        pool: pool.clone(),
                        rule: stage,
                        why: format!("fenced out: {by}"),
                    };
                    add(out, &mut all);
                }
            }
            Step::HeldBack {
                endpoint,
                pool,
                rule,
                why,
            } if !rule.lets_in() => {
                let out = Elimination {
                    endpoint: Some(endpoint.clone()),
                    pool: pool.clone(),
                    rule: rule.text(),
                    why: why.clone(),
                };
                add(out, &mut all);
            }
            Step::PassedOver { pool, rule, why } => {
                let out = Elimination {
                    endpoint: None,
                    pool: pool.clone(),
                    rule: rule.text(),
                    why: why.clone(),
                };
                add(out, &mut all);
            }
            _ => {}
        }
    }
    let out: BTreeSet<String> = all
        .iter()
        .filter(|e| e.endpoint.is_none())
        .map(|e| e.pool.clone())
        .collect();
    for e in behind(view, q, steps, shares) {
        if !out.contains(&e.pool) {
            add(e, &mut all);
        }
    }
    all
}

/// The pools that stand in later tiers than the one that answers: by the stage that put them there.
fn behind(view: &View, q: &Query<'_>, steps: &[Step], shares: &[Share]) -> Vec<Elimination> {
    let steering = &view.snapshot.steering;
    let pool_of = |e: EndpointId| &*steering.pools[steering.endpoints[e.index()].pool.index()].name;
    let winners: BTreeSet<&str> = shares.iter().map(|s| pool_of(s.endpoint)).collect();
    if winners.is_empty() {
        return Vec::new();
    }
    let losers = steering.group_of(q.id).members.iter();
    let losers = losers.map(|m| &*steering.pools[m.pool.index()].name);
    let losers = losers.filter(|pool| !winners.contains(pool));
    let found = losers.filter_map(|pool| {
        steps.iter().find_map(|step| match step {
            Step::Stage {
                stage, by, tiers, ..
            } => {
                let (mine, my_key) = place(tiers, |p| p == pool)?;
                let (theirs, their_key) = place(tiers, |p| winners.contains(p))?;
                (mine > theirs).then(|| Elimination {
                    endpoint: None,
                    pool: pool.to_owned(),
                    rule: stage,
                    why: why(by, my_key, their_key),
                })
            }
            _ => None,
        })
    });
    found.collect()
}

fn why(by: &str, mine: &Ranked, theirs: &Ranked) -> String {
    let before = match by {
        "" => String::new(),
        by => format!("by {by}: "),
    };
    format!(
        "{before}{} after {} of pool {}",
        mine.key, theirs.key, theirs.pool
    )
}

/// The first tier with such a pool, and what the stage saw in it.
fn place(tiers: &[Vec<Ranked>], is: impl Fn(&str) -> bool) -> Option<(usize, &Ranked)> {
    let mut all = tiers
        .iter()
        .enumerate()
        .flat_map(|(i, tier)| tier.iter().map(move |r| (i, r)));
    all.find(|(_, r)| is(&r.pool))
}
