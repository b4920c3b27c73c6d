//! `[pools.NAME]` and its endpoints.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{EndpointSpec, MonitorSpec, PoolSpec};
use crate::config::tree::{Table, Value, twice};
use crate::units::Weight;

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;

pub(super) fn decode(
    cx: &mut Context<'_>,
    root: &Table,
    monitors: &[MonitorSpec],
) -> Vec<PoolSpec> {
    let mut pools = Vec::new();
    let mut names: Vec<Marked<String>> = Vec::new();
    for (name, r) in objects(cx, root, "pools", false) {
        pools.extend(pool(cx, name, &r, monitors, &mut names));
    }
    pools
}

fn pool(
    cx: &mut Context<'_>,
    name: Marked<String>,
    r: &Reader<'_>,
    monitors: &[MonitorSpec],
    names: &mut Vec<Marked<String>>,
) -> Option<PoolSpec> {
    let region = r.get(cx, "region");
    let monitor: Option<Marked<String>> = r.get(cx, "monitor");
    let min_live: Option<Marked<u32>> = r.get(cx, "min-live");
    let readers = r.tables(cx, "endpoints", |at, table| {
        let pool = &name.value;
        match table.get("name").map(|e| &e.node.value) {
            Some(Value::String(name)) => format!("endpoint `{name}` of pool `{pool}`"),
            _ => format!("endpoint {at} of pool `{pool}`"),
        }
    });
    let count = readers.len();
    // A monitor that did not decode may well have a port; only one that did is known to lack it.
    let needs_port = monitor.as_ref().filter(|m| {
        let found = monitors.iter().find(|s| s.name.value == m.value);
        found.is_some_and(|s| s.monitor.port.is_none())
    });
    let mut endpoints = Vec::new();
    for reader in readers {
        endpoints.extend(endpoint(cx, &reader, needs_port, names));
    }
    if let Some(min_live) = &min_live
        && count > 0
        && min_live.value as usize > count
    {
        let what = r.name_of("min-live");
        cx.error(
            min_live.span,
            format!(
                "{what} is {}, but the pool has {count} endpoints: it would always be down",
                min_live.value
            ),
        );
    }
    Some(PoolSpec {
        name,
        region: region?,
        monitor,
        min_live: min_live?,
        endpoints,
    })
}

fn endpoint(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    needs_port: Option<&Marked<String>>,
    names: &mut Vec<Marked<String>>,
) -> Option<EndpointSpec> {
    let name: Option<Marked<String>> = r.get(cx, "name");
    if let Some(name) = &name {
        match names.iter().find(|n| n.value == name.value) {
            Some(first) => {
                let what = format!("endpoint `{}`", name.value);
                cx.diagnostics.push(twice(&what, name.span, first.span));
            }
            None => names.push(name.clone()),
        }
    }
    let address = r.get(cx, "address");
    let cname = r.get(cx, "cname");
    let port = r.get(cx, "port");
    let weight: Option<Marked<u32>> = r.get(cx, "weight");
    let backup: Option<Marked<bool>> = r.get(cx, "backup");
    let enabled: Option<Marked<bool>> = r.get(cx, "enabled");
    if !r.has("address") && !r.has("cname") {
        cx.diagnostics.push(
            Diagnostic::error(
                r.span(),
                format!("{} has neither `address` nor `cname`", r.subject()),
            )
            .help("add `address = \"192.0.2.1\"` or `cname = \"www.example.net\"`"),
        );
    }
    if let Some(monitor) = needs_port
        && !r.has("port")
    {
        cx.diagnostics.push(
            Diagnostic::error(
                r.span(),
                format!(
                    "{} has no `port`, but monitor `{}` needs one to probe",
                    r.subject(),
                    monitor.value
                ),
            )
            .related(monitor.span, "the monitor is set here")
            .help("add `port = 443` to the endpoint or `port` to the monitor"),
        );
    }
    Some(EndpointSpec {
        name: name?,
        address,
        cname,
        port,
        weight: Weight(weight?.value),
        backup: backup?.value,
        enabled: enabled?.value,
    })
}
