//! UDP end to end in one process, and the worker on scripted packet I/O.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::server::testkit::{BOMB, SILENT, clock, publisher, query, refusal, refuse};
use crate::sys::packet::{Packet, REPLY_BYTES, Sent};

fn counters(n: usize) -> Vec<Arc<DnsCounters>> {
    (0..n).map(|_| Arc::new(DnsCounters::default())).collect()
}

fn total(counters: &[Arc<DnsCounters>], event: DnsEvent) -> u64 {
    counters.iter().map(|c| c.get(event)).sum()
}

fn start(addr: &str, workers: usize) -> UdpServer {
    let bound = bind(addr.parse().unwrap(), workers).unwrap();
    assert_eq!(bound.workers(), workers);
    let (_, clock) = clock();
    bound
        .start_with(&publisher(), &clock, counters(workers), refuse)
        .unwrap()
}

fn client(to: SocketAddr) -> UdpSocket {
    let own: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    let socket = UdpSocket::bind((own, 0)).unwrap();
    // Connected: an answer from another address than `to` is not received.
    socket.connect(to).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    socket
}

fn ask(socket: &UdpSocket, message: &[u8]) -> Vec<u8> {
    socket.send(message).unwrap();
    let mut buffer = [0; 4096];
    let n = socket.recv(&mut buffer).unwrap();
    buffer[..n].to_vec()
}

/// Whether this machine has IPv6 at all; where not, the IPv6 halves of tests have nothing to test.
fn has_ipv6() -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[test]
fn many_queries_on_both_families_are_all_answered() {
    let mut addrs = vec!["127.0.0.1:0"];
    if has_ipv6() {
        addrs.push("[::1]:0");
    }
    for addr in addrs {
        let server = start(addr, 3);
        let clients: Vec<_> = (0..8).map(|_| client(server.local_addr())).collect();
        for round in 0..20u16 {
            for socket in &clients {
                for i in 0..16 {
                    let message = query(round * 16 + i, 40 + usize::from(i));
                    socket.send(&message).unwrap();
                }
            }
            for socket in &clients {
                let mut open: BTreeSet<Vec<u8>> = (0..16)
                    .map(|i| refusal(round * 16 + i, 40 + usize::from(i)))
                    .collect();
                while !open.is_empty() {
                    let mut buffer = [0; 4096];
                    let n = socket.recv(&mut buffer).unwrap();
                    assert!(open.remove(&buffer[..n]), "an answer nobody asked for");
                }
            }
        }
        let own = server.counters().to_vec();
        server.stop();
        assert_eq!(total(&own, DnsEvent::Refused), 8 * 16 * 20);
        assert_eq!(total(&own, DnsEvent::SendFailed), 0);
    }
}

#[test]
fn on_a_wildcard_the_answer_leaves_from_the_address_asked() {
    let server = start("0.0.0.0:0", 2);
    let port = server.local_addr().port();
    for host in [[127, 0, 0, 1], [127, 1, 2, 3], [127, 9, 9, 9]] {
        let socket = client(SocketAddr::from((host, port)));
        assert_eq!(ask(&socket, &query(7, 33)), refusal(7, 33), "{host:?}");
    }
    if has_ipv6() {
        // The same port beside it: IPv6 sockets take IPv6 only.
        let (_, clock) = clock();
        let six = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), 1).unwrap();
        let six = six
            .start_with(&publisher(), &clock, counters(1), refuse)
            .unwrap();
        let socket = client(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        assert_eq!(ask(&socket, &query(8, 50)), refusal(8, 50));
        six.stop();
    }
    server.stop();
}

#[test]
fn a_panic_in_the_engine_gets_servfail_and_the_worker_lives_on() {
    let server = start("127.0.0.1:0", 1);
    let socket = client(server.local_addr());
    for id in 0..3 {
        assert_eq!(
            ask(&socket, BOMB),
            [0, 7, 0x81, 2, 0, 0, 0, 0, 0, 0, 0, 0],
            "SERVFAIL, header only"
        );
        assert_eq!(ask(&socket, &query(id, 20)), refusal(id, 20));
    }
    assert_eq!(total(server.counters(), DnsEvent::EnginePanic), 3);
    assert_eq!(total(server.counters(), DnsEvent::Refused), 3);
}

#[test]
fn oversize_and_empty_datagrams_reach_the_engine_as_nothing() {
    let server = start("127.0.0.1:0", 1);
    let socket = client(server.local_addr());
    socket.send(&query(1, 5000)).unwrap();
    socket.send(&[]).unwrap();
    assert_eq!(ask(&socket, &query(2, 60)), refusal(2, 60));
    assert_eq!(total(server.counters(), DnsEvent::Dropped), 2);
}

#[test]
fn a_port_that_is_served_already_is_refused() {
    let server = start("127.0.0.1:0", 2);
    let again = bind(server.local_addr(), 1).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AddrInUse);
    let addr = server.local_addr();
    server.stop();
    assert_eq!(bind(addr, 2).unwrap().local_addr(), addr);
}

#[test]
fn counters_must_match_the_workers() {
    let bound = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
    let (_, clock) = clock();
    let error = bound.start(&publisher(), &clock, counters(1)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("2 workers"), "{error}");
}

/// Packet I/O that plays batches and errors, and writes down what is queued.
struct Script<'a> {
    steps: Vec<io::Result<Vec<&'a [u8]>>>,
    batch: Vec<&'a [u8]>,
    replies: Vec<[u8; REPLY_BYTES]>,
    queued: Vec<Vec<u8>>,
    sends: Vec<Vec<Vec<u8>>>,
    fail_sends: bool,
    stop: &'a AtomicBool,
}

impl PacketIo for Script<'_> {
    fn receive(&mut self) -> io::Result<usize> {
        if self.steps.is_empty() {
            self.stop.store(true, Ordering::Relaxed);
            return Ok(0);
        }
        self.batch = self.steps.remove(0)?;
        self.replies = vec![[0; REPLY_BYTES]; self.batch.len()];
        Ok(self.batch.len())
    }

    fn packet(&mut self, index: usize) -> Packet<'_> {
        Packet {
            query: self.batch[index],
            peer: "192.0.2.1:53".parse().unwrap(),
            reply: &mut self.replies[index],
        }
    }

    fn queue(&mut self, index: usize, len: usize) {
        self.queued.push(self.replies[index][..len].to_vec());
    }

    fn send(&mut self) -> Sent {
        let batch = std::mem::take(&mut self.queued);
        let n = batch.len();
        self.sends.push(batch);
        if self.fail_sends {
            Sent {
                sent: 0,
                failed: n,
                error: Some(io::ErrorKind::Other.into()),
            }
        } else {
            Sent {
                sent: n,
                failed: 0,
                error: None,
            }
        }
    }
}

fn play(
    steps: Vec<io::Result<Vec<&[u8]>>>,
    fail_sends: bool,
) -> (Vec<Vec<Vec<u8>>>, Arc<DnsCounters>) {
    let stop = AtomicBool::new(false);
    let mut io = Script {
        steps,
        batch: Vec::new(),
        replies: Vec::new(),
        queued: Vec::new(),
        sends: Vec::new(),
        fail_sends,
        stop: &stop,
    };
    let own = Arc::new(DnsCounters::default());
    let (_, clock) = clock();
    let mut desk = Desk::with_engine(&publisher(), &clock, own.clone(), refuse);
    work(&mut io, &mut desk, &Proxies::default(), &stop);
    (io.sends, own)
}

#[test]
fn answers_go_out_in_the_order_of_their_batch() {
    let (a, b, c) = (query(1, 20), query(2, 30), query(3, 40));
    let (sends, own) = play(
        vec![Ok(vec![&a, SILENT, &b]), Ok(vec![]), Ok(vec![&c])],
        false,
    );
    assert_eq!(
        sends,
        [vec![refusal(1, 20), refusal(2, 30)], vec![refusal(3, 40)]]
    );
    assert_eq!(own.get(DnsEvent::Refused), 3);
}

#[test]
fn errors_of_the_system_do_not_end_a_worker() {
    let a = query(1, 20);
    let errors = [
        libc::ECONNREFUSED,
        libc::ENOBUFS,
        libc::EBADF,
        libc::ENETDOWN,
    ];
    let mut steps: Vec<io::Result<Vec<&[u8]>>> = errors
        .iter()
        .map(|e| Err(io::Error::from_raw_os_error(*e)))
        .collect();
    steps.push(Ok(vec![&a, &a]));
    let (sends, own) = play(steps, true);
    assert_eq!(sends.len(), 1);
    assert_eq!(own.get(DnsEvent::SendFailed), 2);
}

#[test]
fn a_batch_from_several_clients_is_answered_in_one_round() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = server.local_addr().unwrap();
    let clients: Vec<_> = (0..3).map(|_| client(own)).collect();
    let mut io = BatchSocket::new(server, false);
    for socket in &clients {
        socket.send(&query(9, 21)).unwrap();
    }
    // Loopback delivers before `send` returns, so the three are one batch.
    assert_eq!(io.receive().unwrap(), 3);
    for i in 0..3 {
        let packet = io.packet(i);
        assert_eq!(packet.query, query(9, 21));
        packet.reply[..3].copy_from_slice(b"yes");
        io.queue(i, 3);
    }
    let sent = io.send();
    assert_eq!((sent.sent, sent.failed), (3, 0));
    for socket in &clients {
        let mut buffer = [0; 16];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 3);
    }
}
