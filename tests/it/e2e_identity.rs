//! `tradewind fleet …` and what `tradewind check` says of a node's identity.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn tradewind(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tradewind"))
        .current_dir(dir)
        .args(args)
        .output()
        .unwrap()
}

fn good(dir: &Path, args: &[&str]) -> String {
    let out = tradewind(dir, args);
    let text = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{args:?}: {text}");
    String::from_utf8(out.stdout).unwrap()
}

fn refused(dir: &Path, args: &[&str], code: i32) -> String {
    let out = tradewind(dir, args);
    assert_eq!(out.status.code(), Some(code), "{args:?}");
    String::from_utf8(out.stderr).unwrap()
}

const CONFIG: &str = r#"
version = 1
[fleet]
name = "lab"
ca = "fleet/ca.pem"
[regions.eu]
latitude = 50
longitude = 8
[nodes.p1]
region = "eu"
roles = ["probe"]
[nodes.p1.fleet]
listen = "127.0.0.1:7946"
certificate = "fleet/p1.pem"
key = "fleet/p1.key"
"#;

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_fleet_is_made_checked_renewed_and_its_ca_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("t.toml"), CONFIG).unwrap();
    // Before anything is made the configuration is right, and the node cannot start.
    good(d, &["check", "t.toml"]);
    let text = refused(d, &["check", "t.toml", "--node", "p1"], 78);
    assert!(text.contains("cannot read `fleet/p1.pem`"), "{text}");
    assert!(text.contains("tradewind fleet init"), "{text}");

    good(d, &["fleet", "init", "--out", "ca", "--name", "lab"]);
    assert_eq!(mode(&d.join("ca/ca.key")), 0o600);
    let text = refused(d, &["fleet", "init", "--out", "ca"], 1);
    assert!(text.contains("is there already"), "{text}");
    let issue = |node: &str| {
        let args = ["fleet", "issue", node, "--config", "t.toml"];
        tradewind(d, &[&args[..], &["--ca", "ca", "--out", "fleet"]].concat())
    };
    let text = String::from_utf8(issue("p2").stderr).unwrap();
    assert!(
        text.contains("has no node `p2`; did you mean `p1`?"),
        "{text}"
    );
    assert!(issue("p1").status.success());
    assert_eq!(mode(&d.join("fleet/p1.key")), 0o600);
    fs::copy(d.join("ca/ca.pem"), d.join("fleet/ca.pem")).unwrap();
    good(d, &["check", "t.toml", "--node", "p1", "--deny-warnings"]);
    let text = good(d, &["fleet", "show", "fleet/p1.pem"]);
    assert!(text.starts_with("node `p1` of cluster `lab`, roles probe\n  valid, from "));

    // Renewed: another key and certificate.
    let before = fs::read(d.join("fleet/p1.pem")).unwrap();
    assert!(issue("p1").status.success());
    assert_ne!(fs::read(d.join("fleet/p1.pem")).unwrap(), before);
    good(d, &["check", "t.toml", "--node", "p1", "--deny-warnings"]);

    // A CA after the first.
    good(d, &["fleet", "rotate-ca", "--ca", "ca"]);
    assert_eq!(mode(&d.join("ca/ca.key")), 0o600);
    let text = refused(d, &["fleet", "rotate-ca", "--ca", "ca"], 1);
    assert!(text.contains("a rotation is under way"), "{text}");
    let text = good(d, &["fleet", "show", "ca/ca.pem"]);
    assert_eq!(text.matches("of cluster `lab`").count(), 2, "{text}");
    assert!(issue("p1").status.success());
    let text = refused(d, &["check", "t.toml", "--node", "p1"], 78);
    assert!(text.contains("of no CA in our `ca.pem`"), "{text}");
    fs::copy(d.join("ca/ca.pem"), d.join("fleet/ca.pem")).unwrap();
    good(d, &["check", "t.toml", "--node", "p1", "--deny-warnings"]);
    good(d, &["fleet", "rotate-ca", "--ca", "ca", "--finish"]);
    let text = good(d, &["fleet", "show", "ca/ca.pem"]);
    assert_eq!(text.matches("of cluster `lab`").count(), 1, "{text}");
    fs::copy(d.join("ca/ca.pem"), d.join("fleet/ca.pem")).unwrap();
    good(d, &["check", "t.toml", "--node", "p1", "--deny-warnings"]);
}

#[test]
fn an_identity_that_is_not_the_nodes_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("t.toml"), CONFIG).unwrap();
    good(d, &["fleet", "init", "--out", "fleet", "--name", "other"]);
    let args = ["fleet", "issue", "p1", "--config", "t.toml"];
    let text = refused(
        d,
        &[&args[..], &["--ca", "fleet", "--out", "fleet"]].concat(),
        1,
    );
    assert!(text.contains("is of cluster `other`"), "{text}");
    let issue = |node: &str, roles: &str| {
        let args = ["fleet", "issue", node, "--roles", roles];
        good(
            d,
            &[&args[..], &["--ca", "fleet", "--out", "fleet"]].concat(),
        );
    };
    let check = || refused(d, &["check", "t.toml", "--node", "p1"], 78);
    issue("p1", "probe");
    assert!(check().contains("it is of cluster `other`"), "{}", check());
    fs::remove_dir_all(d.join("fleet")).unwrap();
    good(d, &["fleet", "init", "--out", "fleet", "--name", "lab"]);
    issue("p1", "dns");
    assert!(check().contains("has the roles dns, and the configuration"));
    assert!(check().contains("tradewind fleet issue p1 --roles probe"));
    issue("p1", "probe,dns");
    good(d, &["check", "t.toml", "--node", "p1", "--deny-warnings"]);
    let key = d.join("fleet/p1.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        check().contains("fleet key `fleet/p1.key` has mode 0644"),
        "{}",
        check()
    );
    let text = refused(d, &["fleet", "show", "t.toml"], 1);
    assert!(
        text.contains("`t.toml`: it holds no PEM certificate"),
        "{text}"
    );
    let args = ["fleet", "issue", "p1", "--roles", "dsn"];
    let text = refused(
        d,
        &[&args[..], &["--ca", "fleet", "--out", "fleet"]].concat(),
        1,
    );
    assert!(text.contains("`dsn` is no role"), "{text}");
}
