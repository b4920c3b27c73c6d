//! What a route does with its requests.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::spec::ActionSpec;
use crate::traffic::fields::Template;
use crate::traffic::route::path::is_path_text;
use crate::traffic::route::{Action, Redirect, Respond, Rewrite};

use super::context::Context;
use super::features::not_a_template;
use super::reader::Reader;
use super::routes::{pattern, plain_path};
use super::upstreams::key;

const ACTIONS: &[&str] = &["forward", "redirect", "respond", "deny", "drop"];

/// The route's one action, and where copies go.
pub(super) fn action(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
) -> (ActionSpec, Option<(Marked<String>, u32)>) {
    let mut mirror = None;
    let read = match r.one_of(cx, ACTIONS, "action") {
        Some("forward") if r.is_table("forward") => {
            let f = r.sub(cx, "forward");
            mirror = self::mirror(cx, &f);
            forward(cx, &f)
        }
        Some("forward") => r.get(cx, "forward").map(ActionSpec::Forward),
        Some("redirect") => {
            let r = r.sub(cx, "redirect");
            redirect(cx, &r).map(ActionSpec::Own)
        }
        Some("respond") => {
            let r = r.sub(cx, "respond");
            respond(cx, &r).map(ActionSpec::Own)
        }
        Some("deny") => r
            .get(cx, "deny")
            .map(|status| ActionSpec::Own(Action::Deny(status.value))),
        Some(_) => drop_it(cx, r),
        None => None,
    };
    (read.unwrap_or(ActionSpec::Unread), mirror)
}

fn drop_it(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<ActionSpec> {
    let on: Marked<bool> = r.get(cx, "drop")?;
    if on.value {
        return Some(ActionSpec::Own(Action::Drop));
    }
    cx.push(
        Diagnostic::error(
            on.span,
            format!(
                "{} is false, and it is all that the route does",
                r.name_of("drop")
            ),
        )
        .help("write `drop = true`, or another action"),
    );
    None
}

fn mirror(cx: &mut Context<'_>, f: &Reader<'_>) -> Option<(Marked<String>, u32)> {
    let percent = f.get_or(cx, "mirror-percent", 100);
    if f.has("mirror-percent") && f.lacks("mirror") {
        cx.absence(
            Diagnostic::error(
                percent.span,
                format!(
                    "{} is set, but `mirror` is not",
                    f.name_of("mirror-percent")
                ),
            )
            .help("add `mirror = \"UPSTREAM\"`"),
        );
    }
    let upstream: Marked<String> = f.get(cx, "mirror")?;
    Some((upstream, percent.value))
}

fn forward(cx: &mut Context<'_>, f: &Reader<'_>) -> Option<ActionSpec> {
    let by: Option<Marked<String>> = f.get(cx, "by");
    match f.one_of(cx, &["to", "split"], "target")? {
        "to" => {
            if let Some(by) = by {
                let what = f.name_of("by");
                cx.push(
                    Diagnostic::error(by.span, format!("{what} is set, but there is no `split`"))
                        .help("remove it; `hash` of the upstream keeps clients with a backend"),
                );
            }
            f.get(cx, "to").map(ActionSpec::Forward)
        }
        _ => {
            let shares: Vec<(Marked<String>, u32)> = f.map(cx, "split", "UPSTREAM");
            if shares.iter().all(|(_, share)| *share == 0) {
                let what = f.name_of("split");
                cx.push(
                    Diagnostic::error(
                        f.span_of("split"),
                        format!("{what} has no share above 0; at least 1 is needed"),
                    )
                    .help("write `split = { stable = 95, canary = 5 }`"),
                );
                return None;
            }
            let by = match by {
                None => None,
                Some(by) => Some(key(cx, f, "by", &by)?),
            };
            Some(ActionSpec::Split { by, shares })
        }
    }
}

fn redirect(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Action> {
    let status: Marked<u16> = r.get_or(cx, "status", 308);
    if !matches!(status.value, 301 | 302 | 303 | 307 | 308) {
        let what = r.name_of("status");
        cx.push(
            Diagnostic::error(
                status.span,
                format!("{what} is {}, which is no redirect", status.value),
            )
            .help("write 301, 302, 303, 307 or 308"),
        );
    }
    let keep_path = r.get_or(cx, "keep-path", false).value;
    let keep_query = r.get_or(cx, "keep-query", false).value;
    let to: Marked<String> = r.get(cx, "to")?;
    let text = &to.value;
    let starts = ["/", "http://", "https://", "${"];
    if !starts.iter().any(|s| text.starts_with(s)) || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let what = r.name_of("to");
        cx.push(
            Diagnostic::error(to.span, format!("{what} is `{text}`, which is no URL"))
                .help("write \"https://www.example.com/\" or \"/path\""),
        );
        return None;
    }
    let to = match Template::field(text) {
        Ok(to) => to,
        Err(e) => {
            let what = r.name_of("to");
            let d = not_a_template(Diagnostic::error, to.span, &what, &e);
            cx.push(d);
            return None;
        }
    };
    Some(Action::Redirect(Redirect {
        to,
        status: status.value,
        keep_path,
        keep_query,
    }))
}

fn respond(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<Action> {
    let status = r.get_or(cx, "status", 200).value;
    let body: Marked<String> = r.get_or(cx, "body", String::new());
    let content_type: Marked<String> = r.get(cx, "content-type")?;
    let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
    if !content_type.bytes().all(printable) {
        let what = r.name_of("content-type");
        cx.error(
            content_type.span,
            format!("{what} has a character that no field can have"),
        );
    }
    if matches!(status, 204 | 205 | 304) && !body.is_empty() {
        let what = r.name_of("body");
        cx.push(
            Diagnostic::error(
                body.span,
                format!("{what} is set, but status {status} has none"),
            )
            .help("remove the body, or choose another status"),
        );
    }
    Some(Action::Respond(Respond {
        status,
        body: body.value.into_bytes().into(),
        content_type: content_type.value.into(),
    }))
}

/// The rewrite of a route.
pub(super) fn rewrite(cx: &mut Context<'_>, route: &Reader<'_>) -> Option<Rewrite> {
    if !route.has("rewrite") {
        return None;
    }
    let r = route.sub(cx, "rewrite");
    let regex: Option<Marked<String>> = r.get(cx, "regex");
    let to: Option<Marked<String>> = r.get(cx, "to");
    let mut plain = |key: &str| {
        let text: Option<Marked<String>> = r.get(cx, key);
        text.and_then(|text| plain_path(cx, &r, key, &text))
    };
    let (strip_prefix, prefix) = (plain("strip-prefix"), plain("prefix"));
    if r.has("regex") != r.has("to") && r.misspelt().is_empty() {
        let (has, lacks) = match r.has("regex") {
            true => ("regex", "to"),
            false => ("to", "regex"),
        };
        let what = r.name_of(has);
        cx.absence(
            Diagnostic::error(
                r.span_of(has),
                format!("{what} is set, but `{lacks}` is not"),
            )
            .help("write `rewrite = { regex = \"^/u/([0-9]+)\", to = \"/users/$1\" }`"),
        );
    }
    let regex = match (regex, to) {
        (Some(regex), Some(to)) => {
            if !is_path_text(to.value.as_bytes()) {
                let what = r.name_of("to");
                cx.push(
                    Diagnostic::error(
                        to.span,
                        format!(
                            "{what} is `{}`, which has a character that no path has",
                            to.value
                        ),
                    )
                    .help("a path has neither spaces nor `?` nor `#`; write `%20` and the like"),
                );
            }
            let pattern = pattern(cx, || r.name_of("regex"), &regex)?;
            groups(cx, &r, &pattern, &to);
            Some((pattern, to.value.into()))
        }
        _ => None,
    };
    Some(Rewrite {
        regex,
        strip_prefix,
        prefix,
    })
}

/// A group that the expression does not have is nothing, which nobody wants.
fn groups(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    pattern: &crate::traffic::route::Pattern,
    to: &Marked<String>,
) {
    let regex = pattern.regex();
    let mut rest = to.value.as_str();
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let name = match rest.strip_prefix('{') {
            Some(inner) => inner.split('}').next().unwrap_or_default(),
            None => {
                let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                &rest[..end]
            }
        };
        let known = match name.parse::<usize>() {
            Ok(number) => number < regex.captures_len(),
            Err(_) => regex.capture_names().flatten().any(|n| n == name),
        };
        if !known {
            let what = r.name_of("to");
            cx.push(
                Diagnostic::error(
                    to.span,
                    format!("{what} has `${name}`, but `regex` has no such group"),
                )
                .help("write `${1}x` where a letter, a digit or `_` follows, and `$$` for a `$`"),
            );
        }
    }
}
