//! `[policies.NAME]`

use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{GeoRuleSpec, PolicySpec, StageSpec};
use crate::config::tree::Table;
use crate::steer::GeoMode;

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;

const STAGES: &[&str] = &[
    "failover",
    "geo",
    "proximity",
    "latency",
    "weighted",
    "round-robin",
    "random",
    "sticky",
];
const CRITERIA: [&str; 5] = [
    "continents",
    "countries",
    "subdivisions",
    "asns",
    "networks",
];

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<PolicySpec> {
    let mut policies = Vec::new();
    for (name, r) in objects(cx, root, "policies", false) {
        let policy = name.value.clone();
        let readers = r.tables(cx, "stages", |at, table| {
            match table
                .entries
                .iter()
                .find(|e| STAGES.contains(&e.key.as_str()))
            {
                Some(e) => format!("stage {at} (`{}`) of policy `{policy}`", e.key),
                None => format!("stage {at} of policy `{policy}`"),
            }
        });
        let mut stages = Vec::new();
        for reader in readers {
            if let Some(stage) = stage(cx, &reader) {
                stages.push(Marked::new(stage, reader.span()));
            }
        }
        policies.push(PolicySpec { name, stages });
    }
    policies
}

fn stage(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<StageSpec> {
    let kind = r.one_of(cx, STAGES, "kind")?;
    let s = r.sub(cx, kind);
    match kind {
        "failover" => Some(StageSpec::Failover),
        "geo" => geo(cx, &s),
        "proximity" => {
            let band: Option<Marked<f64>> = s.get(cx, "band");
            let bias_km = s.map(cx, "bias", "REGION");
            Some(StageSpec::Proximity {
                band_km: band?.value,
                bias_km,
            })
        }
        "latency" => {
            let tolerance: Option<Marked<Duration>> = s.get(cx, "tolerance");
            let band: Option<Marked<f64>> = s.get(cx, "fallback-band");
            Some(StageSpec::Latency {
                tolerance: tolerance?.value,
                fallback_band_km: band?.value,
            })
        }
        "weighted" => Some(StageSpec::Weighted),
        "round-robin" => Some(StageSpec::RoundRobin),
        "random" => Some(StageSpec::Random),
        _ => {
            let prefix4: Option<Marked<u8>> = s.get(cx, "prefix4");
            let prefix6: Option<Marked<u8>> = s.get(cx, "prefix6");
            Some(StageSpec::Sticky {
                prefix4: prefix4?.value,
                prefix6: prefix6?.value,
            })
        }
    }
}

fn geo(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<StageSpec> {
    let mode: Option<Marked<String>> = r.get(cx, "mode");
    let subject = r.subject().to_owned();
    let readers = r.tables(cx, "rules", |at, _| format!("rule {at} of {subject}"));
    let mut rules = Vec::new();
    for reader in readers {
        rules.push(rule(cx, &reader));
    }
    Some(StageSpec::Geo {
        mode: match mode?.value.as_str() {
            "fence" => GeoMode::Fence,
            _ => GeoMode::Prefer,
        },
        rules,
    })
}

fn rule(cx: &mut Context<'_>, r: &Reader<'_>) -> GeoRuleSpec {
    let default: Option<Marked<bool>> = r.get(cx, "default");
    if !r.has("regions") && !r.has("pools") {
        cx.diagnostics.push(
            Diagnostic::error(
                r.span(),
                format!("{} has neither `regions` nor `pools`", r.subject()),
            )
            .help("say where the matching clients go: `regions = [\"eu\"]`"),
        );
    }
    let is_default = default.as_ref().is_some_and(|d| d.value);
    if !CRITERIA.iter().any(|c| r.has(c)) && !is_default {
        cx.diagnostics.push(
            Diagnostic::error(r.span(), format!("{} has no criterion", r.subject())).help(
                "give at least one of `continents`, `countries`, `subdivisions`, `asns`, \
                 `networks`, or `default = true`",
            ),
        );
    }
    GeoRuleSpec {
        regions: r.list(cx, "regions").unwrap_or_default(),
        pools: r.list(cx, "pools").unwrap_or_default(),
        continents: r
            .list::<String>(cx, "continents")
            .unwrap_or_default()
            .into_iter()
            .filter_map(|c| {
                crate::geo::location::Code::new(&c.value).map(|code| Marked::new(code, c.span))
            })
            .collect(),
        countries: r.list(cx, "countries").unwrap_or_default(),
        subdivisions: r.list(cx, "subdivisions").unwrap_or_default(),
        asns: r.list(cx, "asns").unwrap_or_default(),
        networks: r.list(cx, "networks").unwrap_or_default(),
        default: is_default,
    }
}
