//! What commands print: JSON or text on standard output, errors on standard error.

use std::process::ExitCode;

use serde_json::Value;

use super::ask::{Answer, Via, ask};
use super::terminal::Look;

/// Asks for what is at `path` and prints it: the API's JSON, or what `text` makes of it.
pub(super) fn shown(
    via: &Via,
    path: &str,
    query: &[(&str, String)],
    text: impl FnOnce(&Value, Look) -> String,
) -> ExitCode {
    match ask(via, "GET", path, query, None) {
        Ok(Answer { json, .. }) => printed(via.json, &json, text),
        Err(e) => super::failed(e),
    }
}

/// Prints JSON as it is, or what `text` makes of it; exit code 0.
pub(super) fn printed(
    as_json: bool,
    json: &Value,
    text: impl FnOnce(&Value, Look) -> String,
) -> ExitCode {
    match as_json {
        true => println!("{json:#}"),
        false => print!("{}", text(json, Look::of_stdout())),
    }
    ExitCode::SUCCESS
}

/// The items of an array; none where it is no array.
pub(super) fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

/// Text under a key; empty where there is none.
pub(super) fn word<'j>(json: &'j Value, key: &str) -> &'j str {
    json[key].as_str().unwrap_or_default()
}

/// A whole number under a key; 0 where there is none.
pub(super) fn number(json: &Value, key: &str) -> u64 {
    json[key].as_u64().unwrap_or_default()
}
