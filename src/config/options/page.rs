//! The reference page, written from the rows.

use std::fmt::Write;

use crate::config::quantity::{show_distance, show_duration, show_size};

use super::{Applies, Kind, Presence, ROWS};

/// The text of `src/docs/configuration.md`.
pub fn reference_page() -> String {
    let mut out = String::from(
        "# Configuration reference\n\n\
         Generated from the option table (`config::options`); do not edit. `UPDATE_GOLDEN=1 cargo \
         test --lib config::options` rewrites it.\n\n\
         A configuration is one TOML file, or a directory whose `*.toml` files are merged in the \
         order of their names. Words in capitals are names you choose; `[]` marks an array of \
         tables. Paths are relative to the file that says them. Durations, distances, sizes and \
         percentages are strings with a unit: `\"250ms\"`, `\"5s\"`, `\"1m\"`, `\"1h\"`, `\"1d\"`; \
         `\"100km\"`, `\"60mi\"`; `\"512B\"`, `\"64KiB\"`, `\"1MiB\"`; `\"10%\"`.\n",
    );
    let mut section = "";
    for row in ROWS {
        let top = row.path.split('.').next().unwrap_or(row.path);
        if top != section {
            section = top;
            let _ = write!(out, "\n## `{top}`\n");
        }
        let presence = match row.presence {
            Presence::Required => "required".to_owned(),
            Presence::Optional(absence) => format!("optional ({absence})"),
            Presence::Default(default) => format!("default `{default}`"),
        };
        let applies = match row.applies {
            Applies::Reload => "reload",
            Applies::Restart => "restart",
        };
        let _ = write!(
            out,
            "\n### `{}`\n\n{}\n\n- {}; {presence}; a change takes effect at {applies}\n- example: `{}`\n",
            row.path,
            row.doc,
            describe(&row.kind),
            row.example,
        );
    }
    out
}

/// The type and range in words.
pub(crate) fn describe(kind: &Kind) -> String {
    let words = |choices: &[&str]| {
        let quoted: Vec<String> = choices.iter().map(|c| format!("`\"{c}\"`")).collect();
        quoted.join(", ")
    };
    match kind {
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Integer(min, max) if min == max => format!("the whole number {min}"),
        Kind::Integer(min, max) => format!("whole number, {min} to {max}"),
        Kind::Number(min, max, unit) => format!("number, {min} to {max} {unit}"),
        Kind::Duration(min, max, whole) => format!(
            "duration, {} to {}{}",
            show_duration(*min),
            show_duration(*max),
            if *whole { ", whole seconds" } else { "" }
        ),
        Kind::Distance(min, max) => {
            format!(
                "distance, {} to {}",
                show_distance(*min),
                show_distance(*max)
            )
        }
        Kind::Size(min, max) => format!("size, {} to {}", show_size(*min), show_size(*max)),
        Kind::Percent(min, max) => format!("percentage, {min}% to {max}%"),
        Kind::Text => "text".to_owned(),
        Kind::Phrase(most) => format!("text, at most {most} octets"),
        Kind::Octets(most) => format!("octets as text with escapes, at most {most}"),
        Kind::Rtype => "record type".to_owned(),
        Kind::Secret => "secret of 32 hexadecimal digits".to_owned(),
        Kind::UrlPath => "text that starts with `/`".to_owned(),
        Kind::Token => "HTTP token".to_owned(),
        Kind::Choice(choices) => format!("one of {}", words(choices)),
        Kind::NewName => "name of letters, digits, `-` and `_`, at most 63".to_owned(),
        Kind::Ref(kind) => format!("name of one of `{kind}`"),
        Kind::Address => "IPv4 or IPv6 address".to_owned(),
        Kind::Socket => "`\"ADDRESS:PORT\"`".to_owned(),
        Kind::HostAddress => {
            "address with its prefix length, such as `\"192.0.2.10/24\"`".to_owned()
        }
        Kind::LinkName => "name of a network interface".to_owned(),
        Kind::Network => "network such as `\"192.0.2.0/24\"`".to_owned(),
        Kind::Domain => "domain name".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Country => "two-letter country code".to_owned(),
        Kind::Subdivision => "country and subdivision such as `\"US-CA\"`".to_owned(),
        Kind::Quorum => {
            "`\"majority\"`, percentage, 1% to 100%, or whole number, 1 to 1000".to_owned()
        }
        Kind::Status => "status code or range such as `\"200-299\"`".to_owned(),
        Kind::List(item, 0) => format!("array of: {}", describe(item)),
        Kind::List(item, min) | Kind::Array(item, min) => {
            format!("array (at least {min}) of: {}", describe(item))
        }
        Kind::Table => "table".to_owned(),
        Kind::Tables(min) => format!("array (at least {min}) of tables"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/configuration.md");
        let want = reference_page();
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs")).unwrap();
            std::fs::write(path, &want).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            found == want,
            "src/docs/configuration.md is stale; run with UPDATE_GOLDEN=1"
        );
    }
}
