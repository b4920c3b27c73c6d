//! Large configurations: many names, in pools that they share or in their own, and many networks.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use tradewind::geo::{Coordinates, Location, OwnNetworks, write_mmdb};
use tradewind::net::Prefix;

use super::node::{Node, ZONE};
use super::{dns, wait_for};

/// What pools the names have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// All the same four; half of the names choose by place, half by weight.
    Shared,
    /// Each one of its own with two endpoints, chosen by weight.
    OwnWeighted,
    /// Each two of its own in two regions, chosen by place.
    OwnGeo,
}

impl Kind {
    /// All kinds.
    #[allow(dead_code, reason = "for the bench, which shares this code")]
    pub const ALL: [Kind; 3] = [Kind::Shared, Kind::OwnWeighted, Kind::OwnGeo];

    /// In a table.
    #[allow(dead_code, reason = "for the bench, which shares this code")]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Shared => "shared",
            Kind::OwnWeighted => "own-weighted",
            Kind::OwnGeo => "own-geo",
        }
    }
}

/// A configuration to write. Beside its names it has `watched.gslb.test`, whose address is that of
/// `watch` while `GET /` there passes, and 192.0.2.99 otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Large {
    /// The pools.
    pub kind: Kind,
    /// Number of steered names, called `n000000.gslb.test` and so on.
    pub names: usize,
    /// Whether `../geo.mmdb` is used; see [`write_networks`].
    pub networks: bool,
    /// The port on 127.0.0.1 that is probed every 100 ms for `watched`.
    pub watch: Option<u16>,
    /// Changes with every reload, so that there is something new: the TTL of all names, in seconds.
    pub ttl: u32,
}

/// The i-th name.
pub fn name(i: usize) -> String {
    format!("n{i:06}.gslb.test")
}

impl Large {
    /// The text of `tradewind.toml`.
    pub fn text(&self) -> String {
        let mut out = String::from(
            r#"version = 1

[regions.eu]
latitude = 50.11
longitude = 8.68

[regions.us]
latitude = 39.04
longitude = -77.49

[nodes.n1]
region = "eu"
roles = ["dns", "probe", "admin"]
dns = { listen = ["127.0.0.1:0"], workers = 1 }
admin = { listen = "127.0.0.1:0" }

[zones."gslb.test"]
file = "gslb.test.zone"

[policies.near]
stages = [{ proximity = {} }, { weighted = {} }]

[policies.split]
stages = [{ weighted = {} }]

[policies.order]
stages = [{ failover = {} }, { random = {} }]

[names."near.gslb.test"]
pools = ["spare-eu", "spare-us"]
policy = "near"

[names."split.gslb.test"]
pools = ["spare-eu", "spare-us"]
policy = "split"

[names."order.gslb.test"]
pools = ["spare-eu", "spare-us"]
policy = "order"

[pools.spare-eu]
region = "eu"
endpoints = [{ name = "spare-eu", address = "192.0.2.98" }]

[pools.spare-us]
region = "us"
endpoints = [{ name = "spare-us", address = "192.0.2.99" }]
"#,
        );
        if self.networks {
            out += "\n[geoip]\ndatabases = [\"../geo.mmdb\"]\n";
        }
        if let Some(port) = self.watch {
            let _ = write!(
                out,
                r#"
[monitors.watch]
interval = "100ms"
timeout = "90ms"
rise = 1
fall = 1
http = {{}}

[pools.watched]
region = "eu"
monitor = "watch"
endpoints = [{{ name = "watched", address = "127.0.0.1", port = {port} }}]

[names."watched.gslb.test"]
pools = ["watched", "spare-us"]
policy = "order"
"#
            );
        }
        self.names(&mut out);
        out
    }

    fn names(&self, out: &mut String) {
        let address = |first: u8, i: usize| {
            let [_, b, c, d] = (i as u32).to_be_bytes();
            Ipv4Addr::new(first, b, c, d)
        };
        if self.kind == Kind::Shared {
            for (p, region) in [("eu1", "eu"), ("eu2", "eu"), ("us1", "us"), ("us2", "us")] {
                let _ = writeln!(
                    out,
                    "[pools.{p}]\nregion = \"{region}\"\nendpoints = [{{ name = \"{p}-1\", address = \"{}\" }}, {{ name = \"{p}-2\", address = \"{}\" }}]",
                    address(10, out.len()),
                    address(11, out.len()),
                );
            }
        }
        let ttl = format!("ttl = {{ min = \"5s\", max = \"{}s\" }}", self.ttl);
        for i in 0..self.names {
            let (a, b) = (address(10, i), address(11, i));
            // Writing to a String cannot fail.
            let _ = match self.kind {
                Kind::Shared => writeln!(
                    out,
                    "[names.\"{}\"]\npools = [\"eu1\", \"eu2\", \"us1\", \"us2\"]\npolicy = \"{}\"\n{ttl}",
                    name(i),
                    if i % 2 == 0 { "near" } else { "split" },
                ),
                Kind::OwnWeighted => writeln!(
                    out,
                    "[pools.p{i:06}]\nregion = \"eu\"\nendpoints = [{{ name = \"e{i:06}-1\", address = \"{a}\" }}, {{ name = \"e{i:06}-2\", address = \"{b}\" }}]\n[names.\"{}\"]\npools = [\"p{i:06}\"]\npolicy = \"split\"\n{ttl}",
                    name(i),
                ),
                Kind::OwnGeo => writeln!(
                    out,
                    "[pools.eu{i:06}]\nregion = \"eu\"\nendpoints = [{{ name = \"e{i:06}-1\", address = \"{a}\" }}]\n[pools.us{i:06}]\nregion = \"us\"\nendpoints = [{{ name = \"e{i:06}-2\", address = \"{b}\" }}]\n[names.\"{}\"]\npools = [\"eu{i:06}\", \"us{i:06}\"]\npolicy = \"near\"\n{ttl}",
                    name(i),
                ),
            };
        }
    }

    /// Puts this configuration in the place of the one that `node` serves, and waits until it answers
    /// by it.
    pub fn reload(&self, node: &Node) {
        self.write(node.dir.path());
        node.signal("-HUP");
        let query = dns::query(&name(1), RecordType::A, None);
        // On a machine that does other things as well, a core's share may be small.
        wait_for("the reload", Duration::from_secs(120), || {
            (dns::udp(node.dns, &query).answers[0].ttl == self.ttl).then_some(())
        });
    }

    /// Writes the configuration into `dir`.
    pub fn write(&self, dir: &Path) {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("tradewind.toml"), self.text()).unwrap();
        std::fs::write(dir.join("gslb.test.zone"), ZONE).unwrap();
    }
}

/// Writes a database of so many networks, /22 to /24, of 5,000 different places.
#[allow(dead_code, reason = "for the bench, which shares this code")]
pub fn write_networks(path: &Path, networks: usize) {
    let mut state = 42_u64;
    let mut below = |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let places: Vec<Location> = (0..5_000)
        .map(|_| Location {
            coordinates: Coordinates::new(
                below(140) as f64 - 60.0,
                below(359_000) as f64 / 1e3 - 179.0,
            ),
            ..Location::default()
        })
        .collect();
    let step = (223_u64 << 24) / networks as u64;
    let rows = (0..networks as u64).map(|i| {
        let addr = Ipv4Addr::from(((1_u64 << 24) + i * step) as u32);
        let prefix = Prefix::containing(IpAddr::V4(addr), 22 + below(3) as u8);
        (prefix, places[below(5_000) as usize])
    });
    let bytes = write_mmdb(&OwnNetworks::from_prefixes(rows), 0).unwrap();
    std::fs::write(path, bytes).unwrap();
}
