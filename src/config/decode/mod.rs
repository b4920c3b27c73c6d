//! The merged TOML tree → [`Spec`], collecting every error.

mod actions;
mod admin;
mod caches;
mod clients;
mod composites;
mod conditions;
mod connections;
mod context;
mod dnssec;
mod encrypted;
mod expect;
mod exports;
mod features;
mod fleet;
mod guards;
mod health;
mod history;
mod https;
mod known;
mod layer4;
mod listeners;
mod monitor_kinds;
mod monitors;
mod names;
mod nodes;
mod objects;
mod octets;
mod origin;
mod policies;
mod pools;
mod protection;
mod proxy_tls;
mod reader;
mod resilience;
mod routes;
mod sessions;
mod sni;
mod telemetry;
mod transfers;
mod udp;
mod upstreams;
mod value;
mod vips;
mod waf;
mod xdp;

pub(super) use context::Context;
pub(crate) use features::not_a_template;
pub(super) use known::Known;
pub use value::nearest;

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::config::options;
use crate::config::spec::{Declared, DnsSpec, GeoipSpec, RegionSpec, Spec, ZoneSpec};
use crate::config::tree::{Table, Value};
use crate::config::{Marked, Span};
use crate::dns::name::WireName;
use crate::geo::Coordinates;

use objects::objects;
use reader::{Reader, Subject};

/// Decodes everything. Objects with errors may be absent from the result; the errors are in `cx`.
pub(super) fn decode(cx: &mut Context<'_>, mut root: Table) -> Spec {
    // The large ones, each freed once it is read.
    let (of_pools, of_names) = (root.detach("pools"), root.detach("names"));
    let root = &root;
    // What is defined twice is dropped the second time: then not all is read.
    let merged = cx.clean();
    let top = Reader::new(
        cx,
        root,
        options::section(""),
        Subject::Text("the configuration".into()),
    );
    for kind in top.misspelt() {
        cx.forgive(kind);
    }
    let whole = |kind: &str| merged && !top.misspelt().contains(&kind);
    let monitors = monitors::decode(cx, root);
    let mark = cx.mark();
    let pools = pools::decode(cx, &of_pools, &monitors);
    drop(of_pools);
    let pools_complete = cx.clean_since(mark) && whole("pools");
    let mark = cx.mark();
    let (names, aliases) = names::decode(cx, &of_names);
    drop(of_names);
    let names_complete = cx.clean_since(mark) && whole("names");
    let (zones, apexes, all_zones) = zones(cx, root);
    Spec {
        declared: Declared {
            any_region: any_region(root) || !whole("regions"),
            nodes: node_names(root),
            zones: apexes,
            all_zones: all_zones && whole("zones"),
            pools_complete,
            names_complete,
        },
        admin: admin::decode(cx, root, &top),
        health: health::decode(cx, &top),
        clients: clients::decode(cx, &top),
        history: history::decode(cx, &top),
        telemetry: telemetry::decode(cx, &top),
        listeners: listeners::decode(cx, root),
        dns: dns(cx, &top),
        fleet: fleet::fleet(cx, &top),
        regions: regions(cx, root),
        nodes: nodes::decode(cx, root),
        zones,
        tsig_keys: transfers::keys(cx, root),
        dnssec: dnssec::decode(cx, root),
        geoip: geoip(cx, &top),
        pools,
        monitors,
        policies: policies::decode(cx, root),
        caches: caches::decode(cx, root),
        routes: routes::decode(cx, root),
        routing: routes::routing(cx, &top),
        waf: waf::decode(cx, root),
        rate_rules: guards::rate_limits(cx, root),
        error_pages: guards::error_pages(cx, root),
        auths: guards::auth(cx, root),
        upstreams: upstreams::decode(cx, root),
        vips: vips::decode(cx, root),
        expectations: expect::decode(cx, &top),
        names,
        aliases,
    }
}

/// Whether there is a region, or something that may be one.
fn any_region(root: &Table) -> bool {
    match root.get("regions").map(|e| &e.node.value) {
        Some(Value::Table(table)) => !table.entries.is_empty(),
        other => other.is_some(),
    }
}

/// The nodes' names, also of those that are dropped for their errors.
fn node_names(root: &Table) -> BTreeSet<String> {
    root.table("nodes").map_or_else(BTreeSet::new, |t| {
        t.entries.iter().map(|e| e.key.clone()).collect()
    })
}

fn dns(cx: &mut Context<'_>, top: &Reader<'_>) -> DnsSpec {
    let r = top.sub(cx, "dns");
    DnsSpec {
        explain_allow: r.list(cx, "explain-allow").unwrap_or_default(),
        failover_slo: r.get(cx, "failover-slo"),
        first_round: r.get(cx, "first-round"),
        access: protection::access(cx, &r),
        rate_limit: protection::rate_limit(cx, &r),
        cookies: protection::cookies(cx, &r),
        chaos: protection::chaos(cx, &r),
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

/// The zones, the apexes also of those that lack a file, and whether these are all.
fn zones(cx: &mut Context<'_>, root: &Table) -> (Vec<ZoneSpec>, Vec<WireName>, bool) {
    let mut zones = Vec::new();
    let mut seen = HashMap::new();
    let readers = objects(cx, root, "zones", true);
    let count = match root.get("zones").map(|e| &e.node.value) {
        Some(Value::Table(table)) => table.entries.len(),
        Some(_) => usize::MAX,
        None => 0,
    };
    let mut named = 0;
    for (key, r) in readers {
        named += usize::from(key.value.parse::<WireName>().is_ok());
        let name = domain_key(cx, &key, "zone", &mut seen);
        let file = r.get(cx, "file").map(|f| path(cx, f));
        let dnssec = r.get(cx, "dnssec");
        let key_files = dnssec::key_files(cx, &r);
        if let (Some(name), Some(file)) = (name, file) {
            zones.push(ZoneSpec {
                name,
                file,
                transfer: transfers::transfer(cx, &r),
                notify: transfers::notify(cx, &r),
                dnssec,
                key_files,
            });
        }
    }
    (zones, seen.into_keys().collect(), named == count)
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
    seen: &mut HashMap<WireName, Span>,
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
            if let Some(first) = seen.get(&name) {
                let what = format!("{word} `{}`", key.value);
                cx.push(super::tree::twice(&what, key.span, *first));
                return None;
            }
            seen.insert(name.clone(), key.span);
            Some(Marked::new(name, key.span))
        }
    }
}
