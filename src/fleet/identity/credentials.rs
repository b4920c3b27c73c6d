//! A node's identity in use: mutual TLS that follows its files.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::watch;

use super::claims::{Claims, role_words};
use super::material::{Files, Material, Stamp};
use super::refusal::{Reason, Refusals, Side};
use super::roster::Roster;
use super::verifier::Verifier;
use crate::fleet::credentials::{Credentials, Peer, Roles};
use crate::time::Clock;

/// The identity of this node. Files that change are taken up by [`Identity::watch`]; connections stay,
/// new ones use the new.
pub struct Identity {
    pub(super) cluster: Arc<str>,
    pub(super) node: Arc<str>,
    /// What the configuration says this node does.
    pub(super) roles: Roles,
    pub(super) files: Files,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) in_force: ArcSwap<InForce>,
    roster: ArcSwap<Roster>,
    refusals: Arc<Refusals>,
    changes: watch::Sender<u64>,
    pub(super) looks: Mutex<Looks>,
}

/// What a look at the files remembers.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Files that could not be used when last seen: they may be half written.
    pub(super) unsettled: Option<Stamp>,
    /// Files that could not be used for good.
    pub(super) refused: Option<Stamp>,
    /// Day of the last word about an end of validity, since 1970-01-01.
    pub(super) told: Option<u64>,
}

/// Material with the TLS settings made of it.
pub(super) struct InForce {
    pub(super) material: Material,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// The identity of `node` in `cluster`, made of `material`, which was read of `files`; `roster`
    /// says who else may be there.
    ///
    /// # Errors
    /// When the TLS library does not take the material.
    pub fn new(
        (cluster, node, roles): (&str, &str, Roles),
        files: Files,
        material: Material,
        roster: Roster,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Identity>, String> {
        let refusals = Arc::new(Refusals::new(clock.clone()));
        let in_force = InForce::new(material, &refusals, &clock)?;
        Ok(Arc::new(Identity {
            cluster: cluster.into(),
            node: node.into(),
            roles,
            files,
            clock,
            in_force: ArcSwap::from_pointee(in_force),
            roster: ArcSwap::from_pointee(roster),
            refusals,
            changes: watch::Sender::new(0),
            looks: Mutex::default(),
        }))
    }

    /// This node's name.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// From now on, who else may be there, as a new configuration says. Where that is somebody else,
    /// those who are connected are looked at again.
    pub fn adopt_roster(&self, roster: Roster) {
        if *self.roster.load_full() != roster {
            self.roster.store(Arc::new(roster));
            self.changes.send_modify(|n| *n += 1);
        }
    }

    /// Who may be there.
    pub fn roster(&self) -> Arc<Roster> {
        self.roster.load_full()
    }

    /// What was refused, and why.
    pub fn refusals(&self) -> &Arc<Refusals> {
        &self.refusals
    }

    /// Last second of the own certificate's validity, since 1970-01-01T00:00:00Z.
    pub fn not_after(&self) -> u64 {
        self.in_force.load().material.claims.not_after
    }

    /// Puts the material in force for new connections.
    pub(super) fn adopt(&self, material: Material) -> Result<(), String> {
        let new = InForce::new(material, &self.refusals, &self.clock)?;
        self.in_force.store(Arc::new(new));
        self.changes.send_modify(|n| *n += 1);
        Ok(())
    }

    pub(super) fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, claims: &Claims) -> Result<Peer, (Reason, String)> {
        let Some(node) = &claims.node else {
            let text = "its certificate names no node; make one with `tradewind fleet issue`";
            return Err((Reason::UnknownNode, text.to_owned()));
        };
        if claims.cluster.as_deref() != Some(&*self.cluster) {
            let other = claims.cluster.as_deref().unwrap_or_default();
            let text = format!(
                "node `{node}` is of cluster `{other}`, and this one of `{}`; compare `[fleet] \
                 name` on both",
                self.cluster
            );
            return Err((Reason::OtherCluster, text));
        }
        let Some((name, wanted)) = self.roster.load().get(node) else {
            let text = format!(
                "the configuration of node `{}` has no node `{node}` with `fleet`; add it there and \
                 reload",
                self.node
            );
            return Err((Reason::UnknownNode, text));
        };
        if !claims.roles.covers(wanted) {
            let text = format!(
                "the certificate of node `{node}` has the roles {}, and the configuration of node \
                 `{}` gives it the roles {}; make a new one with `tradewind fleet issue {node}`",
                role_words(claims.roles).join(", "),
                self.node,
                role_words(wanted).join(", ")
            );
            return Err((Reason::MissingRole, text));
        }
        Ok(Peer {
            node: name,
            // A certificate may say more than the configuration: that is then no role of the node.
            roles: wanted,
        })
    }
}

impl Credentials for Identity {
    fn server(&self) -> Arc<ServerConfig> {
        self.in_force.load().server.clone()
    }

    fn client(&self) -> Arc<ClientConfig> {
        self.in_force.load().client.clone()
    }

    fn peer(&self, chain: &[CertificateDer<'_>]) -> Result<Peer, String> {
        let refused = |who: &str, reason: Reason, text: String| {
            self.refusals.refuse(Side::Here, reason, who, &text);
            Err(text)
        };
        let Some(certificate) = chain.first() else {
            let text = "it shows no certificate".to_owned();
            return refused("?", Reason::NoCertificate, text);
        };
        let claims = match Claims::read(certificate) {
            Ok(claims) => claims,
            Err(text) => return refused("?", Reason::BadCertificate, text),
        };
        match self.judge(&claims) {
            Ok(peer) => Ok(peer),
            Err((reason, text)) => refused(claims.node.as_deref().unwrap_or("?"), reason, text),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl InForce {
    fn new(
        material: Material,
        refusals: &Arc<Refusals>,
        clock: &Arc<dyn Clock>,
    ) -> Result<InForce, String> {
        let bad = |e: rustls::Error| format!("the TLS library does not take the identity: {e}");
        let provider = Arc::new(ring::default_provider());
        let time = Arc::new(Calendar(clock.clone()));
        let verifier = Arc::new(Verifier {
            anchors: material.anchors.clone(),
            refusals: refusals.clone(),
            algorithms: provider.signature_verification_algorithms,
        });
        let mut server = ServerConfig::builder_with_details(provider.clone(), time.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(bad)?
            .with_client_cert_verifier(verifier.clone())
            .with_single_cert(material.chain.clone(), material.key.clone_key())
            .map_err(bad)?;
        // A resumed session (RFC 8446 section 2.2) is let in without another look at the certificate,
        // which may have expired or be of an authority that was taken away.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&TLS13])
            .map_err(bad)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(material.chain.clone(), material.key.clone_key())
            .map_err(bad)?;
        client.resumption = Resumption::disabled();
        Ok(InForce {
            material,
            server: Arc::new(server),
            client: Arc::new(client),
        })
    }
}

/// The node's clock, for the TLS library.
struct Calendar(Arc<dyn Clock>);

impl std::fmt::Debug for Calendar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calendar")
    }
}

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        let unix = self.0.wall().unix(self.0.now());
        Some(UnixTime::since_unix_epoch(Duration::from_secs(unix)))
    }
}
