//! Certificates of other nodes, judged by the fleet's authorities.
//!
//! The judging is that of rustls (RFC 5280 section 6), once for each authority, so that it is known
//! which one signed, and since rustls looks at the validity of no authority.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::claims::Claims;
use super::refusal::{Refusals, Side, of_certificate};

/// One authority of the fleet.
#[derive(Debug)]
pub(super) struct Anchor {
    /// What its certificate says.
    pub(super) claims: Claims,
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
}

impl Anchor {
    /// The authority of this certificate.
    pub(super) fn read(certificate: &CertificateDer<'static>) -> Result<Anchor, String> {
        let claims = Claims::read(certificate)?;
        if !claims.is_authority {
            return Err(format!(
                "the certificate of `{}` in it is no CA certificate",
                claims.subject
            ));
        }
        let bad = |e: &dyn std::fmt::Display| {
            format!(
                "the CA certificate `{}` cannot be used: {e}",
                claims.subject
            )
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).map_err(|e| bad(&e))?;
        let roots = Arc::new(roots);
        let provider = Arc::new(ring::default_provider());
        Ok(Anchor {
            clients: WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
                .build()
                .map_err(|e| bad(&e))?,
            servers: WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|e| bad(&e))?,
            claims,
        })
    }
}

impl Anchor {
    /// What is wrong with the authority at `now`, when it is out of its validity.
    fn invalid_at(&self, now: UnixTime) -> CertificateError {
        let at = |unix| UnixTime::since_unix_epoch(Duration::from_secs(unix));
        if now.as_secs() < self.claims.not_before {
            let not_before = at(self.claims.not_before);
            return CertificateError::NotValidYetContext {
                time: now,
                not_before,
            };
        }
        CertificateError::ExpiredContext {
            time: now,
            not_after: at(self.claims.not_after),
        }
    }
}

/// All authorities of the fleet.
#[derive(Debug)]
pub(super) struct Anchors(pub(super) Vec<Anchor>);

impl Anchors {
    /// Which authority signed a node's certificate, valid at `now` as a client's.
    ///
    /// # Errors
    /// What is wrong with it, most telling first: that it has expired says more than that a second
    /// authority does not know it.
    pub(super) fn of_client(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<&Anchor, Error> {
        self.find(now, |anchor| {
            anchor
                .clients
                .verify_client_cert(end_entity, intermediates, now)
                .map(|_| ())
        })
    }

    fn find(
        &self,
        now: UnixTime,
        verify: impl Fn(&Anchor) -> Result<(), Error>,
    ) -> Result<&Anchor, Error> {
        let mut worst = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        for anchor in &self.0 {
            match verify(anchor) {
                Ok(()) if anchor.claims.valid_at(now.as_secs()) => return Ok(anchor),
                Ok(()) => worst = Error::InvalidCertificate(anchor.invalid_at(now)),
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
                Err(e) => worst = e,
            }
        }
        Err(worst)
    }
}

/// Judges both ends of connections, and notes what it refuses.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) anchors: Arc<Anchors>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn note(&self, certificate: &CertificateDer<'_>, error: Error) -> Error {
        let (reason, text) = of_certificate(&error);
        // Nobody vouches for the name; it is only for people who look for the node to repair.
        let claims = Claims::read(certificate).ok();
        let node = claims.as_ref().and_then(|c| c.node.as_deref());
        let issuer = claims.as_ref().map_or("", |c| c.issuer.as_str());
        let text = format!(
            "a node that calls itself `{}`, certificate signed by `{issuer}`: {text}",
            node.unwrap_or("?")
        );
        self.refusals
            .refuse(Side::Here, reason, node.unwrap_or("?"), &text);
        error
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Every node has one certificate and shows it.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.anchors.of_client(end_entity, intermediates, now) {
            Ok(_) => Ok(ClientCertVerified::assertion()),
            Err(e) => Err(self.note(end_entity, e)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = self.anchors.find(now, |anchor| {
            let servers = &anchor.servers;
            servers
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(|_| ())
        });
        match found {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(e) => Err(self.note(end_entity, e)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ClientCertVerifier::verify_tls12_signature(self, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ClientCertVerifier::verify_tls13_signature(self, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
