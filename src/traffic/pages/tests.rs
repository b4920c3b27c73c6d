//! Which page a client gets.

use super::*;
use crate::message::RequestHead;

fn accept(value: &str) -> Fields {
    [("Accept", value)].into_iter().collect()
}

fn page(from: u16, to: u16, media: &str, text: &str) -> Page {
    Page {
        statuses: (from, to),
        media: media.into(),
        body: Template::text(text).unwrap(),
    }
}

#[test]
fn the_most_specific_range_decides() {
    let browser = accept("text/html,application/xhtml+xml,*/*;q=0.8");
    assert_eq!(quality(&browser, "text/html; charset=utf-8"), 1000);
    assert_eq!(quality(&browser, "application/json"), 800);
    let picky = accept("*/*, text/*;q=0.3, text/html;q=0");
    assert_eq!(quality(&picky, "text/html"), 0);
    assert_eq!(quality(&picky, "text/plain"), 300);
    assert_eq!(quality(&picky, "image/png"), 1000);
    assert_eq!(quality(&Fields::new(), "x/y"), 1000);
    assert_eq!(quality(&accept("text/html;q=nan"), "text/html"), 0);
    assert_eq!(quality(&accept("application/json"), "text/html"), 0);
}

#[test]
fn the_page_for_the_fewest_statuses_that_the_client_reads() {
    let pages = ErrorPages {
        name: "brand".into(),
        pages: vec![
            page(400, 599, "text/html", "any"),
            page(500, 599, "text/html", "server"),
            page(500, 599, "application/json", "{}"),
            page(503, 503, "text/html", "busy"),
        ],
        intercept: false,
    };
    let find = |status, value: &str| {
        let found = pages.find(status, &accept(value));
        found.map(|p| p.body.constant().unwrap().to_vec())
    };
    let some = |t: &str| Some(t.as_bytes().to_vec());
    assert_eq!(find(404, "text/html"), some("any"));
    assert_eq!(find(500, "*/*"), some("server"));
    assert_eq!(find(503, "*/*"), some("busy"));
    assert_eq!(find(503, "application/json"), some("{}"));
    assert_eq!(find(404, "application/json"), None);
    assert_eq!(find(302, "*/*"), None);
}

#[test]
fn plain_pages_follow_accept() {
    let media = |request: &Fields| plain(503, request).0;
    assert_eq!(media(&Fields::new()), "text/plain; charset=utf-8");
    assert_eq!(media(&accept("*/*")), "text/plain; charset=utf-8");
    assert_eq!(
        media(&accept("text/html,*/*;q=0.8")),
        "text/html; charset=utf-8"
    );
    assert_eq!(
        media(&accept("application/json")),
        "application/problem+json"
    );
    assert_eq!(media(&accept("image/png")), "text/plain; charset=utf-8");
    let (_, body) = plain(429, &accept("application/json"));
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["status"], 429);
    assert_eq!(body["title"], "Too Many Requests");
}

#[test]
fn a_page_holds_what_is_known_of_the_exchange_escaped_for_its_kind() {
    let head = RequestHead {
        target: b"/<b>\"".to_vec(),
        ..RequestHead::default()
    };
    let mut facts = Facts::new(&head, "192.0.2.1:1".parse().unwrap());
    facts.status = 404;
    let text = |media: &str| {
        let body = page(404, 404, media, "${status} ${path}").render(&facts);
        String::from_utf8(body).unwrap()
    };
    assert_eq!(text("text/html; charset=utf-8"), "404 /&lt;b&gt;&quot;");
    assert_eq!(text("application/problem+json"), "404 /<b>\\\"");
    assert_eq!(text("text/plain"), "404 /<b>\"");
}
