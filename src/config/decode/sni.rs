//! `[[listeners.NAME.sni]]`, `tls-mode`, and what else a listener of layer 4 does with TLS.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::config::diagnostic::Diagnostic;
use crate::config::spec::{ListenerSpec, ProtocolSpec, SniRuleSpec, SniSpec, SniTarget};
use crate::config::{Marked, Span};
use crate::tls::hello;
use crate::traffic::route::HostPattern;
use crate::traffic::route::host::HostError;
use crate::traffic::tls::TlsMode;

use super::context::Context;
use super::reader::Reader;

/// Options of `tcp` that mean nothing without rules.
const OF_RULES: [&str; 3] = ["hello-timeout", "max-hello", "unmatched"];

/// Octets of a protocol's name (RFC 7301 section 3.1).
const LONGEST_PROTOCOL: usize = 255;

/// The rules of a listener, of which `tcp` reads its table of that name.
pub(super) fn sni(cx: &mut Context<'_>, r: &Reader<'_>, tcp: &Reader<'_>) -> Option<SniSpec> {
    let timeout = tcp.get_or(cx, "hello-timeout", std::time::Duration::from_secs(5));
    let most: Marked<u64> = tcp.get_or(cx, "max-hello", hello::MESSAGE as u64);
    let unmatched = tcp.get_or(cx, "unmatched", String::new());
    if !r.has("sni") {
        for key in OF_RULES.iter().filter(|key| tcp.has(key)) {
            cx.push(
                Diagnostic::warning(
                    tcp.span_of(key),
                    format!("{} has no effect without `sni`", tcp.name_of(key)),
                )
                .help("add rules with `[[listeners.NAME.sni]]`, or remove it"),
            );
        }
        return None;
    }
    let refuse_others = unmatched.value == "refuse";
    wants_target(cx, r, &unmatched, refuse_others);
    let subject = r.subject().to_string();
    let readers = r.tables(cx, "sni", |at, _| format!("SNI rule {at} of {subject}"));
    let mut places = Places::default();
    let rules = readers.iter().map(|r| rule(cx, r, &mut places)).collect();
    Some(SniSpec {
        rules,
        timeout: timeout.value,
        most: usize::try_from(most.value).unwrap_or(hello::MESSAGE),
        refuse_others,
    })
}

/// Where connections go that no rule is for must be said, and only once.
fn wants_target(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    unmatched: &Marked<String>,
    refuse_others: bool,
) {
    if refuse_others && r.has("forward") {
        cx.push(
            Diagnostic::error(
                r.span_of("forward"),
                format!(
                    "{} has `forward`, but what no `sni` rule is for is refused: nothing would go there",
                    r.subject()
                ),
            )
            .related(unmatched.span, "refused here")
            .help("remove `forward`, or write `tcp.unmatched = \"forward\"`"),
        );
    }
    if !refuse_others && r.lacks("forward") {
        cx.absence(
            Diagnostic::error(
                r.span_of("sni"),
                format!(
                    "{} lacks `forward`: connections that no `sni` rule is for would have nowhere to go",
                    r.subject()
                ),
            )
            .help("add `forward = \"UPSTREAM\"`, or `tcp.unmatched = \"refuse\"`"),
        );
    }
}

/// Where a name was wanted first, with which protocol (`None`: any).
type Places = HashMap<(HostPattern, Option<Box<[u8]>>), Span>;

fn rule(cx: &mut Context<'_>, r: &Reader<'_>, places: &mut Places) -> SniRuleSpec {
    let alpn = protocols(cx, r, "alpn").unwrap_or_default();
    let mut names = Vec::new();
    for text in r.list::<String>(cx, "names").unwrap_or_default() {
        let Some(name) = name(cx, r, &text) else {
            continue;
        };
        let wanted = alpn.iter().cloned().map(Some);
        let any = alpn.is_empty().then_some(None);
        for protocol in wanted.chain(any) {
            let first = places.insert((name.clone(), protocol), text.span);
            if let Some(first) = first {
                let d = Diagnostic::error(
                    text.span,
                    format!("{} is for `{name}`, as another rule is", r.subject()),
                );
                cx.push(
                    d.related(first, "it is taken here")
                        .help("take it out of one of the two"),
                );
                break;
            }
        }
        names.push(name);
    }
    let target = match r.one_of(cx, &["forward", "listener"], "target") {
        Some("forward") => r.get(cx, "forward").map(SniTarget::Upstream),
        Some(_) => r.get(cx, "listener").map(SniTarget::Listener),
        None => None,
    };
    SniRuleSpec {
        names,
        alpn,
        target: target.unwrap_or(SniTarget::Unread),
    }
}

fn name(cx: &mut Context<'_>, r: &Reader<'_>, text: &Marked<String>) -> Option<HostPattern> {
    let what = r.name_of("names");
    let bare = text.trim_matches(['[', ']']);
    if bare.parse::<IpAddr>().is_ok() {
        cx.push(
            Diagnostic::error(
                text.span,
                format!(
                    "{what} has `{}`, an address, which TLS never asks for (RFC 6066 section 3)",
                    text.value
                ),
            )
            .help("clients that connect to an address name nobody: `tcp.unmatched` is for them"),
        );
        return None;
    }
    match HostPattern::parse(&text.value) {
        Ok(name) => Some(name),
        Err(e) => {
            let why = match e {
                HostError::Port => "has a port; a name is asked for whatever the port".to_owned(),
                other => other.to_string(),
            };
            let message = format!("{what} has `{}`, which {why}", text.value);
            cx.push(
                Diagnostic::error(text.span, message)
                    .help("write a name such as `mail.example.com` or `*.example.com`"),
            );
            None
        }
    }
}

/// Names of protocols; `None` without the option.
fn protocols(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<Vec<Box<[u8]>>> {
    let texts: Vec<Marked<String>> = r.list(cx, key)?;
    let mut names = Vec::with_capacity(texts.len());
    for text in texts {
        if text.len() > LONGEST_PROTOCOL {
            let (what, octets) = (r.name_of(key), text.len());
            cx.error(
                text.span,
                format!(
                    "{what} has a name of {octets} octets; the largest allowed number is {LONGEST_PROTOCOL}"
                ),
            );
            continue;
        }
        names.push(text.value.into_bytes().into());
    }
    Some(names)
}

/// `tls.alpn`, of which `tls` reads the table; `None` for HTTP, whose versions are known.
pub(super) fn alpn(
    cx: &mut Context<'_>,
    listener: &Reader<'_>,
    tls: &Reader<'_>,
) -> Option<Vec<Vec<u8>>> {
    let names = protocols(cx, tls, "alpn");
    let protocol: Marked<String> = listener.get_or(cx, "protocol", String::new());
    if protocol.value == "tcp" {
        let names = names.unwrap_or_default();
        return Some(names.into_iter().map(Vec::from).collect());
    }
    if tls.has("alpn") {
        cx.push(
            Diagnostic::error(
                tls.span_of("alpn"),
                format!(
                    "{} has `tls.alpn`, but it carries HTTP, whose versions it agrees on by itself",
                    listener.subject()
                ),
            )
            .help("remove it; `http2 = false` keeps HTTP/2 out"),
        );
    }
    None
}

/// `tls-mode`
pub(super) fn mode(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Marked<TlsMode>> {
    let word: Marked<String> = r.get(cx, "tls-mode")?;
    Some(word.map(|word| match word.as_str() {
        "terminate" => TlsMode::Terminate,
        "re-encrypt" => TlsMode::ReEncrypt,
        _ => TlsMode::PassThrough,
    }))
}

/// A listener without `bind` needs another one that hands over to it. `lacking` are those without, with
/// the places of their tables.
pub(super) fn wants_way_in(
    cx: &mut Context<'_>,
    listeners: &[ListenerSpec],
    lacking: &[(usize, Span)],
) {
    for (at, span) in lacking {
        let name = &listeners[*at].name.value;
        let hands =
            |l: &ListenerSpec| match &l.protocol {
                ProtocolSpec::Tcp(tcp) => tcp.sni.iter().flat_map(|sni| &sni.rules).any(
                    |rule| matches!(&rule.target, SniTarget::Listener(to) if to.value == *name),
                ),
                _ => false,
            };
        if !listeners.iter().any(hands) {
            cx.absence(
                Diagnostic::error(*span, format!("listener `{name}` lacks `bind`"))
                    .help("add `bind = [\"0.0.0.0:80\", \"[::]:80\"]`"),
            );
        }
    }
}
