//! What is shown of a configuration.

use std::path::PathBuf;

use super::{Effective, Row, Said, Setting};
use crate::config::load::load_texts;
use crate::config::overlay::Overlay;

const TEXT: &str = r#"version = 1

[regions.eu]
latitude = 50.0
longitude = 8.0

[nodes.a]
region = "eu"
roles = ["dns", "admin"]
dns.listen = ["127.0.0.1:5300"]
admin.listen = "127.0.0.1:8053"

[monitors.web]
interval = "1s"
tcp = {}

[pools.eu]
region = "eu"
monitor = "web"
endpoints = [
    { name = "eu-1", address = "192.0.2.1", port = 80 },
    { name = "eu-2", address = "192.0.2.2", port = 80, weight = 7 },
]

[policies.split]
stages = [{ weighted = {} }]

[names."www.gslb.example"]
pools = ["eu"]
policy = "split"

[tsig-keys.transfer]
algorithm = "hmac-sha256"
secret = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

[dns.cookies]
secrets = ["e5e973e5a6b2a43f48e7dc849e37bfcf"]
"#;

fn effective() -> Effective {
    let mut read = |_: &std::path::Path| Ok(Vec::new());
    let files = vec![(PathBuf::from("a.toml"), TEXT.as_bytes().to_vec())];
    let mut loaded = load_texts(files, &mut read);
    let overlay = Overlay {
        dns_port: Some(0),
        admin_port: Some(9),
        state_dir: Some("/tmp/x".into()),
        ..Overlay::default()
    };
    loaded.spec.apply(&overlay);
    loaded.effective.overlaid(&overlay, &loaded.spec);
    loaded.effective
}

fn all(effective: &Effective) -> Vec<Row> {
    effective.page("", 0, usize::MAX).unwrap().rows
}

fn row(effective: &Effective, path: &str) -> Option<Row> {
    all(effective).into_iter().find(|r| r.path == path)
}

fn text(text: &str) -> Setting {
    Setting::Text(text.to_owned())
}

#[test]
fn every_option_says_which_line_or_that_it_is_the_default() {
    let effective = effective();
    let told = |path: &str| {
        let row = row(&effective, path).unwrap_or_else(|| panic!("{path} is not told"));
        (row.value, row.said)
    };
    let file = |line| Said::File("a.toml".to_owned(), line);
    assert_eq!(told("version"), (Setting::Integer(1), file(1)));
    assert_eq!(told("monitors.web.interval"), (text("1s"), file(14)));
    assert_eq!(
        told("policies.split.stages[0].weighted"),
        (Setting::Empty, file(26))
    );
    assert_eq!(told("monitors.web.fall").1, Said::Default);
    assert_eq!(
        told("pools.eu.endpoints[1].weight"),
        (Setting::Integer(7), file(22))
    );
    assert_eq!(told("pools.eu.endpoints[0].weight").1, Said::Default);
    assert_eq!(
        told("names.\"www.gslb.example\".policy"),
        (text("split"), file(30))
    );
    assert_eq!(told("dns.first-round").1, Said::Default);
    let listen = Setting::List(vec![text("127.0.0.1:0")]);
    assert_eq!(told("nodes.a.dns.listen"), (listen, Said::CommandLine));
    assert_eq!(
        told("nodes.a.admin.listen"),
        (text("127.0.0.1:9"), Said::CommandLine)
    );
    assert_eq!(
        told("nodes.a.state-dir"),
        (text("/tmp/x"), Said::CommandLine)
    );
}

#[test]
fn s1_secrets_are_not_told() {
    let effective = effective();
    let secret = text("(secret)");
    for path in ["tsig-keys.transfer.secret", "dns.cookies.secrets"] {
        assert_eq!(row(&effective, path).unwrap().value, secret, "{path}");
    }
    let algorithm = row(&effective, "tsig-keys.transfer.algorithm").unwrap();
    assert_eq!(algorithm.value, text("hmac-sha256"));
    assert!(!format!("{effective:?}").contains("c2VjcmV0"));
    assert!(!format!("{effective:?}").contains("e5e973"));
}

#[test]
fn pages_of_any_size_make_the_whole() {
    let effective = effective();
    let whole = all(&effective);
    assert!(whole.len() > 40, "{}", whole.len());
    for limit in [1, 2, 3, 7, 100] {
        let (mut rows, mut skip) = (Vec::new(), 0);
        loop {
            let page = effective.page("", skip, limit).unwrap();
            assert_eq!(page.total, whole.len());
            rows.extend(page.rows);
            match page.next {
                Some(next) => skip = next,
                None => break,
            }
        }
        assert_eq!(rows, whole, "{limit} a page");
    }
    assert_eq!(effective.page("", whole.len(), 9).unwrap().rows, []);
}

#[test]
fn a_part_is_found_by_its_path() {
    let effective = effective();
    for path in [
        "pools.eu",
        "pools.eu.endpoints[0]",
        "names.\"www.gslb.example\"",
        "regions",
        "nodes.a",
    ] {
        let rows = effective.page(path, 0, 1000).unwrap().rows;
        let wanted: Vec<Row> = all(&effective)
            .into_iter()
            .filter(|r| r.path.starts_with(path))
            .collect();
        assert!(!rows.is_empty());
        assert_eq!(rows, wanted, "{path}");
    }
    let missing = effective.page("pools.ue", 0, 1).unwrap_err();
    assert_eq!(missing.known, ["pools.eu"]);
}
