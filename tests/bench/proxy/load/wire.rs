//! One connection's octets: over TCP, TLS or UDP.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme};

use socket2::SockRef;

use crate::Error;
use crate::workload::Over;

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

enum Socket {
    Stream(TcpStream),
    Datagram(UdpSocket),
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Stream(stream) => stream.read(buffer),
            Socket::Datagram(socket) => socket.recv(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Stream(stream) => stream.write(octets),
            Socket::Datagram(socket) => socket.send(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct Wire {
    socket: Socket,
    tls: Option<Box<ClientConnection>>,
}

impl Wire {
    /// Connects, and waits for it: on one machine that is done at once.
    pub(crate) fn open(addr: SocketAddr, over: &Over) -> Result<Wire, Error> {
        if let Over::Udp = over {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.connect(addr)?;
            socket.set_nonblocking(true)?;
            return Ok(Wire {
                socket: Socket::Datagram(socket),
                tls: None,
            });
        }
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let tls = match over {
            Over::Tls(config) => {
                let name = ServerName::try_from("www.bench.example")?;
                Some(Box::new(ClientConnection::new(Arc::clone(config), name)?))
            }
            Over::Tcp | Over::Udp => None,
        };
        Ok(Wire {
            socket: Socket::Stream(stream),
            tls,
        })
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Stream(stream) => stream.as_fd(),
            Socket::Datagram(socket) => socket.as_fd(),
        }
    }

    /// Whether it is open and nothing has come.
    pub(crate) fn is_silent(&self) -> bool {
        let peeked = SockRef::from(&self.socket()).peek(&mut [MaybeUninit::uninit()]);
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// How many octets came, at most as many as fit `nowhere`; `None`: none yet. They are not even
    /// copied: what the client spends is not what is measured.
    pub(crate) fn count(&mut self, nowhere: &mut [MaybeUninit<u8>]) -> io::Result<Option<usize>> {
        let socket = self.socket();
        let done = SockRef::from(&socket).recv_with_flags(nowhere, libc::MSG_TRUNC);
        match done {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            done => done.map(Some),
        }
    }

    /// Sends. What is sent here is small and always finds room.
    pub(crate) fn send(&mut self, octets: &[u8]) -> Result<(), Error> {
        match &mut self.tls {
            None => Ok(self.socket.write_all(octets)?),
            Some(tls) => {
                tls.writer().write_all(octets)?;
                while tls.wants_write() {
                    tls.write_tls(&mut self.socket)?;
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
            return match self.socket.read(scratch) {
                Ok(0) => Ok(false),
                Ok(n) => taker(&scratch[..n]).map(|()| true),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
                Err(error) => Err(error.into()),
            };
        };
        let open = match tls.read_tls(&mut self.socket) {
            Ok(n) => n > 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        tls.process_new_packets()?;
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
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
