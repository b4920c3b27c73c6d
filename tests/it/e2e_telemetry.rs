//! What a node tells of itself: metrics against their documentation and promtool, the shipped rules and
//! dashboard against the metrics, OpenTelemetry, dnstap.

mod collector;
mod exports;
mod openmetrics;
mod traces;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tradewind::telemetry::families::{Family, families};

use crate::support::demo::package;
use crate::support::http;

fn doc() -> PathBuf {
    package().join("src/docs/metrics.md")
}

/// What the table says of a metric.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    unit: String,
    help: String,
}

impl Row {
    fn of(family: &Family) -> Row {
        let name = family.name.trim_end_matches("_total");
        let unit = ["seconds", "bytes", "octets", "packets"]
            .iter()
            .find(|unit| name.ends_with(&format!("_{unit}")));
        Row {
            kind: family.kind.clone(),
            labels: labels(family),
            unit: unit.map_or("", |u| u).to_owned(),
            help: family.help.clone(),
        }
    }

    fn line(&self, name: &str) -> String {
        let labels: Vec<String> = self.labels.iter().map(|l| format!("`{l}`")).collect();
        let Row {
            kind, unit, help, ..
        } = self;
        let help = help.replace('_', "\\_");
        let labels = labels.join(", ");
        format!("| `{name}` | {kind} | {labels} | {unit} | {help} |")
    }
}

/// The rows of the table, by metric.
fn documented() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(doc()).unwrap();
    let rows = text.lines().filter_map(|line| {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [name, kind, labels, unit, help] = cells[..] else {
            return None;
        };
        let name = name.strip_prefix('`')?.strip_suffix('`')?;
        let labels = labels.split([',', ' ']).filter(|l| !l.is_empty());
        let labels = labels.map(|l| l.trim_matches('`').to_owned()).collect();
        let row = Row {
            kind: kind.to_owned(),
            labels,
            unit: unit.to_owned(),
            help: help.replace("\\_", "_"),
        };
        Some((name.to_owned(), row))
    });
    rows.collect()
}

fn labels(family: &Family) -> BTreeSet<String> {
    let labels = family.samples.iter().flat_map(|s| &s.labels);
    let names = labels.map(|(name, _)| name.clone());
    names.filter(|n| n != "le").collect()
}

/// Told only where packets are forwarded in the kernel; a unit test beside them holds them to the table.
const IN_THE_KERNEL: &str = "tradewind_proxy_xdp_";

#[test]
fn o_every_metric_is_documented_and_every_documented_one_exists() {
    let world = world::World::start();
    world.be_busy();
    let page = http::get(world.node().admin, "/metrics").body;
    let (found, mut table) = (families(&page), documented());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        table = rewrite(&found, table);
    }
    let mut wrong = Vec::new();
    for family in &found {
        let mut row = Row::of(family);
        let Some(told) = table.get(&family.name) else {
            wrong.push(format!(
                "{} is not in the table: UPDATE_GOLDEN=1",
                family.name
            ));
            continue;
        };
        if family.samples.is_empty() {
            row.labels.clone_from(&told.labels);
        }
        if row != *told {
            wrong.push(format!("{}: {row:?} is told as {told:?}", family.name));
        }
    }
    let names: BTreeSet<&str> = found.iter().map(|f| &*f.name).collect();
    for name in table.keys() {
        if !names.contains(name.as_str()) && !name.starts_with(IN_THE_KERNEL) {
            wrong.push(format!("{name} is in the table and nowhere else"));
        }
    }
    assert_eq!(found.len(), names.len(), "a family twice");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    promtool_accepts(&page);
    openmetrics::says_the_same(world.node().admin, &table_of_kinds(&table));
}

/// Type and unit of each metric, as the table has them.
fn table_of_kinds(table: &BTreeMap<String, Row>) -> BTreeMap<String, (String, String)> {
    let rows = table.iter();
    rows.map(|(name, row)| (name.clone(), (row.kind.clone(), row.unit.clone())))
        .collect()
}

/// Writes the table anew: what was found, with labels of before where there are no samples.
fn rewrite(found: &[Family], mut table: BTreeMap<String, Row>) -> BTreeMap<String, Row> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for family in found {
        let mut row = Row::of(family);
        if let (true, Some(was)) = (family.samples.is_empty(), table.remove(&family.name)) {
            row.labels = was.labels;
        }
        rows.insert(family.name.clone(), row);
    }
    rows.extend(
        table
            .into_iter()
            .filter(|(n, _)| n.starts_with(IN_THE_KERNEL)),
    );
    let text = std::fs::read_to_string(doc()).unwrap();
    const HEAD: &str = "|---|---|---|---|---|\n";
    let (before, _) = text.split_once(HEAD).unwrap();
    let lines: String = rows.iter().map(|(n, r)| r.line(n) + "\n").collect();
    std::fs::write(doc(), format!("{before}{HEAD}{lines}")).unwrap();
    rows
}

/// `promtool check metrics` reads a page and says what is against the conventions.
fn promtool_accepts(page: &str) {
    use std::io::Write as _;
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    assert!(out.status.success() && said.is_empty(), "{said}");
}

fn deployed(path: &str) -> PathBuf {
    package().join("deploy").join(path)
}

fn promtool(args: &[&str], dir: &Path) -> (bool, String) {
    let out = Command::new("promtool")
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    (out.status.success(), said)
}

#[test]
fn o_promtool_accepts_the_shipped_rules_and_they_fire_when_they_must() {
    let dir = deployed("prometheus");
    for args in [
        &["check", "rules", "rules.yml"][..],
        &["test", "rules", "rules.test.yml"],
        &["check", "config", "--syntax-only", "scrape.yml"],
    ] {
        let (good, said) = promtool(args, &dir);
        assert!(good, "{args:?}: {said}");
    }
    let rules = std::fs::read_to_string(dir.join("rules.yml")).unwrap();
    let tests = std::fs::read_to_string(dir.join("rules.test.yml")).unwrap();
    for alert in rules
        .lines()
        .filter_map(|l| l.trim().strip_prefix("- alert: "))
    {
        let fires = format!("- labels: 'ALERTS{{alertname=\"{alert}\"");
        let tested = tests.lines().any(|l| l.trim().starts_with(&fires));
        assert!(tested, "{alert} has no test");
    }
    let count = |what: &str| rules.lines().filter(|l| l.trim().starts_with(what)).count();
    assert_eq!(
        count("- alert:"),
        count("description:"),
        "each says what to do"
    );
    assert_eq!(count("- alert:"), count("severity:"));
}

/// Words of an expression that could be metrics of Tradewind.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = |w: &&str| w.starts_with("tradewind_") || w.starts_with("process_");
    words.filter(ours).map(str::to_owned).collect()
}

/// The metric a series of a histogram belongs to.
fn family_of(series: &str, table: &BTreeMap<String, Row>) -> String {
    let cut = ["_bucket", "_sum", "_count"];
    let base = cut.iter().find_map(|s| series.strip_suffix(s));
    match base {
        Some(base) if table.contains_key(base) => base.to_owned(),
        _ => series.to_owned(),
    }
}

#[test]
fn o_the_shipped_rules_and_dashboards_ask_only_for_metrics_that_exist() {
    let table = documented();
    let mut asked = BTreeSet::new();
    for file in ["prometheus/rules.yml", "prometheus/rules.test.yml"] {
        asked.extend(metrics_in(
            &std::fs::read_to_string(deployed(file)).unwrap(),
        ));
    }
    let text = std::fs::read_to_string(deployed("grafana/tradewind.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut expressions = 0;
    let mut look = vec![&dashboard];
    while let Some(value) = look.pop() {
        match value {
            serde_json::Value::Object(map) => {
                for key in ["expr", "query", "definition"] {
                    if let Some(expression) = map.get(key).and_then(|e| e.as_str()) {
                        expressions += 1;
                        asked.extend(metrics_in(expression));
                    }
                }
                look.extend(map.values());
            }
            serde_json::Value::Array(items) => look.extend(items),
            _ => {}
        }
    }
    assert!(
        expressions > 20,
        "{expressions} expressions are too few to be all"
    );
    let unknown: Vec<&String> = asked
        .iter()
        .filter(|s| !table.contains_key(&family_of(s, &table)))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
