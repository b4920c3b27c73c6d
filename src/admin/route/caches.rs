//! `GET /v1/proxy/caches`, `POST /v1/proxy/caches/NAME/purge`

use axum::{Json, extract};
use serde::Deserialize;
use utoipa::ToSchema;

use super::query::{Body, NoQuery, Path};

use crate::admin::caches::{CacheDesk, Purging};
use crate::admin::gate::{Operator, Viewer};
use crate::admin::problem::Problem;
use crate::admin::state::{Answer, State};
use crate::admin::view::caches::{Caches, Purged};

/// What to purge: exactly one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schema(as = Purge)]
pub struct Wanted {
    /// One URL: `http://www.example.com/path`.
    url: Option<String>,
    /// All URLs that begin so.
    prefix: Option<String>,
    /// All responses that bear this label.
    tag: Option<String>,
    /// `true`: everything.
    all: Option<bool>,
}

/// The caches, with what they hold and did.
#[utoipa::path(
    get,
    path = "/v1/proxy/caches",
    tag = "proxy",
    responses(
        (status = 200, description = "The caches", body = Caches),
        (status = 404, description = "The node has no proxy"),
    )
)]
pub async fn list(
    _: Viewer,
    extract::State(state): extract::State<State>,
    _: NoQuery,
) -> Answer<Caches> {
    Ok(Json(Caches::of(desk(&state)?.caches())))
}

/// Forgets what is meant.
#[utoipa::path(
    post,
    path = "/v1/proxy/caches/{name}/purge",
    tag = "proxy",
    params(("name" = String, Path, description = "The cache")),
    request_body = Wanted,
    responses(
        (status = 200, description = "What was forgotten", body = Purged),
        (status = 404, description = "The node has no proxy, or no such cache"),
    )
)]
pub async fn purge(
    _: Operator,
    extract::State(state): extract::State<State>,
    _: NoQuery,
    Path(name): Path<String>,
    Body(wanted): Body<Wanted>,
) -> Answer<Purged> {
    let desk = desk(&state)?;
    let purged = desk.purge(&name, &purging(wanted)?).ok_or_else(|| {
        let known: Vec<String> = desk.caches().into_iter().map(|c| c.name).collect();
        let known = match known.is_empty() {
            true => "none".to_owned(),
            false => known.join(", "),
        };
        let detail = format!("the proxy of this node has no cache `{name}`; it has: {known}");
        Problem::no_such("name", detail)
    })?;
    Ok(Json(Purged {
        cache: name,
        purged,
    }))
}

fn desk(state: &State) -> Result<&dyn CacheDesk, Problem> {
    let none = || {
        Problem::not_found("this node carries no traffic: it has not the role `proxy`; ask another")
    };
    state.caches.as_deref().ok_or_else(none)
}

fn purging(wanted: Wanted) -> Result<Purging, Problem> {
    let given = [
        wanted.url.is_some(),
        wanted.prefix.is_some(),
        wanted.tag.is_some(),
        wanted.all == Some(true),
    ];
    let count = given.iter().filter(|g| **g).count();
    let one = || {
        Problem::parameter(
            "body",
            format!(
                "it has {count} of `url`, `prefix`, `tag` and `all: true`; exactly 1 is allowed"
            ),
        )
    };
    if count != 1 {
        return Err(one());
    }
    if let Some(url) = wanted.url {
        let (authority, target) = parts("url", &url)?;
        return Ok(Purging::Url(authority, target));
    }
    if let Some(prefix) = wanted.prefix {
        let (authority, target) = parts("prefix", &prefix)?;
        return Ok(Purging::Prefix(authority, target));
    }
    match wanted.tag {
        Some(tag) => Ok(Purging::Tag(tag)),
        None => Ok(Purging::All),
    }
}

/// Authority, in lower case, and path with query, of `http://host/path?query` or `host/path?query`.
fn parts(parameter: &'static str, url: &str) -> Result<(String, String), Problem> {
    let bare = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))
        .unwrap_or(url);
    let bare = bare.split('#').next().unwrap_or(bare);
    let end = bare.find('/').unwrap_or(bare.len());
    let (authority, target) = bare.split_at(end);
    if authority.is_empty() {
        return Err(Problem::parameter(
            parameter,
            format!("`{url}` names no host; write `http://www.example.com/path`"),
        ));
    }
    let target = match target {
        "" => "/",
        target => target,
    };
    Ok((authority.to_ascii_lowercase(), target.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<Purging> {
        purging(serde_json::from_str(json).ok()?).ok()
    }

    #[test]
    fn exactly_one_thing_is_purged() {
        let pair = |a: &str, t: &str| (a.to_owned(), t.to_owned());
        let (a, t) = pair("www.example", "/a?b");
        assert_eq!(
            read(r#"{"url": "http://WWW.example/a?b#c"}"#),
            Some(Purging::Url(a, t))
        );
        let (a, t) = pair("www.example", "/");
        assert_eq!(
            read(r#"{"prefix": "www.example"}"#),
            Some(Purging::Prefix(a, t))
        );
        assert_eq!(read(r#"{"tag": "x"}"#), Some(Purging::Tag("x".to_owned())));
        assert_eq!(read(r#"{"all": true}"#), Some(Purging::All));
        for wrong in [
            "{}",
            r#"{"all": false}"#,
            r#"{"all": true, "tag": "x"}"#,
            r#"{"url": "/a"}"#,
            r#"{"uri": "x"}"#,
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
