//! `[pools.NAME]` and its endpoints.

use hashbrown::{HashMap, HashSet};

use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{EndpointSpec, MonitorSpec, PoolSpec};
use crate::config::tree::{Table, Value, twice};
use crate::config::{Marked, Span};
use crate::units::Weight;

use super::context::Context;
use super::objects::objects;
use super::reader::{Reader, Subject};

/// Names of all endpoints so far, with their places.
type Seen = HashMap<String, Span>;

pub(super) fn decode(
    cx: &mut Context<'_>,
    root: &Table,
    monitors: &[MonitorSpec],
) -> Vec<PoolSpec> {
    // A monitor that did not decode may well have a port; only one that did is known to lack it.
    let portless: HashSet<&str> = monitors
        .iter()
        .filter(|m| m.monitor.needs_port())
        .map(|m| m.name.value.as_str())
        .collect();
    let mut seen = Seen::new();
    objects(cx, root, "pools", false)
        .into_iter()
        .map(|(name, r)| pool(cx, name, &r, &portless, &mut seen))
        .collect()
}

fn pool(
    cx: &mut Context<'_>,
    name: Marked<String>,
    r: &Reader<'_>,
    portless: &HashSet<&str>,
    seen: &mut Seen,
) -> PoolSpec {
    let mark = cx.mark();
    let region = r.get_or(cx, "region", String::new());
    let monitor: Option<Marked<String>> = r.get(cx, "monitor");
    let min_live = r.get_or(cx, "min-live", 0_u32);
    let relative: Option<Marked<f64>> = r.get(cx, "relative-liveness");
    let failback = super::health::failback(cx, r);
    let readers = r.tables(cx, "endpoints", |at, table| {
        let pool = &name.value;
        match (table.get("name").map(|e| &e.node.value), r.subject()) {
            (Some(Value::String(name)), Subject::Object(_, pool)) => Subject::Endpoint(name, pool),
            _ => Subject::Text(format!("endpoint {at} of pool `{pool}`").into()),
        }
    });
    let count = readers.len();
    let needs_port = monitor
        .as_ref()
        .filter(|m| portless.contains(m.value.as_str()));
    let mut endpoints = Vec::new();
    for reader in readers {
        endpoints.extend(endpoint(cx, &reader, needs_port, seen));
    }
    if count > 0 && min_live.value as usize > count {
        let what = r.name_of("min-live");
        cx.push(
            Diagnostic::error(
                min_live.span,
                format!(
                    "{what} is {}, but the pool has {count} endpoint{}: it would always be down",
                    min_live.value,
                    if count == 1 { "" } else { "s" }
                ),
            )
            .help(format!("lower it to {count} or less, or add endpoints")),
        );
    }
    PoolSpec {
        name,
        region,
        monitor,
        min_live,
        relative: relative.map(|r| r.value),
        failback,
        endpoints,
        complete: cx.clean_since(mark) && r.misspelt().is_empty(),
    }
}

fn endpoint(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    needs_port: Option<&Marked<String>>,
    seen: &mut Seen,
) -> Option<EndpointSpec> {
    let name: Option<Marked<String>> = r.get(cx, "name");
    if let Some(name) = &name {
        match seen.get(&name.value) {
            Some(first) => {
                let what = format!("endpoint `{}`", name.value);
                cx.push(twice(&what, name.span, *first));
            }
            None => {
                seen.insert(name.value.clone(), name.span);
            }
        }
    }
    let address = r.get(cx, "address");
    let cname = r.get(cx, "cname");
    let port = r.get(cx, "port");
    let weight = r.get_or(cx, "weight", 0_u32);
    let backup = r.get_or(cx, "backup", false);
    let enabled = r.get_or(cx, "enabled", false);
    if r.lacks("address") && r.lacks("cname") {
        cx.absence(
            Diagnostic::error(
                r.span(),
                format!("{} has neither `address` nor `cname`", r.subject()),
            )
            .help("add `address = \"192.0.2.1\"` or `cname = \"www.example.net\"`"),
        );
    }
    if let Some(monitor) = needs_port
        && r.lacks("port")
    {
        cx.absence(
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
        weight: Weight(weight.value),
        backup: backup.value,
        enabled: enabled.value,
    })
}
