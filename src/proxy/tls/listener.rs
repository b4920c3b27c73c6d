//! TLS of one listener: settings and certificates in force, swapped as one when files or configuration
//! change. Handshakes that have begun, and connections, keep what they began with.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::digest::{Context, SHA256};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::time::Clock;
use crate::traffic::tls::{ClientAuth, ListenerTls as Settings};

use super::material::{ClientTrust, Material, Stamps, stamps_now};
use super::settings::{provider_of, versions};
use super::shelf::{Entry, Shelf};
use super::tickets::{Source, TicketKeys, random_secret};

/// Handshakes of a listener, counted.
#[derive(Debug, Default)]
pub struct HandshakeCounters {
    /// With a new session.
    pub full: AtomicU64,
    /// With an earlier session.
    pub resumed: AtomicU64,
    /// That failed.
    pub failed: AtomicU64,
    /// That took too long.
    pub timed_out: AtomicU64,
    /// Connections that spoke HTTP without TLS.
    pub plain: AtomicU64,
}

/// TLS of one listener. Kept over reloads, by the listener's name.
pub struct ListenerTls {
    name: Box<str>,
    clock: Arc<dyn Clock>,
    in_force: ArcSwap<InForce>,
    watch: Mutex<Watch>,
    /// What came of its handshakes.
    pub counters: HandshakeCounters,
}

/// What a handshake is begun with.
pub(super) struct InForce {
    pub(super) config: Arc<ServerConfig>,
    pub(super) settings: Settings,
    material: Material,
    http2: bool,
    tickets: Option<Arc<TicketKeys>>,
    /// Which of the responses were not stapled, since they had expired.
    expired_staples: Vec<usize>,
}

/// How the files look.
#[derive(Default)]
struct Watch {
    /// Files that could not be used when last seen: they may be half written.
    unsettled: Option<Stamps>,
    /// Files that could not be used for good.
    refused: Option<Stamps>,
    told_expired: Vec<String>,
}

impl ListenerTls {
    /// Starts with these settings and files. `http2`: whether the listener speaks HTTP/2, which it then
    /// offers first.
    ///
    /// # Errors
    /// When the settings cannot be met, or the system has no randomness.
    pub fn new(
        name: &str,
        settings: &Settings,
        http2: bool,
        material: Material,
        clock: Arc<dyn Clock>,
    ) -> Result<ListenerTls, rustls::Error> {
        let in_force = InForce::new(name, settings, http2, material, &clock, None)?;
        Ok(ListenerTls {
            name: name.into(),
            clock,
            in_force: ArcSwap::from_pointee(in_force),
            watch: Mutex::default(),
            counters: HandshakeCounters::default(),
        })
    }

    /// Takes up what a reload read. Sessions stay resumable, unless the rules for clients changed.
    ///
    /// # Errors
    /// When the settings cannot be met; what is in force stays.
    pub fn adopt(
        &self,
        settings: &Settings,
        http2: bool,
        material: Material,
    ) -> Result<(), rustls::Error> {
        let mut watch = self.watch();
        self.swap(settings, http2, material, &mut watch)
    }

    fn swap(
        &self,
        settings: &Settings,
        http2: bool,
        material: Material,
        watch: &mut Watch,
    ) -> Result<(), rustls::Error> {
        let old = self.in_force.load();
        let tickets = old.tickets.as_ref();
        let new = InForce::new(&self.name, settings, http2, material, &self.clock, tickets)?;
        self.in_force.store(Arc::new(new));
        watch.unsettled = None;
        watch.refused = None;
        Ok(())
    }

    pub(super) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// How long a handshake may take, where the listener's settings say so.
    pub fn handshake_timeout(&self) -> Option<Duration> {
        self.in_force.load().settings.handshake_timeout
    }

    /// The rules for client certificates.
    pub fn client_auth(&self) -> Option<ClientAuth> {
        self.in_force.load().settings.client.clone()
    }

    /// The earliest last second of validity of the certificates in force, in seconds since
    /// 1970-01-01T00:00:00Z.
    pub fn not_after(&self) -> Option<u64> {
        self.in_force.load().material.not_after()
    }

    fn watch(&self) -> std::sync::MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up the files if they have changed, and drops staples that have expired. What cannot be used
    /// leaves the old in force; that is told once, and only when the files stay so, since they are
    /// written one by one. Reads files: not for a thread that serves.
    pub fn look(&self) {
        let mut watch = self.watch();
        let in_force = self.in_force.load_full();
        self.tell_of_expiry(&in_force, &mut watch);
        let stamps = stamps_now(&in_force.material.stamps);
        let is_new = stamps != in_force.material.stamps && watch.refused.as_ref() != Some(&stamps);
        if is_new {
            match Material::read(&in_force.settings) {
                Ok(material) => return self.renew(&in_force, material, &mut watch),
                Err(_) if watch.unsettled.as_ref() != Some(&stamps) => {
                    watch.unsettled = Some(stamps);
                }
                Err(faults) => {
                    for fault in faults {
                        let name = &self.name;
                        tracing::error!("listener `{name}`: the TLS files in force stay: {fault}");
                    }
                    watch.refused = Some(stamps);
                }
            }
        }
        let now = self.clock.wall().unix(self.clock.now());
        if expired_staples(&in_force.material, now) != in_force.expired_staples {
            tracing::warn!(
                "listener `{}`: an OCSP response has expired and is no longer stapled",
                self.name
            );
            let material = in_force.material.clone();
            self.put(&in_force, material, &mut watch);
        }
    }

    fn renew(&self, in_force: &InForce, material: Material, watch: &mut Watch) {
        let name = &self.name;
        for doubt in &material.doubts {
            tracing::warn!("listener `{name}`: no OCSP response is stapled: {doubt}");
        }
        let now = self.clock.wall().unix(self.clock.now());
        for certificate in &material.certificates {
            if let Some(why) = certificate.credentials.invalid_at(now) {
                tracing::error!("listener `{name}`: a renewed TLS certificate {why}");
            }
        }
        if self.put(in_force, material, watch) {
            tracing::info!("listener `{name}`: changed TLS files are in force");
        }
    }

    fn put(&self, in_force: &InForce, material: Material, watch: &mut Watch) -> bool {
        let stamps = material.stamps.clone();
        match self.swap(&in_force.settings, in_force.http2, material, watch) {
            Ok(()) => true,
            Err(error) => {
                let name = &self.name;
                tracing::error!("listener `{name}`: the TLS files in force stay: {error}");
                watch.refused = Some(stamps);
                false
            }
        }
    }

    fn tell_of_expiry(&self, in_force: &InForce, watch: &mut Watch) {
        let now = self.clock.wall().unix(self.clock.now());
        let mut told = Vec::new();
        let certificates = in_force.material.certificates.iter();
        for (certificate, files) in certificates.zip(&in_force.settings.certificates) {
            if let Some(why) = certificate.credentials.invalid_at(now) {
                let path = files.certificate.display();
                told.push((path.to_string(), format!("certificate `{path}` {why}")));
            }
        }
        let client = in_force.material.client.as_ref();
        if client.and_then(|c| c.renewal).is_some_and(|due| due < now) {
            told.push((
                String::new(),
                "a revocation list of clients should have been renewed".to_owned(),
            ));
        }
        for (what, text) in &told {
            if !watch.told_expired.contains(what) {
                tracing::error!("listener `{}`: {text}", self.name);
            }
        }
        watch.told_expired = told.into_iter().map(|(what, _)| what).collect();
    }
}

/// Which certificates have a response that may no longer be stapled.
fn expired_staples(material: &Material, now: u64) -> Vec<usize> {
    let of = |ocsp: &crate::tls::OcspResponse| !ocsp.is_valid_at(now);
    (0..material.certificates.len())
        .filter(|at| material.certificates[*at].ocsp.as_ref().is_some_and(of))
        .collect()
}

impl InForce {
    fn new(
        name: &str,
        settings: &Settings,
        http2: bool,
        material: Material,
        clock: &Arc<dyn Clock>,
        old: Option<&Arc<TicketKeys>>,
    ) -> Result<InForce, rustls::Error> {
        let expired_staples = expired_staples(&material, clock.wall().unix(clock.now()));
        let keys: Vec<Arc<CertifiedKey>> = material
            .certificates
            .iter()
            .enumerate()
            .map(|(at, certificate)| {
                let chain = certificate.credentials.chain();
                let ocsp = certificate.ocsp.as_ref();
                match ocsp.filter(|_| !expired_staples.contains(&at)) {
                    None => chain.clone(),
                    Some(ocsp) => {
                        let mut stapled = CertifiedKey::clone(chain);
                        stapled.ocsp = Some(ocsp.der().to_vec());
                        Arc::new(stapled)
                    }
                }
            })
            .collect();
        let entries: Vec<Entry<'_>> = keys
            .iter()
            .zip(&material.certificates)
            .map(|(key, certificate)| Entry {
                key: key.clone(),
                names: certificate.credentials.names(),
            })
            .collect();
        let shelf = Shelf::new(&entries, settings.strict_sni, &settings.policy);
        let provider = provider_of(&settings.policy);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions(&settings.policy))?;
        let builder = match (&settings.client, &material.client) {
            (Some(auth), Some(trust)) => {
                builder.with_client_cert_verifier(verifier(auth, trust, provider)?)
            }
            (Some(_), None) => return Err(rustls::Error::General("no authorities".to_owned())),
            (None, _) => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(shelf));
        config.alpn_protocols = settings.alpn.clone().unwrap_or_else(|| alpn(http2));
        config.ignore_client_order = !settings.policy.ciphers.is_empty();
        // Early data can be replayed (RFC 8446 section 8).
        config.max_early_data_size = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let tickets = tickets(name, settings, &material, clock, old)?;
        config.send_tls13_tickets = 0;
        if let (Some(keys), Some(wanted)) = (&tickets, &settings.tickets) {
            config.ticketer = keys.clone();
            config.send_tls13_tickets = usize::from(wanted.count);
        }
        Ok(InForce {
            config: Arc::new(config),
            settings: settings.clone(),
            material,
            http2,
            tickets,
            expired_staples,
        })
    }
}

/// What is spoken, the most wanted first.
fn alpn(http2: bool) -> Vec<Vec<u8>> {
    let mut protocols = vec![b"http/1.1".to_vec()];
    if http2 {
        protocols.insert(0, b"h2".to_vec());
    }
    protocols
}

fn verifier(
    auth: &ClientAuth,
    trust: &ClientTrust,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, rustls::Error> {
    let anchors: Arc<RootCertStore> = trust.anchors.clone();
    let mut builder = WebPkiClientVerifier::builder_with_provider(anchors, provider)
        .with_crls(trust.revocations.iter().cloned());
    if !trust.revocations.is_empty() {
        // The lists are those of whoever issues to clients: one about the authority itself would come
        // from above it.
        builder = builder.only_check_end_entity_revocation();
    }
    if !auth.required {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|e| rustls::Error::General(format!("client certificates: {e}")))
}

/// The keys of tickets; those in force, where nothing they depend on has changed.
fn tickets(
    name: &str,
    settings: &Settings,
    material: &Material,
    clock: &Arc<dyn Clock>,
    old: Option<&Arc<TicketKeys>>,
) -> Result<Option<Arc<TicketKeys>>, rustls::Error> {
    let Some(wanted) = &settings.tickets else {
        return Ok(None);
    };
    let mut context = Context::new(&SHA256);
    context.update(name.as_bytes());
    if let Some(client) = &material.client {
        context.update(&client.digest);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    let mut source = Source {
        secrets: material.secrets.clone(),
        context: digest,
        period: wanted.rotation,
        own: false,
    };
    if source.secrets.is_empty() {
        // A secret of this process goes on; one that was shared does not.
        source.own = true;
        source.secrets = match old.map(|keys| keys.source()) {
            Some(kept) if kept.own => kept.secrets.clone(),
            _ => vec![random_secret()?],
        };
    }
    if let Some(old) = old.filter(|keys| keys.is_from(&source)) {
        return Ok(Some(old.clone()));
    }
    TicketKeys::new(source, clock.clone()).map(|keys| Some(Arc::new(keys)))
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListenerTls({})", self.name)
    }
}

impl HandshakeCounters {
    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
