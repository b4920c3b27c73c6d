//! Drills as shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::drill::answers::{Answers as Told, When};
use crate::drill::report::{Applied, Promise};
use crate::drill::shift::Moved as Times;
use crate::drill::{Phase, Report};
use crate::overrides::Reach;
use crate::time::utc;

/// Drills, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Drills {
    /// At most the last fifty.
    pub drills: Vec<Drill>,
}

/// A drill: what was wanted, where it stands, and what it showed so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct Drill {
    /// Its name.
    pub id: String,
    /// `planned`, `checked`, `running`, `finished`, `aborted`, `rolled-back` or `reported`.
    pub state: &'static str,
    /// How it ended: `finished`, `aborted` or `rolled-back`; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// `fail` or `drain`.
    pub effect: &'static str,
    /// `region`, `pool` or `endpoint`.
    pub scope: &'static str,
    /// Its name in the configuration.
    pub name: String,
    /// `everybody`, `canary` or `label`.
    pub reach: &'static str,
    /// The clients that it concerns, where it is a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// What stands before a steered name so that it answers as under the drill, where that is its
    /// scope: `drill-ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Why rules were broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// The share of each name's capacity that must go on serving, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub demand: Option<u8>,
    /// What that was measured by; absent where somebody said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// Most requests that may be answered with 5xx, in percent.
    pub max_errors: u8,
    /// The node that was asked for it.
    pub node: String,
    /// The node that drives it, or drove it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// When it was planned.
    pub planned: String,
    /// When its order came into force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<String>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// When it ends at the latest.
    pub ends: String,
    /// Milliseconds until then; 0 when it is over.
    pub ends_in_ms: u64,
    /// The phases that it has entered, in order.
    pub steps: Vec<Step>,
    /// What happened on the way.
    pub notes: Vec<Note>,
    /// The rules looked at before it began.
    pub checks: Vec<Check>,
    /// The first few names that it is about.
    pub names: Vec<String>,
    /// How many names it is about.
    pub names_in_all: usize,
    /// The worst-case failover time that is promised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promised: Option<Promised>,
    /// What was seen.
    pub seen: Seen,
    /// When each node obeyed.
    pub nodes: Vec<Node>,
    /// What proxies saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Traffic>,
    /// Where DNS sent clients.
    pub answers: Answers,
}

/// How a demand was measured: by what traffic needs, and what weights have borne.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrillDemand)]
pub struct Measured {
    /// `proxies` or `flows`.
    pub by: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// That of all regions as the drill was begun.
    pub now: f64,
    /// The most that a unit of weight had borne within the last day.
    pub per_weight: f64,
    /// The weight of all regions.
    pub weight: f64,
}

/// Where DNS sent clients, as samples of answers say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrillAnswers)]
pub struct Answers {
    /// Why there is nothing to tell, or no time; absent where there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<&'static str>,
    /// The nodes that saw queries.
    pub nodes: Vec<String>,
    /// On how many samples it rests.
    pub samples: Spans<u64>,
    /// Answers, as estimated from them.
    pub answers: Spans<f64>,
    /// The share of each region, 0 to 1; null where nobody asked.
    pub regions: Vec<RegionShare>,
    /// When answers had moved away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away: Option<Moved>,
    /// When they had come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back: Option<Moved>,
}

/// In the half minute before a drill, while it ran, and after it until the report was whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct Spans<T> {
    /// Before.
    pub before: T,
    /// During.
    pub during: T,
    /// After.
    pub after: T,
}

/// The share of answers that sent clients to a region.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrillRegionShare)]
pub struct RegionShare {
    /// The region; `(none)`: answers without an endpoint, `(others)`: further regions.
    pub region: String,
    /// Before.
    pub before: Option<f64>,
    /// During.
    pub during: Option<f64>,
    /// After.
    pub after: Option<f64>,
}

/// A drill with its report as text.
#[derive(Debug, Serialize, ToSchema)]
pub struct DrillReport {
    /// The drill.
    #[serde(flatten)]
    pub drill: Drill,
    /// The same for people, as Markdown.
    pub markdown: String,
}

/// A phase that was entered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Step {
    /// `planned`, `checked`, `running`, `finished`, `aborted`, `rolled-back` or `reported`.
    pub step: &'static str,
    /// When.
    pub at: String,
    /// Since the drill was planned.
    pub after_ms: u64,
    /// The node that says so.
    pub node: String,
    /// In words.
    pub text: String,
}

/// Something that happened on the way.
#[derive(Debug, Serialize, ToSchema)]
pub struct Note {
    /// When.
    pub at: String,
    /// The node that says so.
    pub node: String,
    /// What.
    pub text: String,
}

/// A rule that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub struct Check {
    /// Its name.
    pub rule: String,
    /// Whether it held.
    pub holds: bool,
    /// What it asks and what there was.
    pub text: String,
}

/// The worst-case failover time of the name where it is longest.
#[derive(Debug, Serialize, ToSchema)]
pub struct Promised {
    /// The name.
    pub name: String,
    /// Until a failure is detected.
    pub detection_ms: u64,
    /// Until answers obey on every node.
    pub publish_ms: u64,
    /// Until caches have forgotten.
    pub ttl_ms: u64,
    /// All together.
    pub total_ms: u64,
}

/// What was seen of the times.
#[derive(Debug, Serialize, ToSchema)]
pub struct Seen {
    /// Of an injected failure 0: it counts as detected when it is ordered.
    pub detection_ms: u64,
    /// From the order to the view of the last node that tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_ms: Option<u64>,
    /// From the end to the view of the last node that tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roll_back_ms: Option<u64>,
}

/// When a node obeyed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DrillNode)]
pub struct Node {
    /// The node.
    pub node: String,
    /// Its first view with the drill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begun: Option<View>,
    /// Its first view without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<View>,
}

/// The view of a node.
#[derive(Debug, Serialize, ToSchema)]
pub struct View {
    /// Its number.
    pub generation: u64,
    /// When it was published, by that node's calendar.
    pub at: String,
    /// Since the order, or since the end.
    pub after_ms: u64,
}

/// What proxies saw of the traffic.
#[derive(Debug, Serialize, ToSchema)]
pub struct Traffic {
    /// The nodes whose proxies carried it.
    pub nodes: Vec<String>,
    /// Arrivals in a second before the drill.
    pub before_per_second: f64,
    /// When it had moved away; absent where there was too little to tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away: Option<Moved>,
    /// When it had come back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub back: Option<Moved>,
}

/// When shares of the traffic had moved; null: not seen so far.
#[derive(Debug, Serialize, ToSchema)]
pub struct Moved {
    /// Half of it.
    pub p50_ms: Option<u64>,
    /// 90 %.
    pub p90_ms: Option<u64>,
    /// 99 %.
    pub p99_ms: Option<u64>,
}

impl Drill {
    /// A report as shown.
    pub fn of(r: &Report) -> Drill {
        let c = &r.charter;
        let (reach, canary, label) = match c.drill.reach {
            Reach::Everybody => ("everybody", None, None),
            Reach::Canary(prefix) => ("canary", Some(prefix.to_string()), None),
            Reach::Label => ("label", None, Some(c.drill.label())),
        };
        let begun_ms = r.entered(Phase::Running);
        let over_ms = r.ended_ms();
        let [publish, roll_back] = r.spread_ms();
        let left = c.ends_ms.saturating_sub(r.now_ms);
        Drill {
            id: c.drill.id.to_string(),
            state: r.state.word(),
            ended: r.state.end().map(crate::drill::End::word),
            effect: c.effect.word(),
            scope: c.scope.word(),
            name: c.name.to_string(),
            reach,
            canary,
            label,
            owner: c.owner.to_string(),
            reason: c.reason.to_string(),
            break_glass: c.break_glass.as_deref().map(str::to_owned),
            demand: c.demand,
            measured: c.measured.map(measured),
            max_errors: c.max_errors,
            node: c.node.to_string(),
            driver: r.driver.as_deref().map(str::to_owned),
            planned: at(c.planned_ms),
            begun: begun_ms.map(at),
            over: over_ms.map(at),
            ends: at(c.ends_ms),
            ends_in_ms: if over_ms.is_some() { 0 } else { left },
            steps: r
                .steps
                .iter()
                .map(|(p, s)| step(*p, s, c.planned_ms))
                .collect(),
            notes: r
                .notes
                .iter()
                .map(|n| Note {
                    at: at(n.at_ms),
                    node: n.node.to_string(),
                    text: n.text.clone(),
                })
                .collect(),
            checks: r
                .checks
                .iter()
                .map(|c| Check {
                    rule: c.rule.clone(),
                    holds: c.holds,
                    text: c.text.clone(),
                })
                .collect(),
            names: r.names.0.clone(),
            names_in_all: r.names.1,
            promised: r.promise.as_ref().map(promised),
            seen: Seen {
                detection_ms: 0,
                publish_ms: publish.map(|(ms, _)| ms),
                roll_back_ms: roll_back.map(|(ms, _)| ms),
            },
            nodes: r
                .nodes
                .iter()
                .map(|n| Node {
                    node: n.node.to_string(),
                    begun: n.begun.map(|a| view(a, begun_ms)),
                    over: n.over.map(|a| view(a, over_ms)),
                })
                .collect(),
            traffic: r.traffic.as_ref().map(|t| Traffic {
                nodes: t.nodes.clone(),
                before_per_second: t.before,
                away: t.away.map(moved),
                back: t.back.map(moved),
            }),
            answers: Answers::of(&r.answers),
        }
    }
}

fn measured(m: crate::drill::demand::Measured) -> Measured {
    Measured {
        by: m.by.word(),
        unit: m.by.unit(),
        now: m.now,
        per_weight: m.per_weight,
        weight: m.weight,
    }
}

impl Answers {
    fn of(told: &Told) -> Answers {
        let none = |why| Answers {
            why_not: Some(why),
            nodes: Vec::new(),
            samples: Spans {
                before: 0,
                during: 0,
                after: 0,
            },
            answers: Spans {
                before: 0.0,
                during: 0.0,
                after: 0.0,
            },
            regions: Vec::new(),
            away: None,
            back: None,
        };
        let (nodes, tally) = match told {
            Told::Label => return none("only who asks for the label is concerned"),
            Told::TooFine => {
                return none("samples tell no network smaller than a /24 or a /48");
            }
            Told::NotAsked => return none("no node saw a query from who is concerned"),
            Told::Seen { nodes, tally } => (nodes, tally),
        };
        let [before, during, after] = tally.samples;
        let share = |region: &str, when: When| {
            let shares = tally.shares(when)?;
            let own = shares.iter().find(|(name, _)| *name == region)?;
            Some((own.1 * 1e6).round() / 1e6)
        };
        let away = tally.away();
        Answers {
            why_not: away.is_none().then_some(
                "too few answers named what the drill takes away to tell when they moved",
            ),
            nodes: nodes.clone(),
            samples: Spans {
                before,
                during,
                after,
            },
            answers: Spans {
                before: tally.answers(When::Before),
                during: tally.answers(When::During),
                after: tally.answers(When::After),
            },
            regions: tally
                .regions
                .keys()
                .map(|region| RegionShare {
                    region: region.to_string(),
                    before: share(region, When::Before),
                    during: share(region, When::During),
                    after: share(region, When::After),
                })
                .collect(),
            away: away.map(moved),
            back: tally.back().map(moved),
        }
    }
}

fn step(phase: Phase, step: &crate::drill::Step, planned_ms: u64) -> Step {
    Step {
        step: match phase {
            Phase::Planned => "planned",
            Phase::Checked => "checked",
            Phase::Running => "running",
            Phase::Ended => step.end.map_or("ended", crate::drill::End::word),
            Phase::Reported => "reported",
        },
        at: at(step.at_ms),
        after_ms: step.at_ms.saturating_sub(planned_ms),
        node: step.node.to_string(),
        text: step.text.clone(),
    }
}

fn view(applied: Applied, from_ms: Option<u64>) -> View {
    View {
        generation: applied.generation,
        at: at(applied.at_ms),
        after_ms: applied
            .at_ms
            .saturating_sub(from_ms.unwrap_or(applied.at_ms)),
    }
}

fn promised(p: &Promise) -> Promised {
    let ms = |d: std::time::Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    Promised {
        name: p.name.clone(),
        detection_ms: ms(p.detection),
        publish_ms: ms(p.publish),
        ttl_ms: ms(p.ttl),
        total_ms: ms(p.detection + p.publish + p.ttl),
    }
}

fn moved(times: Times) -> Moved {
    let ms = |d: Option<std::time::Duration>| d.map(|d| d.as_millis() as u64);
    Moved {
        p50_ms: ms(times.half),
        p90_ms: ms(times.ninety),
        p99_ms: ms(times.ninety_nine),
    }
}

/// To the second, as everywhere; what is shorter is told as spans.
fn at(ms: u64) -> String {
    utc::show(ms / 1000)
}
