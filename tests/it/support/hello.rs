//! TLS for tests of layer 4: octets of hellos, clients, and backends with a certificate.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

use super::certs::{Ca, Pair};
use super::stream::StreamBackend;

/// A client's side of TLS.
pub type Client = StreamOwned<ClientConnection, TcpStream>;

/// A backend's side of TLS.
pub type Server = StreamOwned<ServerConnection, TcpStream>;

/// A client that trusts the authority and offers these protocols.
pub fn trusting(ca: &Ca, alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let der = CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap();
    roots.add(der).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    config
}

/// The first message of such a client that asks for `host`, as it goes over the wire.
pub fn hello(host: &str, alpn: &[&str]) -> Vec<u8> {
    let config = trusting(&Ca::new("nobody"), alpn);
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut octets = Vec::new();
    client.write_tls(&mut octets).unwrap();
    octets
}

/// The same in records of so many octets.
pub fn in_records(hello: &[u8], size: usize) -> Vec<u8> {
    assert_eq!(hello[0], 22);
    let records = hello[5..].chunks(size);
    records
        .flat_map(|part| {
            let len = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[22, 3, 1][..], &len, part].concat()
        })
        .collect()
}

/// Shakes hands with what answers at `addr` for `host`.
pub fn connect(addr: SocketAddr, config: ClientConfig, host: &str) -> std::io::Result<Client> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// A backend that speaks TLS with this certificate, agrees to these protocols, and serves what comes after
/// the handshake.
pub fn backend(
    pair: &Pair,
    alpn: &[&str],
    serve: impl Fn(&mut Server) + Send + Sync + 'static,
) -> StreamBackend {
    let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let config = Arc::new(config);
    StreamBackend::with(move |stream| {
        let tls = ServerConnection::new(config.clone()).unwrap();
        let mut server = StreamOwned::new(tls, stream);
        serve(&mut server);
    })
}

/// Says what was agreed on, then sends back what it gets until the client ends, and ends itself.
pub fn told_echo(name: &'static str) -> impl Fn(&mut Server) + Send + Sync + 'static {
    move |server| {
        let mut space = vec![0; 64 << 10];
        let Ok(n) = server.read(&mut space) else {
            return;
        };
        let alpn = server.conn.alpn_protocol().unwrap_or(b"-");
        let alpn = String::from_utf8_lossy(alpn).into_owned();
        let sni = server.conn.server_name().unwrap_or("-").to_owned();
        let told = format!("{name} {sni} {alpn}\n");
        let mut more = n;
        let _ = server.write_all(told.as_bytes());
        while more > 0 {
            if server.write_all(&space[..more]).is_err() || server.flush().is_err() {
                return;
            }
            more = server.read(&mut space).unwrap_or(0);
        }
        server.conn.send_close_notify();
        let _ = server.flush();
    }
}
