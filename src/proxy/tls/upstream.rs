//! TLS to backends.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::Unverified;
use crate::traffic::tls::UpstreamTls as Settings;

use super::material::{Fault, Stamps, UpstreamMaterial, stamps_now};
use super::settings::{provider_of, versions};

/// Backends whose sessions are kept; beyond it all are forgotten, which costs full handshakes.
const BACKENDS: usize = 4_096;

/// Sessions kept for each.
const SESSIONS: usize = 8;

/// TLS to the backends of one upstream. Kept over reloads, by the upstream's name.
pub struct UpstreamTls {
    name: Box<str>,
    in_force: ArcSwap<InForce>,
    watch: Mutex<(Option<Stamps>, Option<Stamps>)>,
    /// What was told of backends whose handshakes fail.
    failing: Mutex<HashMap<SocketAddr, String>>,
}

struct InForce {
    settings: Settings,
    http2: bool,
    stamps: Stamps,
    config: ClientConfig,
    server_name: Option<ServerName<'static>>,
    /// By backend, since a session of one is worth nothing at another: rustls keeps sessions by the
    /// server's name, which all backends have in common.
    by_backend: Mutex<HashMap<IpAddr, Arc<ClientConfig>>>,
}

/// Why TLS to an upstream cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamTlsError {
    /// The name is neither a DNS name nor an address.
    #[error("`{0}` is neither a DNS name nor an address")]
    Name(Box<str>),
    /// There is nobody to trust.
    #[error(
        "this machine has no trust anchors; install the package `ca-certificates`, or give `ca`"
    )]
    NoAnchors,
    /// The settings cannot be met.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
}

impl UpstreamTls {
    /// Starts with these settings and files. `http2`: whether backends are spoken to in HTTP/2; they must
    /// then agree to it.
    ///
    /// # Errors
    /// When the settings cannot be met.
    pub fn new(
        name: &str,
        settings: &Settings,
        http2: bool,
        material: UpstreamMaterial,
    ) -> Result<UpstreamTls, UpstreamTlsError> {
        Ok(UpstreamTls {
            name: name.into(),
            in_force: ArcSwap::from_pointee(InForce::new(settings, http2, material)?),
            watch: Mutex::default(),
            failing: Mutex::default(),
        })
    }

    /// Takes up what a reload read; connections stay. Where nothing has changed, sessions stay, too.
    ///
    /// # Errors
    /// When the settings cannot be met; what is in force stays.
    pub fn adopt(
        &self,
        settings: &Settings,
        http2: bool,
        material: UpstreamMaterial,
    ) -> Result<(), UpstreamTlsError> {
        let old = self.in_force.load();
        let is_same =
            old.settings == *settings && old.http2 == http2 && old.stamps == material.stamps;
        if !is_same {
            let new = InForce::new(settings, http2, material)?;
            self.in_force.store(Arc::new(new));
        }
        Ok(())
    }

    /// Takes up the files if they have changed; what cannot be used leaves the old in force. Reads
    /// files: not for a thread that serves.
    pub fn look(&self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let (unsettled, refused) = &mut *watch;
        let old = self.in_force.load_full();
        let stamps = stamps_now(&old.stamps);
        if stamps == old.stamps || refused.as_ref() == Some(&stamps) {
            return;
        }
        let name = &self.name;
        let stays = |why: String| {
            tracing::error!("upstream `{name}`: the TLS files in force stay: {why}");
        };
        match UpstreamMaterial::read(&old.settings) {
            Ok(material) => match InForce::new(&old.settings, old.http2, material) {
                Ok(new) => {
                    self.in_force.store(Arc::new(new));
                    (*unsettled, *refused) = (None, None);
                    tracing::info!("upstream `{name}`: changed TLS files are in force");
                }
                Err(error) => {
                    stays(error.to_string());
                    *refused = Some(stamps);
                }
            },
            // Half written, perhaps.
            Err(_) if unsettled.as_ref() != Some(&stamps) => *unsettled = Some(stamps),
            Err(faults) => {
                for fault in &faults {
                    stays(Fault::to_string(fault));
                }
                *refused = Some(stamps);
            }
        }
    }

    /// Shakes hands with a backend over `io`. The caller bounds the time.
    ///
    /// # Errors
    /// When the handshake fails, the certificate does not verify, or HTTP/2 is wanted and the backend
    /// does not agree to it.
    pub async fn connect<IO>(&self, io: IO, backend: SocketAddr) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let in_force = self.in_force.load_full();
        let connector = TlsConnector::from(in_force.config_for(backend.ip()));
        let shaken = connector.connect(in_force.name_of(backend), io).await;
        let shaken = shaken.and_then(|stream| in_force.agreed(stream));
        self.tell(backend, shaken.as_ref().err());
        shaken
    }

    /// As [`UpstreamTls::connect`], for what is not HTTP: `protocol` is the one that is offered (ALPN), if
    /// any is.
    ///
    /// # Errors
    /// When the handshake fails or the certificate does not verify.
    pub async fn connect_for<IO>(
        &self,
        io: IO,
        backend: SocketAddr,
        protocol: Option<&[u8]>,
    ) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let in_force = self.in_force.load_full();
        let connector = TlsConnector::from(in_force.config_for(backend.ip()));
        let offered = protocol.into_iter().map(Vec::from).collect();
        let connector = connector.with_alpn(offered);
        let shaken = connector.connect(in_force.name_of(backend), io).await;
        self.tell(backend, shaken.as_ref().err());
        shaken
    }

    /// Says once why handshakes with a backend fail, and that they succeed again: there may be thousands a
    /// second.
    fn tell(&self, backend: SocketAddr, error: Option<&io::Error>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &self.name;
        let Some(error) = error else {
            if !failing.is_empty() && failing.remove(&backend).is_some() {
                tracing::info!("upstream `{name}`: TLS with backend {backend} works again");
            }
            return;
        };
        let text = error.to_string();
        if failing.get(&backend) == Some(&text) {
            return;
        }
        tracing::warn!("upstream `{name}`: no TLS with backend {backend}: {text}");
        if failing.len() >= BACKENDS {
            failing.clear();
        }
        failing.insert(backend, text);
    }
}

impl InForce {
    fn new(
        settings: &Settings,
        http2: bool,
        material: UpstreamMaterial,
    ) -> Result<InForce, UpstreamTlsError> {
        let server_name = match &settings.server_name {
            None => None,
            Some(name) => Some(
                ServerName::try_from(name.to_string())
                    .map_err(|_| UpstreamTlsError::Name(name.clone()))?,
            ),
        };
        let provider = provider_of(&settings.policy);
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions(&settings.policy))?;
        let builder = if settings.verify {
            let anchors = material.anchors.clone().unwrap_or_else(system_anchors);
            if anchors.is_empty() {
                return Err(UpstreamTlsError::NoAnchors);
            }
            builder.with_root_certificates(anchors)
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        };
        let mut config = match &material.certificate {
            None => builder.with_no_client_auth(),
            Some(own) => builder
                .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own.chain().clone()))),
        };
        let protocol: &[u8] = if http2 { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(InForce {
            settings: settings.clone(),
            http2,
            stamps: material.stamps,
            config,
            server_name,
            by_backend: Mutex::default(),
        })
    }

    /// What a backend must show that it is.
    fn name_of(&self, backend: SocketAddr) -> ServerName<'static> {
        match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::from(backend.ip()),
        }
    }

    /// The stream, where HTTP/2 was agreed on if it is wanted.
    fn agreed<IO>(&self, stream: TlsStream<IO>) -> io::Result<TlsStream<IO>> {
        if self.http2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other(
                "the backend does not agree to HTTP/2 (ALPN `h2`), which `http2 = true` wants",
            ));
        }
        Ok(stream)
    }

    /// What handshakes with this backend are begun with.
    fn config_for(&self, backend: IpAddr) -> Arc<ClientConfig> {
        let mut all = self
            .by_backend
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&backend) {
            return known.clone();
        }
        if all.len() >= BACKENDS {
            all.clear();
        }
        let mut config = self.config.clone();
        if self.settings.resumption {
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
        }
        let config = Arc::new(config);
        all.insert(backend, config.clone());
        config
    }
}

/// The system's trust anchors: read and parsed once per process. What cannot be read is left out: the
/// system may hold anchors that this library does not know.
fn system_anchors() -> Arc<RootCertStore> {
    static ANCHORS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut store = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for e in &found.errors {
            tracing::warn!(error = %e, "a trust anchor of the system cannot be read");
        }
        store.add_parsable_certificates(found.certs);
        Arc::new(store)
    };
    ANCHORS.get_or_init(read).clone()
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamTls({})", self.name)
    }
}
