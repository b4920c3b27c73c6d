//! The console in a real browser: the real binary, Chromium, playwright-core and axe-core.
//!
//! The scripts stand in `tests/console/`; `tests/run` installs what they need. Where there is no
//! browser, TRADEWIND_NO_BROWSER=1 leaves these tests out.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::backend::Backend;
use crate::support::demo::{Demo, package, signal};
use crate::support::wait_for;

/// A script may take so long; the slowest looks at every view twice.
const BOUND: Duration = Duration::from_secs(170);

/// Steered names beside those of the demo: more than a page of them.
const NAMES: usize = 120;

/// A script that runs; ended with its browser when a test gives up.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait() {
            // Told, so that it can end its browser.
            signal("-TERM", self.0.id());
            self.0.wait().unwrap();
        }
    }
}

/// The demo's world with a proxy, a state directory and many names.
struct World {
    demo: Demo,
    dir: TempDir,
    _backends: Vec<Backend>,
}

impl World {
    fn start(more: &str) -> World {
        World::start_as("\"proxy\", ", more)
    }

    /// One of these roles beside those of the demo.
    fn start_as(roles: &str, more: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        let shipped = package().join("config/demo");
        for entry in std::fs::read_dir(&shipped).unwrap() {
            let path = entry.unwrap().path();
            let root = format!("\"{}/", package().display());
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.replace("\"../../", &root).replace(
                "roles = [\"dns\", \"probe\", \"admin\"]",
                &format!("roles = [\"dns\", \"probe\", {roles}\"admin\"]\nstate-dir = \"state\""),
            );
            std::fs::write(dir.path().join(path.file_name().unwrap()), text).unwrap();
        }
        let backends: Vec<Backend> = (0..2).map(|_| Backend::start()).collect();
        let mut text = String::from(
            "[listeners.web]\nbind = [\"127.0.0.1:0\"]\n\n[routes.all]\npath-prefixes = [\"/\"]\n\
             forward = \"app\"\n\n[upstreams.app]\n",
        );
        for (i, backend) in backends.iter().enumerate() {
            let address = backend.addr;
            writeln!(
                text,
                "\n[[upstreams.app.backends]]\nname = \"b{i}\"\naddress = \"{address}\""
            )
            .unwrap();
        }
        for i in 0..NAMES {
            writeln!(
                text,
                "\n[names.\"n{i:03}.gslb.example\"]\npools = [\"eu\", \"us\", \"ap\"]\n\
                 policy = \"nearest\""
            )
            .unwrap();
        }
        std::fs::write(dir.path().join("4-more.toml"), text + more).unwrap();
        let demo = Demo::start_with(&["--config", dir.path().to_str().unwrap()]);
        World {
            demo,
            dir,
            _backends: backends,
        }
    }

    fn pid(&self, origin: &str) -> String {
        let mut all = self.demo.origins.iter();
        all.find(|(name, _)| name == origin).unwrap().1.to_string()
    }

    /// Runs a script against this node.
    fn run(&self, script: &str, more: &[(&str, &str)]) {
        let child = Command::new("node")
            .arg(package().join("tests/console").join(script))
            .env("TRADEWIND_NPM", npm())
            .env("TRADEWIND_ADMIN", format!("http://{}", self.demo.admin))
            .env("TRADEWIND_DNS", self.demo.dns4.to_string())
            .env("TRADEWIND_FOLDER", self.dir.path())
            .env("TRADEWIND_VICTIM", self.pid("eu-1"))
            .env("TRADEWIND_SECOND", self.pid("eu-2"))
            .envs(more.iter().copied())
            .spawn()
            .expect("node is installed by tests/run");
        let mut running = Script(child);
        let status = wait_for(script, BOUND, || running.0.try_wait().unwrap());
        assert!(
            status.success(),
            "{script}: {status}; see what it said above"
        );
    }
}

/// Whether there shall be no browser.
fn left_out() -> bool {
    std::env::var_os("TRADEWIND_NO_BROWSER").is_some_and(|v| v == "1")
}

/// Where playwright-core and axe-core are.
fn npm() -> PathBuf {
    let folder = std::env::var_os("TRADEWIND_NPM")
        .map_or_else(|| package().join("target/npm"), PathBuf::from);
    assert!(
        folder.join("node_modules/playwright-core").is_dir(),
        "playwright-core and axe-core are not in {}: `tests/run` installs them from the npm registry; \
         TRADEWIND_NO_BROWSER=1 leaves out the tests that need a browser",
        folder.display()
    );
    folder
}

#[test]
fn every_view_is_accessible_in_both_themes_narrow_and_wide_and_asks_no_other_host() {
    if left_out() {
        return;
    }
    let world = World::start("");
    world.run("views.mjs", &[]);
    // It kills what the others want alive.
    world.run("truth.mjs", &[]);
}

#[test]
fn o3_an_operator_explains_drains_is_refused_by_a_rule_and_rehearses_a_failure() {
    if left_out() {
        return;
    }
    World::start("").run("operate.mjs", &[]);
}

#[test]
fn what_is_shown_stays_new_by_the_stream_and_without_it() {
    if left_out() {
        return;
    }
    World::start_as("", "").run("stream.mjs", &[]);
}

#[test]
fn s1_who_is_not_known_signs_in_with_a_token_and_may_do_what_its_role_may() {
    if left_out() {
        return;
    }
    let tokens = [
        ("TRADEWIND_VIEWER", "vera", "viewer", "11"),
        ("TRADEWIND_OPERATOR", "otto", "operator", "22"),
    ];
    let tokens = tokens.map(|(variable, name, role, digits)| {
        let token = format!("tradewind_{}", digits.repeat(32));
        let digest = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
        let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
        let text =
            format!("[admin.tokens.{name}]\nhash = \"sha256:{digest}\"\nrole = \"{role}\"\n");
        (variable, token, text)
    });
    let text: String = tokens.iter().map(|(_, _, text)| text.as_str()).collect();
    let world = World::start(&format!("\n[admin]\nloopback = \"none\"\n{text}"));
    let more: Vec<(&str, &str)> = tokens.iter().map(|(v, t, _)| (*v, t.as_str())).collect();
    world.run("login.mjs", &more);
}
