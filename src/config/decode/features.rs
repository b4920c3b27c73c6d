//! The options of `[listeners.NAME]` and `[routes.NAME]` that change, guard and limit requests.

use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::FeaturesSpec;
use crate::limit::{Algorithm, Prefixes, Rate};
use crate::message::{Known, Name};
use crate::net::Prefix;
use crate::traffic::fields::{
    FieldChanges, Hsts, Template, TemplateError, Variable, is_framing, security_headers,
};
use crate::traffic::forwarded::{Reading, Said, Tell, Telling, TraceContext};
use crate::traffic::guards::SecureRedirect;
use crate::traffic::{Features, ListenerFeatures};

use super::context::Context;
use super::guards::rate;
use super::reader::Reader;
use super::value::nearest;

/// Which message's fields are changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Request,
    Response,
}

/// The options that listeners and routes share.
fn common(cx: &mut Context<'_>, r: &Reader<'_>) -> FeaturesSpec {
    let request = changes(cx, r, "request-headers", Of::Request);
    let own = changes(cx, r, "response-headers", Of::Response);
    let security = r.get_or(cx, "security-headers", false).value;
    let response = if security {
        security_headers().and(&own)
    } else {
        own
    };
    FeaturesSpec {
        settings: Features {
            request,
            response,
            hsts: hsts(cx, r),
            ..Features::default()
        },
        error_pages: r.get(cx, "error-pages"),
        rate_limits: r.list(cx, "rate-limits").unwrap_or_default(),
        auth: None,
    }
}

/// The options of a route.
pub(super) fn route(cx: &mut Context<'_>, r: &Reader<'_>) -> FeaturesSpec {
    let mut spec = common(cx, r);
    let concurrent: Option<Marked<u32>> = r.get(cx, "max-concurrent");
    let bandwidth: Option<Marked<u64>> = r.get(cx, "bandwidth");
    spec.settings.concurrent = concurrent.map(|n| n.value);
    spec.settings.bandwidth = bandwidth.map(|n| n.value);
    spec.auth = r.get(cx, "auth");
    spec
}

/// The options of a listener.
pub(super) fn listener(cx: &mut Context<'_>, r: &Reader<'_>) -> (ListenerFeatures, FeaturesSpec) {
    let spec = common(cx, r);
    let per_source: Option<Marked<u32>> = r.get(cx, "connections-per-source");
    let redirect = r.get_or(cx, "redirect-to-https", false);
    let port: Marked<u16> = r.get_or(cx, "https-port", 443);
    let features = ListenerFeatures {
        reading: reading(cx, r),
        telling: telling(cx, r),
        request_id: r.get_or(cx, "request-id", false).value,
        trace: trace(cx, r),
        connections_per_source: per_source.map(|n| n.value),
        connection_rate: connection_rate(cx, r, "connection-rate"),
        total_connection_rate: connection_rate(cx, r, "total-connection-rate"),
        source_prefixes: Prefixes::new(
            r.get_or(cx, "source-prefix4", 32).value,
            r.get_or(cx, "source-prefix6", 64).value,
        ),
        secure: redirect.value.then_some(SecureRedirect {
            port: port.value,
            status: 308,
        }),
        common: None,
    };
    (features, spec)
}

fn reading(cx: &mut Context<'_>, r: &Reader<'_>) -> Reading {
    let trusted: Vec<Marked<Prefix>> = r.list(cx, "trusted-proxies").unwrap_or_default();
    let said = r.get_or(cx, "client-address", String::new()).value;
    let hops: Option<Marked<u8>> = r.get(cx, "trusted-hops");
    if let Some(hops) = hops.as_ref().filter(|_| trusted.is_empty()) {
        cx.push(
            Diagnostic::error(
                hops.span,
                format!(
                    "{} is set, but `trusted-proxies` is empty: nobody's word is taken",
                    r.name_of("trusted-hops")
                ),
            )
            .help("add the proxies that connect to this listener to `trusted-proxies`"),
        );
    }
    Reading {
        trusted: trusted.into_iter().map(|p| p.value).collect(),
        said: match Name::new(said.as_bytes()) {
            Name::Known(Known::XForwardedFor) => Said::XForwarded,
            Name::Known(Known::Forwarded) => Said::Forwarded,
            _ if said.is_empty() => Said::XForwarded,
            name => Said::Field(name),
        },
        hops: hops.map(|h| h.value),
    }
}

fn telling(cx: &mut Context<'_>, r: &Reader<'_>) -> Telling {
    let words: Vec<Marked<String>> = r.list(cx, "forwarded").unwrap_or_default();
    let tells: Vec<Tell> = words
        .iter()
        .filter_map(|w| {
            Tell::ALL
                .into_iter()
                .find(|t| t.field().as_str() == w.value)
        })
        .collect();
    Telling::new(&tells, r.get_or(cx, "via", false).value)
}

fn trace(cx: &mut Context<'_>, r: &Reader<'_>) -> TraceContext {
    let mode = r.get_or(cx, "trace-context", String::new()).value;
    let sampled = r.get_or(cx, "trace-sampled", 100_u32).value;
    match mode.as_str() {
        "check" => TraceContext::Check,
        "start" => TraceContext::Start((u64::from(sampled) << 32) / 100),
        _ => TraceContext::Pass,
    }
}

/// As many at once as in one of its windows.
fn connection_rate(cx: &mut Context<'_>, r: &Reader<'_>, option: &str) -> Option<Rate> {
    let text: Marked<String> = r.get(cx, option)?;
    let (amount, window) = rate(cx, r, option, &text)?;
    Some(Rate {
        algorithm: Algorithm::TokenBucket,
        amount,
        window,
        burst: amount,
    })
}

fn hsts(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Hsts> {
    if !r.has("hsts") {
        return None;
    }
    let hsts = r.sub(cx, "hsts");
    let age: Duration = hsts.get_or(cx, "max-age", Duration::ZERO).value;
    let subdomains = hsts.get_or(cx, "include-subdomains", false).value;
    let preload = hsts.get_or(cx, "preload", false);
    if preload.value && (!subdomains || age < Duration::from_secs(31_536_000)) {
        cx.push(
            Diagnostic::error(
                preload.span,
                format!(
                    "{} is set, but the lists of browsers take only hosts with \
                     `include-subdomains` and a `max-age` of at least 365d",
                    hsts.name_of("preload")
                ),
            )
            .help("add `include-subdomains = true` and `max-age = \"365d\"`, or remove `preload`"),
        );
    }
    Some(Hsts::new(age, subdomains, preload.value))
}

fn changes(cx: &mut Context<'_>, r: &Reader<'_>, key: &str, of: Of) -> FieldChanges {
    let r = r.sub(cx, key);
    let mut out = FieldChanges::default();
    for name in r.list::<String>(cx, "remove").unwrap_or_default() {
        let known = Name::new(name.value.as_bytes());
        if may_change(cx, &r, "remove", &name, &known, of) {
            out.remove.push(known);
        }
    }
    out.set = pairs(cx, &r, "set", of);
    out.default = pairs(cx, &r, "default", of);
    out.add = pairs(cx, &r, "add", of);
    out
}

fn pairs(cx: &mut Context<'_>, r: &Reader<'_>, key: &str, of: Of) -> Vec<(Name, Template)> {
    let mut pairs: Vec<(Name, Template)> = Vec::new();
    for (name, text) in r.map::<String>(cx, key, "HEADER") {
        let known = Name::new(name.value.as_bytes());
        if pairs.iter().any(|(n, _)| *n == known) {
            cx.push(
                Diagnostic::error(
                    name.span,
                    format!(
                        "{} has `{}` twice: the case of letters has no meaning",
                        r.name_of(key),
                        name.value
                    ),
                )
                .help("remove one of the two"),
            );
            continue;
        }
        let allowed = may_change(cx, r, key, &name, &known, of);
        match Template::field(&text) {
            Ok(template) if allowed => pairs.push((known, template)),
            Ok(_) => {}
            Err(e) => {
                let what = format!("`{}` in {}", name.value, r.name_of(key));
                cx.push(not_a_template(Diagnostic::error, name.span, &what, &e));
            }
        }
    }
    pairs
}

/// What is wrong with a template, with the variable that was probably meant.
pub(crate) fn not_a_template(
    make: impl Fn(crate::config::Span, String) -> Diagnostic,
    span: crate::config::Span,
    what: &str,
    e: &TemplateError,
) -> Diagnostic {
    let d = make(span, format!("{what} {e}"));
    match e {
        TemplateError::Unknown(name) => {
            let whole = name.split_once(':').map_or(name.as_str(), |(n, _)| n);
            let names = Variable::names().map(|n| n.trim_end_matches(':'));
            match nearest(whole, names) {
                Some(near) => {
                    let argued = Variable::names().any(|n| n.strip_suffix(':') == Some(near));
                    let argument = name.split_once(':').map_or("NAME", |(_, a)| a);
                    d.help(match argued {
                        true => format!("did you mean `${{{near}:{argument}}}`?"),
                        false => format!("did you mean `${{{near}}}`?"),
                    })
                }
                None => {
                    let all: Vec<String> = Variable::names()
                        .map(|n| match n.ends_with(':') {
                            true => format!("`{n}NAME`"),
                            false => format!("`{n}`"),
                        })
                        .collect();
                    d.help(format!("the variables are {}", all.join(", ")))
                }
            }
        }
        TemplateError::Argument(_) => d.help("write it as `${header:X-Name}`"),
        TemplateError::Unclosed => d.help("close it, or write `$${` for a plain `${`"),
        TemplateError::Control(_) => d.help("write the value in one line"),
    }
}

/// Fields that frame a message are the proxy's own; the host can only be replaced.
fn may_change(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    key: &str,
    name: &Marked<String>,
    known: &Name,
    of: Of,
) -> bool {
    let what = || format!("{} names `{}`", r.name_of(key), name.value);
    if is_framing(known) {
        cx.push(
            Diagnostic::error(
                name.span,
                format!(
                    "{}, which belongs to the connection or frames the message: the proxy writes \
                     it itself",
                    what()
                ),
            )
            .help("remove it"),
        );
        return false;
    }
    if *known == Name::Known(Known::Host) && (key != "set" || of == Of::Response) {
        let text = match of {
            Of::Request => format!("{}, which every request has once", what()),
            Of::Response => format!("{}, which is a field of requests", what()),
        };
        let help = "replace it with `request-headers.set.host`";
        cx.push(Diagnostic::error(name.span, text).help(help));
        return false;
    }
    true
}
