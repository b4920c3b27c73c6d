//! The reader against MaxMind's public test databases and the records they were built from.
//!
//! They are not part of this repository: `TRADEWIND_MAXMIND_TESTDATA` names the folder that has
//! them. Without it these tests say so and pass.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde_json::Value;
use tradewind::geo::{Code, Coordinates, Database, GeoTable, Location, Source};
use tradewind::net::Prefix;

#[expect(clippy::print_stdout, reason = "says why nothing was checked")]
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("TRADEWIND_MAXMIND_TESTDATA").map(PathBuf::from);
    if folder.is_none() {
        println!(
            "skipped: TRADEWIND_MAXMIND_TESTDATA names no folder with MaxMind's test databases"
        );
    }
    folder
}

fn read(folder: &std::path::Path, name: &str) -> Vec<u8> {
    let path = folder.join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn expected(record: &Value) -> Location {
    let code = |path: &str| record.pointer(path)?.as_str().and_then(Code::new);
    let number = |path: &str| record.pointer(path)?.as_f64();
    Location {
        continent: code("/continent/code"),
        country: code("/country/iso_code").or_else(|| code("/registered_country/iso_code")),
        subdivision: code("/subdivisions/0/iso_code"),
        coordinates: number("/location/latitude")
            .zip(number("/location/longitude"))
            .and_then(|(lat, lon)| Coordinates::new(lat, lon)),
        asn: number("/autonomous_system_number")
            .or_else(|| number("/traits/autonomous_system_number"))
            .map(|asn| asn as u32),
        source: Source::default(),
    }
}

/// Every network of the source records, with longest-prefix match among them, at its first and last
/// address: by itself and through a table.
fn agrees(name: &str) {
    let Some(folder) = folder() else { return };
    let database = Database::read(read(&folder, &format!("{name}.mmdb"))).unwrap();
    let json: Value = serde_json::from_slice(&read(&folder, &format!("{name}.json"))).unwrap();
    let mut records: BTreeMap<Prefix, Location> = BTreeMap::new();
    for (network, record) in json
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|o| o.as_object().unwrap())
    {
        records.insert(canonical(network), expected(record));
    }
    let table = GeoTable::build(None, vec![(name.into(), database.clone())]);
    let mut checked = 0;
    for prefix in records.keys() {
        for addr in [prefix.addr(), prefix.last()] {
            let around = records.iter().filter(|(p, _)| p.contains(addr));
            let (longest, want) = around.max_by_key(|(p, _)| p.len()).unwrap();
            let (found, matched) = database.lookup(addr);
            assert_eq!(found, Some(want), "{name}: {addr} of {longest}");
            assert!(matched.contains(addr));
            let place = table.locate(addr);
            let merged = Location {
                source: Source::default(),
                ..*table.location(place.id)
            };
            assert_eq!(merged, *want, "{name}: {addr} of {longest} in the table");
            checked += 1;
        }
    }
    assert!(checked > 100, "{name}: only {checked} addresses");
}

/// The sources write IPv4 networks as `::1.2.3.0/120` or with host bits here and there.
fn canonical(network: &str) -> Prefix {
    let (addr, len) = network.split_once('/').unwrap();
    let (addr, len): (IpAddr, u8) = (addr.parse().unwrap(), len.parse().unwrap());
    match addr {
        IpAddr::V6(a) if len >= 96 && u128::from(a) >> 32 == 0 => {
            Prefix::containing(Ipv4Addr::from(u128::from(a) as u32).into(), len - 96)
        }
        IpAddr::V6(a) if a.to_ipv4_mapped().is_some() && len >= 96 => {
            Prefix::containing(Ipv6Addr::to_ipv4_mapped(&a).unwrap().into(), len - 96)
        }
        addr => Prefix::containing(addr, len),
    }
}

#[test]
fn geoip2_city_test_agrees() {
    agrees("GeoIP2-City-Test");
}

#[test]
fn geolite2_city_test_agrees() {
    agrees("GeoLite2-City-Test");
}

#[test]
fn geolite2_asn_test_agrees() {
    agrees("GeoLite2-ASN-Test");
}

#[test]
fn country_tests_know_countries() {
    let Some(folder) = folder() else { return };
    for name in ["GeoIP2-Country-Test.mmdb", "GeoLite2-Country-Test.mmdb"] {
        let database = Database::read(read(&folder, name)).unwrap();
        let (found, _) = database.lookup("2.125.160.216".parse().unwrap());
        assert_eq!(found.unwrap().country, Code::new("GB"), "{name}");
    }
}

#[test]
fn broken_and_unfit_databases_are_refused_with_a_reason() {
    let Some(folder) = folder() else { return };
    for (name, reason) in [
        ("GeoIP2-City-Test-Broken-Double-Format.mmdb", "damaged"),
        ("GeoIP2-City-Test-Invalid-Node-Count.mmdb", "damaged"),
        ("MaxMind-DB-test-broken-pointers-24.mmdb", "damaged"),
        ("MaxMind-DB-test-broken-search-tree-24.mmdb", "damaged"),
        ("MaxMind-DB-test-mixed-24.mmdb", "places nothing"),
        ("MaxMind-DB-test-mixed-28.mmdb", "places nothing"),
        ("MaxMind-DB-test-mixed-32.mmdb", "places nothing"),
        ("MaxMind-DB-no-ipv4-search-tree.mmdb", "cannot be read"),
        ("README.md", "no MaxMind DB metadata"),
    ] {
        let error = Database::read(read(&folder, name)).unwrap_err().to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
    let whole = read(&folder, "GeoLite2-City-Test.mmdb");
    for keep in (0..whole.len()).step_by(97) {
        assert!(Database::read(&whole[..keep]).is_err(), "cut at {keep}");
    }
}
