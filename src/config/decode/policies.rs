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
        let mark = cx.mark();
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
        policies.push(PolicySpec {
            name,
            stages,
            complete: cx.clean_since(mark) && r.misspelt().is_empty(),
        });
    }
    policies
}

fn stage(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<StageSpec> {
    let kind = r.one_of(cx, STAGES, "kind")?;
    let s = r.sub(cx, kind);
    match kind {
        "failover" => Some(StageSpec::Failover),
        "geo" => Some(geo(cx, &s)),
        "proximity" => {
            let band_km = s.get_or(cx, "band", 0.0).value;
            let bias_km = s.map(cx, "bias", "REGION");
            Some(StageSpec::Proximity { band_km, bias_km })
        }
        "latency" => Some(StageSpec::Latency {
            tolerance: s.get_or(cx, "tolerance", Duration::ZERO).value,
            tolerance_percent: s.get_or(cx, "tolerance-percent", 0).value,
            fallback_band_km: s.get_or(cx, "fallback-band", 0.0).value,
            clients: s.get_or(cx, "clients", false).value,
        }),
        "weighted" => Some(StageSpec::Weighted),
        "round-robin" => Some(StageSpec::RoundRobin),
        "random" => Some(StageSpec::Random),
        _ => Some(StageSpec::Sticky {
            prefix4: s.get_or(cx, "prefix4", 0).value,
            prefix6: s.get_or(cx, "prefix6", 0).value,
        }),
    }
}

fn geo(cx: &mut Context<'_>, r: &Reader<'_>) -> StageSpec {
    let mode = r.get_or(cx, "mode", String::new());
    let subject = r.subject().to_string();
    let readers = r.tables(cx, "rules", |at, _| format!("rule {at} of {subject}"));
    let mut rules = Vec::new();
    for reader in readers {
        rules.push(rule(cx, &reader));
    }
    StageSpec::Geo {
        mode: match mode.value.as_str() {
            "fence" => GeoMode::Fence,
            _ => GeoMode::Prefer,
        },
        rules,
    }
}

fn rule(cx: &mut Context<'_>, r: &Reader<'_>) -> GeoRuleSpec {
    let default: Option<Marked<bool>> = r.get(cx, "default");
    if r.lacks("regions") && r.lacks("pools") {
        cx.absence(
            Diagnostic::error(
                r.span(),
                format!("{} has neither `regions` nor `pools`", r.subject()),
            )
            .help("say where the matching clients go: `regions = [\"eu\"]`"),
        );
    }
    let is_default = default.as_ref().is_some_and(|d| d.value);
    if CRITERIA.iter().all(|c| r.lacks(c)) && r.misspelt().is_empty() && !is_default {
        cx.absence(
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
