//! One connection's octets, plain or over TLS.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use crate::Error;

/// Checks nothing: what the client spends is not what is measured.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// TLS 1.3 with one suite and one group, so that every server does the same arithmetic; nothing is
/// resumed.
pub(crate) fn client(protocol: &[u8]) -> Result<Arc<ClientConfig>, Error> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_128_GCM_SHA256];
    provider.kx_groups = vec![kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config.into())
}

pub(crate) struct Wire {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Connects, and waits for it: on one machine that is done at once.
    pub(crate) fn open(addr: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Wire, Error> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let tls = tls
            .map(|config| {
                let name = ServerName::try_from("www.bench.example")?;
                Ok::<_, Error>(Box::new(ClientConnection::new(Arc::clone(config), name)?))
            })
            .transpose()?;
        Ok(Wire { stream, tls })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends. What is sent here is small and always finds room.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        match &mut self.tls {
            None => Ok(self.stream.write_all(octets)?),
            Some(tls) => {
                tls.writer().write_all(octets)?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.stream)?;
                }
                Ok(())
            }
        }
    }

    /// Reads once from the socket and hands over what came of it. False at the end.
    pub(crate) fn receive(
        &mut self,
        scratch: &mut [u8],
        mut taker: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let Some(tls) = &mut self.tls else {
            return match self.stream.read(scratch) {
                Ok(0) => Ok(false),
                Ok(n) => taker(&scratch[..n]).map(|()| true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
                Err(error) => Err(error.into()),
            };
        };
        let open = match tls.read_tls(&mut self.stream) {
            Ok(n) => n > 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        tls.process_new_packets()?;
        while tls.wants_write() {
            tls.write_tls(&mut self.stream)?;
        }
        loop {
            match tls.reader().read(scratch) {
                Ok(0) => return Ok(false),
                Ok(n) => taker(&scratch[..n])?,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(open),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
