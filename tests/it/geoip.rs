//! `tradewind geoip`, and the databases in the repository, all made by it.
//!
//! After a change to a CSV or to the format, `UPDATE_GOLDEN=1` writes the databases anew.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use tradewind::cli::geoip;

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn committed_databases_are_what_the_builder_makes() {
    let folder = tempfile::tempdir().unwrap();
    for (csv, committed) in [
        ("geoip/networks.csv", "geoip/demo.mmdb"),
        ("tests/geoip/city.csv", "tests/geoip/city.mmdb"),
        ("tests/geoip/asn.csv", "tests/geoip/asn.mmdb"),
    ] {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            geoip::build(&file(csv), &file(committed)).unwrap();
        }
        let out = folder.path().join("made.mmdb");
        geoip::build(&file(csv), &out).unwrap();
        // A second build replaces the file and leaves nothing beside it.
        geoip::build(&file(csv), &out).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let same = std::fs::read(&out).unwrap() == std::fs::read(file(committed)).unwrap();
        assert!(
            same,
            "{committed} is not what `tradewind geoip build {csv} {committed}` makes"
        );
    }
}

#[test]
fn lookup_names_the_input_of_each_fact() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("own.csv");
    std::fs::write(
        &csv,
        "network,country,place\n192.0.2.192/26,DE,office\n10.0.0.0/8,,lab\n",
    )
    .unwrap();
    let databases = [file("tests/geoip/asn.mmdb"), file("tests/geoip/city.mmdb")];
    let look = |addr: &str| {
        let out = geoip::lookup(addr.parse::<IpAddr>().unwrap(), &databases, Some(&csv)).unwrap();
        out.replace(&format!("{}/", folder.path().display()), "")
            .replace(&format!("{}/", env!("CARGO_MANIFEST_DIR")), "")
    };
    assert_eq!(
        look("192.0.2.200"),
        "192.0.2.200 in 192.0.2.192/26: merged
  continent    EU                 from tests/geoip/city.mmdb
  country      DE                 from own.csv
  coordinates  45.764,4.836       from tests/geoip/city.mmdb
  asn          64496              from tests/geoip/asn.mmdb
own.csv (own networks, 2 rows)
  network      192.0.2.192/26
  country      DE
  place        office
tests/geoip/asn.mmdb (Tradewind-Networks, 3 records)
  network      192.0.2.0/23
  country      BE
  asn          64496
tests/geoip/city.mmdb (Tradewind-Networks, 5 records)
  network      192.0.2.128/25
  continent    EU
  country      FR
  subdivision  ARA
  coordinates  45.764,4.836
"
    );
    // The first database listed wins; a 6to4 address is where its IPv4 address is.
    assert!(
        look("192.0.2.1").contains("country      BE                 from tests/geoip/asn.mmdb")
    );
    assert!(
        look("2002:c000:2c8::1").starts_with("2002:c000:2c8::1 in 2002:c000:2c0::/42: merged\n")
    );
    assert!(look("2002:c000:2c8::1").contains("place        office"));
    assert!(look("192.168.1.1").contains("in 192.168.0.0/16: special-purpose address"));
    assert!(look("10.1.1.1").contains("place        lab"));
    assert!(look("8.8.8.8").contains(": nothing is known\n"));
}

#[test]
fn errors_name_the_file_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (csv, out) = (path("bad.csv"), path("out.mmdb"));
    std::fs::write(&csv, "network,asn\n192.0.2.0/24,x\n192.0.2.0/24,1\n").unwrap();
    std::fs::write(&out, "old").unwrap();
    let error = geoip::build(&csv, &out).unwrap_err().to_string();
    let name = csv.display();
    assert_eq!(
        error,
        format!(
            "{name}:2:14: asn `x` is not an AS number between 1 and 4294967295\n\
             {name}:3:1: network `192.0.2.0/24` is already given in line 2; keep one of the two lines"
        )
    );
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "old");
    let any: IpAddr = "192.0.2.1".parse().unwrap();
    let error = geoip::lookup(any, std::slice::from_ref(&out), None)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with(&format!("`{}`: no MaxMind DB metadata", out.display())));
    let missing = path("missing.mmdb");
    let error = geoip::lookup(any, &[missing], None)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot read `"), "{error}");
    let nowhere = path("no/such/folder.mmdb");
    let error = geoip::build(&file("geoip/networks.csv"), &nowhere)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot write `"), "{error}");
}
