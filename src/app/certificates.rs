//! The certificate of the encrypted listeners: read at start and reload, and again when its files
//! change, since whoever renews certificates seldom tells the server.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::config::spec::NodeSpec;
use crate::config::{Diagnostic, Marked, Spec};
use crate::server::tls::Identity;
use crate::time::Clock;
use crate::tls::{Credentials, CredentialsError};

use super::clock::RealClock;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(5);

/// What tells one state of a file from another: inode, size and time of change.
type Stamp = [(u64, u64, i64, i64); 2];

/// A certificate with its key, and whence.
#[derive(Clone, Debug)]
pub struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    stamp: Stamp,
    credentials: Credentials,
}

/// Why there is none.
enum Fault {
    Unreadable(PathBuf, io::Error),
    Bad(PathBuf, CredentialsError),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Unreadable(path, e) => write!(f, "cannot read `{}`: {e}", path.display()),
            Fault::Bad(path, e) => write!(f, "cannot use `{}`: {e}", path.display()),
        }
    }
}

impl Certificate {
    fn read(certificate: &Path, key: &Path) -> Result<Certificate, Fault> {
        // First the stamp: what changes while it is read will be noticed.
        let stamp = stamp(certificate, key)?;
        let credentials = Credentials::read(&read(certificate)?, &read(key)?);
        let credentials = credentials.map_err(|e| match e {
            CredentialsError::Certificate(_) => Fault::Bad(certificate.to_owned(), e),
            CredentialsError::Key(_) => Fault::Bad(key.to_owned(), e),
        })?;
        Ok(Certificate {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            stamp,
            credentials,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|e| Fault::Unreadable(path.to_owned(), e))
}

fn stamp(certificate: &Path, key: &Path) -> Result<Stamp, Fault> {
    let of = |path: &Path| {
        let m = fs::metadata(path).map_err(|e| Fault::Unreadable(path.to_owned(), e))?;
        Ok((m.ino(), m.size(), m.mtime(), m.mtime_nsec()))
    };
    Ok([of(certificate)?, of(key)?])
}

/// Reads the certificate of the node called `node`, and says what is wrong with it.
///
/// For no node in particular, those of all nodes are checked as far as they are on this machine: a
/// certificate is needed on its own node only, and its key should be nowhere else.
pub(super) fn check(spec: &Spec, node: Option<&str>) -> (Option<Certificate>, Vec<Diagnostic>) {
    let clock = RealClock::start();
    let now = clock.wall().unix(clock.now());
    let mut found = None;
    let mut diagnostics = Vec::new();
    for n in &spec.nodes {
        if node.is_some_and(|wanted| wanted != n.name.value) {
            continue;
        }
        if let (Some(certificate), Some(key)) = (&n.encrypted.certificate, &n.encrypted.key) {
            let pair = (certificate, key);
            found = check_one(n, "dns", pair, now, node.is_some(), &mut diagnostics);
        }
    }
    (found.filter(|_| node.is_some()), diagnostics)
}

/// Reads a pair that the node's table called `table` names.
pub(super) fn check_one(
    node: &NodeSpec,
    table: &str,
    (certificate, key): (&Marked<PathBuf>, &Marked<PathBuf>),
    now: u64,
    is_needed: bool,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Certificate> {
    let place = |path: &Path| {
        if path == key.value && path != certificate.value {
            ("key", key.span)
        } else {
            ("certificate", certificate.span)
        }
    };
    let name = &node.name.value;
    match Certificate::read(&certificate.value, &key.value) {
        Ok(read) => {
            if let Some(why) = read.credentials.invalid_at(now) {
                diagnostics.push(
                    Diagnostic::warning(
                        certificate.span,
                        format!(
                            "`{table}.certificate` of node `{name}` {why}: clients will refuse it"
                        ),
                    )
                    .help("renew it; a changed file is noticed by itself"),
                );
            }
            Some(read)
        }
        Err(fault) => {
            let (path, is_here) = match &fault {
                Fault::Unreadable(path, _) => (path, false),
                Fault::Bad(path, _) => (path, true),
            };
            let (option, span) = place(path);
            let text = format!("`{table}.{option}` of node `{name}`: {fault}");
            if is_needed || is_here {
                let help = if is_here {
                    "`certificate` takes a PEM chain, the node's own certificate first; `key` its \
                     private key"
                } else {
                    "paths are relative to the file that says them; the server must be allowed to \
                     read it"
                };
                diagnostics.push(Diagnostic::error(span, text).help(help));
            }
            None
        }
    }
}

/// Keeps the certificate in force.
pub struct Certificates {
    identity: Arc<Identity>,
    clock: Arc<dyn Clock>,
    /// When the one in force expires, for the metrics.
    not_after: Arc<AtomicU64>,
    state: Mutex<State>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    in_force: Certificate,
    /// Files that could not be used when last seen: they may be half written.
    unsettled: Option<Stamp>,
    /// Files that could not be used for good.
    refused: Option<Stamp>,
    told_expired: bool,
}

impl Certificates {
    /// Starts with this one.
    pub(super) fn new(certificate: Certificate, clock: Arc<dyn Clock>) -> Arc<Certificates> {
        Arc::new(Certificates {
            identity: Identity::new(&certificate.credentials),
            clock,
            not_after: Arc::new(AtomicU64::new(certificate.credentials.not_after())),
            state: Mutex::new(State {
                in_force: certificate,
                unsettled: None,
                refused: None,
                told_expired: false,
            }),
        })
    }

    /// What listeners show to their clients.
    pub(super) fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// When the one in force expires, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn not_after(&self) -> Arc<AtomicU64> {
        self.not_after.clone()
    }

    /// Shows this one in new handshakes.
    pub(super) fn adopt(&self, certificate: Certificate) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.adopt_in(&mut state, certificate);
    }

    fn adopt_in(&self, state: &mut State, certificate: Certificate) {
        let credentials = &certificate.credentials;
        if !credentials.is(&state.in_force.credentials) {
            tracing::info!(
                file = %certificate.certificate.display(),
                not_after = credentials.not_after(),
                "new TLS certificate for new connections"
            );
        }
        self.identity.adopt(credentials);
        self.not_after
            .store(credentials.not_after(), Ordering::Relaxed);
        *state = State {
            in_force: certificate,
            unsettled: None,
            refused: None,
            told_expired: false,
        };
    }

    /// Looks at the files until told to stop.
    pub(super) async fn watch(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let this = self.clone();
            // A file system may be slow.
            let looked = tokio::task::spawn_blocking(move || this.look()).await;
            if let Err(error) = looked {
                tracing::error!(%error, "looking at the TLS certificate failed");
            }
        }
    }

    /// Takes up the files if they have changed. What cannot be used leaves the old in force; that is
    /// said once, and only when the files stay so: certificate and key are written one by one.
    fn look(&self) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        self.tell_if_expired(state);
        let (certificate, key) = (&state.in_force.certificate, &state.in_force.key);
        // Missing files have a state as well.
        let now = stamp(certificate, key).unwrap_or_default();
        if now == state.in_force.stamp || Some(now) == state.refused {
            return;
        }
        match Certificate::read(certificate, key) {
            Ok(new) => self.adopt_in(state, new),
            Err(_) if state.unsettled != Some(now) => state.unsettled = Some(now),
            Err(fault) => {
                tracing::error!("the TLS certificate in force stays: {fault}");
                state.refused = Some(now);
            }
        }
    }

    fn tell_if_expired(&self, state: &mut State) {
        let now = self.clock.wall().unix(self.clock.now());
        let why = state.in_force.credentials.invalid_at(now);
        if let (Some(why), false) = (&why, state.told_expired) {
            tracing::error!("the TLS certificate in force {why}: clients will refuse it");
        }
        state.told_expired = why.is_some();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimClock;

    /// Writes a fresh pair and returns its certificate.
    fn write(dir: &Path) -> String {
        let made = rcgen::generate_simple_self_signed(["dns.example".to_owned()]).unwrap();
        let certificate = made.cert.pem();
        fs::write(dir.join("c.pem"), &certificate).unwrap();
        fs::write(dir.join("k.pem"), made.signing_key.serialize_pem()).unwrap();
        certificate
    }

    fn read_in(dir: &Path) -> Option<Certificate> {
        Certificate::read(&dir.join("c.pem"), &dir.join("k.pem")).ok()
    }

    #[test]
    fn changed_files_are_taken_up_and_broken_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        let first = read_in(dir.path()).unwrap();
        let keeper = Certificates::new(first.clone(), Arc::new(SimClock::default()));
        let is_first = |keeper: &Certificates| {
            let state = keeper.state.lock().unwrap();
            state.in_force.credentials.is(&first.credentials)
        };
        keeper.look();
        assert!(is_first(&keeper));
        // A certificate without its key: half a renewal.
        let key = fs::read(dir.path().join("k.pem")).unwrap();
        write(dir.path());
        let new_key = fs::read(dir.path().join("k.pem")).unwrap();
        fs::write(dir.path().join("k.pem"), key).unwrap();
        keeper.look();
        assert!(is_first(&keeper));
        assert_eq!(keeper.state.lock().unwrap().refused, None, "not yet");
        keeper.look();
        assert!(keeper.state.lock().unwrap().refused.is_some());
        // The other half.
        fs::write(dir.path().join("k.pem"), new_key).unwrap();
        keeper.look();
        assert!(!is_first(&keeper));
        assert_eq!(keeper.state.lock().unwrap().refused, None);
        // Gone, and there again.
        let second = read_in(dir.path()).unwrap();
        fs::remove_file(dir.path().join("c.pem")).unwrap();
        keeper.look();
        keeper.look();
        let in_force = keeper.state.lock().unwrap().in_force.credentials.clone();
        assert!(in_force.is(&second.credentials));
        write(dir.path());
        keeper.look();
        let in_force = keeper.state.lock().unwrap().in_force.credentials.clone();
        assert!(!in_force.is(&second.credentials));
    }
}
