//! `tradewind check` on the real binary (requirement O4).

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::demo::tradewind;
use crate::support::node::{HEAD, folder};

/// Runs `tradewind check` in the repository's folder.
fn check(args: &[&str]) -> (Option<i32>, String, String) {
    check_in(Path::new(env!("CARGO_MANIFEST_DIR")), args)
}

fn check_in(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tradewind()
        .current_dir(folder)
        .arg("check")
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

#[test]
fn shipped_configurations_are_in_order() {
    // As an operator has them: git cannot say that keys are for their owner only.
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-r", "config", "zones", "geoip"])
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    let keys = ["example.ksk.pem", "example.zsk.pem"].map(|k| copy.path().join("config").join(k));
    set_modes(&keys, 0o600);
    for shipped in ["config/tradewind.toml", "config", "config/demo"] {
        let (code, out, err) = check_in(copy.path(), &["--deny-warnings", shipped]);
        assert_eq!(code, Some(0), "{shipped}: {err}");
        assert_eq!(err, "", "{shipped}");
        assert!(out.starts_with(&format!("{shipped}: ok (")), "{out}");
    }
    set_modes(&keys, 0o644);
    let (code, _, err) = check_in(copy.path(), &["config"]);
    assert_eq!(code, Some(0), "{err}");
    for key in ["example.ksk.pem", "example.zsk.pem"] {
        for told in [
            format!("warning: DNSSEC key `config/{key}` has mode 0644"),
            format!("= help: chmod 0600 config/{key}"),
        ] {
            assert!(err.contains(&told), "{err}");
        }
    }
    assert!(err.contains("\n2 warnings"), "{err}");
}

fn set_modes(files: &[PathBuf], mode: u32) {
    for file in files {
        std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    }
}

/// Keys in a state directory are this program's own: open to others, nothing starts with them.
#[test]
fn s1_a_stored_key_that_others_can_read_is_an_error() {
    let with_state = HEAD.replace("[nodes.n1]\n", "[nodes.n1]\nstate-dir = \"state\"\n");
    let dir = folder(&format!("{with_state}dnssec = \"default\"\n"));
    let keys = dir.path().join("state/keys/gslb.test");
    std::fs::create_dir_all(&keys).unwrap();
    let key = keys.join("csk-013-00001.pem");
    std::fs::write(&key, "").unwrap();
    for (mode, code) in [(0o644, 78), (0o600, 0)] {
        set_modes(std::slice::from_ref(&key), mode);
        let (got, _, err) = check(&[path(dir.path())]);
        assert_eq!(got, Some(code), "{mode:04o}: {err}");
        let told = format!("error: DNSSEC key `{}` has mode 0644", key.display());
        assert_eq!(err.contains(&told), code == 78, "{err}");
        let help = format!("= help: chmod 0600 {}", key.display());
        assert_eq!(err.contains(&help), code == 78, "{err}");
    }
}

#[test]
fn o4_all_errors_in_one_run_with_exit_78_grouped_by_file() {
    let dir = folder(&format!(
        "{HEAD}
        [monitors.web]
        interval = \"5\"
        [monitors.web.tcp]
        [geoip]
        databases = [\"gone.mmdb\"]
        networks = \"own.csv\"
        "
    ));
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("own.csv", "network\n192.0.2.0/33\n");
    write("gslb.test.zone", "@ 60 SOA ns1 h 1 2 3 4\n");
    write(
        "names.toml",
        "[policies.any]\nstages = [{ random = {} }]\n[pools.a]\nregion = \"euu\"\n\
         endpoints = [{ name = \"a\", address = \"192.0.2.1\" }]\n\
         [names.\"www.other.test\"]\npools = [\"a\"]\npolicy = \"any\"\n",
    );
    let (code, out, err) = check(&[path(dir.path())]);
    assert_eq!((code, out.as_str()), (Some(78), ""), "{err}");
    let places: Vec<&str> = err
        .lines()
        .filter_map(|l| l.trim_start().strip_prefix("--> "))
        .collect();
    let at = |name: &str, place: &str| format!("{}:{place}", dir.path().join(name).display());
    assert_eq!(
        places,
        [
            at("names.toml", "4:10"),
            at("names.toml", "6:8"),
            at("tradewind.toml", "18:20"),
            at("tradewind.toml", "21:22"),
            at("gslb.test.zone", "1:22"),
            at("own.csv", "2:1"),
        ],
        "{err}"
    );
    assert!(err.ends_with("\n6 errors\n"), "{err}");
}

#[test]
fn o4_warnings_pass_unless_denied() {
    let spare = "[monitors.spare]\nport = 80\n[monitors.spare.tcp]\n";
    let dir = folder(&format!("{HEAD}{spare}"));
    let (code, out, err) = check(&[path(dir.path())]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("; 1 warning)"), "{out}");
    assert!(err.contains("warning: monitor `spare` is used by no pool"));
    let (code, out, err) = check(&["--deny-warnings", path(dir.path())]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(err.ends_with("1 warning\n"), "{err}");
}

#[test]
fn o4_a_folder_without_configuration_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = check(&[path(dir.path())]);
    assert_eq!(code, Some(78));
    assert!(err.contains("holds no *.toml file"), "{err}");
}
