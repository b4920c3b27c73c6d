//! A whole DNS message, from bytes to answer: no panic, no answer to a response, never more than the
//! limits allow (requirement A8).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use tradewind::app::load::{Wanted, load_all};
use tradewind::engine::{Inbound, Reply, Scratch, Transport, answer};
use tradewind::health::{Board, Verdict};
use tradewind::snapshot::{Parts, View};
use tradewind::time::Moment;
use tradewind::units::Generation;

/// The demo's world, all of it up.
fn view() -> &'static View {
    static VIEW: OnceLock<View> = OnceLock::new();
    VIEW.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let config = [here.join("config/demo"), here.join("../../config/demo")]
            .into_iter()
            .find(|p| p.exists())
            .expect("the demo's configuration is in the repository");
        let wanted = Wanted {
            config,
            node: Some("demo".to_owned()),
            ..Wanted::default()
        };
        let loaded = load_all(&wanted).unwrap_or_else(|report| panic!("{report}"));
        let snapshot = loaded.compiled.snapshot;
        let up = vec![Verdict::unmonitored(); snapshot.steering.endpoints.len()];
        View::new(
            Generation(1),
            Moment::ZERO,
            Parts::new(snapshot, Arc::new(Board::new(up))),
        )
    })
}

/// The first octet chooses transport and sender, the rest is the message.
pub fn check(data: &[u8]) {
    let Some((&how, packet)) = data.split_first() else {
        return;
    };
    let transport = [
        Transport::Udp,
        Transport::Tcp,
        Transport::Tls,
        Transport::Https,
        Transport::Quic,
    ][usize::from(how) % 5];
    let ip = match how & 0x80 {
        0 => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    };
    let inbound = Inbound {
        packet,
        peer: SocketAddr::new(ip, 4242),
        transport,
    };
    let mut out = vec![0; 65_535];
    let mut scratch = Scratch::new(1, Arc::default());
    match answer(view(), &inbound, Moment::ZERO, &mut scratch, &mut out) {
        Reply::Send(len) | Reply::SendAndClose(len) => {
            assert!(packet.len() >= 12 && packet[2] & 0x80 == 0, "no query");
            assert!(len >= 12);
            assert_eq!(out[..2], packet[..2], "the id");
            assert_ne!(out[2] & 0x80, 0, "QR");
            assert!(!transport.is_datagram() || len <= 1232, "{len} octets");
        }
        Reply::Drop => {}
        Reply::Transfer => assert!(!transport.is_datagram(), "a transfer over UDP"),
    }
}
