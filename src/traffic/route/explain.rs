//! Which route a request takes, and why, in words: the lookup itself, with a listener.

use std::fmt::Write;

use super::{Action, Caller, Failure, Routes, Trace, host, path};
use crate::ids::{RouteId, UpstreamId};
use crate::message::RequestHead;

/// What became of each route that was looked at.
#[derive(Default)]
struct Recorder(Vec<(RouteId, Result<(), String>)>);

impl Trace for Recorder {
    const ALL: bool = true;

    fn failed(&mut self, route: RouteId, why: Failure<'_>) {
        self.0.push((route, Err(why.to_string())));
    }

    fn matched(&mut self, route: RouteId) {
        self.0.push((route, Ok(())));
    }
}

impl Routes {
    /// Says which route `head`, whose target is as the client sent it, takes, and why none of the
    /// others. `upstream` names upstreams.
    pub fn explain<'u>(
        &self,
        mut head: RequestHead,
        caller: Caller,
        upstream: impl Fn(UpstreamId) -> &'u str,
    ) -> String {
        let mut out = String::new();
        match path::normalize(&mut head.target, &self.paths) {
            Err(e) => return format!("answer: 400, the path has no safe reading: {e}\n"),
            Ok(true) => {
                let read = String::from_utf8_lossy(&head.target);
                let _ = writeln!(out, "target is read as {read}");
            }
            Ok(false) => {}
        }
        let mut recorder = Recorder::default();
        let taken = self.find_traced(&head, caller, &mut recorder);
        match taken {
            None => out.push_str("route: none, the answer is 404\n"),
            Some(id) => {
                let route = &self.list[id.index()];
                let _ = writeln!(out, "route: {}", route.name);
                let _ = writeln!(out, "  priority {}", route.rule.priority);
                for h in route.rule.hosts() {
                    if h.matches(host::canonical(head.host())) {
                        let _ = writeln!(out, "  host {h}");
                    }
                }
                for p in route.rule.paths().iter().filter(|p| p.matches(head.path())) {
                    let _ = writeln!(out, "  {p}");
                }
                for condition in &route.rule.conditions {
                    let _ = writeln!(out, "  {condition}");
                }
                let _ = writeln!(out, "action: {}", words(&route.action, &upstream));
                if let Some(rewrite) = &route.rewrite {
                    let mut target = head.target.clone();
                    let _ = match rewrite.apply(&mut target, &self.paths) {
                        Ok(()) => {
                            writeln!(out, "sent on as: {}", String::from_utf8_lossy(&target))
                        }
                        Err(e) => writeln!(out, "answer: 400, after the rewrite {e}"),
                    };
                }
                if let Some(mirror) = &route.mirror {
                    let (name, share) = (upstream(mirror.upstream), mirror.percent);
                    let _ = writeln!(out, "mirror: upstream {name}, {share}% of the requests");
                }
            }
        }
        let mut others = String::new();
        for (i, route) in self.list.iter().enumerate() {
            let id = RouteId::from_index(i);
            if Some(id) == taken {
                continue;
            }
            let why = self.why_not(&recorder, id, &head);
            let _ = writeln!(others, "  {}: {why}", route.name);
        }
        if !others.is_empty() {
            let _ = write!(out, "not taken:\n{others}");
        }
        out
    }

    fn why_not(&self, recorder: &Recorder, id: RouteId, head: &RequestHead) -> String {
        let rule = &self.list[id.index()].rule;
        let mut of_it = recorder.0.iter().filter(|(r, _)| *r == id);
        if of_it.clone().any(|(_, result)| result.is_ok()) {
            return format!(
                "it matches too, but comes later (priority {})",
                rule.priority
            );
        }
        if let Some((_, Err(why))) = of_it.next() {
            return why.clone();
        }
        let host = host::canonical(head.host());
        match rule.hosts().iter().any(|h| h.matches(host)) {
            false => Failure::Host.to_string(),
            true => Failure::Path.to_string(),
        }
    }
}

fn words<'u>(action: &Action, upstream: &impl Fn(UpstreamId) -> &'u str) -> String {
    match action {
        Action::Forward(id) => format!("forward to upstream {}", upstream(*id)),
        Action::Split(split) => {
            let shares = split.shares.iter();
            let shares = shares.map(|(id, share)| format!("{} {share}", upstream(*id)));
            let shares: Vec<String> = shares.collect();
            let kept = match split.by {
                Some(_) => ", a client stays with one",
                None => "",
            };
            format!("split: {}{kept}", shares.join(", "))
        }
        Action::Redirect(to) => format!("redirect with {}", to.status),
        Action::Respond(with) => format!("answer {}", with.status),
        Action::Deny(status) => format!("deny with {status}"),
        Action::Drop => "close the connection".to_owned(),
    }
}
