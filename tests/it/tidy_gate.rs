//! Every handler of the admin API is given who asks (requirement S1), read off the sources.

use std::fs;

use crate::support::demo::package;
use crate::tidy::code_only;

/// Handlers that everybody may reach: whether the process lives and is ready, what signs in, and what says
/// that there is nothing.
const OPEN: &[(&str, &str)] = &[
    ("health", "livez"),
    ("ready", "readyz"),
    ("ready", "readyz_alone"),
    ("session", "sign_in"),
    ("mod", "fallback"),
    ("mod", "wrong_method"),
];

/// Requests with a body or a DELETE that change nothing but for who asks.
const HARMLESS: &[(&str, &str)] = &[
    ("session", "sign_in"),
    ("session", "sign_out"),
    ("plan", "plan"),
];

const ROLES: &[&str] = &["Viewer", "Operator", "Admin", "MetricsReader"];

/// Where a router may get a handler from that is not in `admin/route`: the document of the API, and the
/// files of the console, which hold nothing of this node.
const ELSEWHERE: &[&str] = &["openapi::", "ui::", "assets::", "dashboard::"];

/// A handler: its name, what it takes, and whether it is said to change something.
#[derive(Debug, PartialEq)]
struct Handler {
    name: String,
    takes: String,
    is_change: bool,
}

/// The public asynchronous functions of a file.
fn handlers(text: &str) -> Vec<Handler> {
    let code = code_only(text);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = code[from..].find("pub async fn ") {
        let at = from + at;
        let rest = &code[at + "pub async fn ".len()..];
        let open = rest.find('(').unwrap();
        let name = rest[..open].split('<').next().unwrap().trim().to_owned();
        let mut depth = 0;
        let close = rest[open..].find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let takes = rest[open..open + close.unwrap() + 1].to_owned();
        let before = &code[from..at];
        let says = before.rfind("utoipa::path").map_or("", |p| &before[p..]);
        let is_change = ["put", "post", "delete", "patch"]
            .iter()
            .any(|m| says.split(|c: char| !c.is_alphanumeric()).any(|w| w == *m));
        found.push(Handler {
            name,
            takes,
            is_change,
        });
        from = at + 1;
    }
    found
}

/// Whether one of the arguments is a value of a role, and of no optional one.
fn is_given(takes: &str, roles: &[&str]) -> bool {
    let mut depth = 0;
    let arguments = takes[1..takes.len() - 1].split(|c| {
        depth += i32::from("(<[".contains(c)) - i32::from(")>]".contains(c));
        depth == 0 && c == ','
    });
    arguments.into_iter().any(|argument| {
        let kind = argument
            .rsplit_once(':')
            .map_or("", |(_, kind)| kind.trim());
        roles.contains(&kind)
    })
}

/// All breaches of one file of `admin/route`.
fn breaches(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for handler in handlers(text) {
        let key = (file, handler.name.as_str());
        if !OPEN.contains(&key) && !is_given(&handler.takes, ROLES) {
            found.push(format!("{file}::{} is not given who asks", handler.name));
        }
        let harmless = HARMLESS.contains(&key);
        if handler.is_change && !harmless && !is_given(&handler.takes, &["Operator", "Admin"]) {
            found.push(format!(
                "{file}::{} changes something for viewers",
                handler.name
            ));
        }
    }
    found
}

/// Handlers that a router is given and that are not in `admin/route`.
fn strangers(server: &str) -> Vec<String> {
    let code = code_only(server);
    let mut found = Vec::new();
    for word in [
        "get(", "post(", "put(", "delete(", "patch(", "any(", "routes!(",
    ] {
        for (at, _) in code.match_indices(word) {
            let is_whole = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let rest = &code[at + word.len()..];
            let end = rest.find(')').unwrap_or(rest.len());
            let names = rest[..end]
                .split(',')
                .map(str::trim)
                .filter(|n| !n.is_empty());
            let known =
                |n: &&str| n.starts_with("route::") || ELSEWHERE.iter().any(|e| n.starts_with(e));
            found.extend(
                names
                    .filter(|n| is_whole && !known(n))
                    .map(|n| format!("`{n}` is a handler of no known place")),
            );
        }
    }
    found
}

#[test]
fn s1_every_handler_is_given_who_asks() {
    let admin = package().join("src/admin");
    let mut all = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(admin.join("route")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let file = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        seen += handlers(&text).len();
        all.extend(breaches(&file, &text));
    }
    assert!(seen > 20, "only {seen} handlers found");
    all.extend(strangers(
        &fs::read_to_string(admin.join("server.rs")).unwrap(),
    ));
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn planted_handlers_are_caught() {
    let planted =
        |takes: &str| breaches("names", &format!("pub async fn names({takes}) -> X {{}}"));
    let bare = ["names::names is not given who asks"];
    for takes in [
        "",
        "State(s): State<S>",
        "viewer: Option<Viewer>",
        "Query(q): Query<Viewer>",
        "_: ViewerX",
    ] {
        assert_eq!(planted(takes), bare, "{takes}");
    }
    for takes in [
        "_: Viewer",
        "Viewer(who): Viewer, State(s): State<S>",
        "\n    Operator(who): Operator,\n    q: Result<Query<A>, B>,\n",
        "State(s): State<S>, _: Admin",
    ] {
        assert!(planted(takes).is_empty(), "{takes}");
    }
    let change = |role: &str| {
        let text = format!(
            "#[utoipa::path(\n    post,\n    path = \"/v1/x\"\n)]\npub async fn x(_: {role}) {{}}"
        );
        breaches("x", &text)
    };
    assert_eq!(change("Viewer"), ["x::x changes something for viewers"]);
    assert!(change("Operator").is_empty());
    let open = "pub async fn livez() {}";
    assert!(breaches("health", open).is_empty());
    assert_eq!(breaches("x", open), ["x::livez is not given who asks"]);
    assert_eq!(
        strangers(".route(\"/a\", get(a::b)).routes(routes!(route::x::y, z))"),
        [
            "`a::b` is a handler of no known place",
            "`z` is a handler of no known place"
        ]
    );
    assert!(strangers("x.get(); .route(\"/a\", get(route::x::y).put(route::x::z))").is_empty());
}
