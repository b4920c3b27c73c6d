//! `tradewind test`: what a configuration expects of its answers, tried.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::app::load::{Wanted, try_expectations};
use crate::snapshot::Tried;

/// What is tried.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// A TOML file, or a folder of them.
    path: PathBuf,
    /// Try it as this node has it.
    #[arg(long)]
    node: Option<String>,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Tries them and shows each.
pub(super) fn test(args: &TestArgs) -> ExitCode {
    let wanted = Wanted {
        config: args.path.clone(),
        node: args.node.clone(),
        ..Wanted::default()
    };
    let tried = match try_expectations(&wanted) {
        Ok(tried) => tried,
        Err(report) => return super::config_refused(&report),
    };
    if args.json {
        println!("{:#}", as_json(&tried));
    } else {
        print!("{}", table(&tried, std::io::stdout().is_terminal()));
    }
    match tried.iter().all(Tried::holds) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn as_json(tried: &[Tried]) -> serde_json::Value {
    let all: Vec<serde_json::Value> = tried
        .iter()
        .map(|t| {
            json!({
                "place": t.place,
                "question": t.question,
                "wanted": t.wanted,
                "got": t.got,
                "holds": t.holds(),
                "because": t.because,
                "broken": t.broken,
                "lines": t.lines,
            })
        })
        .collect();
    let broken = tried.iter().filter(|t| !t.holds()).count();
    json!({ "total": tried.len(), "broken": broken, "expectations": all })
}

/// One line for each that holds; for each that is broken what was expected, what came, and why.
fn table(tried: &[Tried], colour: bool) -> String {
    let paint = |code: &str, text: &str| match colour {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let width = tried.iter().map(|t| t.place.len()).max().unwrap_or(0);
    let mut out = String::new();
    for t in tried {
        let mark = match t.holds() {
            true => paint("32", "holds "),
            false => paint("1;31", "BROKEN"),
        };
        // Writing to a String cannot fail.
        let _ = write!(out, "{mark}  {:width$}  {}", t.place, t.question);
        if t.holds() {
            let _ = writeln!(out, ": {}", t.wanted);
            continue;
        }
        let _ = writeln!(out);
        for (what, text) in [("wanted", &t.wanted), ("got", &t.got)] {
            let _ = writeln!(out, "        {what:7}  {text}");
        }
        if let Some(because) = &t.because {
            let _ = writeln!(out, "        because  {because}");
        }
        for line in &t.broken {
            let _ = writeln!(out, "        broken   {line}");
        }
        for line in &t.lines {
            let _ = writeln!(out, "          | {line}");
        }
    }
    let broken = tried.iter().filter(|t| !t.holds()).count();
    let holds = tried.len() - broken;
    let verb = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
    let _ = writeln!(
        out,
        "{}: {}, {}",
        verb(tried.len(), "expectation", "expectations"),
        verb(holds, "holds", "hold"),
        verb(broken, "is broken", "are broken")
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(broken: &[&str]) -> Tried {
        Tried {
            place: "names.toml:7:1".into(),
            question: "www.gslb.example A for 192.0.2.0/24 with eu-1 down".into(),
            wanted: "eu-2".into(),
            got: "us-1 100.0% in region us, TTL 5 s".into(),
            because: Some("Europe stays in Europe".into()),
            broken: broken.iter().map(|b| (*b).to_owned()).collect(),
            lines: vec!["client 192.0.2.0/24".to_owned()],
        }
    }

    #[test]
    fn what_holds_takes_a_line_and_what_is_broken_says_all() {
        let text = table(
            &[tried(&[]), tried(&["expected eu-2, but it gets us-1"])],
            false,
        );
        assert_eq!(
            text,
            "holds   names.toml:7:1  www.gslb.example A for 192.0.2.0/24 with eu-1 down: eu-2\n\
             BROKEN  names.toml:7:1  www.gslb.example A for 192.0.2.0/24 with eu-1 down\n        \
             wanted   eu-2\n        \
             got      us-1 100.0% in region us, TTL 5 s\n        \
             because  Europe stays in Europe\n        \
             broken   expected eu-2, but it gets us-1\n          \
             | client 192.0.2.0/24\n\
             2 expectations: 1 holds, 1 is broken\n"
        );
        assert!(table(&[tried(&[])], true).contains("\u{1b}[32m"));
    }
}
