//! The command line beside its orders: status, reload, completions, manual pages, colours.

use std::process::Output;

use serde_json::Value;

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, Node};

fn run(node: &Node, args: &[&str]) -> Output {
    tradewind()
        .args(args)
        .args(["--server", &format!("http://{}", node.admin)])
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

const NAME: &str = r#"
[pools.here]
region = "eu"
endpoints = [{ name = "eu-1", address = "192.0.2.1" }, { name = "eu-2", address = "192.0.2.2" }]
[policies.any]
stages = [{ random = {} }]
[names."www.gslb.test"]
pools = ["here"]
policy = "any"
"#;

#[test]
fn o_reload_says_what_is_wrong_and_ends_with_78() {
    let node = Node::start(NAME);
    let good = run(&node, &["reload"]);
    assert!(good.status.success());
    assert!(
        out(&good).starts_with("reloaded: generation "),
        "{}",
        out(&good)
    );
    let file = node.file("tradewind.toml");
    std::fs::write(
        &file,
        format!("{HEAD}{NAME}[names.\"x\"]\npools = [\"none\"]\n"),
    )
    .unwrap();
    let bad = run(&node, &["reload"]);
    assert_eq!(bad.status.code(), Some(78));
    let said = String::from_utf8(bad.stderr).unwrap();
    assert!(
        said.contains("tradewind.toml:") && said.contains("refused: "),
        "{said}"
    );
    let json = run(&node, &["reload", "--json"]);
    assert_eq!(json.status.code(), Some(78));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(!json["problems"].as_array().unwrap().is_empty());
    assert_eq!(node.metric("tradewind_config_last_reload_successful"), 0);
    assert_eq!(
        node.metric("tradewind_config_reloads_total{outcome=\"refused\"}"),
        2
    );

    let check = tradewind()
        .arg("check")
        .arg(&file)
        .arg("--json")
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(78));
    let json: Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert!(json["problems"][0]["line"].as_u64() > Some(1), "{json}");
}

#[test]
fn o_status_shows_the_node_and_an_enable_ends_a_drain() {
    let node = Node::start(NAME);
    let order = ["drain", "endpoint", "eu-1", "--reason", "test"];
    assert!(run(&node, &order).status.success());
    let text = out(&run(&node, &["status"]));
    assert!(
        text.starts_with("node n1 (") && text.contains("1 drained"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "a pipe gets no colours");
    let painted = out(&run(&node, &["status", "--color", "always"]));
    assert!(painted.contains("\u{1b}["), "{painted:?}");
    let json: Value = serde_json::from_slice(&run(&node, &["status", "--json"]).stdout).unwrap();
    assert_eq!(json["node"], "n1");
    assert!(run(&node, &["enable", "endpoint", "eu-1"]).status.success());
    assert!(out(&run(&node, &["overrides"])).starts_with("no orders in force\n"));
    let forced = ["force", "down", "endpoint", "eu-1", "--reason", "test"];
    assert!(out(&run(&node, &forced)).starts_with("force-down of endpoint eu-1"));
}

#[test]
fn o_completions_and_manual_pages_are_made_of_the_commands() {
    for (shell, has) in [
        ("bash", "complete -F _tradewind"),
        ("zsh", "#compdef tradewind"),
        ("fish", "complete -c tradewind"),
    ] {
        let made = tradewind().args(["completions", shell]).output().unwrap();
        let text = out(&made);
        assert!(text.contains(has) && text.contains("switchover"), "{shell}");
    }
    let dir = tempfile::tempdir().unwrap();
    let made = tradewind().arg("man").arg(dir.path()).output().unwrap();
    assert!(made.status.success());
    for page in [
        "tradewind.1",
        "tradewind-drain.1",
        "tradewind-proxy-status.1",
    ] {
        let text = std::fs::read_to_string(dir.path().join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
}
