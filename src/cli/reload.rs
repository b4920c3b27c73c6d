//! `tradewind reload`: lets a node read its configuration again.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::ask::{Answer, Failure, Via, try_ask};
use super::progress::Progress;
use super::say::{list, number};
use super::table::counted;
use super::terminal::{Look, Tone};

/// Exit code of a configuration that is wrong (EX_CONFIG of sysexits.h).
const REFUSED: u8 = 78;

/// Status of a configuration that was refused.
const UNPROCESSABLE: u16 = 422;

/// Whom it is asked of.
#[derive(Debug, Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    via: Via,
}

/// Asks for a reload; exit code 78 where the new configuration is refused.
pub(super) fn reload(args: &ReloadArgs) -> ExitCode {
    let progress = Progress::spinner("the node reads its configuration");
    let answer = try_ask(&args.via, "POST", "/v1/reload", &[], None);
    drop(progress);
    match answer {
        Ok(Answer { json, .. }) if args.via.json => {
            println!("{json:#}");
            ExitCode::SUCCESS
        }
        Ok(Answer { json, server }) => {
            print!("{}", adopted(&json, &server, Look::of_stdout()));
            ExitCode::SUCCESS
        }
        Err(Failure::Refused { status, json }) if status == UNPROCESSABLE => {
            match args.via.json {
                true => println!("{json:#}"),
                false => eprint!("{}", refused(&json, super::terminal::colours_stderr())),
            }
            ExitCode::from(REFUSED)
        }
        Err(e) => super::failed(e),
    }
}

fn adopted(json: &Value, server: &str, look: Look) -> String {
    let mut out = String::new();
    for warning in list(&json["warnings"]).filter_map(Value::as_str) {
        out += &format!("{}\n", Tone::Doubtful.paint(warning, look.colour));
    }
    let warnings = list(&json["warnings"]).count() as u64;
    out += &format!(
        "reloaded: generation {} serves it ({server}){}\n",
        number(json, "generation"),
        match warnings {
            0 => String::new(),
            n => format!("; {}", counted(n, "warning")),
        }
    );
    out
}

fn refused(json: &Value, colour: bool) -> String {
    let mut out = String::new();
    for problem in list(&json["problems"]).filter_map(Value::as_str) {
        out += &format!("{}\n", Tone::Bad.paint(problem, colour));
    }
    let detail = json["detail"]
        .as_str()
        .unwrap_or("the configuration was refused");
    out += &format!("refused: {detail}\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_doubtful_stands_before_what_was_done() {
        let json = json!({ "generation": 7, "warnings": ["t.toml:3:1: warning: unused pool"] });
        assert_eq!(
            adopted(&json, "http://127.0.0.1:8053", Look::default()),
            "t.toml:3:1: warning: unused pool\n\
             reloaded: generation 7 serves it (http://127.0.0.1:8053); 1 warning\n"
        );
        let json = json!({ "generation": 8, "warnings": [] });
        assert_eq!(
            adopted(&json, "s", Look::default()),
            "reloaded: generation 8 serves it (s)\n"
        );
    }

    #[test]
    fn every_problem_is_a_line() {
        let json = json!({
            "detail": "2 problems; the configuration in force stays as it was",
            "problems": ["a:1:1: error: x", "a:2:1: error: y"],
        });
        assert_eq!(
            refused(&json, false),
            "a:1:1: error: x\na:2:1: error: y\n\
             refused: 2 problems; the configuration in force stays as it was\n"
        );
    }
}
