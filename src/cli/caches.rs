//! `tradewind proxy purge` and `tradewind proxy caches`: the caches of a node's proxy, through its admin API.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::ask::{Via, ask};
use super::say::{self, number, shown, word};
use super::table::{Cell, Column, Table, counted, octets};
use super::terminal::{Look, Tone};

/// What is purged, and where.
#[derive(Debug, Args)]
pub(super) struct PurgeArgs {
    /// The cache's name in the configuration.
    cache: String,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    via: Via,
}

/// What is purged: exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// One URL, whole: with its scheme, host, path and query.
    #[arg(long)]
    url: Option<String>,
    /// All URLs that begin so, such as www.example.com/images/.
    #[arg(long)]
    prefix: Option<String>,
    /// All responses with this word in Cache-Tag or Surrogate-Key.
    #[arg(long)]
    tag: Option<String>,
    /// Everything.
    #[arg(long)]
    all: bool,
}

/// Forgets responses.
pub(super) fn purge(args: &PurgeArgs) -> ExitCode {
    let what = &args.what;
    let body = if let Some(url) = &what.url {
        json!({ "url": url })
    } else if let Some(prefix) = &what.prefix {
        json!({ "prefix": prefix })
    } else if let Some(tag) = &what.tag {
        json!({ "tag": tag })
    } else {
        json!({ "all": true })
    };
    let path = format!("/v1/proxy/caches/{}/purge", args.cache);
    match ask(&args.via, "POST", &path, &[], Some(&body)) {
        Ok(answer) if args.via.json => say::printed(true, &answer.json, |_, _| String::new()),
        Ok(answer) => {
            let gone = answer.json.get("purged").and_then(Value::as_u64);
            let gone = gone.unwrap_or_default();
            super::done::<_, String>(Ok(format!(
                "{} purged from cache {} ({})",
                counted(gone, "response"),
                args.cache,
                answer.server
            )))
        }
        Err(e) => super::failed(e),
    }
}

/// Lists the caches.
pub(super) fn list(via: &Via) -> ExitCode {
    shown(via, "/v1/proxy/caches", &[], caches)
}

/// A row for each cache.
fn caches(json: &Value, look: Look) -> String {
    let mut table = Table::new(&[
        Column::text("cache"),
        Column::number("urls"),
        Column::number("used"),
        Column::number("of"),
        Column::text("requests"),
    ]);
    for cache in say::list(&json["caches"]) {
        let requests = cache["requests"].as_object();
        let requests: Vec<String> = requests
            .into_iter()
            .flatten()
            .filter(|(_, n)| n.as_u64() != Some(0))
            .map(|(word, n)| format!("{word} {n}"))
            .collect();
        table.row([
            word(cache, "name").into(),
            number(cache, "urls").into(),
            octets(number(cache, "used-bytes")).into(),
            octets(number(cache, "size-bytes")).into(),
            match requests.is_empty() {
                true => Cell::from("none yet").toned(Tone::Faint),
                false => requests.join(", ").into(),
            },
        ]);
    }
    match table.is_empty() {
        true => "no caches\n".to_owned(),
        false => table.text(look),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_a_table() {
        let json = json!({ "caches": [
            { "name": "pages", "urls": 1200, "used-bytes": 5_242_880, "size-bytes": 33_554_432,
              "requests": { "hit": 90, "miss": 10, "stale": 0 } },
            { "name": "images", "urls": 0, "used-bytes": 0, "size-bytes": 1024, "requests": {} },
        ] });
        assert_eq!(
            caches(&json, Look::default()),
            "cache   urls     used        of  requests\n\
             pages   1200  5.0 MiB  32.0 MiB  hit 90, miss 10\n\
             images     0      0 B   1.0 KiB  none yet\n"
        );
        assert_eq!(caches(&json!({}), Look::default()), "no caches\n");
    }
}
