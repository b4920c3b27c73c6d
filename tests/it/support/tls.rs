//! Certificates, nodes with encrypted listeners, and a TLS client.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::node::{HEAD, Node, folder};

/// The name that the certificates are for.
pub const NAME: &str = "dns.gslb.test";

/// `c.pem` and `k.pem` in `dir`: a fresh self-signed certificate. Returns it in DER.
pub fn write_pair(dir: &Path) -> Vec<u8> {
    let names = [NAME.to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    // By rename, as certificate clients do.
    for (name, text) in [
        ("k.pem", made.signing_key.serialize_pem()),
        ("c.pem", made.cert.pem()),
    ] {
        std::fs::write(dir.join("new.pem"), text).unwrap();
        if name == "k.pem" {
            std::fs::set_permissions(dir.join("new.pem"), Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::rename(dir.join("new.pem"), dir.join(name)).unwrap();
    }
    made.cert.der().to_vec()
}

/// `HEAD` with listeners for all transports and `more` among the DNS options.
pub fn head(more: &str) -> String {
    let all = "workers = 1, certificate = \"c.pem\", key = \"k.pem\", \
               tls = { listen = [\"127.0.0.1:0\"] }, https = { listen = [\"127.0.0.1:0\"] }, \
               quic = { listen = [\"127.0.0.1:0\"] }";
    let more = if more.is_empty() {
        more.to_owned()
    } else {
        format!(", {more}")
    };
    HEAD.replace("workers = 1", &format!("{all}{more}"))
}

/// A node that serves every transport, with `more` DNS options and `rest` after the head.
pub fn start(more: &str, rest: &str) -> Node {
    let dir = folder(&format!("{}{rest}", head(more)));
    write_pair(dir.path());
    Node::start_in(dir)
}

/// A client's settings that trust the node's present certificate.
pub fn trusting(node: &Node, alpn: &[u8]) -> ClientConfig {
    let pem = std::fs::read(node.file("c.pem")).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// A TLS connection.
pub type Tls = StreamOwned<ClientConnection, TcpStream>;

/// Shakes hands over `stream`.
pub fn shake_hands(config: ClientConfig, mut stream: TcpStream) -> std::io::Result<Tls> {
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let name = ServerName::try_from(NAME).unwrap();
    let mut tls = ClientConnection::new(Arc::new(config), name).unwrap();
    while tls.is_handshaking() {
        tls.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(tls, stream))
}

/// Connects to DNS over TLS.
pub fn connect(node: &Node) -> Tls {
    let stream = TcpStream::connect(node.dot.unwrap()).unwrap();
    shake_hands(trusting(node, b"dot"), stream).unwrap()
}

/// The certificate that a new connection gets to see, whether or not it is trusted.
pub fn shown(addr: SocketAddr, config: ClientConfig) -> Option<Vec<u8>> {
    let tls = shake_hands(config, TcpStream::connect(addr).unwrap()).ok()?;
    let chain = tls.conn.peer_certificates()?;
    Some(chain.first()?.to_vec())
}

/// Sends a framed query and reads the framed answer.
pub fn exchange(stream: &mut (impl Read + Write), packet: &[u8]) -> Vec<u8> {
    let mut framed = (packet.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(packet);
    stream.write_all(&framed).unwrap();
    stream.flush().unwrap();
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut buf = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut buf).unwrap();
    buf
}

/// The data of the EDNS option `code` in an answer.
pub fn option(answer: &[u8], code: u16) -> Option<Vec<u8>> {
    use hickory_proto::rr::rdata::opt::EdnsOption;
    let m = Message::from_vec(answer).unwrap();
    let edns = m.edns.as_ref()?;
    edns.options().as_ref().iter().find_map(|(c, o)| {
        let EdnsOption::Unknown(_, data) = o else {
            return None;
        };
        (u16::from(*c) == code).then(|| data.clone())
    })
}

/// `packet`, whose last record is an OPT without options, with one option.
pub fn with_option(packet: &[u8], code: u16, data: &[u8]) -> Vec<u8> {
    let mut all = packet.to_vec();
    let at = all.len() - 2;
    assert_eq!(all[at..], [0, 0], "options already");
    all[at..].copy_from_slice(&(4 + data.len() as u16).to_be_bytes());
    all.extend_from_slice(&code.to_be_bytes());
    all.extend_from_slice(&(data.len() as u16).to_be_bytes());
    all.extend_from_slice(data);
    all
}
