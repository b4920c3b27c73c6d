//! A takeover while the disk of the history is full, or its file damaged: DNS and the proxy go on, and only what
//! is told of the past suffers, with its reason (P2, F4).

use std::fs;
use std::io::Write as _;
use std::path::Path;

use super::host::Host;
use super::lab::Lab;
use crate::support::backend::Backend;
use crate::support::http;
use crate::support::node::folder;
use crate::support::proxy::{WEB, backend_entry, head};
use crate::support::takeover::{Clients, PATIENCE, Process, Up};
use crate::support::wait_for;

const NAMES: &str = r#"
[pools.eu]
region = "eu"
endpoints = [{ name = "one", address = "192.0.2.1" }]

[policies.any]
stages = [{ weighted = {} }]

[names."www.gslb.test"]
pools = ["eu"]
policy = "any"
"#;

/// The state as it was just now, or why it is not told.
fn just_now(up: &Up) -> http::Response {
    let path = "/v1/explain?name=www.gslb.test&client=192.0.2.9&at=-0s";
    http::get(up.admin, path)
}

fn wait_told(up: &Up) {
    wait_for("what was so is told", PATIENCE, || {
        (just_now(up).status == 200).then_some(())
    });
}

fn metric(up: &Up, name: &str) -> String {
    let page = http::get(up.admin, "/metrics").body;
    let line = page
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}"))
        .to_owned()
}

/// A small disk at `at`, with nothing left on it but what lies there.
fn full_disk(at: &Path) {
    fs::create_dir_all(at).unwrap();
    let done = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=32m", "none"])
        .arg(at)
        .status()
        .unwrap();
    assert!(done.success());
    fill(at);
}

fn fill(at: &Path) {
    let mut file = fs::File::create(at.join("ballast")).unwrap();
    for size in [64 << 10, 4096, 1] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

/// Runs `f` on a host with mounts of its own; not where there may be none.
fn on_host(f: impl FnOnce(&Host) + Send) {
    if let Some(lab) = Lab::new(&["n1"]) {
        let host = lab.host("n1").clone();
        host.inside(|| f(&host));
    }
}

#[test]
fn p2_f4_a_takeover_with_a_full_disk_for_the_history_loses_only_the_past() {
    on_host(|_| {
        let backend = Backend::start();
        let entries = backend_entry("app", "b0", backend.addr);
        let dir = folder(&format!("{}{NAMES}{WEB}{entries}", head()));
        let mut old = Process::start(dir.path(), &[]);
        let was = old.ready();
        wait_told(&was);
        let clients = Clients::start(&was, Some(was.proxy("web")));
        // The next process finds its history on a disk that takes nothing.
        let disk = dir.path().join("disk");
        full_disk(&disk);
        let history = dir.path().join("state/history.redb");
        fs::remove_file(&history).unwrap();
        std::os::unix::fs::symlink(disk.join("history.redb"), &history).unwrap();
        let new = Process::start(dir.path(), &["--takeover"]);
        let up = new.ready();
        assert!(old.ended().success());
        // The past alone suffers, and says why.
        let told = just_now(&up);
        assert_eq!(told.status, 503, "{told:?}");
        assert!(told.body.contains("the history cannot be read"), "{told:?}");
        let page = http::get(up.admin, "/v1/events");
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.json()["partial"].is_string(), "{page:?}");
        assert_eq!(metric(&up, "tradewind_history_recording"), "0");
        assert!(new.logged("cannot use"));
        let now = http::get(up.admin, "/v1/explain?name=www.gslb.test&client=192.0.2.9");
        assert_eq!(now.status, 200, "{now:?}");
        let given = up.order("full-disk");
        assert_eq!(given.status, 200, "orders have another file: {given:?}");
        // The next one is taken over as well.
        let mut new = new;
        let newer = Process::start(dir.path(), &["--takeover"]);
        let up = newer.ready();
        assert!(new.ended().success());
        assert_eq!(just_now(&up).status, 503);
        assert!(
            http::get(up.admin, "/v1/overrides")
                .body
                .contains("full-disk")
        );
        clients.assert_nothing_lost();
        // Once there is room it is told again, without a restart.
        fs::remove_file(disk.join("ballast")).unwrap();
        wait_for("the disk takes it", PATIENCE, || {
            (metric(&up, "tradewind_history_recording") == "1").then_some(())
        });
        wait_told(&up);
        drop(newer);
    });
}

#[test]
fn p2_f4_a_takeover_with_a_damaged_history_begins_another() {
    let backend = Backend::start();
    let entries = backend_entry("app", "b0", backend.addr);
    let dir = folder(&format!("{}{NAMES}{WEB}{entries}", head()));
    let mut old = Process::start(dir.path(), &[]);
    let was = old.ready();
    wait_told(&was);
    let clients = Clients::start(&was, Some(was.proxy("web")));
    let state = dir.path().join("state");
    fs::remove_file(state.join("history.redb")).unwrap();
    fs::write(state.join("history.redb"), vec![0x5a; 1 << 20]).unwrap();
    let new = Process::start(dir.path(), &["--takeover"]);
    let up = new.ready();
    assert!(old.ended().success());
    assert!(state.join("history.damaged").exists());
    wait_told(&up);
    assert_eq!(metric(&up, "tradewind_history_recording"), "1");
    clients.assert_nothing_lost();
}
