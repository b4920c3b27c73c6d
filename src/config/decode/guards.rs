//! `[rate-limits.NAME]`, `[error-pages.NAME]`, `[auth.NAME]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::parse_duration;
use crate::config::spec::{AuthSpec, ErrorPagesSpec, PageSpec, RateRuleSpec};
use crate::config::tree::Table;
use crate::ids::UpstreamId;
use crate::limit::{Algorithm, Prefixes, Rate};
use crate::message::Name;
use crate::traffic::fields::is_framing;
use crate::traffic::guards::{ForwardAuth, KeyPart, RateKey, RateRule};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;
use super::value::{nearest, quoted};

/// The longest window of a rate.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The largest amount of a rate: what a sliding window can count.
const MOST: u32 = 10_000_000;

pub(super) fn rate_limits(cx: &mut Context<'_>, root: &Table) -> Vec<RateRuleSpec> {
    let mut rules = Vec::new();
    for (name, r) in objects(cx, root, "rate-limits", false) {
        let parts = key(cx, &r);
        let text: Option<Marked<String>> = r.get(cx, "rate");
        let counted = text.and_then(|t| rate(cx, &r, "rate", &t));
        let algorithm = match r.get_or(cx, "algorithm", String::new()).value.as_str() {
            "sliding-window" => Algorithm::SlidingWindow,
            _ => Algorithm::TokenBucket,
        };
        let burst: Option<Marked<u32>> = r.get(cx, "burst");
        if let Some(burst) = burst
            .as_ref()
            .filter(|_| algorithm == Algorithm::SlidingWindow)
        {
            cx.push(
                Diagnostic::error(
                    burst.span,
                    format!(
                        "{} is set, but `algorithm` is `sliding-window`, which has none",
                        r.name_of("burst")
                    ),
                )
                .help("remove it, or write `algorithm = \"token-bucket\"`"),
            );
        }
        let status: Marked<u16> = r.get_or(cx, "status", 429);
        let enforce = r.get_or(cx, "mode", String::new()).value != "log";
        let tell = r.get_or(cx, "tell", false).value;
        let table: Marked<u64> = r.get_or(cx, "table-size", 1 << 20);
        let prefix4: Marked<u8> = r.get_or(cx, "prefix4", 32);
        let prefix6: Marked<u8> = r.get_or(cx, "prefix6", 64);
        // What was wrong is reported; the rule stands for those that refer to it.
        let (amount, window) = counted.unwrap_or((1, Duration::from_secs(1)));
        let rule = RateRule {
            name: name.as_str().into(),
            key: RateKey {
                parts,
                prefixes: Prefixes::new(prefix4.value, prefix6.value),
            },
            rate: Rate {
                algorithm,
                amount,
                window,
                burst: burst.map_or(amount, |b| b.value),
            },
            status: status.value,
            enforce,
            tell,
            table_bytes: usize::try_from(table.value).unwrap_or(usize::MAX),
        };
        rules.push(RateRuleSpec { name, rule });
    }
    rules
}

fn key(cx: &mut Context<'_>, r: &Reader<'_>) -> Box<[KeyPart]> {
    let words: Vec<Marked<String>> = r.list(cx, "key").unwrap_or_default();
    let mut parts = Vec::new();
    for word in words {
        match KeyPart::parse(&word.value) {
            Some(part) => parts.push(part),
            None => {
                let what = r.name_of("key");
                let bare = word.value.split(':').next().unwrap_or_default();
                let near = nearest(bare, KeyPart::words().map(|w| w.trim_end_matches(':')));
                let all: Vec<String> = KeyPart::words()
                    .map(|w| {
                        if w.ends_with(':') {
                            format!("{w}NAME")
                        } else {
                            w.to_owned()
                        }
                    })
                    .collect();
                let help = match near {
                    Some(near) if KeyPart::parse(near).is_some() => {
                        format!("did you mean `{near}`?")
                    }
                    Some(near) => format!("write `{near}:NAME`"),
                    None => format!("the parts are {}", quoted(all.iter().map(String::as_str))),
                };
                cx.push(
                    Diagnostic::error(
                        word.span,
                        format!("{what} has `{}`, which is no part of a key", word.value),
                    )
                    .help(help),
                );
            }
        }
    }
    parts.into()
}

/// `100/s`, `1000/m`, `5/10s`: how many in how long.
pub(super) fn rate(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    option: &str,
    text: &Marked<String>,
) -> Option<(u32, Duration)> {
    let what = || r.name_of(option);
    let read = text.split_once('/').and_then(|(amount, window)| {
        let amount: u32 = amount.trim().parse().ok()?;
        let window = window.trim();
        let window = match window.starts_with(|c: char| c.is_ascii_digit()) {
            true => parse_duration(window)?,
            false => parse_duration(&format!("1{window}"))?,
        };
        Some((amount, window))
    });
    let Some((amount, window)) = read else {
        let message = format!("{} is `{}`, which is not a rate", what(), text.value);
        let help = "write a number and a time, such as \"100/s\", \"1000/m\" or \"5/10s\"";
        cx.push(Diagnostic::error(text.span, message).help(help));
        return None;
    };
    if !(1..=MOST).contains(&amount) {
        let message = format!("{} allows {amount}; the range is 1 to {MOST}", what());
        cx.error(text.span, message);
        return None;
    }
    if window.is_zero() || window > LONGEST {
        let message = format!("{} is over a time outside the range 1ms to 1d", what());
        cx.error(text.span, message);
        return None;
    }
    Some((amount, window))
}

pub(super) fn error_pages(cx: &mut Context<'_>, root: &Table) -> Vec<ErrorPagesSpec> {
    let mut all = Vec::new();
    for (name, r) in objects(cx, root, "error-pages", false) {
        let intercept = r.get_or(cx, "intercept", false).value;
        let subject = name.value.clone();
        let readers = r.tables(cx, "pages", |at, _| {
            format!("page {at} of error pages `{subject}`")
        });
        let mut pages = Vec::new();
        for page in readers {
            let statuses: Vec<Marked<(u16, u16)>> = page.list(cx, "status").unwrap_or_default();
            for s in &statuses {
                if s.value.0 < 400 {
                    cx.push(
                        Diagnostic::error(
                            s.span,
                            format!(
                                "{} has {}, which is no error; errors are 400 to 599",
                                page.name_of("status"),
                                s.value.0
                            ),
                        )
                        .help("write `status = [\"404\"]` or `status = [\"500-599\"]`"),
                    );
                }
            }
            let file: Option<Marked<PathBuf>> = page.get(cx, "file").map(|f| super::path(cx, f));
            let media: Option<Marked<String>> = page.get(cx, "content-type");
            let Some(file) = file else { continue };
            pages.push(PageSpec {
                statuses: statuses.into_iter().map(|s| s.value).collect(),
                media: media.map_or_else(|| media_of(&file.value), |m| m.value),
                file,
            });
        }
        all.push(ErrorPagesSpec {
            name,
            pages,
            intercept,
        });
    }
    all
}

/// The media type that a file's name tells.
fn media_of(file: &std::path::Path) -> String {
    let extension = file
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "json" => "application/json",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
    .to_owned()
}

pub(super) fn auth(cx: &mut Context<'_>, root: &Table) -> Vec<AuthSpec> {
    let mut all = Vec::new();
    for (name, r) in objects(cx, root, "auth", false) {
        let upstream: Option<Marked<String>> = r.get(cx, "upstream");
        let path = r.get_or(cx, "path", "/".to_owned()).value;
        let timeout = r.get_or(cx, "timeout", Duration::from_secs(1)).value;
        let on_error = r.get_or(cx, "on-error", String::new()).value;
        let copy = names(cx, &r, "copy-headers").unwrap_or_default();
        let show = names(cx, &r, "send-headers");
        let settings = ForwardAuth {
            name: name.as_str().into(),
            upstream: UpstreamId(0),
            path: path.into_bytes().into(),
            timeout,
            copy,
            show,
            allow_on_error: on_error == "allow",
        };
        if let Some(upstream) = upstream {
            all.push(AuthSpec {
                name,
                upstream,
                settings,
            });
        }
    }
    all
}

fn names(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<Vec<Name>> {
    let words: Vec<Marked<String>> = r.list(cx, key)?;
    let mut names = Vec::new();
    for word in words {
        let name = Name::new(word.value.as_bytes());
        if is_framing(&name) || name == Name::Known(crate::message::Known::Host) {
            let what = r.name_of(key);
            cx.push(
                Diagnostic::error(
                    word.span,
                    format!(
                        "{what} names `{}`, which the proxy writes itself",
                        word.value
                    ),
                )
                .help("remove it"),
            );
            continue;
        }
        names.push(name);
    }
    Some(names)
}
