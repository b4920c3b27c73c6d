//! The reference page of all commands (`docs/cli.md`), from the same declaration as the help.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

/// The sections of every command, in the order of the help.
pub(super) fn reference(mut command: Command) -> String {
    command.build();
    let mut out = String::new();
    for sub in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        section(&mut out, "tradewind", sub);
    }
    out
}

fn section(out: &mut String, above: &str, command: &Command) {
    let name = format!("{above} {}", command.get_name());
    // Writing to a String cannot fail.
    let _ = writeln!(out, "### `{name}`\n");
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = writeln!(out, "{}\n", end(&about));
    let subs: Vec<&Command> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help")
        .collect();
    if !subs.is_empty() {
        for sub in subs {
            section(out, &name, sub);
        }
        return;
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    let usage: Vec<&str> = usage.split_whitespace().collect();
    let _ = writeln!(out, "```text\n{}\n```\n", usage.join(" "));
    // What every command has is told once, above.
    let common = |a: &&Arg| !matches!(a.get_id().as_str(), "help" | "version" | "color");
    let args: Vec<&Arg> = command
        .get_arguments()
        .filter(common)
        .filter(|a| !a.is_hide_set())
        .collect();
    if args.is_empty() {
        return;
    }
    out.push_str("| argument | meaning |\n|---|---|\n");
    for arg in args {
        let _ = writeln!(out, "| {} | {} |", spelled(arg), meaning(arg));
    }
    out.push('\n');
}

/// `--limit <LIMIT>`, as it is written.
fn spelled(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    let takes = !matches!(
        arg.get_action(),
        ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count
    );
    let value = match (takes, names.first()) {
        (true, Some(name)) => format!("<{name}>"),
        (true, None) => format!("<{}>", arg.get_id().as_str().to_uppercase()),
        (false, _) => String::new(),
    };
    let value = match arg.is_required_set() || !arg.is_positional() || value.is_empty() {
        true => value,
        false => format!("[{}]", &value[1..value.len() - 1]),
    };
    let flag = match (arg.get_short(), arg.get_long()) {
        (Some(s), Some(l)) => format!("-{s}, --{l}"),
        (Some(s), None) => format!("-{s}"),
        (None, Some(l)) => format!("--{l}"),
        (None, None) => String::new(),
    };
    format!("`{}`", format!("{flag} {value}").trim())
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    let mut text = end(&help.map(ToString::to_string).unwrap_or_default());
    let values = arg.get_possible_values();
    let words: Vec<String> = values
        .iter()
        .filter(|v| !v.is_hide_set())
        .map(|v| format!("`{}`", v.get_name()))
        .collect();
    if !words.is_empty() && arg.get_action().takes_values() {
        let _ = write!(text, " One of {}.", words.join(", "));
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|v| format!("`{}`", v.to_string_lossy()))
        .collect();
    if !defaults.is_empty() && arg.get_action().takes_values() && defaults != ["``"] {
        let _ = write!(text, " Default {}.", defaults.join(", "));
    }
    if arg.is_required_set() {
        text.push_str(" Required.");
    }
    text.replace('|', "\\|").replace('<', "\\<")
}

/// The text on one line, ended with a full stop.
fn end(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    match text.ends_with(['.', '?', '!']) || text.is_empty() {
        true => text,
        false => format!("{text}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/cli.md");
    const MARK: &str =
        "<!-- From here on generated: UPDATE_GOLDEN=1 cargo nextest run reference -->\n\n";

    #[test]
    fn the_reference_of_commands_is_current() {
        let page = std::fs::read_to_string(PAGE).unwrap();
        let (head, shipped) = page.split_once(MARK).expect("the mark");
        let made = reference(super::super::Cli::command());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(PAGE, format!("{head}{MARK}{made}")).unwrap();
            return;
        }
        assert!(shipped == made, "src/docs/cli.md is stale: UPDATE_GOLDEN=1");
    }

    #[test]
    fn every_command_says_what_it_does_and_clap_finds_no_fault() {
        fn check(command: &Command) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} says nothing");
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{name} {}", arg.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        let command = super::super::Cli::command();
        command.clone().debug_assert();
        command.get_subcommands().for_each(check);
    }

    #[test]
    fn what_prints_data_can_print_json() {
        // These print a file or a page of another format, or run until they are ended.
        let others = [
            "run",
            "demo",
            "origin",
            "completions",
            "man",
            "health",
            "init",
            "issue",
            "rotate-ca",
            "build",
            "roll",
            "ds-seen",
        ];
        fn walk(command: &Command, others: &[&str], missing: &mut Vec<String>) {
            let name = command.get_name();
            if others.contains(&name) || name == "help" {
                return;
            }
            let mut subs = command.get_subcommands().peekable();
            if subs.peek().is_none()
                && !command
                    .get_arguments()
                    .any(|a| a.get_long() == Some("json"))
            {
                missing.push(name.to_owned());
            }
            subs.for_each(|s| walk(s, others, missing));
        }
        let mut missing = Vec::new();
        let command = super::super::Cli::command();
        command
            .get_subcommands()
            .for_each(|c| walk(c, &others, &mut missing));
        assert_eq!(missing, Vec::<String>::new(), "these have no --json");
    }
}
