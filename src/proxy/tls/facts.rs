//! What a handshake agreed on, as exchanges, logs and backends are told.

use std::rc::Rc;

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ProtocolVersion, ServerConnection};

use crate::proxy::message::{ClientCertificate, TlsFacts};
use crate::tls::subject;
use crate::traffic::tls::TlsVersion;

/// What is spoken within TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alpn {
    /// `h2`
    Http2,
    /// `http/1.1`, or nothing was said.
    Http1,
}

/// What a handshake agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreed {
    /// What exchanges are told.
    pub facts: Rc<TlsFacts>,
    /// What is spoken.
    pub alpn: Alpn,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

impl Agreed {
    /// Of a connection whose handshake is done.
    pub(super) fn of(session: &ServerConnection) -> Agreed {
        let version = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::V13,
            _ => TlsVersion::V12,
        };
        let suite = session.negotiated_cipher_suite();
        let shown = session.peer_certificates().and_then(<[_]>::first);
        let facts = TlsFacts {
            version: version.as_str(),
            cipher: suite
                .map_or("", |s| super::settings::cipher_name(s.suite()))
                .into(),
            sni: session.server_name().map(Into::into),
            client_subject: shown.and_then(|c| subject::of(c)).map(Into::into),
            client: shown.and_then(certificate),
        };
        Agreed {
            facts: Rc::new(facts),
            alpn: match session.alpn_protocol() {
                Some(b"h2") => Alpn::Http2,
                _ => Alpn::Http1,
            },
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

fn certificate(der: &CertificateDer<'_>) -> Option<Box<ClientCertificate>> {
    let of = subject::Identity::of(der)?;
    Some(Box::new(ClientCertificate {
        common_name: of.common_name.map(Into::into),
        issuer: of.issuer.into(),
        serial: HEXLOWER.encode(&of.serial).into(),
        fingerprint: HEXLOWER.encode(digest(&SHA256, der).as_ref()).into(),
    }))
}
