//! What an order would do to names, against the rules that orders must keep (requirement O2).

use crate::health::Overrides;
use crate::overrides::Standing;
use crate::snapshot::{View, orders};
use crate::steer::Known;
use crate::steer::capacity::{Effect, effects};
use crate::time::{Moment, Wall};

/// Most rules and warnings that are spelt out.
const SPELT: usize = 5;

/// An order that leaves less than this share of a name's capacity, in percent, is warned of.
const LITTLE: u64 = 30;

/// What an order would do.
#[derive(Debug, Default)]
pub(in crate::app) struct Assessment {
    /// The rules it breaks, each with both numbers.
    pub(in crate::app) broken: Vec<String>,
    /// What a person should know.
    pub(in crate::app) warnings: Vec<String>,
    /// Of the names of which less would serve the one of which least would, and how much, in percent.
    pub(in crate::app) least: Option<(String, u64)>,
}

/// Compares what serves now with what would if `standing` were in force.
pub(super) fn assess(
    view: &View,
    standing: &Standing,
    demand: Option<u8>,
    wall: Wall,
    now: Moment,
) -> Assessment {
    let overrides = orders::resolve(standing, &view.snapshot.steering, wall);
    assess_overrides(view, &overrides, demand, now)
}

/// As [`assess`], of orders as this configuration understands them.
pub(in crate::app) fn assess_overrides(
    view: &View,
    overrides: &Overrides,
    demand: Option<u8>,
    now: Moment,
) -> Assessment {
    let steering = &view.snapshot.steering;
    let before = Known {
        board: &view.board,
        measurements: &view.measurements,
        overrides: &view.overrides,
    };
    let after = Known {
        overrides,
        ..before
    };
    let mut out = Assessment::default();
    for Effect {
        name,
        before,
        after,
    } in effects(steering, before, after, now)
    {
        let owner = &steering.names[name.index()].owner;
        let percent = after.percent();
        if after.regions.is_empty() && !before.regions.is_empty() {
            out.broken.push(format!(
                "at least one region must stay on: name {owner} is served from {} now, and would be \
                 from 0",
                count(before.regions.len(), "region")
            ));
        }
        let demanded = u64::from(demand.unwrap_or(0));
        if after.serving < before.serving {
            let least = out.least.as_ref();
            if least.is_none_or(|(_, known)| percent < *known) {
                out.least = Some((owner.to_string(), percent));
            }
            if percent < demanded {
                out.broken.push(format!(
                    "the remaining capacity must meet the demand: {percent} % of the capacity of \
                     name {owner} would serve, {demanded} % is demanded"
                ));
            } else if percent < LITTLE {
                out.warnings.push(format!(
                    "this leaves {percent} % of the capacity of name {owner} in service"
                ));
            }
        }
    }
    shorten(&mut out.broken);
    shorten(&mut out.warnings);
    out
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn shorten(lines: &mut Vec<String>) {
    let more = lines.len().saturating_sub(SPELT);
    if more > 0 {
        lines.truncate(SPELT);
        lines.push(format!("the same of {}", count(more, "further name")));
    }
}
