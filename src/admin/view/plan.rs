//! What another configuration would change, as shown.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::net::Family;
use crate::plan::{self, Basis, Place};

/// Names told in full at most; the others are counted.
const MOST_NAMES: usize = 1000;

/// What is asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlanRequest {
    /// The texts of the new configuration by path, seen from where the node's own one lies: its `*.toml`
    /// files, and zone files and network lists that they name. What else they name, such as GeoIP
    /// databases, must be a file that the node's own configuration names.
    pub files: BTreeMap<String, String>,
    /// The part of all clients that may be sent to another region, such as `10%`: the gate.
    #[serde(default)]
    #[schema(pattern = "^[0-9]{1,3}(\\.[0-9]+)?%$", example = "10%")]
    pub max_shift: Option<String>,
    /// `traffic`, the default: by the queries of the last day where there were any; `addresses`: by the
    /// addresses whose place is known.
    #[serde(default)]
    #[schema(pattern = "^(traffic|addresses)$")]
    pub by: Option<String>,
}

/// What another configuration would change in answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Plan {
    /// The node that compared; empty without one.
    pub node: String,
    /// The view in force that was compared with; null where another configuration was.
    pub generation: Option<u64>,
    /// What the sums are of: `traffic` or `addresses`.
    pub basis: &'static str,
    /// Queries of the last day for the names of both, as estimated from samples.
    pub queries: f64,
    /// How sure `shift` is, where it is of traffic; null: it is of addresses, and exact.
    pub certainty: Option<Certainty>,
    /// Names of both that nobody asked for, as far as the nodes that answered know: they count in no sum of traffic.
    pub unasked: Unasked,
    /// The part of all clients that would be sent to another region, 0 to 1.
    pub shift: f64,
    /// The part of all clients that would get another address or target, 0 to 1.
    pub changed: f64,
    /// Whether that is more than may be; null when no bound was given.
    pub gate: Option<Gate>,
    /// From where to where in sum, the most first.
    pub moves: Vec<Move>,
    /// Names of which something changes, those that move most clients first.
    pub names: Vec<NameChange>,
    /// Such names that are not told.
    pub names_left: usize,
    /// Names of which nothing changes.
    pub names_unchanged: usize,
    /// Load by region, each followed by its pools.
    pub load: Vec<Load>,
    /// Steered names of one of the two only.
    pub steered: Difference,
    /// Of those that are added, at most 1000 in order.
    pub new_names: Vec<NewName>,
    /// Pools of one of the two only.
    pub pools: Difference,
    /// Regions of one of the two only.
    pub regions: Difference,
    /// Where the regions of both are.
    pub places: Vec<RegionAt>,
    /// Endpoints whose health is not known before their first probe, and that were taken as up.
    pub assumed_up: Vec<String>,
    /// What is doubtful in the new configuration.
    pub warnings: Vec<String>,
}

/// The gate.
#[derive(Debug, Serialize, ToSchema)]
pub struct Gate {
    /// The part that may be sent to another region, 0 to 1.
    pub max_shift: f64,
    /// What was held against it: `shift` where shares are of addresses, else what `shift` is no more
    /// than with a chance of 97.5 %.
    pub compared: f64,
    /// Whether no more is.
    pub passes: bool,
}

/// How sure a share of traffic is, which is counted on samples.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanCertainty)]
pub struct Certainty {
    /// Samples of queries that it rests on.
    pub samples: u64,
    /// The time within which they were taken, in seconds.
    pub over_seconds: u64,
    /// The standard error of the share, 0 to 1.
    pub standard_error: f64,
    /// What the share of all queries is no more than, with a chance of 97.5 %.
    pub at_most: f64,
    /// Whether these are few: below 1000.
    pub few: bool,
}

/// Names that nobody asked for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnaskedNames)]
pub struct Unasked {
    /// The first 20, those that move most before the others.
    pub names: Vec<String>,
    /// How many they are.
    pub count: usize,
    /// Of how many clients would be sent to another region, by addresses.
    pub moving: usize,
}

/// A name that only the new configuration has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NewSteeredName)]
pub struct NewName {
    /// The name.
    pub name: String,
    /// Its worst-case failover time in seconds; null: it is not monitored.
    pub failover: Option<f64>,
    /// Its ECS partitions: ranges of addresses told apart.
    pub partitions: usize,
}

/// Clients that would be sent elsewhere.
#[derive(Debug, Serialize, ToSchema)]
pub struct Move {
    /// The region where they are sent now, or `(last resort)`, `(SERVFAIL)`, `(no data)`.
    pub from: String,
    /// Where they would be, likewise.
    pub to: String,
    /// Which part of all, 0 to 1.
    pub share: f64,
    /// Some of their networks, those of the largest part first.
    pub examples: Vec<Example>,
}

/// A network of clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct Example {
    /// The network.
    pub network: String,
    /// ISO 3166-1 code of its country; null where nobody knows.
    pub country: Option<String>,
    /// Degrees north; null where nobody knows.
    pub latitude: Option<f64>,
    /// Degrees east; null where nobody knows.
    pub longitude: Option<f64>,
    /// Which part of all moves with it and with others of its place, 0 to 1.
    pub share: f64,
}

/// What changes for a name.
#[derive(Debug, Serialize, ToSchema)]
pub struct NameChange {
    /// The name.
    pub name: String,
    /// `traffic` or `addresses`.
    pub basis: &'static str,
    /// Its queries of the last day, as estimated.
    pub queries: f64,
    /// How sure `shift` is, where it is of traffic.
    pub certainty: Option<Certainty>,
    /// `A` or `AAAA`, of both the one of which more moves; `CNAME` for a CNAME name.
    pub record: &'static str,
    /// The part of its clients that would be sent to another region, 0 to 1.
    pub shift: f64,
    /// The part of its clients that would get another address or target, 0 to 1.
    pub changed: f64,
    /// From where to where, the most first.
    pub moves: Vec<Move>,
    /// Worst-case failover time in seconds.
    pub failover: Pair<Option<f64>>,
    /// ECS partitions: ranges of addresses told apart.
    pub partitions: Pair<usize>,
}

/// As it is, and as it would be.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pair<T> {
    /// As it is.
    pub old: T,
    /// As it would be.
    pub new: T,
}

/// The load of a region or of a pool.
#[derive(Debug, Serialize, ToSchema)]
pub struct Load {
    /// The region.
    pub region: String,
    /// The pool; null: the whole region.
    pub pool: Option<String>,
    /// Its part of all clients, 0 to 1.
    pub load: Pair<f64>,
    /// Sum of the weights of its enabled endpoints, which stand for what they can bear.
    pub capacity: Pair<u64>,
    /// Of these, the weights of those that serve.
    pub serving: Pair<u64>,
    /// Load over its part of all weight that serves: above 1, it bears more than its part; null where
    /// nothing serves.
    pub strain: Pair<Option<f64>>,
}

/// What was added and removed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Difference {
    /// In the new configuration only.
    pub added: Vec<String>,
    /// In the one in force only.
    pub removed: Vec<String>,
}

/// Where a region is.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegionAt {
    /// Its name.
    pub name: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

/// A part to six digits: what is beyond is arithmetic.
fn part(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

fn basis(basis: Basis) -> &'static str {
    match basis {
        Basis::Traffic => "traffic",
        Basis::Addresses => "addresses",
    }
}

impl Plan {
    /// The report, and whether it passes the gate of `max_shift`.
    pub fn of(report: plan::Report, max_shift: Option<f64>) -> Plan {
        // A share of few samples must not pass on noise.
        let compared = part(report.certainty.map_or(report.shift, |c| c.at_most));
        let gate = max_shift.map(|max_shift| Gate {
            max_shift,
            compared,
            // Exactly the bound passes, whatever the last digit of the sum.
            passes: compared <= max_shift,
        });
        let over = report.over;
        let warnings = weak(&report).into_iter().collect();
        let load = loads(&report.load);
        let names_left = report.names.len().saturating_sub(MOST_NAMES);
        let names = report.names.into_iter().take(MOST_NAMES);
        Plan {
            node: String::new(),
            generation: None,
            basis: basis(report.basis),
            queries: report.queries.round(),
            certainty: report.certainty.map(|c| certainty(c, over)),
            unasked: Unasked {
                names: report.unasked.names,
                count: report.unasked.count,
                moving: report.unasked.moving,
            },
            shift: part(report.shift),
            changed: part(report.changed),
            gate,
            moves: report.moves.into_iter().map(Move::of).collect(),
            names: names.map(|n| NameChange::of(n, over)).collect(),
            names_left,
            names_unchanged: report.unchanged,
            load,
            steered: report.steered.into(),
            new_names: report.new_names.into_iter().map(NewName::of).collect(),
            pools: report.pools.into(),
            regions: report.regions.into(),
            places: report
                .places
                .into_iter()
                .map(|(name, at)| RegionAt {
                    name,
                    latitude: at.latitude(),
                    longitude: at.longitude(),
                })
                .collect(),
            assumed_up: report.assumed_up,
            warnings,
        }
    }
}

/// What to say where the sums rest on few samples, or on a short time.
fn weak(report: &plan::Report) -> Option<String> {
    let c = report.certainty?;
    let over = report.over.as_secs();
    let hour = 3600;
    let surely = c.at_most <= report.shift;
    if surely || !c.is_weak() && over >= hour {
        return None;
    }
    let time = match over {
        0..120 => format!("{over} s"),
        120..7200 => format!("{} min", over / 60),
        _ => format!("{} h", over / hour),
    };
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    Some(format!(
        "warning: this rests on {:.0} samples of queries within {time}: the standard error of {} is {}, \
         and the share of all queries is at most {} with a chance of 97.5 %; ask again when more was \
         asked for, or plan by addresses",
        c.samples,
        percent(report.shift),
        percent(c.error),
        percent(c.at_most)
    ))
}

fn certainty(c: plan::Certainty, over: Duration) -> Certainty {
    Certainty {
        samples: c.samples.round() as u64,
        over_seconds: over.as_secs(),
        standard_error: part(c.error),
        at_most: part(c.at_most),
        few: c.is_weak(),
    }
}

fn seconds(t: Option<Duration>) -> Option<f64> {
    t.map(|t| (t.as_secs_f64() * 1000.0).round() / 1000.0)
}

impl NewName {
    fn of(n: plan::report::NewName) -> NewName {
        NewName {
            name: n.name,
            failover: seconds(n.failover),
            partitions: n.partitions,
        }
    }
}

impl From<plan::report::Difference> for Difference {
    fn from(d: plan::report::Difference) -> Difference {
        Difference {
            added: d.added,
            removed: d.removed,
        }
    }
}

impl Move {
    fn of(m: plan::Move) -> Move {
        let text = |p: &Place| p.text().to_owned();
        Move {
            from: text(&m.from),
            to: text(&m.to),
            share: part(m.share),
            examples: m.examples.into_iter().map(Example::of).collect(),
        }
    }
}

impl Example {
    fn of(e: plan::Example) -> Example {
        Example {
            network: e.network.to_string(),
            country: e.country.map(|c| c.to_string()),
            latitude: e.coordinates.map(|c| c.latitude()),
            longitude: e.coordinates.map(|c| c.longitude()),
            share: part(e.share),
        }
    }
}

impl NameChange {
    fn of(n: plan::NameChange, over: Duration) -> NameChange {
        NameChange {
            name: n.name,
            basis: basis(n.basis),
            queries: n.queries.round(),
            certainty: n.certainty.map(|c| certainty(c, over)),
            record: match n.family {
                Some(Family::V4) => "A",
                Some(Family::V6) => "AAAA",
                None => "CNAME",
            },
            shift: part(n.shift),
            changed: part(n.changed),
            moves: n.moves.into_iter().map(Move::of).collect(),
            failover: Pair {
                old: seconds(n.failover.0),
                new: seconds(n.failover.1),
            },
            partitions: Pair {
                old: n.partitions.0,
                new: n.partitions.1,
            },
        }
    }
}

fn loads(all: &[plan::Load]) -> Vec<Load> {
    let whole = |of: &dyn Fn(&plan::Load) -> u64| -> u64 {
        all.iter().filter(|l| l.pool.is_none()).map(of).sum()
    };
    let (old, new) = (whole(&|l| l.serving.0), whole(&|l| l.serving.1));
    let strain = |load: f64, serving: u64, whole: u64| {
        let own = serving as f64 / whole.max(1) as f64;
        (serving > 0).then(|| (load / own * 1000.0).round() / 1000.0)
    };
    let load = |l: &plan::Load| Load {
        region: l.region.clone(),
        pool: l.pool.clone(),
        load: Pair {
            old: part(l.load.0),
            new: part(l.load.1),
        },
        capacity: Pair {
            old: l.weight.0,
            new: l.weight.1,
        },
        serving: Pair {
            old: l.serving.0,
            new: l.serving.1,
        },
        strain: Pair {
            old: strain(l.load.0, l.serving.0, old),
            new: strain(l.load.1, l.serving.1, new),
        },
    };
    all.iter().map(load).collect()
}
