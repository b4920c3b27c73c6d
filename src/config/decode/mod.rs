//! The merged TOML tree → [`Spec`], collecting every error.

mod context;
mod monitors;
mod names;
mod nodes;
mod objects;
mod policies;
mod pools;
mod reader;
mod value;

pub(super) use context::Context;
pub use value::nearest;

use std::collections::BTreeSet;

use crate::config::Marked;
use crate::config::spec::{Declared, DnsSpec, GeoipSpec, RegionSpec, Spec, ZoneSpec};
use crate::config::tree::{Table, Value};
use crate::dns::name::WireName;
use crate::geo::Coordinates;

use objects::objects;
use reader::Reader;

/// Decodes everything. Objects with errors may be absent from the result; the errors are in `cx`.
pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Spec {
    let top = Reader::new(cx, root, "", "the configuration".to_owned());
    let monitors = monitors::decode(cx, root);
    Spec {
        declared: declared(root),
        dns: dns(cx, &top),
        regions: regions(cx, root),
        nodes: nodes::decode(cx, root),
        zones: zones(cx, root),
        geoip: geoip(cx, &top),
        pools: pools::decode(cx, root, &monitors),
        monitors,
        policies: policies::decode(cx, root),
        names: names::decode(cx, root),
    }
}

/// The keys of the top-level tables, also of objects that are dropped for their errors.
fn declared(root: &Table) -> Declared {
    let names = |kind: &str| match root.get(kind).map(|e| &e.node.value) {
        Some(Value::Table(table)) => table.entries.iter().map(|e| e.key.clone()).collect(),
        _ => BTreeSet::new(),
    };
    Declared {
        regions: names("regions"),
        nodes: names("nodes"),
    }
}

fn dns(cx: &mut Context<'_>, top: &Reader<'_>) -> DnsSpec {
    let r = top.sub(cx, "dns");
    DnsSpec {
        explain_allow: r.list(cx, "explain-allow").unwrap_or_default(),
        failover_slo: r.get(cx, "failover-slo"),
        first_round: r.get(cx, "first-round"),
    }
}

fn regions(cx: &mut Context<'_>, root: &Table) -> Vec<RegionSpec> {
    let mut regions = Vec::new();
    for (name, r) in objects(cx, root, "regions", false) {
        let latitude: Option<Marked<f64>> = r.get(cx, "latitude");
        let longitude: Option<Marked<f64>> = r.get(cx, "longitude");
        if let (Some(latitude), Some(longitude)) = (latitude, longitude)
            && let Some(coordinates) = Coordinates::new(*latitude, *longitude)
        {
            regions.push(RegionSpec { name, coordinates });
        }
    }
    regions
}

fn zones(cx: &mut Context<'_>, root: &Table) -> Vec<ZoneSpec> {
    let mut zones = Vec::new();
    let mut seen = Vec::new();
    for (key, r) in objects(cx, root, "zones", true) {
        let name = domain_key(cx, &key, "zone", &mut seen);
        let file = r.get(cx, "file").map(|f| path(cx, f));
        if let (Some(name), Some(file)) = (name, file) {
            zones.push(ZoneSpec { name, file });
        }
    }
    zones
}

fn geoip(cx: &mut Context<'_>, top: &Reader<'_>) -> GeoipSpec {
    let r = top.sub(cx, "geoip");
    let databases: Vec<_> = r.list(cx, "databases").unwrap_or_default();
    if databases.len() > 15 {
        let span = databases[15].span;
        let count = databases.len();
        cx.error(
            span,
            format!(
                "{} has {count} items; the largest allowed number is 15",
                r.name_of("databases")
            ),
        );
    }
    GeoipSpec {
        databases: databases.into_iter().map(|f| path(cx, f)).collect(),
        networks: r.get(cx, "networks").map(|f| path(cx, f)),
    }
}

/// The path seen from the directory of the file that says it.
fn path(cx: &Context<'_>, file: Marked<std::path::PathBuf>) -> Marked<std::path::PathBuf> {
    let resolved = cx.resolve(&file.value, file.span);
    Marked::new(resolved, file.span)
}

/// The domain name that a table key is. Two spellings of one name are reported.
fn domain_key(
    cx: &mut Context<'_>,
    key: &Marked<String>,
    word: &str,
    seen: &mut Vec<Marked<WireName>>,
) -> Option<Marked<WireName>> {
    match key.value.parse::<WireName>() {
        Err(e) => {
            cx.error(
                key.span,
                format!("{word} `{}` is no domain name: {e}", key.value),
            );
            None
        }
        Ok(name) => {
            let name = Marked::new(name, key.span);
            if let Some(first) = seen.iter().find(|s| s.value == name.value) {
                let what = format!("{word} `{}`", key.value);
                let twice = super::tree::twice(&what, key.span, first.span);
                cx.diagnostics.push(twice);
                return None;
            }
            seen.push(name.clone());
            Some(name)
        }
    }
}
