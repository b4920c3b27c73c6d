//! Things that may be supposed, and how each changes what is known.

use std::sync::Arc;
use std::time::Duration;

use crate::health::{Override, OverrideKind, Scope};
use crate::ids::{EndpointId, PoolId, SiteId};
use crate::snapshot::{Supposed, View};

/// One thing that is supposed to be otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Supposition {
    /// This is drained.
    Drained(Scope),
    /// These endpoints of one pool are up again.
    Up(Vec<EndpointId>),
    /// The override at this position of the view's is over.
    Ended(usize),
    /// The round-trip time from these sites to all endpoints of a pool that they know is this one.
    Rtt {
        /// The pool.
        pool: PoolId,
        /// The sites that speak for the client.
        sites: Vec<SiteId>,
        /// The time.
        rtt: Duration,
        /// Whether it is more than now.
        rises: bool,
    },
}

/// What would be known if all of this were so.
pub fn suppose(view: &View, all: &[Supposition]) -> Supposed {
    suppose_upon(view, Supposed::of(view), all)
}

/// What would be known if all of this were so beside what is known, or supposed already.
pub(super) fn suppose_upon(view: &View, mut known: Supposed, all: &[Supposition]) -> Supposed {
    let ended: Vec<usize> = all
        .iter()
        .filter_map(|s| match s {
            Supposition::Ended(at) => Some(*at),
            _ => None,
        })
        .collect();
    if !ended.is_empty() {
        let mut at = 0;
        Arc::make_mut(&mut known.overrides).0.retain(|_| {
            at += 1;
            !ended.contains(&(at - 1))
        });
    }
    for one in all {
        match one {
            Supposition::Drained(scope) => {
                Arc::make_mut(&mut known.overrides).0.push(Override {
                    scope: *scope,
                    kind: OverrideKind::Drain,
                    owner: "nobody".into(),
                    reason: "supposed".into(),
                    expires: None,
                });
            }
            Supposition::Up(endpoints) => {
                let up = endpoints.iter().map(|e| {
                    let verdict = known.board.verdict(*e);
                    (*e, verdict.if_up(Some(Duration::ZERO)))
                });
                known.board = Arc::new(known.board.with(up.collect::<Vec<_>>()));
            }
            Supposition::Ended(_) => {}
            Supposition::Rtt {
                pool, sites, rtt, ..
            } => {
                let endpoints = &view.snapshot.steering.pools[pool.index()].endpoints;
                let times = &mut Arc::make_mut(&mut known.measurements).sites;
                for (site, e) in sites
                    .iter()
                    .flat_map(|s| endpoints.iter().map(move |e| (*s, *e)))
                {
                    if times.get(site, e).rtt.is_some() {
                        times.suppose(site, e, *rtt);
                    }
                }
            }
        }
    }
    known
}
