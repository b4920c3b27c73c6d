//! TCP end to end in one process.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::*;
use crate::server::desk::Desk;
use crate::server::hall::TcpLimits;
use crate::server::proxied::Proxies;
use crate::server::tap::Taps;
use crate::server::testkit::{BOMB, SILENT, clock, publisher, query, refusal, refuse};
use crate::telemetry::DnsCounters;
use crate::time::SimClock;

/// Long enough never to be reached.
const NEVER: Duration = Duration::from_secs(600);

fn patient() -> TcpLimits {
    TcpLimits {
        idle_timeout: NEVER,
        message_timeout: NEVER,
        write_timeout: NEVER,
        ..TcpLimits::default()
    }
}

struct Server {
    addr: SocketAddr,
    open: Arc<AtomicU64>,
    counters: Arc<DnsCounters>,
    sim: Arc<SimClock>,
    stop: watch::Sender<bool>,
    leave: watch::Sender<bool>,
    task: JoinHandle<()>,
}

fn start(limits: TcpLimits) -> Server {
    let listener = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let (sim, clock) = clock();
    let counters = Arc::new(DnsCounters::default());
    let open = Arc::new(AtomicU64::new(0));
    let (stop, stopped) = watch::channel(false);
    let (leave, left) = watch::channel(false);
    let desk = Desk::with_engine(&publisher(), &clock, counters.clone(), refuse);
    let addr = listener.local_addr().unwrap();
    let service = Service {
        publisher: publisher(),
        clock,
        counters: counters.clone(),
        open: open.clone(),
        limits,
        proxies: Proxies::default(),
        taps: Taps::default(),
        stopped,
        left,
    };
    let hall = Hall::with_desk(desk, &service);
    let task = tokio::spawn(async move {
        serve_in(
            &hall,
            listener,
            Speech::Tcp,
            (service.stopped, service.left),
        )
        .await;
    });
    Server {
        addr,
        open,
        counters,
        sim,
        stop,
        leave,
        task,
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

fn frame(message: &[u8]) -> Vec<u8> {
    let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    framed
}

async fn read_frame(stream: &mut TcpStream) -> Vec<u8> {
    let len = stream.read_u16().await.unwrap();
    let mut message = vec![0; usize::from(len)];
    stream.read_exact(&mut message).await.unwrap();
    message
}

/// Whether the server closes without saying more.
async fn closes(stream: &mut TcpStream) -> bool {
    let mut rest = [0; 1];
    matches!(stream.read(&mut rest).await, Ok(0) | Err(_))
}

async fn exchange(stream: &mut TcpStream, id: u16) {
    stream.write_all(&frame(&query(id, 40))).await.unwrap();
    assert_eq!(read_frame(stream).await, refusal(id, 40));
}

#[tokio::test]
async fn pipelined_queries_are_answered_in_order() {
    let server = start(patient());
    let mut stream = server.connect().await;
    let three: Vec<u8> = (1..=3u16)
        .flat_map(|id| frame(&query(id, 30 * usize::from(id))))
        .collect();
    stream.write_all(&three).await.unwrap();
    for id in 1..=3u16 {
        assert_eq!(
            read_frame(&mut stream).await,
            refusal(id, 30 * usize::from(id))
        );
    }
    assert_eq!(server.counters.get(DnsEvent::Refused), 3);
    // A client that half-closes still gets its answer.
    stream.write_all(&frame(&query(4, 50))).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(read_frame(&mut stream).await, refusal(4, 50));
    assert!(closes(&mut stream).await);
}

#[tokio::test]
async fn p2_who_is_here_is_served_on_when_another_process_accepts() {
    let server = start(patient());
    let mut stream = server.connect().await;
    exchange(&mut stream, 1).await;
    let mut idle = server.connect().await;
    exchange(&mut idle, 1).await;
    server.leave.send_replace(true);
    // All that a client has asked is answered; then it is to come anew.
    let three: Vec<u8> = (2..5).flat_map(|id| frame(&query(id, 40))).collect();
    stream.write_all(&three).await.unwrap();
    for id in 2..5 {
        assert_eq!(read_frame(&mut stream).await, refusal(id, 40));
    }
    assert!(closes(&mut stream).await);
    // Here the socket was this process's alone: nobody takes who comes.
    while let Ok(mut late) = TcpStream::connect(server.addr).await {
        assert!(closes(&mut late).await);
    }
    // Who has not asked yet is not closed, so that no question meets the end.
    exchange(&mut idle, 5).await;
    assert!(closes(&mut idle).await);
    drop((stream, idle));
    server.task.await.unwrap();
}

#[tokio::test]
async fn frames_may_come_in_any_pieces() {
    let server = start(patient());
    let mut stream = server.connect().await;
    let longest = query(9, 65_535);
    let mut octets = frame(&query(8, 12));
    octets.extend(frame(&longest));
    octets.extend(frame(&query(10, 99)));
    for piece in [
        &octets[..1],
        &octets[1..3],
        &octets[3..15],
        &octets[15..40_000],
        &octets[40_000..],
    ] {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(read_frame(&mut stream).await, refusal(8, 12));
    assert_eq!(read_frame(&mut stream).await, refusal(9, 65_535));
    assert_eq!(read_frame(&mut stream).await, refusal(10, 99));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = start(TcpLimits {
        idle_timeout: Duration::from_millis(50),
        ..patient()
    });
    let mut silent = server.connect().await;
    let mut once = server.connect().await;
    exchange(&mut once, 1).await;
    assert!(closes(&mut silent).await);
    assert!(closes(&mut once).await);
}

#[tokio::test]
async fn a_query_that_trickles_in_is_cut_off() {
    let server = start(TcpLimits {
        message_timeout: Duration::from_millis(20),
        ..patient()
    });
    let mut stream = server.connect().await;
    exchange(&mut stream, 1).await;
    // Far more octets than can be sent one by one in the time given.
    let octets = frame(&query(2, 65_535));
    let (mut read, mut write) = stream.split();
    let dribble = async {
        for octet in &octets {
            if write.write_all(&[*octet]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        std::future::pending::<()>().await;
    };
    let mut rest = [0; 1];
    tokio::select! {
        () = dribble => {}
        ended = read.read(&mut rest) => assert!(matches!(ended, Ok(0) | Err(_))),
    }
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_cut_off_and_holds_up_nobody() {
    let server = start(TcpLimits {
        write_timeout: Duration::from_millis(100),
        ..patient()
    });
    let mut greedy = server.connect().await;
    let mut other = server.connect().await;
    let large = frame(&query(1, 60_000));
    // Writing stops being possible: the server does not read on while its answers are not taken,
    // and ends the connection then.
    while greedy.write_all(&large).await.is_ok() {}
    exchange(&mut other, 2).await;
}

#[tokio::test]
async fn when_full_the_longest_idle_makes_room() {
    let server = start(TcpLimits {
        max_connections: 3,
        max_per_source: Some(3),
        ..patient()
    });
    let mut streams = Vec::new();
    for id in 0..3 {
        let mut stream = server.connect().await;
        server.sim.advance(Duration::from_secs(1));
        exchange(&mut stream, id).await;
        streams.push(stream);
    }
    assert_eq!(server.open(), 3);
    server.sim.advance(Duration::from_secs(1));
    exchange(&mut streams[0], 7).await; // now the second is idle longest
    let mut late = server.connect().await;
    exchange(&mut late, 8).await;
    assert!(closes(&mut streams[1]).await);
    for i in [0, 2] {
        exchange(&mut streams[i], 9).await;
    }
    assert_eq!(server.counters.get(DnsEvent::TcpEvicted), 1);
}

#[tokio::test]
async fn one_source_gets_its_share_only() {
    let server = start(TcpLimits {
        max_connections: 8,
        ..patient()
    });
    let mut first = server.connect().await;
    exchange(&mut first, 1).await;
    server.sim.advance(Duration::from_secs(1));
    let mut second = server.connect().await;
    exchange(&mut second, 2).await;
    // A quarter of 8 is 2: the third of this address costs its first.
    let mut third = server.connect().await;
    exchange(&mut third, 3).await;
    assert!(closes(&mut first).await);
    exchange(&mut second, 4).await;
}

#[tokio::test]
async fn what_is_not_dns_ends_the_connection_after_earlier_answers() {
    let server = start(patient());
    for bad in [SILENT, b"GET /" as &[u8], b""] {
        let mut stream = server.connect().await;
        let mut octets = frame(&query(1, 20));
        octets.extend(frame(bad));
        stream.write_all(&octets).await.unwrap();
        assert_eq!(read_frame(&mut stream).await, refusal(1, 20));
        assert!(closes(&mut stream).await);
    }
}

#[tokio::test]
async fn a_panic_in_the_engine_gets_servfail_and_the_connection_lives_on() {
    let server = start(patient());
    let mut stream = server.connect().await;
    stream.write_all(&frame(BOMB)).await.unwrap();
    let answer = read_frame(&mut stream).await;
    assert_eq!(answer, [0, 7, 0x81, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    exchange(&mut stream, 5).await;
    assert_eq!(server.counters.get(DnsEvent::EnginePanic), 1);
}

#[tokio::test]
async fn stopping_closes_everything_and_the_gauge_returns_to_zero() {
    let server = start(patient());
    let mut one = server.connect().await;
    let mut two = server.connect().await;
    exchange(&mut one, 1).await;
    exchange(&mut two, 2).await;
    assert_eq!(server.open(), 2);
    server.stop.send_replace(true);
    server.task.await.unwrap();
    assert_eq!(server.open.load(Ordering::Relaxed), 0);
    assert!(closes(&mut one).await && closes(&mut two).await);
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_listened_on_is_refused() {
    let first = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let error = bind(first.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
