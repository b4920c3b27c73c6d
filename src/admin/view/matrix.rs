//! Who says what of every endpoint, as shown: vantages beside endpoints.

use serde::Serialize;
use utoipa::ToSchema;

use super::condition::{Condition, Ordered};
use super::endpoints::{Tally, contains, rtt_ms};
use crate::health::council::counts;
use crate::health::{Opinion, State, VantageNow, Verdict, Vote};
use crate::ids::{EndpointId, SiteId};
use crate::snapshot::View;
use crate::time::Moment;

/// The votes on some endpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct Matrix {
    /// The view's number.
    pub generation: u64,
    /// How many sites must say "down": `majority`, a share or a number.
    pub quorum: String,
    /// The columns.
    pub vantages: Vec<Vantage>,
    /// All endpoints that there are.
    pub total: usize,
    /// Those that the filters let through.
    pub matching: usize,
    /// Some of those, by name: the rows.
    pub endpoints: Vec<Row>,
    /// Give it as `after` for those that follow; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A node that probes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VotingVantage)]
pub struct Vantage {
    /// Name.
    pub node: String,
    /// Its failure domain.
    pub site: String,
    /// Whether it is the node that was asked.
    pub own: bool,
    /// What its word is worth.
    pub worth: &'static str,
    /// Seconds since it gave a sign of life; null for the node that was asked and one never heard.
    pub age_seconds: Option<f64>,
}

/// An endpoint with its votes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VotesOnEndpoint)]
pub struct Row {
    /// Name.
    pub endpoint: String,
    /// Its pool.
    pub pool: String,
    /// Its region.
    pub region: String,
    /// In which condition it is.
    pub state: Condition,
    /// How sites voted; absent where the word of the node that was asked is the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// The last failure that the node that was asked saw.
    pub last_error: Option<String>,
    /// In the order of the vantages.
    pub votes: Vec<Cell>,
}

/// One vantage's word on one endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Cell {
    /// `up`, `down` or `none`.
    pub opinion: &'static str,
    /// How it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weakness: Option<&'static str>,
    /// Whether it counts.
    pub counts: bool,
    /// Failures so far, at most 255.
    pub failures: u8,
    /// How far the endpoint is from there; of another node the median of its site.
    pub rtt_ms: Option<f64>,
}

/// Which endpoints are meant.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    /// Of this pool.
    pub pool: Option<&'a str>,
    /// With this in their name.
    pub q: Option<String>,
    /// Whose names come after this one.
    pub after: Option<&'a str>,
    /// So many at most.
    pub limit: usize,
}

impl Matrix {
    /// The votes of `view` as of `now`.
    pub fn of(view: &View, filter: &Filter<'_>, now: Moment) -> Matrix {
        let rules = &view.snapshot.settings.council;
        let steering = &view.snapshot.steering;
        let ordered = Ordered::of(view, now);
        let mut matrix = Matrix {
            generation: view.generation.0,
            quorum: rules.quorum.to_string(),
            vantages: vantages(view, now),
            total: steering.endpoints.len(),
            matching: 0,
            endpoints: Vec::new(),
            next: None,
        };
        for (i, endpoint) in steering.endpoints.iter().enumerate() {
            let pool = &steering.pools[endpoint.pool.index()];
            let fits = filter.pool.is_none_or(|p| *pool.name == *p)
                && filter
                    .q
                    .as_deref()
                    .is_none_or(|q| contains(&endpoint.name, q));
            if !fits {
                continue;
            }
            matrix.matching += 1;
            if filter.after.is_some_and(|after| *endpoint.name <= *after) {
                continue;
            }
            if matrix.endpoints.len() == filter.limit {
                let last = matrix.endpoints.last();
                matrix.next = matrix.next.or(last.map(|e| e.endpoint.clone()));
                continue;
            }
            let e = EndpointId::from_index(i);
            let known = ordered.known(e);
            matrix.endpoints.push(Row {
                endpoint: endpoint.name.to_string(),
                pool: pool.name.to_string(),
                region: steering.regions[pool.region.index()].name.to_string(),
                state: known.condition,
                tally: Tally::of(view, known.verdict),
                last_error: known.verdict.last_error.as_deref().map(str::to_owned),
                votes: cells(view, e, known.verdict),
            });
        }
        matrix
    }
}

fn vantages(view: &View, now: Moment) -> Vec<Vantage> {
    let rules = &view.snapshot.settings.council;
    let worths = view.board.vantages();
    if worths.is_empty() {
        return vec![Vantage {
            node: view.snapshot.settings.node.to_string(),
            site: rules
                .sites
                .first()
                .map_or_else(String::new, ToString::to_string),
            own: true,
            worth: "the only one: its own word is the verdict",
            age_seconds: None,
        }];
    }
    let all = rules.vantages.iter().zip(worths).enumerate();
    all.map(|(i, (vantage, worth))| Vantage {
        node: vantage.name.to_string(),
        site: rules.sites[vantage.site.index()].to_string(),
        own: rules.own.is_some_and(|own| own.index() == i),
        worth: worth.worth.text(),
        age_seconds: worth.alive.map(|at| now.since(at).as_secs_f64()),
    })
    .collect()
}

fn cells(view: &View, e: EndpointId, verdict: &Verdict) -> Vec<Cell> {
    let rules = &view.snapshot.settings.council;
    let worths = view.board.vantages();
    let Some(votes) = verdict.votes.as_deref().filter(|_| !worths.is_empty()) else {
        return vec![own_word(view, e, verdict); worths.len().max(1)];
    };
    let sites = &view.snapshot.steering.sites;
    let site_of = |name: &str| sites.vantages.iter().find(|(n, _)| **n == *name);
    let all = rules.vantages.iter().zip(votes).zip(worths).enumerate();
    all.map(|(i, ((vantage, vote), worth))| {
        let own = rules.own.is_some_and(|own| own.index() == i);
        let rtt = match own {
            true => rtt_ms(view, e),
            false => site_of(&vantage.name).and_then(|(_, site)| latest_ms(view, *site, e)),
        };
        cell(*vote, worth, rtt)
    })
    .collect()
}

fn latest_ms(view: &View, site: SiteId, e: EndpointId) -> Option<f64> {
    let time = view.measurements.sites.get(site, e);
    time.latest.map(|d| d.as_secs_f64() * 1e3)
}

fn cell(vote: Option<Vote>, worth: &VantageNow, rtt_ms: Option<f64>) -> Cell {
    let (opinion, weakness) = match vote.map(|v| v.opinion) {
        Some(Opinion::Up) => ("up", None),
        Some(Opinion::Down(weakness)) => ("down", Some(weakness.text())),
        Some(Opinion::None) | None => ("none", None),
    };
    Cell {
        opinion,
        weakness,
        counts: counts(vote, worth.worth).is_some(),
        failures: vote.map_or(0, |v| v.failures),
        rtt_ms,
    }
}

/// Where no votes are cast: what the node itself saw.
fn own_word(view: &View, e: EndpointId, verdict: &Verdict) -> Cell {
    let seen = verdict.last_probe.is_some();
    Cell {
        opinion: match verdict.state {
            State::Up if seen => "up",
            State::Down if seen => "down",
            _ => "none",
        },
        weakness: None,
        counts: seen,
        failures: u8::try_from(verdict.failures).unwrap_or(u8::MAX),
        rtt_ms: rtt_ms(view, e),
    }
}
