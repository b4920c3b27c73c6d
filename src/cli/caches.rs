//! `tradewind proxy purge` and `tradewind proxy caches`: the caches of a node's proxy, through its admin API.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::ask::{Via, ask};

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
    /// One URL, such as http://www.example.com/path?query.
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
        Ok(answer) if args.via.json => super::done::<_, String>(Ok(answer.json)),
        Ok(answer) => {
            let gone = answer.json.get("purged").and_then(Value::as_u64);
            let gone = gone.unwrap_or_default();
            super::done::<_, String>(Ok(format!(
                "{gone} response{} purged from cache {} ({})",
                if gone == 1 { "" } else { "s" },
                args.cache,
                answer.server
            )))
        }
        Err(e) => super::failed(e),
    }
}

/// Lists the caches.
pub(super) fn list(via: &Via) -> ExitCode {
    let answer = match ask(via, "GET", "/v1/proxy/caches", &[], None) {
        Ok(answer) if via.json => return super::done::<_, String>(Ok(answer.json)),
        Ok(answer) => answer.json,
        Err(e) => return super::failed(e),
    };
    let mut text = String::new();
    for cache in answer["caches"].as_array().into_iter().flatten() {
        let number = |key: &str| cache[key].as_u64().unwrap_or_default();
        let name = cache["name"].as_str().unwrap_or_default();
        let requests = cache["requests"].as_object();
        let requests: Vec<String> = requests
            .into_iter()
            .flatten()
            .filter(|(_, n)| n.as_u64() != Some(0))
            .map(|(word, n)| format!("{word} {n}"))
            .collect();
        text.push_str(&format!(
            "{name}: {} URLs, {} of {} bytes; {}\n",
            number("urls"),
            number("used-bytes"),
            number("size-bytes"),
            match requests.is_empty() {
                true => "no requests yet".to_owned(),
                false => requests.join(", "),
            }
        ));
    }
    if text.is_empty() {
        text.push_str("no caches\n");
    }
    super::done::<_, String>(Ok(text.trim_end()))
}
