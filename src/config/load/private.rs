//! Who may read private keys and secrets: one look, and one rule, for all files that hold one.
//!
//! A secret that every user of the machine can read is none (requirement S1). What only this program
//! has use for must not be open, and nothing starts with it: the secret of a TSIG key, and the keys
//! that were made in the state directory. Keys that other programs write, share and renew (a
//! certificate's key, imported DNSSEC keys) bring a warning: refusing a renewed key over its mode
//! would end the service that the key is for. The group's rights are its administrator's choice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::diagnostic::{Diagnostic, Severity};
use crate::config::marked::Marked;
use crate::config::spec::{SecretSpec, Spec};

/// Rights of users who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;

/// Looks at every file with a secret that a configuration names and that is on this machine.
pub(super) fn check(spec: &Spec, diagnostics: &mut Vec<Diagnostic>) {
    for key in &spec.tsig_keys {
        if let SecretSpec::File(path) = &key.secret {
            look(Severity::Error, "secret file", path, path, diagnostics);
        }
    }
    for node in &spec.nodes {
        if let Some(key) = &node.encrypted.key {
            look(Severity::Warning, "TLS key", key, key, diagnostics);
        }
        if let Some(key) = &node.admin.key {
            // Whoever has it can pass for the node and read every token.
            look(
                Severity::Error,
                "key of the admin API",
                key,
                key,
                diagnostics,
            );
        }
        if let Some(key) = node.fleet.as_ref().and_then(|f| f.key.as_ref()) {
            look(Severity::Error, "fleet key", key, key, diagnostics);
        }
        if let Some(dir) = &node.state_dir {
            for file in stored_keys(dir) {
                look(Severity::Error, "DNSSEC key", dir, &file, diagnostics);
            }
        }
    }
    let listeners = spec.listeners.iter().flat_map(|l| &l.files);
    let upstreams = spec.upstreams.iter().flat_map(|u| &u.files);
    for file in listeners.chain(upstreams).filter(|f| f.secret) {
        // Nobody but proxies has use for what makes tickets.
        let (severity, what) = match file.option {
            "tls.tickets.secrets" => (Severity::Error, "file of ticket secrets"),
            _ => (Severity::Warning, "TLS key"),
        };
        look(severity, what, &file.path, &file.path, diagnostics);
    }
    for zone in &spec.zones {
        for file in &zone.key_files {
            look(Severity::Warning, "DNSSEC key", file, file, diagnostics);
        }
    }
}

/// The private keys below a state directory, in the order of their names; none when it cannot be read
/// by whoever asks.
fn stored_keys(state_dir: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| {
        let found = fs::read_dir(dir).into_iter().flatten();
        found.filter_map(|e| Some(e.ok()?.path()))
    };
    let mut keys: Vec<PathBuf> = entries(&state_dir.join("keys"))
        .flat_map(|zone| entries(&zone))
        .filter(|file| file.extension().is_some_and(|e| e == "pem"))
        .collect();
    keys.sort();
    keys
}

/// Tells at `place` when others can get at `file`.
fn look(
    severity: Severity,
    what: &str,
    place: &Marked<PathBuf>,
    file: &Path,
    diagnostics: &mut Vec<Diagnostic>,
) {
    // What cannot be looked at cannot be read either, which is reported where it is needed.
    let Ok(found) = fs::metadata(file) else {
        return;
    };
    let mode = found.permissions().mode() & 0o777;
    if mode & OTHERS == 0 {
        return;
    }
    let file = file.display();
    let text = format!(
        "{what} `{file}` has mode {mode:04o}, so that every user can get at it; the last digit must \
         be 0"
    );
    let diagnostic = match severity {
        Severity::Error => Diagnostic::error(place.span, text),
        Severity::Warning => Diagnostic::warning(place.span, text),
    };
    diagnostics.push(diagnostic.help(format!("chmod 0600 {file}")));
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    const CONFIG: &str = r#"
version = 1
[regions.eu]
latitude = 50.11
longitude = 8.68
[nodes.n1]
region = "eu"
roles = ["dns"]
state-dir = "state"
[nodes.n1.dns]
listen = ["127.0.0.1:0"]
certificate = "cert.pem"
key = "tls.pem"
tls.listen = ["127.0.0.1:0"]
[zones."a.test"]
file = "a.zone"
dnssec = "default"
key-files = ["dnssec.pem"]
[tsig-keys."k.example"]
secret-file = "secret"
"#;

    /// Severity and file of each finding about rights, with all files of this mode.
    fn findings(mode: u32) -> Vec<(Severity, String)> {
        let dir = tempfile::tempdir().unwrap();
        let keys = dir.path().join("state/keys/a.test");
        fs::create_dir_all(&keys).unwrap();
        fs::write(dir.path().join("t.toml"), CONFIG).unwrap();
        for (name, text) in [
            ("tls.pem", ""),
            ("dnssec.pem", ""),
            ("secret", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"),
            ("state/keys/a.test/csk-013-00001.pem", ""),
            ("state/keys/a.test/state.json", "{}"),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let loaded = load(&dir.path().join("t.toml")).unwrap();
        let base = dir.path().display().to_string();
        loaded
            .diagnostics
            .iter()
            .filter(|d| d.message.contains(" has mode "))
            .map(|d| (d.severity, d.message.replace(&format!("{base}/"), "")))
            .collect()
    }

    #[test]
    fn s1_every_private_file_that_others_can_read_is_told() {
        for mode in [0o644, 0o604, 0o602, 0o601] {
            let is = |what: &str| {
                format!(
                    "{what} has mode {mode:04o}, so that every user can get at it; the last digit \
                     must be 0"
                )
            };
            assert_eq!(
                findings(mode),
                [
                    (Severity::Error, is("secret file `secret`")),
                    (Severity::Warning, is("TLS key `tls.pem`")),
                    (
                        Severity::Error,
                        is("DNSSEC key `state/keys/a.test/csk-013-00001.pem`")
                    ),
                    (Severity::Warning, is("DNSSEC key `dnssec.pem`")),
                ]
            );
        }
        for mode in [0o600, 0o400, 0o640, 0o660] {
            assert_eq!(findings(mode), [], "{mode:04o}");
        }
    }
}
