//! QUIC through the proxy, on the real binary: a client whose address changes stays with its backend
//! (requirement P5).

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, ServerConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::timeout;

use crate::support::certs::Ca;
use crate::support::proxy::{Proxy, backend_entry};

const NAME: &str = "game.example";

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server that answers every stream with its name.
fn serve(name: &'static str, ca: &Ca) -> Endpoint {
    let pair = ca.issue(NAME, &[NAME], 7);
    let chain = CertificateDer::pem_slice_iter(pair.chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let mut tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    tls.alpn_protocols = vec![b"game".to_vec()];
    let crypto = QuicServerConfig::try_from(tls).unwrap();
    let config = ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                let connection = incoming.await.unwrap();
                while let Ok((mut out, mut back)) = connection.accept_bi().await {
                    let said = back.read_to_end(1 << 20).await.unwrap();
                    let text = format!("{name} {}", said.len());
                    out.write_all(text.as_bytes()).await.unwrap();
                    out.finish().unwrap();
                }
            });
        }
    });
    endpoint
}

fn client(ca: &Ca) -> Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap())
        .unwrap();
    let mut tls = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"game".to_vec()];
    let crypto = QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
    endpoint
}

async fn ask(connection: &Connection, octets: usize) -> String {
    let (mut out, mut back) = connection.open_bi().await.unwrap();
    out.write_all(&vec![7; octets]).await.unwrap();
    out.finish().unwrap();
    String::from_utf8(back.read_to_end(100).await.unwrap()).unwrap()
}

/// A NAT before one client, which may forget the port that it gave it.
struct Nat {
    addr: SocketAddr,
    outside: Arc<Mutex<Arc<UdpSocket>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    server: SocketAddr,
}

fn outside(server: SocketAddr) -> Arc<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .unwrap();
    Arc::new(socket)
}

impl Nat {
    fn before(server: SocketAddr) -> Nat {
        let inside = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        inside
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let mut nat = Nat {
            addr: inside.local_addr().unwrap(),
            outside: Arc::new(Mutex::new(outside(server))),
            stop: Arc::default(),
            threads: Vec::new(),
            server,
        };
        let client: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
        let (to, stop, known, inner) = (
            nat.outside.clone(),
            nat.stop.clone(),
            client.clone(),
            inside.clone(),
        );
        nat.threads.push(thread::spawn(move || {
            let mut space = vec![0; 64 << 10];
            while !stop.load(Ordering::Relaxed) {
                if let Ok((n, from)) = inner.recv_from(&mut space) {
                    *known.lock().unwrap() = Some(from);
                    let socket = to.lock().unwrap().clone();
                    let _ = socket.send(&space[..n]);
                }
            }
        }));
        let (from, stop) = (nat.outside.clone(), nat.stop.clone());
        nat.threads.push(thread::spawn(move || {
            let mut space = vec![0; 64 << 10];
            while !stop.load(Ordering::Relaxed) {
                let socket = from.lock().unwrap().clone();
                if let Ok(n) = socket.recv(&mut space)
                    && let Some(client) = *client.lock().unwrap()
                {
                    let _ = inside.send_to(&space[..n], client);
                }
            }
        }));
        nat
    }

    /// Gives the client another port. What still comes to the old one is lost.
    fn forget(&self) {
        *self.outside.lock().unwrap() = outside(self.server);
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Clients that change their address; says how many of them were answered by the same backend afterwards.
fn rebind(affinity: &str) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let ca = Ca::new("games");
        let servers = ["one", "two", "three"].map(|name| serve(name, &ca));
        let entries: String = servers
            .iter()
            .enumerate()
            .map(|(i, s)| backend_entry("app", &format!("b{i}"), s.local_addr().unwrap()))
            .collect();
        let proxy = Proxy::start(&format!(
            "[listeners.l4]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"udp\"\nforward = \"app\"\n\
             [listeners.l4.udp]\naffinity = \"{affinity}\"\n[upstreams.app]\n{entries}"
        ));
        let server: SocketAddr = proxy.addr("l4");
        let mut same = 0;
        for n in 0..6 {
            let endpoint = client(&ca);
            let nat = Nat::before(server);
            let connection = endpoint.connect(nat.addr, NAME).unwrap().await.unwrap();
            let before = ask(&connection, 10).await;
            assert_eq!(before, ask(&connection, 10).await);
            // Another port, perhaps another worker, the same connection; the client knows nothing of it.
            nat.forget();
            let after = timeout(
                Duration::from_secs(if affinity == "quic" { 20 } else { 1 }),
                ask(&connection, 10),
            )
            .await;
            if after.is_ok_and(|after| after == before) {
                same += 1;
                // And there is more than one small packet in it.
                let more = ask(&connection, 200_000).await;
                assert_eq!(more.split(' ').next_back(), Some("200000"), "client {n}");
            }
            connection.close(0_u32.into(), b"");
        }
        let ids = "tradewind_proxy_udp_connection_ids{listener=\"l4\"}";
        if affinity == "quic" {
            assert!(proxy.node.metric(ids) >= 6);
        }
        same
    })
}

#[test]
fn p5_a_quic_client_whose_address_changes_stays_with_its_backend() {
    assert_eq!(rebind("quic"), 6);
}

#[test]
fn without_it_a_changed_address_is_another_client() {
    // Three backends in turn: the next session is, as a rule, at one that knows no such connection.
    assert!(rebind("tuple") < 6);
}
