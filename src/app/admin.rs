//! The admin API's entrance: its certificate and authorities, who may come in, and the record of what they
//! change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;

use crate::admin::desk::AuditLine;
use crate::admin::gate::{Auditor, Noted};
use crate::admin::{Door, Gate, Tls};
use crate::compile::{Access, Node};
use crate::config::spec::{NodeSpec, Role};
use crate::config::{Diagnostic, Marked, Spec};
use crate::history::What;
use crate::server::tls::Identity;
use crate::time::{Clock, utc};
use crate::tls::trust;

use super::certificates::{self, Certificate, Certificates};
use super::chronicle::Chronicle;
use super::clock::RealClock;
use super::orders::Desk;

/// Time between two looks at the authorities' file.
const LOOK: Duration = Duration::from_secs(5);

/// The certificate of the API, and the authorities of client certificates.
#[derive(Clone, Debug)]
pub struct Files {
    certificate: Certificate,
    clients: Option<Clients>,
}

/// Authorities of client certificates.
#[derive(Clone, Debug)]
struct Clients {
    path: PathBuf,
    pem: Vec<u8>,
    anchors: Arc<RootCertStore>,
}

impl Clients {
    fn read(path: &Path) -> Result<Clients, (bool, String)> {
        let shown = path.display();
        let pem =
            std::fs::read(path).map_err(|e| (false, format!("cannot read `{shown}`: {e}")))?;
        let anchors =
            trust::anchors(&pem).map_err(|e| (true, format!("cannot use `{shown}`: {e}")))?;
        Ok(Clients {
            path: path.to_owned(),
            pem,
            anchors: Arc::new(anchors),
        })
    }
}

/// Reads the files of the node called `node`, and says what is wrong with them, and which tokens are over.
///
/// For no node in particular, those of all nodes are checked as far as they are on this machine.
pub(super) fn check(spec: &Spec, node: Option<&str>) -> (Option<Files>, Vec<Diagnostic>) {
    let clock = RealClock::start();
    let now = clock.wall().unix(clock.now());
    let mut found = Vec::new();
    for token in &spec.admin.tokens {
        if let Some(at) = token.expires.as_ref().filter(|at| at.value <= now) {
            found.push(
                Diagnostic::warning(
                    at.span,
                    format!(
                        "token `{}` expired at {}; it is {}",
                        token.name.value,
                        utc::show(at.value),
                        utc::show(now)
                    ),
                )
                .help("remove it, or make a new one with `tradewind admin token`"),
            );
        }
    }
    let mut files = None;
    let is_meant = |n: &&NodeSpec| node.is_none_or(|wanted| wanted == n.name.value);
    let serves = |n: &&NodeSpec| n.roles.iter().any(|r| r.value == Role::Admin);
    let nodes = spec.nodes.iter().filter(is_meant).filter(serves);
    for n in nodes {
        let (Some(certificate), Some(key)) = (&n.admin.certificate, &n.admin.key) else {
            continue;
        };
        let pair = (certificate, key);
        let read = certificates::check_one(n, "admin", pair, now, node.is_some(), &mut found);
        let clients = spec.admin.client_ca.as_ref();
        let clients = clients.and_then(|file| check_clients(file, node.is_some(), &mut found));
        files = read.map(|certificate| Files {
            certificate,
            clients,
        });
    }
    (files.filter(|_| node.is_some()), found)
}

fn check_clients(
    file: &Marked<PathBuf>,
    is_needed: bool,
    found: &mut Vec<Diagnostic>,
) -> Option<Clients> {
    match Clients::read(&file.value) {
        Ok(clients) => Some(clients),
        Err((is_here, why)) => {
            if (is_needed || is_here) && !found.iter().any(|d| d.message.contains(&why)) {
                found.push(
                    Diagnostic::error(file.span, format!("`[admin] client-ca`: {why}"))
                        .help("give the authorities' certificates, PEM"),
                );
            }
            None
        }
    }
}

/// What the entrance is made with.
pub(super) struct Making<'a> {
    pub(super) node: &'a Node,
    pub(super) files: Option<Files>,
    pub(super) desk: &'a Arc<Desk>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) chronicle: &'a Chronicle,
    pub(super) stopped: &'a watch::Receiver<bool>,
}

/// The entrance of the admin API.
pub struct Entrance {
    gate: Arc<Gate>,
    tls: Option<Shown>,
    max_connections: u32,
}

/// What is shown in handshakes.
struct Shown {
    certificates: Arc<Certificates>,
    settings: Tls,
    clients: Mutex<Option<Clients>>,
}

impl Entrance {
    /// Opens the entrance of a node.
    ///
    /// # Errors
    /// When the system has no randomness, or the TLS library does not take what was read.
    pub(super) fn new(making: Making<'_>) -> Result<Arc<Entrance>, String> {
        let scribe = Scribe {
            desk: making.desk.clone(),
            node: making.node.name.clone(),
            clock: making.clock.clone(),
            chronicle: making.chronicle.clone(),
        };
        let access = making.node.access.clone();
        let gate = Gate::new(access, Arc::new(scribe), making.clock.clone())?;
        let tls = match making.files {
            None => None,
            Some(files) => {
                let certificates = Certificates::new(files.certificate, making.clock.clone());
                let settings = settings(certificates.identity(), files.clients.as_ref())?;
                Some(Shown {
                    certificates,
                    settings: Tls::new(settings),
                    clients: Mutex::new(files.clients),
                })
            }
        };
        let entrance = Arc::new(Entrance {
            gate,
            tls,
            max_connections: making.node.admin_connections,
        });
        if let Some(tls) = &entrance.tls {
            tokio::spawn(tls.certificates.clone().watch(making.stopped.clone()));
            tokio::spawn(entrance.clone().watch(making.stopped.clone()));
        }
        Ok(entrance)
    }

    /// Decides who may ask.
    pub(super) fn gate(&self) -> Arc<Gate> {
        self.gate.clone()
    }

    /// How connections are taken.
    pub(super) fn door(&self) -> Door {
        Door {
            tls: self.tls.as_ref().map(|t| t.settings.clone()),
            max_connections: self.max_connections,
        }
    }

    /// Goes on with what was loaded. Whether there is TLS stays as it is: the address does, too.
    pub(super) fn adopt(&self, access: Access, files: Option<Files>) {
        self.gate.adopt(access);
        if let (Some(tls), Some(files)) = (&self.tls, files) {
            tls.certificates.adopt(files.certificate);
            tls.trust(files.clients);
        }
    }

    async fn watch(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let this = self.clone();
            // A file system may be slow.
            let looked = tokio::task::spawn_blocking(move || {
                if let Some(tls) = &this.tls {
                    tls.look();
                }
            });
            if let Err(error) = looked.await {
                tracing::error!(%error, "looking at the authorities of the admin API's clients failed");
            }
        }
    }
}

impl Shown {
    /// Takes up the authorities' file if it has changed. What cannot be used leaves the old in force.
    fn look(&self) {
        let now = self
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(now) = now else { return };
        match Clients::read(&now.path) {
            Ok(new) if new.pem != now.pem => {
                tracing::info!(file = %new.path.display(), "new authorities of the admin API's clients");
                self.trust(Some(new));
            }
            // A file that is just being replaced; a reload says what is wrong with it.
            Ok(_) | Err(_) => {}
        }
    }

    fn trust(&self, clients: Option<Clients>) {
        match settings(self.certificates.identity(), clients.as_ref()) {
            Ok(settings) => {
                self.settings.adopt(settings);
                *self.clients.lock().unwrap_or_else(PoisonError::into_inner) = clients;
            }
            Err(error) => {
                tracing::error!("the authorities of the admin API's clients stay: {error}")
            }
        }
    }
}

/// TLS 1.2 and up. Nothing is resumed: a client's certificate is judged anew with every connection, and
/// no early data is taken, which could be replayed.
fn settings(identity: &Arc<Identity>, clients: Option<&Clients>) -> Result<ServerConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|e| e.to_string())?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(clients.anchors.clone(), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|e| e.to_string())?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut settings = builder.with_cert_resolver(identity.clone());
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    settings.max_early_data_size = 0;
    settings.send_tls13_tickets = 0;
    settings.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(settings)
}

/// Writes what is changed and refused into the audit record.
struct Scribe {
    desk: Arc<Desk>,
    node: String,
    clock: Arc<dyn Clock>,
    chronicle: Chronicle,
}

impl Auditor for Scribe {
    fn note(&self, line: Noted) {
        if line.event == "refused" {
            self.chronicle.record(&What::Refused {
                who: line.who.clone(),
                text: line.text.clone(),
            });
        }
        self.desk.note(AuditLine {
            at_ms: self.clock.wall().unix_ms(self.clock.now()),
            event: line.event.to_owned(),
            owner: line.who,
            node: self.node.clone(),
            text: line.text,
        });
    }
}
