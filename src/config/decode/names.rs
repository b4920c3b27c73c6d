//! `[names."NAME"]`

use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_duration;
use crate::config::spec::{LastResortSpec, NameSpec};
use crate::config::tree::Table;
use crate::dns::name::WireName;
use crate::net::Family;
use crate::units::{Ttl, Weight};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;
use super::value::{nearest, quoted};

const LAST_RESORTS: &[&str] = &["all", "endpoints", "pool", "cname", "servfail"];

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<NameSpec> {
    let mut names = Vec::new();
    let mut seen = Vec::new();
    for (key, r) in objects(cx, root, "names", true) {
        let owner = super::domain_key(cx, &key, "name", &mut seen);
        names.extend(name(cx, owner, &r));
    }
    names
}

fn name(cx: &mut Context<'_>, owner: Option<Marked<WireName>>, r: &Reader<'_>) -> Option<NameSpec> {
    let pools: Option<Vec<Marked<String>>> = r.list(cx, "pools");
    let policy = r.get(cx, "policy");
    let weights: Vec<(Marked<String>, u32)> = r.map(cx, "weights", "POOL");
    let priorities: Vec<(Marked<String>, u32)> = r.map(cx, "priorities", "POOL");
    let backup: Option<Vec<Marked<String>>> = r.list(cx, "backup");
    if let Some(pools) = &pools {
        for (key, _) in &weights {
            is_member(cx, r, pools, key, "weights");
        }
        for (key, _) in &priorities {
            is_member(cx, r, pools, key, "priorities");
        }
        for key in backup.iter().flatten() {
            is_member(cx, r, pools, key, "backup");
        }
    }
    let ttl = ttl(cx, r);
    let answers = r.get(cx, "answers");
    let families = r.list::<String>(cx, "families").map(|words| {
        let family = |w: String| if w == "ipv4" { Family::V4 } else { Family::V6 };
        words.into_iter().map(|w| w.map(family)).collect()
    });
    let ignore_ecs: Option<Marked<bool>> = r.get(cx, "ignore-ecs");
    let last_resort = last_resort(cx, r);
    Some(NameSpec {
        name: owner?,
        pools: pools?,
        policy: policy?,
        weights: weights.into_iter().map(|(p, w)| (p, Weight(w))).collect(),
        priorities,
        backup: backup?,
        ttl: ttl?,
        answers: answers?,
        families,
        ignore_ecs: ignore_ecs?.value,
        last_resort: last_resort?,
    })
}

/// Reports a key of `weights` and its like that is not in `pools`.
fn is_member(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    pools: &[Marked<String>],
    key: &Marked<String>,
    option: &str,
) {
    if pools.iter().any(|p| p.value == key.value) {
        return;
    }
    let all = || pools.iter().map(|p| p.value.as_str());
    let help = match nearest(&key.value, all()) {
        Some(near) => format!(
            "did you mean `{near}`? `pools` of this name: {}",
            quoted(all())
        ),
        None => format!("`pools` of this name: {}", quoted(all())),
    };
    cx.diagnostics.push(
        Diagnostic::error(
            key.span,
            format!(
                "{} has pool `{}`, which is not in its `pools`",
                r.name_of(option),
                key.value
            ),
        )
        .help(help),
    );
}

fn ttl(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<(Marked<Ttl>, Marked<Ttl>)> {
    let t = r.sub(cx, "ttl");
    let min: Option<Marked<Duration>> = t.get(cx, "min");
    let max: Option<Marked<Duration>> = t.get(cx, "max");
    let (min, max) = (min?, max?);
    if min.value > max.value {
        let stated = |key| if t.has(key) { "" } else { " (the default)" };
        let at = if t.has("min") { min.span } else { max.span };
        cx.error(
            at,
            format!(
                "{} is {}{}; it must not be greater than `ttl.max`, which is {}{}",
                t.name_of("min"),
                show_duration(min.value),
                stated("min"),
                show_duration(max.value),
                stated("max")
            ),
        );
    }
    Some((min.map(Ttl::floor), max.map(Ttl::floor)))
}

fn last_resort(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Marked<LastResortSpec>> {
    if !r.has("last-resort") {
        return Some(Marked::new(LastResortSpec::All, r.span()));
    }
    let l = r.sub(cx, "last-resort");
    let kind = l.one_of(cx, LAST_RESORTS, "kind")?;
    let spec = match kind {
        "all" => {
            l.sub(cx, "all");
            LastResortSpec::All
        }
        "endpoints" => LastResortSpec::Endpoints(l.list(cx, "endpoints")?),
        "pool" => LastResortSpec::Pool(l.get(cx, "pool")?),
        "cname" => LastResortSpec::Cname(l.get(cx, "cname")?),
        _ => {
            l.sub(cx, "servfail");
            LastResortSpec::ServFail
        }
    };
    Some(Marked::new(spec, r.span_of("last-resort")))
}
