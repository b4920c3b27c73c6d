//! What checks have in common, so that 30,000 targets of one monitor cost little more than their
//! addresses.

use std::collections::HashMap;
use std::sync::Arc;

use super::http::Template;
use super::secure::TlsClient;
use crate::health::{Failure, HttpCheck, TlsTrust};

/// Lives while the checks of one plan are made ready.
#[derive(Debug, Default)]
pub struct Shared {
    templates: HashMap<HttpCheck, Result<Arc<Template>, Failure>>,
    clients: HashMap<(TlsTrust, Vec<Box<str>>), Arc<TlsClient>>,
}

impl Shared {
    /// The request of `check`.
    ///
    /// # Errors
    /// When nothing can be asked: the reason.
    pub fn template(&mut self, check: &HttpCheck) -> Result<Arc<Template>, Failure> {
        if let Some(made) = self.templates.get(check) {
            return made.clone();
        }
        let alpn = Template::alpn(check.version);
        let tls = check.tls.as_ref().map(|trust| self.tls(trust, alpn));
        let made = Template::of(check, tls).map(Arc::new);
        self.templates.insert(check.clone(), made.clone());
        made
    }

    /// The client's side of TLS with this trust and offer of protocols.
    pub fn tls(&mut self, trust: &TlsTrust, alpn: &[impl AsRef<str>]) -> Arc<TlsClient> {
        let alpn: Vec<Box<str>> = alpn.iter().map(|p| p.as_ref().into()).collect();
        let client = self.clients.entry((trust.clone(), alpn));
        let client = client.or_insert_with_key(|(trust, alpn)| {
            let alpn: Vec<&str> = alpn.iter().map(AsRef::as_ref).collect();
            Arc::new(TlsClient::new(trust, &alpn))
        });
        client.clone()
    }
}
