//! `tradewind check`

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::table::counted;
use super::terminal;
use crate::app::load::{Wanted, load_all};
use crate::config::Report;
use crate::snapshot::Snapshot;

/// Exit code of a configuration that is wrong (EX_CONFIG of sysexits.h).
const WRONG: u8 = 78;

/// Reads the configuration, for all nodes or for one, and says what it holds, or all that is wrong
/// with it.
pub(super) fn check(
    path: &Path,
    node: Option<String>,
    deny_warnings: bool,
    json: bool,
) -> ExitCode {
    let wanted = Wanted {
        config: path.to_owned(),
        node,
        ..Wanted::default()
    };
    let loaded = match load_all(&wanted) {
        Ok(loaded) => loaded,
        Err(report) if json => return printed(&report, None, false),
        Err(report) => return super::config_refused(&report),
    };
    let warnings = loaded.warnings.diagnostics.len() as u64;
    let good = warnings == 0 || !deny_warnings;
    let holds = holds(&loaded.compiled.snapshot);
    if json {
        return printed(&loaded.warnings, Some(&holds), good);
    }
    if warnings > 0 {
        eprint!("{}", loaded.warnings.render(terminal::colours_stderr()));
    }
    if !good {
        return ExitCode::from(WRONG);
    }
    let holds: Vec<String> = holds.iter().map(|(what, n)| counted(*n, what)).collect();
    println!(
        "{}: ok ({}{})",
        path.display(),
        joined(&holds),
        match warnings {
            0 => String::new(),
            n => format!("; {}", counted(n, "warning")),
        }
    );
    ExitCode::SUCCESS
}

/// `1 zone with 5 names, 2 pools`: names are those of the zones.
fn joined(holds: &[String]) -> String {
    match holds {
        [zones, rest @ ..] => format!("{zones} with {}", rest.join(", ")),
        [] => String::new(),
    }
}

/// What a configuration holds: each kind with how many.
fn holds(s: &Snapshot) -> Vec<(&'static str, u64)> {
    let mut holds = vec![
        ("zone", s.zones.zone_count()),
        ("name", s.zones.names()),
        ("steered name", s.steering.names.len()),
        ("pool", s.steering.pools.len()),
        ("endpoint", s.steering.endpoints.len()),
        ("monitor", s.monitors.len()),
        ("network", s.geo.v4.len() + s.geo.v6.len()),
    ];
    // Only of a node with a proxy it is known which listeners it has.
    let t = &s.traffic;
    if !t.listeners.is_empty() {
        holds.extend([
            ("listener", t.listeners.len()),
            ("route", t.routes.list.len()),
            ("upstream", t.upstreams.len()),
        ]);
    }
    holds
        .into_iter()
        .map(|(what, n)| (what, n as u64))
        .collect()
}

fn printed(report: &Report, holds: Option<&[(&str, u64)]>, good: bool) -> ExitCode {
    println!("{:#}", as_json(report, holds, good));
    match good {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(WRONG),
    }
}

fn as_json(report: &Report, holds: Option<&[(&str, u64)]>, good: bool) -> Value {
    let problems: Vec<Value> = report
        .findings()
        .map(|f| {
            json!({
                "severity": f.severity,
                "file": f.file,
                "line": f.place.map(|p| p.line),
                "column": f.place.map(|p| p.column),
                "message": f.message,
                "help": f.help,
            })
        })
        .collect();
    let holds = holds.map(|all| {
        let keys = all
            .iter()
            .map(|(what, n)| (format!("{}s", what.replace(' ', "-")), json!(n)));
        keys.collect::<serde_json::Map<_, _>>()
    });
    json!({ "ok": good, "holds": holds, "problems": problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_holds_reads_as_a_sentence() {
        let holds = ["1 zone", "5 names", "2 pools"].map(str::to_owned);
        assert_eq!(joined(&holds), "1 zone with 5 names, 2 pools");
    }
}
