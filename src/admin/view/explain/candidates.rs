//! Who could be answered, and who was put out, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::admin::view::overrides::OfDrill;
use crate::admin::view::votes::Votes;
use crate::engine::explain as told;
use crate::snapshot::View;
use crate::time::Moment;

/// An endpoint that could be answered.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ExplainedCandidate)]
pub struct Candidate {
    /// Its name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// The pool's region.
    pub region: String,
    /// The address, or the CNAME target.
    pub address: String,
    /// What probes say of it, whatever is ordered: `up`, `down` or `unknown`.
    pub state: &'static str,
    /// Whether the configuration has it in service.
    pub enabled: bool,
    /// What is ordered of it: `drain`, `disable`, `force-up` or `force-down`.
    pub ordered: Option<&'static str>,
    /// Its weight within the pool.
    pub weight: u32,
    /// The pool's weight in the name.
    pub pool_weight: u32,
    /// Whether it or its pool is a backup.
    pub backup: bool,
    /// Round-trip time from the client's nearest site that knows one.
    pub rtt_ms: Option<f64>,
    /// That site.
    pub rtt_from: Option<String>,
    /// The tier of its pool, counted from 1; absent where it is fenced out.
    pub tier: Option<usize>,
    /// Percent of such queries that it is the first answer of.
    pub share_percent: f64,
    /// Whether it is answered.
    pub chosen: bool,
    /// The votes behind its state; absent where this node's own word is the verdict.
    #[schema(value_type = Option<Object>)]
    pub votes: Option<Votes>,
}

/// Somebody who was put out, or put behind others.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Elimination {
    /// The endpoint; absent: all of the pool.
    pub endpoint: Option<String>,
    /// The pool.
    pub pool: String,
    /// The rule in one word: `health`, `override`, `min-live`, `proximity`, `geo fence` …
    pub rule: &'static str,
    /// In words.
    pub why: String,
}

/// The tiers after a stage.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ExplainedStage)]
pub struct Stage {
    /// The stage.
    pub stage: &'static str,
    /// What it went by; may be empty.
    pub by: String,
    /// The tiers after it, the first choice first.
    pub tiers: Vec<Vec<Ranked>>,
    /// Pools that a fence put out.
    pub fenced: Vec<String>,
}

/// A pool in a tier.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RankedPool)]
pub struct Ranked {
    /// The pool.
    pub pool: String,
    /// What the stage saw in it: `priority 1`, `412 km`, `rtt 12.1 ms`.
    pub key: String,
}

/// An override in force.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = ExplainedOverride)]
pub struct Order {
    /// `drain`, `disable`, `force-up`, `force-down` or `weight`.
    pub kind: &'static str,
    /// The weight ordered.
    pub weight: Option<u32>,
    /// `endpoint`, `pool`, `region` or `name`.
    pub scope: &'static str,
    /// Which.
    pub name: String,
    /// Who gave it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Seconds until it ends by itself.
    pub ends_in_seconds: Option<f64>,
    /// The drill whose order it is; absent where it is an operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<OfDrill>,
}

impl Candidate {
    pub(super) fn of(c: &told::CandidateNow, view: &View, now: Moment) -> Candidate {
        Candidate {
            endpoint: c.endpoint.clone(),
            pool: c.pool.clone(),
            region: c.region.clone(),
            address: c.data.clone(),
            state: c.state,
            enabled: c.enabled,
            ordered: c.ordered,
            weight: c.weight,
            pool_weight: c.pool_weight,
            backup: c.backup,
            rtt_ms: c.rtt.map(|d| d.as_secs_f64() * 1e3),
            rtt_from: c.rtt_from.clone(),
            tier: c.tier,
            share_percent: c.share,
            chosen: c.chosen,
            votes: Votes::of(view, view.board.verdict(c.id), now),
        }
    }
}

impl From<told::Elimination> for Elimination {
    fn from(e: told::Elimination) -> Elimination {
        Elimination {
            endpoint: e.endpoint,
            pool: e.pool,
            rule: e.rule,
            why: e.why,
        }
    }
}

impl From<told::StageTold> for Stage {
    fn from(s: told::StageTold) -> Stage {
        let ranked = |r: crate::steer::Ranked| Ranked {
            pool: r.pool,
            key: r.key,
        };
        let tier = |t: Vec<crate::steer::Ranked>| t.into_iter().map(ranked).collect();
        Stage {
            stage: s.stage,
            by: s.by,
            tiers: s.tiers.into_iter().map(tier).collect(),
            fenced: s.fenced,
        }
    }
}

impl From<told::OrderNow> for Order {
    fn from(o: told::OrderNow) -> Order {
        Order {
            kind: o.kind,
            weight: o.weight,
            scope: o.scope,
            name: o.subject,
            owner: o.owner,
            reason: o.reason,
            ends_in_seconds: o.ends_in.map(|d| d.as_secs_f64()),
            drill: o.drill.as_ref().map(OfDrill::of),
        }
    }
}
