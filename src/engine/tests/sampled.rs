//! What an answer says of the traffic is what was decided.

use crate::dns::rtype::{A, AAAA, MX, TXT};
use crate::engine::Transport;
use crate::engine::sampled::{Index, Seen, seen};
use crate::engine::testkit::{Desk, Steer, World, ask, name};

const ZONE: &str = r#"
$TTL 300
@      SOA ns1 admin 1 7200 3600 604800 60
@      NS  ns1
ns1    A   192.0.2.53
alias  CNAME geo
"#;

fn world() -> World {
    let deaf = Steer {
        ignore_ecs: true,
        ..Steer::new("deaf.x.test", "geo")
    };
    let two = Steer {
        answers: 2,
        ..Steer::new("two.x.test", "geo")
    };
    let cdn = Steer {
        cname: true,
        ..Steer::new("cdn.x.test", "geo")
    };
    World::new("x.test", ZONE)
        .steer(Steer::new("geo.x.test", "geo"))
        .steer(deaf)
        .steer(two)
        .steer(cdn)
}

/// What is seen of a query by a resolver at 198.51.100.7: the name, the client, the regions.
fn told(owner: &str, qtype: u16, ecs: Option<&str>) -> Option<(String, String, Vec<String>)> {
    let mut desk = Desk::new(&world()).from("198.51.100.7");
    let mut query = ask(owner, qtype);
    if let Some(net) = ecs {
        query = query.ecs(net);
    }
    let octets = query.bytes();
    let answer = desk.raw(&octets, Transport::Udp).unwrap();
    let view = &desk.view;
    let index = Index::of(&view.snapshot.steering);
    let Seen {
        name,
        client,
        endpoints,
    } = seen(view, &index, &octets, &answer, desk.peer.ip())?;
    let steering = &view.snapshot.steering;
    let region = |e: &crate::ids::EndpointId| {
        let pool = &steering.pools[steering.endpoints[e.index()].pool.index()];
        steering.regions[pool.region.index()].name.to_string()
    };
    Some((
        steering.names[name.index()].owner.to_string(),
        client.to_string(),
        endpoints.iter().map(region).collect(),
    ))
}

#[test]
fn the_client_network_and_the_endpoints_are_those_of_the_decision() {
    let of = |owner: &str, client: &str, regions: &[&str]| {
        let regions = regions.iter().map(|r| (*r).to_owned()).collect();
        Some((name(owner).to_string(), client.to_owned(), regions))
    };
    // The option decides, no finer than a /24 or a /48.
    assert_eq!(
        told("geo.x.test", A, Some("192.0.2.0/24")),
        of("geo.x.test", "192.0.2.0/24", &["eu"])
    );
    assert_eq!(
        told("geo.x.test", A, Some("203.0.113.77/32")),
        of("geo.x.test", "203.0.113.0/24", &["ap"])
    );
    assert_eq!(
        told("GEO.x.test", AAAA, Some("2001:db8:3:ff00::/56")),
        of("geo.x.test", "2001:db8:3::/48", &["ap"])
    );
    // Without one the resolver does, and where the name or the network does not let it.
    let resolver = of("geo.x.test", "198.51.100.0/24", &["us"]);
    assert_eq!(told("geo.x.test", A, None), resolver);
    assert_eq!(told("geo.x.test", A, Some("10.1.2.0/24")), resolver);
    assert_eq!(
        told("deaf.x.test", A, Some("192.0.2.0/24")),
        of("deaf.x.test", "198.51.100.0/24", &["us"])
    );
    // Behind a static alias, several addresses, and a CNAME.
    assert_eq!(
        told("alias.x.test", A, Some("192.0.2.0/24")),
        of("geo.x.test", "192.0.2.0/24", &["eu"])
    );
    assert_eq!(
        told("two.x.test", A, Some("192.0.2.0/24")),
        of("two.x.test", "192.0.2.0/24", &["eu", "eu"])
    );
    assert_eq!(
        told("cdn.x.test", A, Some("203.0.113.0/24")),
        of("cdn.x.test", "203.0.113.0/24", &["ap"])
    );
    // What is not steered says nothing.
    for (owner, qtype) in [
        ("ns1.x.test", A),
        ("none.x.test", A),
        ("geo.x.test", MX),
        ("geo.x.test", TXT),
    ] {
        assert_eq!(told(owner, qtype, None), None, "{owner}");
    }
}
