//! A flood of half-open connections on a proxy: SYNs of hosts that are not there. They stay in the kernel's
//! own queue; the proxy hears nothing of them, and who means it is served.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use crate::support::backend::Backend;
use crate::support::proxy::{Proxy, WEB, backend_entry};
use crate::support::stream::StreamBackend;
use crate::support::wait_for;

use super::lab::Lab;

/// SYNs of the flood.
const SYNS: u32 = 20_000;

/// The sum that TCP and IP are checked by (RFC 1071).
fn checksum(parts: &[&[u8]]) -> u16 {
    let pairs = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 = pairs
        .map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |o| u32::from(*o)))
        .sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

/// The first packet of a connection (RFC 9293 section 3.1), with its IP header.
fn syn(from: SocketAddrV4, to: SocketAddrV4, sequence: u32) -> [u8; 40] {
    let mut packet = [0; 40];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&40_u16.to_be_bytes());
    packet[8] = 64;
    packet[9] = 6;
    packet[12..16].copy_from_slice(&from.ip().octets());
    packet[16..20].copy_from_slice(&to.ip().octets());
    let sum = checksum(&[&packet[..20]]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet[20..22].copy_from_slice(&from.port().to_be_bytes());
    packet[22..24].copy_from_slice(&to.port().to_be_bytes());
    packet[24..28].copy_from_slice(&sequence.to_be_bytes());
    packet[32] = 5 << 4;
    packet[33] = 0x02;
    packet[34..36].copy_from_slice(&65_535_u16.to_be_bytes());
    let pseudo = [&packet[12..20], &[0, 6, 0, 20]].concat();
    let sum = checksum(&[&pseudo, &packet[20..]]);
    packet[36..38].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Sends SYNs of hosts that are not there.
fn flood(to: SocketAddrV4) {
    let raw = socket2::Protocol::from(255);
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(raw)).unwrap();
    for n in 0..SYNS {
        let host = Ipv4Addr::new(10, 66, 0, 100 + (n % 100) as u8);
        let from = SocketAddrV4::new(host, 10_000 + (n / 100) as u16);
        // The device may be busy: that many more or fewer do not matter.
        let _ = socket.send_to(&syn(from, to, n), &SocketAddr::V4(to).into());
    }
}

/// Connections of this host that are half open.
fn half_open() -> usize {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
    let states = table.lines().filter_map(|l| l.split_whitespace().nth(3));
    states.filter(|state| *state == "03").count()
}

fn is_echoed(to: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(to).unwrap();
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_flood_of_half_open_connections_takes_nothing_of_the_proxy() {
    let Some(lab) = Lab::new(&["flooder", "proxy"]) else {
        return;
    };
    let (flooder, host) = (lab.host("flooder"), lab.host("proxy"));
    let address = host.v4();
    host.inside(|| {
        let (echo, web) = (StreamBackend::echo(), Backend::start());
        let proxy = Proxy::start(&format!(
            "[listeners.l4]\nbind = [\"{address}:0\"]\nprotocol = \"tcp\"\nforward = \"l4\"\n\
             [upstreams.l4]\n{}{WEB}{}",
            backend_entry("l4", "b", echo.addr),
            backend_entry("app", "b0", web.addr)
        ));
        let to = proxy.addr("l4");
        let SocketAddr::V4(v4) = to else {
            panic!("{to} is no address of IPv4");
        };
        assert!(flooder.inside(|| is_echoed(to)));
        let before = proxy.node.settled_memory();
        flooder.inside(|| flood(v4));
        let most = wait_for("some are half open", Duration::from_secs(10), || {
            Some(half_open()).filter(|n| *n >= 100)
        });
        let began = Instant::now();
        assert!(flooder.inside(|| is_echoed(to)), "who means it is served");
        proxy.assert_serves();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(10), "{took:?}");
        let grown = proxy.node.memory("VmRSS").saturating_sub(before);
        eprintln!("{most} of {SYNS} half open; {grown} KiB more in the proxy");
        assert!(grown < 4096, "{grown} KiB");
        let name = "tradewind_proxy_listener_flows_total{listener=\"l4\",protocol=\"tcp\"}";
        assert_eq!(proxy.node.metric(name), 2);
    });
}
