//! `[names."NAME"]`

use hashbrown::HashMap;
use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_duration;
use crate::config::spec::{AliasSpec, LastResortSpec, NameSpec};
use crate::config::tree::Table;
use crate::dns::name::WireName;
use crate::net::Family;
use crate::units::{Ttl, Weight};

use super::context::Context;
use super::https::https;
use super::known::some_of;
use super::objects::objects;
use super::reader::Reader;
use super::value::nearest;

const LAST_RESORTS: &[&str] = &["all", "endpoints", "pool", "cname", "servfail"];

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> (Vec<NameSpec>, Vec<AliasSpec>) {
    let (mut names, mut aliases) = (Vec::new(), Vec::new());
    let mut seen = HashMap::new();
    for (key, r) in objects(cx, root, "names", true) {
        let mark = cx.mark();
        let owner = super::domain_key(cx, &key, "name", &mut seen);
        if r.has(ALIAS_OF) {
            aliases.extend(owner.and_then(|owner| alias(cx, owner, &r)));
            continue;
        }
        let spec = name(cx, owner.clone(), &r);
        if owner.is_some() {
            names.push(NameSpec {
                complete: cx.clean_since(mark) && r.misspelt().is_empty(),
                ..spec
            });
        }
    }
    (names, aliases)
}

const ALIAS_OF: &str = "alias-of";

/// A name whose answers are those of another one: all that could be said of them is said there.
fn alias(cx: &mut Context<'_>, name: Marked<WireName>, r: &Reader<'_>) -> Option<AliasSpec> {
    for (key, span) in r.keys().filter(|(key, _)| *key != ALIAS_OF) {
        cx.push(
            Diagnostic::error(
                span,
                format!(
                    "{} has both `{ALIAS_OF}` and `{key}`; an alias has the answers of the other name and nothing of its own",
                    r.subject()
                ),
            )
            .related(r.span_of(ALIAS_OF), "it is an alias by this")
            .help(format!("remove `{key}` here, or `{ALIAS_OF}`")),
        );
    }
    let target = r.get(cx, ALIAS_OF)?;
    Some(AliasSpec { name, target })
}

fn name(cx: &mut Context<'_>, owner: Option<Marked<WireName>>, r: &Reader<'_>) -> NameSpec {
    let mark = cx.mark();
    let pools: Vec<Marked<String>> = r.list(cx, "pools").unwrap_or_default();
    let all_pools = cx.clean_since(mark);
    let policy = r.get_or(cx, "policy", String::new());
    let weights: Vec<(Marked<String>, u32)> = r.map(cx, "weights", "POOL");
    let priorities: Vec<(Marked<String>, u32)> = r.map(cx, "priorities", "POOL");
    let backup: Vec<Marked<String>> = r.list(cx, "backup").unwrap_or_default();
    // Where `pools` has an error, what seems to be missing in it may be just that.
    if all_pools {
        for (key, _) in &weights {
            is_member(cx, r, &pools, key, "weights");
        }
        for (key, _) in &priorities {
            is_member(cx, r, &pools, key, "priorities");
        }
        for key in &backup {
            is_member(cx, r, &pools, key, "backup");
        }
    }
    let ttl = ttl(cx, r);
    let answers = r.get_or(cx, "answers", 1);
    let families = r.list::<String>(cx, "families").map(|words| {
        let family = |w: String| if w == "ipv4" { Family::V4 } else { Family::V6 };
        words.into_iter().map(|w| w.map(family)).collect()
    });
    let ignore_ecs = r.get_or(cx, "ignore-ecs", false);
    let last_resort = last_resort(cx, r);
    let https = r.has("https").then(|| https(cx, r));
    NameSpec {
        name: owner.unwrap_or_else(|| Marked::new(WireName::root(), r.span())),
        pools,
        policy,
        weights: weights.into_iter().map(|(p, w)| (p, Weight(w))).collect(),
        priorities,
        backup,
        ttl,
        answers,
        // What is there and cannot be read asks for nothing that could be missing.
        families: families.or_else(|| r.has("families").then(Vec::new)),
        ignore_ecs: ignore_ecs.value,
        last_resort,
        https: https.flatten(),
        complete: false,
    }
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
    let mut all: Vec<&str> = pools.iter().map(|p| p.value.as_str()).collect();
    all.sort_unstable();
    let mut help = format!("`pools` of this name: {}", some_of(&all));
    if let Some(near) = nearest(&key.value, all.iter().copied()) {
        help = format!("did you mean `{near}`? {help}");
    }
    cx.push(
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

fn ttl(cx: &mut Context<'_>, r: &Reader<'_>) -> (Marked<Ttl>, Marked<Ttl>) {
    let t = r.sub(cx, "ttl");
    let min: Option<Marked<Duration>> = t.get(cx, "min");
    let max: Option<Marked<Duration>> = t.get(cx, "max");
    let nothing = Marked::new(Ttl::floor(Duration::ZERO), r.span());
    let (Some(min), Some(max)) = (min, max) else {
        return (nothing.clone(), nothing);
    };
    if min.value > max.value {
        let stated = |key| if t.has(key) { "" } else { " (the default)" };
        let at = if t.has("min") { min.span } else { max.span };
        cx.push(
            Diagnostic::error(
                at,
                format!(
                    "{} is {}{}; it must not be greater than `ttl.max`, which is {}{}",
                    t.name_of("min"),
                    show_duration(min.value),
                    stated("min"),
                    show_duration(max.value),
                    stated("max")
                ),
            )
            .help("lower `ttl.min` or raise `ttl.max`"),
        );
    }
    (min.map(Ttl::floor), max.map(Ttl::floor))
}

/// The last resort; where it cannot be read SERVFAIL, which refers to nothing.
fn last_resort(cx: &mut Context<'_>, r: &Reader<'_>) -> Marked<LastResortSpec> {
    let span = r.span_of("last-resort");
    if !r.has("last-resort") {
        return Marked::new(LastResortSpec::All, span);
    }
    let l = r.sub(cx, "last-resort");
    let spec = match l.one_of(cx, LAST_RESORTS, "kind") {
        Some("all") => {
            l.sub(cx, "all");
            Some(LastResortSpec::All)
        }
        Some("endpoints") => l.list(cx, "endpoints").map(LastResortSpec::Endpoints),
        Some("pool") => l.get(cx, "pool").map(LastResortSpec::Pool),
        Some("cname") => l.get(cx, "cname").map(LastResortSpec::Cname),
        Some(_) => {
            l.sub(cx, "servfail");
            Some(LastResortSpec::ServFail)
        }
        None => None,
    };
    Marked::new(spec.unwrap_or(LastResortSpec::ServFail), span)
}
