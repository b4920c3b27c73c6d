//! The votes behind a verdict, as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::health::council::{counts, tally};
use crate::health::{Opinion, Verdict};
use crate::snapshot::View;
use crate::time::Moment;

/// How the votes on one endpoint stand.
#[derive(Debug, Serialize, ToSchema)]
pub struct Votes {
    /// Sites that say "down".
    pub down: u32,
    /// Sites that vote.
    pub voting: u32,
    /// Sites that must say "down".
    pub needed: u32,
    /// Every vantage's vote.
    pub vantages: Vec<Vote>,
}

/// One vantage's vote.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VantageVote)]
pub struct Vote {
    /// Node.
    pub vantage: String,
    /// Its failure domain.
    pub site: String,
    /// `up`, `down` or `none`.
    pub opinion: &'static str,
    /// How it fails.
    pub weakness: Option<&'static str>,
    /// Seconds since the node gave a sign of life; absent for this node itself.
    pub age_seconds: Option<f64>,
    /// Whether it counts.
    pub counts: bool,
    /// What the node's word is worth.
    pub worth: &'static str,
}

impl Votes {
    /// The votes behind `verdict`; `None` where this node's own word is the verdict.
    pub fn of(view: &View, verdict: &Verdict, now: Moment) -> Option<Votes> {
        let rules = &view.snapshot.settings.council;
        let votes = verdict.votes.as_deref()?;
        let worths = view.board.vantages();
        let count = tally(rules, votes, worths);
        let all = rules.vantages.iter().zip(votes).zip(worths);
        let vantages = all.map(|((vantage, vote), worth)| {
            let (opinion, weakness) = match vote.map(|v| v.opinion) {
                Some(Opinion::Up) => ("up", None),
                Some(Opinion::Down(weakness)) => ("down", Some(weakness.text())),
                Some(Opinion::None) | None => ("none", None),
            };
            Vote {
                vantage: vantage.name.to_string(),
                site: rules.sites[vantage.site.index()].to_string(),
                opinion,
                weakness,
                age_seconds: worth.alive.map(|at| now.since(at).as_secs_f64()),
                counts: counts(*vote, worth.worth).is_some(),
                worth: worth.worth.text(),
            }
        });
        Some(Votes {
            down: count.down,
            voting: count.voting(),
            needed: count.needed(rules.quorum),
            vantages: vantages.collect(),
        })
    }
}
