//! `tradewind route`: which route of a configuration takes a request, and why.

use std::net::IpAddr;
use std::process::ExitCode;

use super::RouteArgs;
use crate::app::load::{Wanted, load_all};
use crate::ids::ListenerId;
use crate::message::{Method, RequestHead, Scheme};
use crate::traffic::Caller;

/// Prints which route takes the request, and what keeps the others from it.
pub(super) fn route(args: &RouteArgs) -> ExitCode {
    let wanted = Wanted {
        config: args.config.clone(),
        node: Some(args.node.clone()),
        ..Wanted::default()
    };
    let loaded = match load_all(&wanted) {
        Ok(loaded) => loaded,
        Err(report) => return super::config_refused(&report),
    };
    let plan = &loaded.compiled.snapshot.traffic;
    let head = match head(args) {
        Ok(head) => head,
        Err(e) => return super::failed(e),
    };
    let names: Vec<&str> = plan.listeners.iter().map(|l| &*l.name).collect();
    let at = match &args.listener {
        None => 0,
        Some(name) => match names.iter().position(|n| n == name) {
            Some(at) => at,
            None => {
                let all = names.join(", ");
                return super::failed(format!(
                    "node {} has no listener {name}; it has: {all}",
                    args.node
                ));
            }
        },
    };
    let caller = Caller {
        listener: ListenerId::from_index(at),
        client: args.source.unwrap_or(IpAddr::from([127, 0, 0, 1])),
    };
    let upstream = |id: crate::ids::UpstreamId| &*plan.upstreams[id.index()].name;
    let said = plan.routes.explain(head, caller, upstream);
    if args.json {
        let lines: Vec<&str> = said.lines().collect();
        let json = serde_json::json!({
            "node": args.node,
            "listener": names.get(at),
            "method": args.method,
            "url": args.url,
            "lines": lines,
        });
        println!("{json:#}");
    } else {
        print!("{said}");
    }
    ExitCode::SUCCESS
}

/// The request as it would come. The URL is taken apart by hand: a library would tidy its path.
fn head(args: &RouteArgs) -> Result<RequestHead, String> {
    let (scheme, rest) = match args.url.split_once("://") {
        Some(("http", rest)) => (Scheme::Http, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        _ => return Err(format!("`{}` is no http or https URL", args.url)),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut head = RequestHead {
        method: Method::new(args.method.as_bytes()),
        scheme,
        authority: authority.to_ascii_lowercase().into_bytes(),
        target: format!("{slash}{target}").into_bytes(),
        ..RequestHead::default()
    };
    for line in &args.headers {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("`{line}` is no header; write \"Name: value\""))?;
        let value = value.trim();
        if name.is_empty() || value.bytes().any(|b| b.is_ascii_control()) {
            return Err(format!("`{line}` is no header; write \"Name: value\""));
        }
        head.fields.push(name.trim().as_bytes(), value.as_bytes());
    }
    Ok(head)
}
