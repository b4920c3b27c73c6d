//! The matcher against one that looks at every route, its order, its conflicts, and what it costs.

use std::time::Duration;

use proptest::prelude::*;

use super::index::rank;
use super::*;
use crate::ids::UpstreamId;
use crate::message::{Method, Name};

fn route(name: &str, hosts: &[&str], paths: Vec<PathPattern>) -> Route {
    Route {
        rule: Rule {
            hosts: hosts
                .iter()
                .map(|h| HostPattern::parse(h).unwrap())
                .collect(),
            paths,
            ..Rule::default()
        },
        ..Route::new(name, Action::Forward(UpstreamId(0)))
    }
}

fn exact(path: &str) -> PathPattern {
    PathPattern::Exact(path.as_bytes().into())
}

fn prefix(path: &str) -> PathPattern {
    PathPattern::Prefix(path.as_bytes().into())
}

fn regex(text: &str) -> PathPattern {
    PathPattern::Regex(Pattern::new(text).unwrap())
}

fn header(name: &str, value: &str) -> Condition {
    Condition::Header(
        Name::new(name.as_bytes()),
        Test::Exact(value.as_bytes().into()),
    )
}

fn head(host: &str, target: &str) -> RequestHead {
    RequestHead {
        authority: host.into(),
        target: target.into(),
        ..RequestHead::default()
    }
}

const CALLER: Caller = Caller {
    listener: ListenerId(0),
    client: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
};

fn found<'r>(routes: &'r Routes, head: &RequestHead) -> &'r str {
    let id = routes.find(head, CALLER);
    id.map_or("none", |id| &routes.list[id.index()].name)
}

fn clean(list: Vec<Route>) -> Routes {
    let (routes, conflicts) = Routes::build(list, PathRules::default());
    assert_eq!(conflicts, []);
    routes
}

#[test]
fn the_more_specific_route_is_taken() {
    let mut urgent = route("urgent", &["*.example"], vec![prefix("/urgent")]);
    urgent.rule.priority = 1;
    let mut beta = route("beta", &["a.example"], vec![prefix("/x")]);
    beta.rule.conditions = vec![header("beta", "1")];
    let routes = clean(vec![
        route("all", &[], vec![]),
        route("path", &[], vec![prefix("/x")]),
        route("below", &["*.example"], vec![]),
        route("deep", &["*.b.example"], vec![]),
        route("host", &["a.example"], vec![]),
        route("prefix", &["a.example"], vec![prefix("/x")]),
        route("longer", &["a.example"], vec![prefix("/x/y")]),
        route("slash", &["a.example"], vec![prefix("/x/")]),
        route("regex", &["a.example"], vec![regex("^/x/[0-9]+$")]),
        route("exact", &["a.example"], vec![exact("/x/1"), exact("/x/2/")]),
        beta,
        urgent,
    ]);
    for (host, target, want) in [
        ("other", "/", "all"),
        ("other", "*", "all"),
        ("", "/", "all"),
        ("other", "/x?y", "path"),
        ("other", "/xx", "all"),
        ("c.example:8080", "/", "below"),
        ("example", "/", "all"),
        ("c.b.example", "/x", "deep"),
        ("b.example", "/x", "below"),
        ("a.example.", "/", "host"),
        ("a.example", "*", "host"),
        ("a.example", "/x", "prefix"),
        ("a.example", "/x/", "slash"),
        ("a.example", "/x/z", "slash"),
        ("a.example", "/x/y", "longer"),
        ("a.example", "/x/y/z", "longer"),
        ("a.example", "/x/yz", "slash"),
        ("a.example", "/x/1", "exact"),
        ("a.example", "/x/3", "regex"),
        ("a.example", "/x/2/", "exact"),
        ("a.example", "/x/2", "regex"),
        ("a.example", "/urgent/x", "urgent"),
        ("a.example", "/urgently", "host"),
    ] {
        assert_eq!(found(&routes, &head(host, target)), want, "{host}{target}");
    }
    let mut beta = head("a.example", "/x/1");
    beta.fields.push(b"beta", b"1");
    assert_eq!(found(&routes, &beta), "exact");
    beta.target = b"/x".to_vec();
    assert_eq!(found(&routes, &beta), "beta");
}

#[test]
fn listeners_and_sources() {
    let mut inside = route("inside", &[], vec![]);
    inside.rule.listeners = vec![ListenerId(1)];
    let mut office = route("office", &[], vec![]);
    office.rule.conditions = vec![Condition::Source(vec!["192.0.2.0/24".parse().unwrap()])];
    let routes = clean(vec![inside, office]);
    let at = |listener, client: &str| {
        let caller = Caller {
            listener: ListenerId(listener),
            client: client.parse().unwrap(),
        };
        routes.find(&head("x", "/"), caller)
    };
    assert_eq!(at(0, "198.51.100.1"), None);
    assert_eq!(at(1, "198.51.100.1"), Some(RouteId(0)));
    assert_eq!(at(0, "192.0.2.9"), Some(RouteId(1)));
    assert_eq!(at(0, "::ffff:192.0.2.9"), Some(RouteId(1)));
}

fn conflicts(list: Vec<Route>) -> Vec<String> {
    let (routes, conflicts) = Routes::build(list, PathRules::default());
    let name = |id: RouteId| &routes.list[id.index()].name;
    let told = conflicts.iter().map(|c| match c {
        Conflict::Shadowed { route, by } => {
            let by: Vec<&str> = by.iter().map(|id| &**name(*id)).collect();
            format!("{} hidden by {}", name(*route), by.join(" "))
        }
        Conflict::Ambiguous { first, second, .. } => {
            format!("{} or {}", name(*first), name(*second))
        }
    });
    told.collect()
}

#[test]
fn o4_routes_that_others_hide_are_found() {
    let above = |mut r: Route| {
        r.rule.priority = 1;
        r
    };
    let with = |mut r: Route, c: Condition| {
        r.rule.conditions.push(c);
        r
    };
    let get = || Condition::Method(vec![Method::Get]);
    let all = || above(route("all", &["*.a"], vec![prefix("/x")]));
    let hidden = |r: Route| conflicts(vec![all(), r]) == ["r hidden by all"];
    assert!(hidden(route("r", &["b.a"], vec![exact("/x/y")])));
    assert!(hidden(route("r", &["*.b.a"], vec![prefix("/x/y/")])));
    assert!(hidden(route("r", &["*.a"], vec![regex("^/x/[a-z]")])));
    assert!(hidden(with(
        route("r", &["*.a"], vec![prefix("/x")]),
        get()
    )));
    assert!(!hidden(route("r", &["a"], vec![exact("/x/y")])));
    assert!(!hidden(route("r", &["b.a", "c"], vec![exact("/x/y")])));
    assert!(!hidden(route(
        "r",
        &["b.a"],
        vec![exact("/x/y"), exact("/y")]
    )));
    assert!(!hidden(route("r", &["b.a"], vec![regex("/x/[a-z]")])));
    assert!(!hidden(route("r", &["b.a"], vec![])));
    // One with conditions hides only what has them too.
    let one = || above(with(route("one", &[], vec![]), get()));
    assert_eq!(conflicts(vec![one(), route("r", &[], vec![])]), [""; 0]);
    let both = with(with(route("r", &[], vec![]), get()), header("x", "1"));
    assert_eq!(conflicts(vec![one(), both]), ["r hidden by one"]);
    let other = with(
        route("r", &[], vec![]),
        Condition::Method(vec![Method::Get, Method::Put]),
    );
    assert_eq!(conflicts(vec![one(), other]), [""; 0]);
    // Two together hide a third.
    assert_eq!(
        conflicts(vec![
            above(route("p", &["p"], vec![])),
            above(route("q", &["q"], vec![])),
            route("r", &["p", "q"], vec![exact("/")]),
        ]),
        ["r hidden by p q"]
    );
    // On another listener it is seen.
    let mut elsewhere = all();
    elsewhere.rule.listeners = vec![ListenerId(0)];
    let mut here = route("r", &["b.a"], vec![exact("/x/y")]);
    assert_eq!(conflicts(vec![elsewhere.clone(), here.clone()]), [""; 0]);
    here.rule.listeners = vec![ListenerId(0)];
    assert_eq!(conflicts(vec![elsewhere, here]), ["r hidden by all"]);
}

#[test]
fn o4_routes_of_which_nobody_could_say_which_is_meant() {
    let with = |name: &str, c: Condition| {
        let mut r = route(name, &["a", "b"], vec![prefix("/x")]);
        r.rule.conditions.push(c);
        r
    };
    let query = |v: &str| Condition::Query(b"q"[..].into(), Test::Exact(v.as_bytes().into()));
    assert_eq!(
        conflicts(vec![with("p", header("x", "1")), with("q", query("1"))]),
        ["p or q"]
    );
    for (one, other) in [
        (header("x", "1"), header("x", "2")),
        (query("1"), query("2")),
        (
            Condition::Method(vec![Method::Get]),
            Condition::Method(vec![Method::Put]),
        ),
    ] {
        assert_eq!(conflicts(vec![with("p", one), with("q", other)]), [""; 0]);
    }
    // Three of a kind are told twice, not three times.
    let same = |name: &str| route(name, &[], vec![]);
    assert_eq!(
        conflicts(vec![same("p"), same("q"), same("r")]),
        ["p or q", "p or r"]
    );
}

/// The route that a look at every one of them finds.
fn naive(list: &[Route], head: &RequestHead, caller: Caller) -> Option<RouteId> {
    let asked = Asked {
        head,
        host: host::canonical(head.host()),
        path: head.path(),
        client: caller.client,
    };
    let mut all = Vec::new();
    for (i, route) in list.iter().enumerate() {
        let rule = &route.rule;
        let here = rule.listeners.is_empty() || rule.listeners.contains(&caller.listener);
        for host in rule.hosts() {
            for path in rule.paths() {
                if here
                    && host.matches(asked.host)
                    && path.matches(asked.path)
                    && rule.conditions.iter().all(|c| c.holds(&asked))
                {
                    all.push((rank(route, host, path), RouteId::from_index(i)));
                }
            }
        }
    }
    all.sort();
    all.first().map(|(_, id)| *id)
}

fn any_host() -> impl Strategy<Value = HostPattern> {
    prop_oneof![
        Just("*"),
        Just("a"),
        Just("b.a"),
        Just("*.a"),
        Just("*.b.a"),
        Just("c.b.a")
    ]
    .prop_map(|h| HostPattern::parse(h).unwrap())
}

fn any_path() -> impl Strategy<Value = PathPattern> {
    let plain = prop_oneof![
        Just("/"),
        Just("/x"),
        Just("/x/"),
        Just("/x/y"),
        Just("/x/y/"),
        Just("/xy"),
        Just("/y")
    ];
    let expression = prop_oneof![
        Just("^/x/[a-z]$"),
        Just("y"),
        Just("^/x"),
        Just("^/(x|y)/"),
        Just("^x")
    ];
    prop_oneof![
        Just(PathPattern::Any),
        plain.clone().prop_map(exact),
        plain.prop_map(prefix),
        expression.prop_map(regex),
    ]
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        Just(Condition::Method(vec![Method::Get])),
        Just(Condition::Method(vec![Method::Put])),
        Just(header("x", "1")),
        Just(header("x", "2")),
        Just(Condition::Header(Name::new(b"x"), Test::Present)),
        Just(Condition::Source(vec!["192.0.2.0/24".parse().unwrap()])),
        Just(Condition::Query(b"q"[..].into(), Test::Present)),
        any_path().prop_map(|p| Condition::Path(vec![p])),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::All),
            prop::collection::vec(inner.clone(), 1..3).prop_map(Condition::Any),
            inner.prop_map(|c| Condition::Not(Box::new(c))),
        ]
    })
}

fn any_route() -> impl Strategy<Value = Route> {
    (
        prop::collection::vec(any_host(), 0..3),
        prop::collection::vec(any_path(), 0..3),
        prop::collection::vec(any_condition(), 0..3),
        -1..2,
        prop::collection::vec((0_u32..2).prop_map(ListenerId), 0..2),
    )
        .prop_map(|(hosts, paths, conditions, priority, listeners)| Route {
            rule: Rule {
                listeners,
                priority,
                hosts,
                paths,
                conditions,
            },
            ..Route::new("r", Action::Drop)
        })
}

fn any_head() -> impl Strategy<Value = RequestHead> {
    let host = prop_oneof![
        Just("a"),
        Just("b.a"),
        Just("c.b.a"),
        Just("z.a"),
        Just("z"),
        Just("")
    ];
    let target = prop_oneof![
        Just("/"),
        Just("/x"),
        Just("/x/"),
        Just("/x/y"),
        Just("/x/y/"),
        Just("/x/y/z"),
        Just("/xy?q"),
        Just("/y/x"),
        Just("*"),
    ];
    (host, target, any::<bool>(), 0_u32..3).prop_map(|(host, target, get, x)| {
        let mut head = head(host, target);
        head.method = if get { Method::Get } else { Method::Put };
        if x > 0 {
            head.fields.push(b"x", x.to_string().as_bytes());
        }
        head
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_finds_what_a_look_at_every_route_finds(
        list in prop::collection::vec(any_route(), 0..12),
        heads in prop::collection::vec(any_head(), 1..12),
        listener in 0_u32..2,
    ) {
        let (routes, conflicts) = Routes::build(list, PathRules::default());
        let caller = Caller { listener: ListenerId(listener), ..CALLER };
        for head in &heads {
            let taken = routes.find(head, caller);
            prop_assert_eq!(taken, naive(&routes.list, head, caller));
            // What is told to be hidden is.
            for conflict in &conflicts {
                if let Conflict::Shadowed { route, .. } = conflict {
                    prop_assert_ne!(taken, Some(*route));
                }
            }
        }
    }
}

/// 10,000 hosts with a prefix each, and 100 hosts with 100 prefixes each.
fn many() -> Vec<Route> {
    let mut list = Vec::new();
    for i in 0..10_000 {
        let name = format!("host-{i}");
        list.push(route(
            &name,
            &[&format!("h{i}.example")],
            vec![prefix("/v1")],
        ));
    }
    for i in 0..100 {
        for j in 0..100 {
            let name = format!("path-{i}-{j}");
            list.push(route(
                &name,
                &[&format!("p{i}.example")],
                vec![prefix(&format!("/a/b{j}"))],
            ));
        }
    }
    list
}

/// The shortest of several measurements of so many lookups.
fn time(routes: &Routes, heads: &[RequestHead], clock: &dyn Fn() -> Duration) -> Duration {
    let mut least = Duration::MAX;
    for _ in 0..20 {
        let began = clock();
        for i in 0..20_000 {
            let head = &heads[i % heads.len()];
            assert!(
                std::hint::black_box(routes.find(std::hint::black_box(head), CALLER)).is_some()
            );
        }
        least = least.min(clock() - began);
    }
    least
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn twenty_thousand_routes_cost_what_one_does() {
    let began = std::time::Instant::now();
    let clock = || began.elapsed();
    let heads = [
        head("h7000.example", "/v1/x"),
        head("p50.example", "/a/b50/c"),
    ];
    let list = many();
    let few = list
        .iter()
        .filter(|r| matches!(&*r.name, "host-7000" | "path-50-50"))
        .cloned();
    let one = clean(few.collect());
    let before = clock();
    let all = clean(list);
    let built = clock() - before;
    assert!(
        built < Duration::from_secs(30),
        "built and checked in {built:?}"
    );
    let (few, many) = (time(&one, &heads, &clock), time(&all, &heads, &clock));
    assert!(
        many < few * 2 + Duration::from_millis(2),
        "20,000 lookups among 20,000 routes take {many:?}, among two {few:?}"
    );
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it measures time")]
fn ten_thousand_routes_of_one_place_are_checked_in_time() {
    let began = std::time::Instant::now();
    let list = (0..10_000).map(|i| {
        let mut r = route(&format!("tenant-{i}"), &["a.example"], vec![prefix("/")]);
        r.rule.conditions.push(header("x-tenant", &i.to_string()));
        r
    });
    let routes = clean(list.collect());
    let mut asked = head("a.example", "/");
    asked.fields.push(b"x-tenant", b"9999");
    assert_eq!(found(&routes, &asked), "tenant-9999");
    let took = began.elapsed();
    // Without a bound it would be 50 million comparisons; a busy machine takes its time.
    assert!(took < Duration::from_secs(30), "{took:?}");
}
