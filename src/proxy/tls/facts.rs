//! What a handshake settled, as exchanges, logs and backends are told.

use rustls::pki_types::CertificateDer;
use rustls::{HandshakeKind, ServerConnection};

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

impl Alpn {
    /// What was agreed on.
    pub fn of(protocol: Option<&[u8]>) -> Alpn {
        if protocol == Some(b"h2") {
            Alpn::Http2
        } else {
            Alpn::Http1
        }
    }
}

/// A client's certificate, verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientCertificate {
    /// Its subject as of RFC 4514, printable ASCII.
    pub subject: Box<str>,
    /// The first common name of its subject.
    pub common_name: Option<Box<str>>,
}

/// What a handshake settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFacts {
    /// The version.
    pub version: TlsVersion,
    /// The cipher suite's name in the IANA registry.
    pub cipher: &'static str,
    /// What is spoken.
    pub alpn: Alpn,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The host that the client asked for, in lower case.
    pub sni: Option<Box<str>>,
    /// Its certificate, where it showed one.
    pub client: Option<Box<ClientCertificate>>,
}

impl TlsFacts {
    /// Of a connection whose handshake is done.
    pub(super) fn of(session: &ServerConnection) -> TlsFacts {
        let version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => TlsVersion::V13,
            _ => TlsVersion::V12,
        };
        let suite = session.negotiated_cipher_suite();
        TlsFacts {
            version,
            cipher: suite.map_or("", |s| super::settings::cipher_name(s.suite())),
            alpn: Alpn::of(session.alpn_protocol()),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            sni: session.server_name().map(Into::into),
            client: session
                .peer_certificates()
                .and_then(<[_]>::first)
                .and_then(client),
        }
    }
}

fn client(certificate: &CertificateDer<'_>) -> Option<Box<ClientCertificate>> {
    Some(Box::new(ClientCertificate {
        subject: subject::of(certificate)?.into(),
        common_name: subject::common_name(certificate).map(Into::into),
    }))
}
