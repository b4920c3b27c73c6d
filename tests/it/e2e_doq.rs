//! DNS over QUIC (RFC 9250), end to end, with a client of the test's own on quinn.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use tokio::time::timeout;

use crate::support::node::Node;
use crate::support::{dns, tls};

const PATIENCE: Duration = Duration::from_secs(20);

/// DOQ_PROTOCOL_ERROR
const PROTOCOL_ERROR: u64 = 2;

/// Runs a client.
fn run<T>(client: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let all = async { timeout(Duration::from_secs(60), client).await };
    runtime.block_on(all).unwrap()
}

async fn connect_with(node: &Node, alpn: &[u8]) -> Result<Connection, ConnectionError> {
    let crypto = QuicClientConfig::try_from(tls::trusting(node, alpn)).unwrap();
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(crypto)));
    endpoint
        .connect(node.doq.unwrap(), tls::NAME)
        .unwrap()
        .await
}

async fn connect(node: &Node) -> Connection {
    connect_with(node, b"doq").await.unwrap()
}

/// A query with the ID that DoQ wants.
fn packet(name: &str) -> Vec<u8> {
    let mut packet = dns::query(&format!("{name}.gslb.test"), RecordType::A, None);
    packet[..2].fill(0);
    packet
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let mut all = (packet.len() as u16).to_be_bytes().to_vec();
    all.extend_from_slice(packet);
    all
}

/// Sends these octets on a stream of their own and reads what comes.
async fn send(connection: &Connection, octets: &[u8]) -> Result<Vec<u8>, quinn::ReadToEndError> {
    let (mut out, mut back) = connection.open_bi().await.unwrap();
    out.write_all(octets).await.unwrap();
    out.finish().unwrap();
    back.read_to_end(70_000).await
}

async fn ask(connection: &Connection, packet: &[u8]) -> Message {
    let answer = send(connection, &framed(packet)).await.unwrap();
    let (len, message) = answer.split_first_chunk::<2>().unwrap();
    assert_eq!(usize::from(u16::from_be_bytes(*len)), message.len());
    Message::from_vec(message).unwrap()
}

/// The application error that ends the connection.
async fn ended(connection: &Connection) -> Option<u64> {
    match timeout(PATIENCE, connection.closed()).await.unwrap() {
        ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
        _ => None,
    }
}

#[test]
fn rfc9250_4_2_a_stream_per_query_and_many_on_one_connection() {
    let node = tls::start("", "");
    run(async {
        let connection = connect(&node).await;
        for _ in 0..300 {
            let m = ask(&connection, &packet("static")).await;
            assert_eq!(m.metadata.id, 0);
            assert_eq!(dns::addresses(&m).len(), 1);
        }
        let m = ask(&connection, &packet("none")).await;
        assert_eq!(m.metadata.response_code, ResponseCode::NXDomain);
        // At once, on more streams than may be open: the rest waits its turn.
        let all: Vec<_> = (0..250)
            .map(|_| {
                let connection = connection.clone();
                tokio::spawn(async move { ask(&connection, &packet("static")).await })
            })
            .collect();
        for one in all {
            assert_eq!(one.await.unwrap().answers.len(), 1);
        }
        let padded = tls::with_option(&packet("static"), 12, &[0; 8]);
        let answer = send(&connection, &framed(&padded)).await.unwrap();
        assert_eq!(answer.len(), 2 + 468, "RFC 8467 section 4.1");
        assert_eq!(
            node.metric("tradewind_dns_encrypted_connections{transport=\"quic\"}"),
            1
        );
    });
    assert_eq!(
        node.metric("tradewind_dns_queries_total{transport=\"quic\",family=\"any\"}"),
        552
    );
}

#[test]
fn rfc9250_4_3_3_breaches_end_the_connection() {
    let node = tls::start("", "");
    let mut with_id = packet("static");
    with_id[1] = 7;
    let keepalive = tls::with_option(&packet("static"), 11, &[]);
    let whole = framed(&packet("static"));
    let mut twice = whole.clone();
    twice.extend_from_slice(&whole);
    let mut response = packet("static");
    response[2] |= 0x80;
    run(async {
        for (what, octets) in [
            ("a message ID", framed(&with_id)),
            ("edns-tcp-keepalive", framed(&keepalive)),
            ("two queries on a stream", twice),
            ("an early end", whole[..whole.len() - 1].to_vec()),
            ("not even a length", vec![0]),
            ("a response", framed(&response)),
            ("no query", framed(b"short")),
        ] {
            let connection = connect(&node).await;
            assert!(send(&connection, &octets).await.is_err(), "{what}");
            assert_eq!(ended(&connection).await, Some(PROTOCOL_ERROR), "{what}");
        }
        // A malformed query is a DNS matter and harms no neighbour.
        let connection = connect(&node).await;
        let mut cut = packet("static");
        cut.truncate(20);
        let m = ask(&connection, &cut).await;
        assert_eq!(m.metadata.response_code, ResponseCode::FormErr);
        assert_eq!(ask(&connection, &packet("static")).await.answers.len(), 1);
        // Only streams that can be answered may be opened.
        let one_way = timeout(Duration::from_millis(300), connection.open_uni()).await;
        assert!(one_way.is_err(), "no credit for unidirectional streams");
    });
}

#[test]
fn rfc9250_4_1_1_only_doq_is_spoken() {
    let node = tls::start("", "");
    run(async {
        assert!(connect_with(&node, b"h3").await.is_err());
        assert!(connect_with(&node, b"doq").await.is_ok());
    });
    assert_eq!(
        node.metric("tradewind_dns_handshake_failures_total{transport=\"quic\"}"),
        1
    );
}

#[test]
fn rfc9250_4_3_1_a_cancelled_query_harms_no_other() {
    let node = tls::start("", "");
    run(async {
        let connection = connect(&node).await;
        let (mut out, mut back) = connection.open_bi().await.unwrap();
        out.write_all(&framed(&packet("static"))[..9])
            .await
            .unwrap();
        out.reset(3u32.into()).unwrap();
        back.stop(3u32.into()).unwrap();
        assert_eq!(ask(&connection, &packet("static")).await.answers.len(), 1);
    });
}

#[test]
fn rfc9250_5_5_2_idle_connections_end_without_error() {
    let node = tls::start("tcp-idle-timeout = \"1s\"", "");
    run(async {
        let connection = connect(&node).await;
        ask(&connection, &packet("static")).await;
        match timeout(PATIENCE, connection.closed()).await.unwrap() {
            // DOQ_NO_ERROR, or the transport's own timeout, whichever is first.
            ConnectionError::ApplicationClosed(close) => {
                assert_eq!(close.error_code.into_inner(), 0);
            }
            ConnectionError::TimedOut => {}
            other => panic!("{other}"),
        }
    });
}

#[test]
fn one_source_may_have_a_quarter_and_makes_room_for_itself() {
    let node = tls::start("tcp-max-connections = 8", "");
    run(async {
        let first = connect(&node).await;
        ask(&first, &packet("static")).await;
        let second = connect(&node).await;
        ask(&second, &packet("static")).await;
        // Places are short by now, so the third has to show that it can hear (Retry).
        let third = connect(&node).await;
        ask(&third, &packet("static")).await;
        assert_eq!(ended(&first).await, Some(4), "DOQ_EXCESSIVE_LOAD");
        assert_eq!(ask(&second, &packet("static")).await.answers.len(), 1);
    });
}

/// kdig's answer over QUIC, where the certificate must be `name`'s. None: kdig before 3.2 has no QUIC.
///
/// `+quic` stands last, since each `+tls-…` after it makes kdig 3.2 ask over TCP again.
fn kdig(node: &Node, name: &str) -> Option<String> {
    let addr: SocketAddr = node.doq.unwrap();
    let out = Command::new("kdig")
        .arg(format!("@{}", addr.ip()))
        .args(["-p", &addr.port().to_string(), "+time=5", "+retry=0"])
        .arg(format!("+tls-ca={}", node.file("c.pem").display()))
        .arg(format!("+tls-hostname={name}"))
        .args(["+quic", "static.gslb.test", "A"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let said = String::from_utf8_lossy(&out.stderr);
    (!said.contains("invalid option")).then(|| text + &said)
}

#[test]
fn rfc9250_kdig_asks_over_quic_and_checks_the_certificate() {
    let node = tls::start("", "");
    let Some(text) = kdig(&node, tls::NAME) else {
        eprintln!("this kdig has no +quic: not tested with it");
        return;
    };
    assert!(text.contains("QUIC session"), "{text}");
    assert!(text.contains("192.0.2.80"), "{text}");
    let text = kdig(&node, "other.test").unwrap();
    assert!(text.contains("failed to query server"), "{text}");
    assert!(!text.contains("192.0.2.80"), "{text}");
}

#[test]
fn whom_the_access_lists_refuse_may_not_go_on() {
    let rest = "[dns.access]\ndeny = [\"127.0.0.0/8\"]\n";
    let node = tls::start("", rest);
    run(async {
        let connection = connect(&node).await;
        let m = ask(&connection, &packet("static")).await;
        assert_eq!(m.metadata.response_code, ResponseCode::Refused);
        assert_eq!(ended(&connection).await, Some(4), "DOQ_EXCESSIVE_LOAD");
    });
    let node = tls::start("", &format!("{rest}denied = \"drop\"\n"));
    run(async {
        let connection = connect(&node).await;
        assert!(send(&connection, &framed(&packet("static"))).await.is_err());
        assert_eq!(ended(&connection).await, Some(4), "DOQ_EXCESSIVE_LOAD");
    });
}
