//! What is shipped for running a node: it is current, and the programs it is for accept it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::demo::tradewind;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name)
}

fn output(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

/// What `tradewind export keepalived` writes of the shipped configuration for a node.
fn exported(node: &str) -> String {
    let mut command = tradewind();
    command.args(["export", "keepalived", "--node", node, "--config"]);
    let (good, text) = output(command.arg(deploy("tradewind.toml")));
    assert!(good, "{text}");
    text
}

#[test]
fn the_shipped_configuration_is_good() {
    let mut check = tradewind();
    check.args(["check", "--deny-warnings"]);
    let (good, text) = output(check.arg(deploy("tradewind.toml")));
    assert!(good, "{text}");
}

#[test]
fn the_shipped_keepalived_files_are_current() {
    for node in ["fra1", "fra2"] {
        let path = deploy("keepalived").join(format!("{node}.conf"));
        let found = exported(node);
        assert_eq!(found, exported(node), "the same twice");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let shipped = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            shipped,
            found,
            "{} is stale: UPDATE_GOLDEN=1",
            path.display()
        );
    }
}

#[test]
fn who_has_no_vip_or_does_not_exist_is_told_so() {
    let export = |more: &[&str]| {
        let mut command = tradewind();
        command.args(["export", "keepalived"]).args(more);
        let output = command
            .arg("--config")
            .arg(deploy("tradewind.toml"))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty(), "nothing half-written");
        (output.status.code(), said)
    };
    let (code, said) = export(&["--node", "ns1"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("node `ns1` is not among the `nodes`"),
        "{said}"
    );
    let (code, said) = export(&["--node", "fra3"]);
    assert_eq!(code, Some(78));
    assert!(said.contains("did you mean `--node fra1`?"), "{said}");
    let (code, said) = export(&["--node", "fra1", "--upstream", "wep"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no upstream `wep`"), "{said}");
    let (code, said) = export(&["--node", "fra1", "--program", "/opt/a b/tradewind"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("cannot stand in a script"), "{said}");
}

/// Units may not use what systemd does not know. Where there is no systemd, nothing is looked at.
#[test]
fn systemd_understands_the_unit() {
    let unit = std::fs::read_to_string(deploy("tradewind@.service")).unwrap();
    let program = tradewind().get_program().to_str().unwrap().to_owned();
    // The programs that it starts must exist.
    let unit = unit.replace("/usr/bin/tradewind", &program);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tradewind@fra1.service");
    std::fs::write(&path, unit).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").arg(&path);
    match verify.output() {
        Err(e) => eprintln!("systemd-analyze: {e}; the unit is not looked at"),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let own: Vec<&str> = said.lines().filter(|l| l.contains("tradewind@")).collect();
            assert!(own.is_empty(), "{own:?}");
        }
    }
}
