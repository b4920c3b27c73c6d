//! Which plan a node gets of what the configuration says of traffic.

use std::sync::Arc;

use super::compile;
use crate::config::load::load_texts;
use crate::traffic::{Algorithm, HashKey, HashMethod, Hashing, Plan};

/// Two regions with a proxy each, a node without, and `rest`; as `node` sees it.
fn plan(rest: &str, node: &str) -> Arc<Plan> {
    let text = format!(
        "version = 1\n[regions.eu]\nlatitude = 50\nlongitude = 8\n\
         [regions.us]\nlatitude = 40\nlongitude = -75\n\
         [nodes.fra]\nregion = \"eu\"\nroles = [\"proxy\"]\n\
         [nodes.nyc]\nregion = \"us\"\nroles = [\"proxy\"]\n\
         [nodes.eye]\nregion = \"us\"\nroles = [\"probe\"]\n{rest}"
    );
    let loaded = load_texts(vec![("t.toml".into(), text.into())], &mut |_| {
        Err(std::io::ErrorKind::NotFound.into())
    });
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, Some(node));
    compiled
        .unwrap_or_else(|| panic!("{found:?}"))
        .snapshot
        .traffic
        .clone()
}

const UPSTREAMS: &str = r#"
    [upstreams.web]
    algorithm = "hash"
    hash = { on = "header:X-User", bound = 1.5 }
    backends = [
        { name = "z", address = "10.0.0.9:80" },
        { name = "e", address = "10.0.0.1:80", region = "eu", zone = "a", weight = 3 },
        { name = "u", address = "10.0.0.1:80", region = "us", backup = true },
        { name = "off", address = "10.0.0.2:80", enabled = false },
    ]
    [upstreams.api]
    first-byte-timeout = "5s"
    backends = [{ name = "a", address = "[2001:db8::1]:80" }]
"#;

#[test]
fn a_proxy_uses_the_backends_of_its_region_in_the_order_of_names() {
    let names = |node| {
        let plan = plan(UPSTREAMS, node);
        let upstreams = plan.upstreams.iter().map(|u| {
            let backends = u.backends.iter().map(|b| b.name.to_string());
            (u.name.to_string(), backends.collect::<Vec<_>>())
        });
        upstreams.collect::<Vec<_>>()
    };
    let api = ("api".to_owned(), vec!["a".to_owned()]);
    let web = |b: [&str; 2]| ("web".to_owned(), b.map(str::to_owned).to_vec());
    assert_eq!(names("fra"), [api.clone(), web(["e", "z"])]);
    assert_eq!(names("nyc"), [api, web(["u", "z"])]);
    assert_eq!(*plan(UPSTREAMS, "eye"), Plan::default());
}

#[test]
fn what_an_upstream_says_reaches_the_plan() {
    let plan = plan(UPSTREAMS, "fra");
    assert_eq!(&*plan.node.name, "fra");
    let [api, web] = &plan.upstreams[..] else {
        panic!("{plan:?}")
    };
    assert_eq!(api.algorithm, Algorithm::RoundRobin);
    assert_eq!(api.timeouts.first_byte.as_secs(), 5);
    assert_eq!(api.timeouts.connect.as_secs(), 2);
    assert_eq!(api.zone_first, 50);
    let hashing = Hashing {
        on: HashKey::Header(crate::message::Name::new(b"x-user")),
        method: HashMethod::Maglev,
        bound: Some(1.5),
    };
    assert_eq!(web.algorithm, Algorithm::Hash(hashing));
    assert_eq!(web.backends[0].weight, 3);
    assert_eq!(web.backends[0].zone.as_deref(), Some("a"));
    assert!(!web.backends[0].backup);
}

#[test]
fn an_upstream_has_a_bounded_number_of_backends() {
    let text = |count: u32| {
        let backend = |i: u32| {
            let [_, b, c, d] = i.to_be_bytes();
            format!("{{ name = \"b{i}\", address = \"10.{b}.{c}.{d}:80\" }},")
        };
        let list: String = (1..=count).map(backend).collect();
        format!("version = 1\n[upstreams.big]\nbackends = [{list}]\n")
    };
    let told = |count| {
        let files = vec![("t.toml".into(), text(count).into())];
        let loaded = load_texts(files, &mut |_| Err(std::io::ErrorKind::NotFound.into()));
        let found = loaded.diagnostics.iter().map(|d| d.message.clone());
        found.collect::<Vec<_>>()
    };
    assert_eq!(told(10_000), [""; 0]);
    assert_eq!(
        told(10_001),
        ["`backends` of upstream `big` has 10001 items; the largest allowed number is 10000"]
    );
}
