//! `tradewind plan`: what another configuration would change in answers; a gate for pipelines.

mod text;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::admin::route::plan::percent;
use crate::admin::view::plan::Plan;
use crate::app::plan::against_config;
use crate::config::load::load;
use crate::config::{Loaded, Report};
use crate::time::Moment;

use super::ask::{Via, ask};

/// More clients would be sent elsewhere than may be.
const ABOVE_THE_GATE: u8 = 4;

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
    Config(Report),
    Other(String),
}

/// Compares two configurations on this machine.
fn offline(old: &Path, args: &PlanArgs) -> Result<Value, Failed> {
    let bar = Bar::start("comparing");
    let mut progress = |done, all| bar.set(done, all);
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
    let _bar = Bar::start("the node compares");
    let answer = ask(&args.via, "POST", "/v1/plan", &[], Some(&body));
    answer.map(|a| a.json).map_err(Failed::Other)
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

/// A line on standard error that shows that work goes on; only on a terminal.
struct Bar {
    drawn: Option<(std::sync::Arc<State>, thread::JoinHandle<()>)>,
}

#[derive(Default)]
struct State {
    done: AtomicUsize,
    all: AtomicUsize,
    ends: AtomicBool,
}

impl Bar {
    fn start(what: &'static str) -> Bar {
        if !std::io::stderr().is_terminal() {
            return Bar { drawn: None };
        }
        let state = std::sync::Arc::new(State::default());
        let shown = state.clone();
        let drawing = thread::spawn(move || {
            let mut turn = 0;
            while !shown.ends.load(Ordering::Relaxed) {
                eprint!("\r\x1b[K{}", line(what, turn, &shown));
                let _ = std::io::stderr().flush();
                turn += 1;
                thread::park_timeout(Duration::from_millis(100));
            }
            eprint!("\r\x1b[K");
        });
        Bar {
            drawn: Some((state, drawing)),
        }
    }

    fn set(&self, done: usize, all: usize) {
        if let Some((state, _)) = &self.drawn {
            state.done.store(done, Ordering::Relaxed);
            state.all.store(all, Ordering::Relaxed);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((state, drawing)) = self.drawn.take() {
            state.ends.store(true, Ordering::Relaxed);
            drawing.thread().unpark();
            // It only draws.
            drop(drawing.join());
        }
    }
}

/// `comparing ###----- 40 of 100 names`, or a dot that moves where nobody knows how much there is.
fn line(what: &str, turn: usize, state: &State) -> String {
    const WIDTH: usize = 24;
    let load = |n: &AtomicUsize| n.load(Ordering::Relaxed);
    let (done, all) = (load(&state.done), load(&state.all));
    if all == 0 {
        let at = turn % WIDTH;
        return format!("{what} [{}*{}]", "-".repeat(at), "-".repeat(WIDTH - at - 1));
    }
    let full = WIDTH * done.min(all) / all;
    format!(
        "{what} [{}{}] {done} of {all} names",
        "#".repeat(full),
        "-".repeat(WIDTH - full)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fills() {
        let state = State::default();
        assert_eq!(line("x", 1, &state), format!("x [-*{}]", "-".repeat(22)));
        state.all.store(4, Ordering::Relaxed);
        state.done.store(1, Ordering::Relaxed);
        let want = format!("x [{}{}] 1 of 4 names", "#".repeat(6), "-".repeat(18));
        assert_eq!(line("x", 1, &state), want);
    }
}
