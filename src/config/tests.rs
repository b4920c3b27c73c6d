//! Tests of the whole room: the shipped files load, every option is exercised, every broken file is
//! told in full.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::load::{Loaded, load_texts};
use super::options::{ROWS, is_placeholder};
use super::tree::{Table, Value, parse};
use super::*;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Pretends that every file that the configuration names exists.
fn any_file(_: &Path) -> std::io::Result<Vec<u8>> {
    Ok(b"-----BEGIN CERTIFICATE-----\n".to_vec())
}

fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|p| (p.file_name().unwrap().into(), std::fs::read(&p).unwrap()))
        .collect()
}

fn load_one(text: &str) -> Result<Loaded, Report> {
    strict(load_texts(
        vec![("t.toml".into(), text.into())],
        &mut any_file,
    ))
}

/// What was loaded, or the report when anything is wrong with it.
fn strict(loaded: Loaded) -> Result<Loaded, Report> {
    match loaded.has_errors() {
        true => Err(Report::new(loaded.diagnostics, loaded.sources)),
        false => Ok(loaded),
    }
}

fn reference() -> String {
    std::fs::read_to_string(format!("{ROOT}/config/tradewind.toml")).unwrap()
}

#[test]
fn reference_example_loads() {
    let loaded = load_one(&reference()).unwrap_or_else(|r| panic!("{r}"));
    assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
    assert_eq!(loaded.spec.names.len(), 7);
    assert_eq!(loaded.inputs.files.len(), 6);
}

#[test]
fn demo_loads_and_ports_can_be_replaced() {
    let demo = files(Path::new(&format!("{ROOT}/config/demo")));
    let mut spec = strict(load_texts(demo, &mut any_file))
        .unwrap_or_else(|r| panic!("{r}"))
        .spec;
    assert_eq!(spec.regions.len(), 3);
    assert_eq!(spec.nodes[0].dns_listen[1].port(), 5300);
    assert_eq!(*spec.names[0].answers, 2);
    spec.apply(&Overlay {
        dns_port: Some(0),
        admin_port: Some(9),
        endpoint_ports: [("us-1".to_owned(), 7)].into(),
        state_dir: Some("state".into()),
    });
    assert!(spec.nodes[0].dns_listen.iter().all(|l| l.port() == 0));
    assert_eq!(spec.nodes[0].admin_listen.as_ref().unwrap().port(), 9);
    assert_eq!(
        spec.nodes[0].state_dir.as_ref().unwrap().to_str(),
        Some("state")
    );
    assert_eq!(**spec.pools[1].endpoints[0].port.as_ref().unwrap(), 7);
    assert_eq!(**spec.pools[1].endpoints[1].port.as_ref().unwrap(), 8080);
}

/// The row paths that a tree sets.
fn paths(table: &Table, path: &str, out: &mut BTreeSet<String>) {
    // Conditions nest: what stands within is what stands without.
    let mut path = path.to_owned();
    for nested in ["all[]", "any[]", "not"] {
        path = path.replace(&format!("routes.NAME.match.{nested}"), "routes.NAME.match");
    }
    let path = path.as_str();
    for entry in &table.entries {
        let keys = options::keys_of(path);
        let key = if keys.contains(&entry.key.as_str()) {
            entry.key.as_str()
        } else {
            keys.iter()
                .copied()
                .find(|k| is_placeholder(k))
                .unwrap_or_else(|| panic!("no row for {path}.{}", entry.key))
        };
        let here = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        match &entry.node.value {
            Value::Table(inner) => paths(inner, &here, out),
            Value::Array(items) => {
                for item in items {
                    if let Value::Table(inner) = &item.value {
                        paths(inner, &format!("{here}[]"), out);
                    }
                }
            }
            _ => {}
        }
        out.insert(here);
    }
}

/// Options that the example does not set.
const ELSEWHERE: [&str; 3] = [
    // A file that others may read is refused, and git keeps no such modes.
    "tsig-keys.NAME.secret-file",
    // Instead of a socket, which it has.
    "telemetry.dnstap.file",
    "telemetry.dnstap.max-size",
];

#[test]
fn reference_example_sets_every_option() {
    let mut out = BTreeSet::new();
    let mut diagnostics = Vec::new();
    let tree = parse(FileId(0), &reference(), &mut diagnostics, &mut false);
    paths(&tree, "", &mut out);
    let missing: Vec<_> = ROWS
        .iter()
        .filter(|r| !out.contains(r.path) && !ELSEWHERE.contains(&r.path))
        .map(|r| r.path)
        .collect();
    assert!(
        missing.is_empty(),
        "config/tradewind.toml lacks {missing:?}"
    );
}

#[test]
fn o4_broken_files_are_told_in_full() {
    super::golden::check("config", 15, |case| {
        let mut read = |path: &Path| match path.to_string_lossy().contains("missing") {
            true => Err(std::io::ErrorKind::NotFound.into()),
            false => any_file(path),
        };
        let loaded = load_texts(files(case), &mut read);
        Report::new(loaded.diagnostics, loaded.sources)
    });
}

#[test]
fn o4_all_errors_come_at_once_with_names_and_numbers() {
    let text = "version = 1\n\
                [monitors.web]\nintervall = \"5s\"\ninterval = \"50ms\"\n[monitors.web.http]\n\
                [pools.eu]\nregion = \"euu\"\n[regions.eu]\nlatitude = 91\nlongitude = 1\n";
    let report = load_one(text).unwrap_err();
    let lines: Vec<String> = report.lines().collect();
    let has = |part: &str| assert!(lines.iter().any(|l| l.contains(part)), "{part}\n{lines:#?}");
    has("t.toml:3:1: error: unknown key `intervall` in monitor `web` (did you mean `interval`?)");
    has("t.toml:4:12: error: `interval` of monitor `web` is 50ms; the smallest allowed is 100ms");
    has("`region` of pool `eu` names unknown region `euu` (did you mean `eu`?)");
    has("pool `eu` lacks `endpoints`");
    has("`latitude` of region `eu` is 91; the largest allowed is 90 (range -90 to 90)");
}

#[test]
fn loading_from_disk_names_missing_files() {
    let dir = tempfile::tempdir().unwrap();
    let report = load(&dir.path().join("none.toml")).unwrap_err();
    assert!(report.render(false).contains("none.toml"));
    assert!(
        load(dir.path())
            .unwrap_err()
            .render(false)
            .contains("no *.toml")
    );
    let text = "version = 1\n[zones.\"a.example\"]\nfile = \"a.zone\"\n";
    std::fs::write(dir.path().join("c.toml"), text).unwrap();
    let report = load(dir.path()).and_then(strict).unwrap_err();
    assert!(
        report
            .lines()
            .next()
            .unwrap()
            .contains("c.toml:3:8: error: cannot read zone file")
    );
    std::fs::write(dir.path().join("a.zone"), "zone").unwrap();
    let loaded = load(dir.path()).unwrap();
    let file = &loaded.spec.zones[0].file.value;
    assert_eq!(loaded.inputs.bytes(file), b"zone");
    let id = loaded.inputs.get(file).unwrap().file.unwrap();
    assert_eq!(loaded.sources.text(id), "zone");
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in any::<String>()) {
        if let Err(report) = load_one(&text) {
            prop_assert!(!report.render(false).is_empty());
        }
    }
}

proptest! {
    // Each reads the whole reference.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damaged_reference_never_panics(
        at in any::<prop::sample::Index>(), len in 0usize..40, with in "[\\[\\]{}=\"'.,# \na-z0-9\u{e9}]{0,6}"
    ) {
        let mut chars: Vec<char> = reference().chars().collect();
        let at = at.index(chars.len());
        let end = (at + len).min(chars.len());
        chars.splice(at..end, with.chars());
        if let Err(report) = load_one(&chars.into_iter().collect::<String>()) {
            prop_assert!(report.error_count() > 0);
            let _ = report.render(false);
        }
    }
}

#[test]
fn o4_deep_nesting_is_an_error_not_a_crash() {
    for text in [
        format!("version = 1\n[{}a]\n", "a.".repeat(20_000)),
        format!("version = 1\na = {}\n", "[".repeat(20_000)),
        format!("version = 1\n{}a = 1\n", "a.".repeat(20_000)),
    ] {
        assert!(load_one(&text).is_err());
    }
}
