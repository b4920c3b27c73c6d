//! `tradewind plan`: what another configuration would change in answers; a gate for pipelines.

mod text;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::admin::route::plan::percent;
use crate::admin::view::plan::Plan;
use crate::app::plan::against_config;
use crate::config::load::load;
use crate::config::{Loaded, Report};
use crate::time::Moment;

use super::ask::{Failure, Via, try_ask};
use super::progress::Progress;

/// More clients would be sent elsewhere than may be.
const ABOVE_THE_GATE: u8 = 4;

/// The configuration is wrong (EX_CONFIG of sysexits.h).
const WRONG_CONFIG: u8 = 78;

/// What is compared.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The new configuration: a TOML file, or a folder of them.
    new: PathBuf,
    /// Compare with this configuration instead of a running node: everything counts as up, and shares
    /// are of addresses.
    #[arg(long, conflicts_with_all = ["servers", "config"])]
    against: Option<PathBuf>,
    /// What shares are of: traffic (the queries of the last day, where there were any) or addresses
    /// (those whose place the GeoIP database knows).
    #[arg(long, default_value = "traffic", value_parser = ["traffic", "addresses"])]
    by: String,
    /// Exit with code 4 when a larger part of all clients would be sent to another region, such as 10%.
    #[arg(long, value_parser = is_percent)]
    max_shift: Option<String>,
    /// Names that are told in full at most.
    #[arg(long, default_value_t = 20)]
    names: usize,
    #[command(flatten)]
    via: Via,
}

fn is_percent(text: &str) -> Result<String, String> {
    percent(text).map(|_| text.to_owned())
}

/// Plans; 0, 1, 4 or 78.
pub(super) fn plan(args: &PlanArgs) -> ExitCode {
    let planned = match &args.against {
        Some(old) => offline(old, args),
        None => online(args),
    };
    let plan = match planned {
        Ok(plan) => plan,
        Err(Failed::Config(report)) => return super::config_refused(&report),
        Err(Failed::Refused(why)) => {
            super::failed(why);
            return ExitCode::from(WRONG_CONFIG);
        }
        Err(Failed::Other(why)) => return super::failed(why),
    };
    match args.via.json {
        true => println!("{plan}"),
        false => print!("{}", text::text(&plan, args.names)),
    }
    match plan["gate"]["passes"].as_bool() {
        Some(false) => ExitCode::from(ABOVE_THE_GATE),
        _ => ExitCode::SUCCESS,
    }
}

enum Failed {
    /// The configuration is wrong, as is seen here.
    Config(Report),
    /// The node says that it is.
    Refused(String),
    Other(String),
}

/// Compares two configurations on this machine.
fn offline(old: &Path, args: &PlanArgs) -> Result<Value, Failed> {
    let bar = Progress::bar("comparing");
    let mut progress = |done: usize, all: usize| bar.set(done as u64, all as u64);
    let report =
        against_config(old, &args.new, Moment::ZERO, &mut progress).map_err(Failed::Config)?;
    drop(bar);
    let max_shift = args.max_shift.as_deref().map(percent).transpose();
    let max_shift = max_shift.map_err(Failed::Other)?;
    serde_json::to_value(Plan::of(report, max_shift)).map_err(|e| Failed::Other(e.to_string()))
}

/// Has a node compare.
fn online(args: &PlanArgs) -> Result<Value, Failed> {
    let loaded = load(&args.new).map_err(Failed::Config)?;
    if loaded.has_errors() {
        return Err(Failed::Config(Report::new(
            loaded.diagnostics,
            loaded.sources,
        )));
    }
    let mut body = json!({ "files": files(&args.new, &loaded)?, "by": args.by });
    if let Some(max_shift) = &args.max_shift {
        body["max-shift"] = max_shift.as_str().into();
    }
    let _shown = Progress::spinner("the node compares");
    match try_ask(&args.via, "POST", "/v1/plan", &[], Some(&body)) {
        Ok(answer) => Ok(answer.json),
        Err(why @ Failure::Refused { status: 422, .. }) => Err(Failed::Refused(why.to_string())),
        Err(why) => Err(Failed::Other(why.to_string())),
    }
}

/// The texts of a configuration, by path as seen from where it lies.
fn files(config: &Path, loaded: &Loaded) -> Result<BTreeMap<String, String>, Failed> {
    let root = match config.is_dir() {
        true => config,
        false => config.parent().unwrap_or(Path::new("")),
    };
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(config) {
        Ok(entries) => entries
            .filter_map(Result::ok)
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "toml"))
            .filter(|p| !is_hidden(p) && p.is_file())
            .collect(),
        Err(_) => vec![config.to_owned()],
    };
    // Of what it names the texts: zone files and network lists. Secrets stay here.
    let named = loaded.inputs.files.iter();
    paths.extend(
        named
            .filter(|(_, i)| i.file.is_some())
            .map(|(p, _)| p.clone()),
    );
    let mut files = BTreeMap::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .map_err(|e| Failed::Other(format!("cannot read `{}`: {e}", path.display())))?;
        let seen = path.strip_prefix(root).unwrap_or(&path);
        files.insert(seen.to_string_lossy().into_owned(), text);
    }
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    let last = path.components().next_back();
    matches!(last, Some(Component::Normal(name)) if name.as_encoded_bytes().starts_with(b"."))
}
