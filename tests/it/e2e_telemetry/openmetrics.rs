//! `/metrics` in OpenMetrics: strict readers take it, and it says what the other form says.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use serde_json::Value;
use tradewind::telemetry::families::families;

use crate::support::demo::package;
use crate::support::proxy::{Answer, Raw};

/// What Prometheus sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                          text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

fn scrape(admin: SocketAddr, accept: &str) -> Answer {
    let mut raw = Raw::connect(admin);
    raw.send(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n").as_bytes());
    raw.answer()
}

/// Name and labels of a series.
type Series = (String, BTreeMap<String, String>);

/// Bounds of buckets are written in two ways.
fn bound(text: &str) -> String {
    text.strip_suffix(".0").unwrap_or(text).to_owned()
}

/// The series of the text format, with their values.
fn text_series(page: &str) -> BTreeMap<Series, f64> {
    let all = families(page).into_iter().flat_map(|f| {
        let name = f.name;
        f.samples.into_iter().map(move |s| {
            let labels = s.labels.into_iter().collect();
            ((format!("{name}{}", s.suffix), labels), s.value)
        })
    });
    all.collect()
}

/// The families as a strict reader has them.
fn strictly(page: &str) -> Vec<Value> {
    let python = package().join("target/python/bin/python");
    assert!(
        python.exists(),
        "{} is not there: `tests/run` makes it; TRADEWIND_NO_SCHEMATHESIS=1 leaves this out",
        python.display()
    );
    let mut child = Command::new(python)
        .arg(package().join("tests/it/openmetrics.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut into = child.stdin.take().unwrap();
    let page = page.to_owned();
    let writer = std::thread::spawn(move || into.write_all(page.as_bytes()));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    serde_json::from_slice(&out.stdout).unwrap()
}

/// The series of the families, with their values.
fn strict_series(families: &[Value]) -> BTreeMap<Series, f64> {
    let samples = families
        .iter()
        .flat_map(|f| f["samples"].as_array().unwrap());
    let series = samples.map(|s| {
        let labels = s["labels"].as_object().unwrap().iter();
        let labels = labels.map(|(key, value)| {
            let value = value.as_str().unwrap();
            let value = match &**key {
                "le" => bound(value),
                _ => value.to_owned(),
            };
            (key.clone(), value)
        });
        let name = s["name"].as_str().unwrap().to_owned();
        ((name, labels.collect()), s["value"].as_f64().unwrap())
    });
    series.collect()
}

/// Prometheus' own reader, which wants a time behind each sample where it makes blocks of them.
fn prometheus_accepts(page: &str) {
    let dir = tempfile::tempdir().unwrap();
    let dated: String = page
        .lines()
        .map(|line| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{line} 1700000000\n"),
        })
        .collect();
    std::fs::write(dir.path().join("page"), dated).unwrap();
    let out = Command::new("promtool")
        .args([
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            "page",
            "blocks",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
}

/// Holds the OpenMetrics form of a busy node's page to the text form and to the table of metrics: type
/// and unit by name.
pub fn says_the_same(admin: SocketAddr, table: &BTreeMap<String, (String, String)>) {
    let told = scrape(admin, &format!("Accept: {PROMETHEUS}\r\n"));
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(told.field("content-type"), Some(kind));
    assert_eq!(told.field("vary"), Some("accept"));
    let page = told.text();
    assert!(page.ends_with("\n# EOF\n"));
    prometheus_accepts(&page);
    if std::env::var_os("TRADEWIND_NO_SCHEMATHESIS").is_some() {
        return;
    }
    let mut wrong = Vec::new();
    for family in strictly(&page) {
        let text = |key: &str| family[key].as_str().unwrap().to_owned();
        let (name, kind, unit) = (text("name"), text("kind"), text("unit"));
        let (documented, expected) = match &*kind {
            "counter" => (format!("{name}_total"), "counter"),
            "info" => (format!("{name}_info"), "gauge"),
            other => (name.clone(), other),
        };
        match table.get(&documented) {
            Some(row) if *row == (expected.to_owned(), unit.clone()) => {}
            row => wrong.push(format!(
                "{name} is {kind} in {unit:?}; the table has {row:?}"
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Between two scrapes a node goes on counting: what stands still in two pages of text around one of
    // OpenMetrics must have its value in that as well.
    let before = text_series(&scrape(admin, "").text());
    let between = strictly(&scrape(admin, &format!("Accept: {PROMETHEUS}\r\n")).text());
    let after = text_series(&scrape(admin, "Accept: text/plain\r\n").text());
    let between = strict_series(&between);
    let mut still = 0;
    for (series, value) in &before {
        if after.get(series) == Some(value) {
            still += 1;
            assert_eq!(between.get(series), Some(value), "{series:?}");
        }
    }
    assert!(still > 200, "only {still} series stood still");
}
