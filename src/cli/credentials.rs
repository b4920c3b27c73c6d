//! What a command shows a node that asks who is there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use reqwest::header::HeaderValue;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::tls::trust;

/// The variable that a token may stand in.
const VARIABLE: &str = "TRADEWIND_TOKEN";

/// Rights of users who are neither the owner nor of the group.
const OTHERS: u32 = 0o007;

/// Who asks. On the node's own machine none of this is needed.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Credentials")]
pub(super) struct Credentials {
    /// The token; others on this machine can see it, so --token-file or the variable TRADEWIND_TOKEN is
    /// better.
    #[arg(long)]
    token: Option<String>,
    /// A file with the token, that nobody else may read.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Authorities that the node's certificate must be of, PEM; without it those of the system.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A client certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl std::fmt::Debug for Credentials {
    // Not the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// An HTTP client that shows the certificate and trusts whom it should.
    pub(super) fn client(&self) -> Result<reqwest::ClientBuilder, String> {
        let builder = reqwest::Client::builder().no_proxy();
        let roots = match &self.ca {
            Some(file) => {
                let pem = read("--ca", file)?;
                trust::anchors(&pem).map_err(|e| format!("--ca `{}`: {e}", file.display()))?
            }
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            }
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        let settings = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = chain(cert)?;
                let key = private_key(key)?;
                let settings = settings.with_client_auth_cert(chain, key);
                settings.map_err(|e| format!("--cert and --key do not fit: {e}"))?
            }
            _ => settings.with_no_client_auth(),
        };
        Ok(builder.tls_backend_preconfigured(settings))
    }

    /// A request that shows the token, and is marked with a key of its own where it changes something.
    pub(super) fn sign(
        &self,
        request: reqwest::RequestBuilder,
        url: &reqwest::Url,
        key: &str,
    ) -> Result<reqwest::RequestBuilder, String> {
        let request = request.header("idempotency-key", key);
        let Some(token) = self.token()? else {
            return Ok(request);
        };
        if url.scheme() != "https" && !is_loopback(url) {
            return Err(format!(
                "the token would cross the network to {} unencrypted; give --server https://…",
                url.host_str().unwrap_or("the node")
            ));
        }
        let field = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut field = field.map_err(|_| "the token has characters that none has".to_owned())?;
        field.set_sensitive(true);
        Ok(request.header("authorization", field))
    }

    fn token(&self) -> Result<Option<String>, String> {
        let text = match (&self.token, &self.token_file) {
            (Some(token), _) => Some(token.clone()),
            (None, Some(file)) => {
                let octets = read("--token-file", file)?;
                let mode = std::fs::metadata(file).map_or(0, |m| m.permissions().mode() & 0o777);
                if mode & OTHERS != 0 {
                    let file = file.display();
                    return Err(format!(
                        "--token-file `{file}` has mode {mode:04o}, so that every user can get at it; \
                         chmod 0600 {file}"
                    ));
                }
                Some(String::from_utf8_lossy(&octets).into_owned())
            }
            (None, None) => std::env::var(VARIABLE).ok(),
        };
        let text = text.map(|t| t.trim().to_owned());
        Ok(text.filter(|t| !t.is_empty()))
    }
}

/// A key that no other change has.
pub(super) fn fresh_key() -> Result<String, String> {
    let mut octets = [0; 16];
    SystemRandom::new()
        .fill(&mut octets)
        .map_err(|_| "the system has no randomness".to_owned())?;
    Ok(data_encoding::HEXLOWER.encode(&octets))
}

fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(a)) => a.is_loopback(),
        Some(url::Host::Ipv6(a)) => a.to_canonical().is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn read(option: &str, file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("{option}: cannot read `{}`: {e}", file.display()))
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read("--cert", file)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.unwrap_or_default();
    match chain.is_empty() {
        true => Err(format!(
            "--cert `{}` holds no PEM certificate",
            file.display()
        )),
        false => Ok(chain),
    }
}

/// What the parser says shows octets of the key.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read("--key", file)?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| format!("--key `{}` holds no PEM private key", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(credentials: &Credentials, url: &str) -> Result<reqwest::Request, String> {
        let url: reqwest::Url = url.parse().unwrap();
        // Fails only when one is chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let request = reqwest::Client::new().put(url.clone());
        Ok(credentials.sign(request, &url, "k1")?.build().unwrap())
    }

    fn with(token: &str) -> Credentials {
        Credentials {
            token: Some(token.to_owned()),
            ..Credentials::default()
        }
    }

    #[test]
    fn s1_a_token_does_not_cross_the_network_in_the_clear() {
        let token = with("tradewind_0123");
        for url in [
            "https://192.0.2.1:8053",
            "http://127.0.0.1:8053",
            "http://[::1]:1",
        ] {
            let request = signed(&token, url).unwrap();
            assert_eq!(request.headers()["authorization"], "Bearer tradewind_0123");
            assert_eq!(request.headers()["idempotency-key"], "k1");
            assert!(
                !format!("{request:?}").contains("tradewind_0123"),
                "{request:?}"
            );
        }
        let error = signed(&token, "http://192.0.2.1:8053").unwrap_err();
        assert!(error.contains("192.0.2.1 unencrypted"), "{error}");
        assert!(!error.contains("0123"), "{error}");
        assert!(!format!("{token:?}").contains("0123"));
    }

    #[test]
    fn s1_a_token_file_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "tradewind_0123\n").unwrap();
        let credentials = Credentials {
            token_file: Some(file.clone()),
            ..Credentials::default()
        };
        for (mode, fits) in [(0o600, true), (0o640, true), (0o644, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            match credentials.token() {
                Ok(token) => assert!(fits && token.as_deref() == Some("tradewind_0123")),
                Err(e) => assert!(!fits && e.contains("has mode 0644"), "{e}"),
            }
        }
    }

    #[test]
    fn keys_are_fresh() {
        assert_ne!(fresh_key().unwrap(), fresh_key().unwrap());
    }
}
