//! Layer 4 on the real binary: octets arrive whole in both directions, ends and breaks are passed on,
//! silence ends (requirement P1).

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::proxy::{Proxy, backend_entry};
use crate::support::stream::{StreamBackend, nobody};

/// A listener `l4` of TCP before these backends.
pub fn config(more: &str, backends: &[SocketAddr]) -> String {
    let entries = backends.iter().enumerate();
    let entries: String = entries
        .map(|(i, a)| backend_entry("app", &format!("b{i}"), *a))
        .collect();
    format!(
        "[listeners.l4]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"app\"\n{more}\n[upstreams.app]\nconnect-timeout = \"2s\"\n{entries}"
    )
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.addr("l4")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Octets that differ wherever one looks.
fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9E37_79B9_7F4A_7C15_u64;
    let mut octets = Vec::with_capacity(len + 8);
    while octets.len() < len {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        octets.extend_from_slice(&x.to_le_bytes());
    }
    octets.truncate(len);
    octets
}

#[test]
fn small_messages_go_there_and_back() {
    let backend = StreamBackend::echo();
    let proxy = Proxy::start(&config("", &[backend.addr]));
    let mut stream = connect(&proxy);
    for round in 0..100 {
        let message = format!("message {round}");
        stream.write_all(message.as_bytes()).unwrap();
        let mut got = vec![0; message.len()];
        stream.read_exact(&mut got).unwrap();
        assert_eq!(got, message.as_bytes());
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn long_streams_arrive_whole_in_both_directions_at_once() {
    let backend = StreamBackend::echo();
    let proxy = Proxy::start(&config("", &[backend.addr]));
    let sent = noise(24 << 20);
    let mut stream = connect(&proxy);
    let mut writer = stream.try_clone().unwrap();
    let copy = sent.clone();
    let writing = thread::spawn(move || {
        // Pieces of many sizes: some fill a read, some do not.
        let mut left = &copy[..];
        for size in [1, 100, 64 << 10, 7, 1 << 20, 30_000].into_iter().cycle() {
            let (piece, rest) = left.split_at(size.min(left.len()));
            writer.write_all(piece).unwrap();
            left = rest;
            if left.is_empty() {
                break;
            }
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    stream.read_to_end(&mut got).unwrap();
    writing.join().unwrap();
    assert!(got == sent, "{} octets of {}", got.len(), sent.len());
}

#[test]
fn one_side_may_end_while_the_other_goes_on() {
    let backend = StreamBackend::with(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream
            .write_all(format!("got {}", all.len()).as_bytes())
            .unwrap();
    });
    let proxy = Proxy::start(&config("", &[backend.addr]));
    let mut stream = connect(&proxy);
    stream.write_all(&[b'x'; 1000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut got = String::new();
    stream.read_to_string(&mut got).unwrap();
    assert_eq!(got, "got 1000");
}

#[test]
fn what_breaks_off_does_not_look_like_an_end() {
    let backend = StreamBackend::with(|mut stream| {
        let mut one = [0];
        let _ = stream.read_exact(&mut one);
        let _ = stream.write_all(b"half of the ans");
        // Unread octets make the close a reset.
        drop(stream);
    });
    let proxy = Proxy::start(&config("", &[backend.addr]));
    let mut stream = connect(&proxy);
    stream.write_all(&[b'x'; 100]).unwrap();
    let mut got = Vec::new();
    let end = stream.read_to_end(&mut got);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn silence_ends_a_connection_and_talk_keeps_it() {
    let backend = StreamBackend::echo();
    let times = "tcp.idle-timeout = \"2s\"\n";
    let proxy = Proxy::start(&config(times, &[backend.addr]));
    let mut stream = connect(&proxy);
    let began = Instant::now();
    let mut byte = [0];
    while began.elapsed() < Duration::from_secs(4) {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut byte).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    let quiet = Instant::now();
    let end = stream.read(&mut byte);
    assert!(matches!(&end, Ok(0) | Err(_)), "{end:?}");
    let took = quiet.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
}

#[test]
fn a_backend_that_refuses_is_passed_over() {
    let backend = StreamBackend::named("here");
    let proxy = Proxy::start(&config("", &[nobody(), backend.addr]));
    for _ in 0..4 {
        let mut got = String::new();
        connect(&proxy).read_to_string(&mut got).unwrap();
        assert_eq!(got, "here");
    }
}

#[test]
fn p1_a_slow_reader_gets_all_of_its_octets_long_after_the_backend_has_ended() {
    let sent = noise(1 << 20);
    let octets = sent.clone();
    let backend = StreamBackend::with(move |mut stream| {
        let _ = stream.write_all(&octets);
    });
    let times = "tcp.idle-timeout = \"2s\"\ntcp.half-close-timeout = \"2s\"\n";
    let proxy = Proxy::start(&config(times, &[backend.addr]));
    // A small window, so that most of it waits at the proxy.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.connect(&proxy.addr("l4").into()).unwrap();
    let mut stream = TcpStream::from(socket);
    let (mut got, mut space) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        match stream.read(&mut space).unwrap() {
            0 => break,
            n => got.extend_from_slice(&space[..n]),
        }
        // What waits in the kernel is read for several times as long as silence may last.
        thread::sleep(Duration::from_millis(100));
    }
    assert!(got == sent, "{} octets of {}", got.len(), sent.len());
}

#[test]
fn p1_who_breaks_off_in_the_queue_leaves_its_place() {
    let backend = StreamBackend::echo();
    let proxy = Proxy::start(&format!(
        "{}\n[upstreams.app.queue]\nsize = 1\ntimeout = \"20s\"\n",
        config("", &[backend.addr]).replace(
            "connect-timeout = \"2s\"\n",
            "connect-timeout = \"2s\"\nmax-connections = 1\n"
        )
    ));
    let mut byte = [0];
    let mut first = connect(&proxy);
    first.write_all(b"1").unwrap();
    first.read_exact(&mut byte).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let mut last = loop {
        // Each breaks off in the only place of the queue, or finds it taken by the one before.
        let gone = connect(&proxy);
        socket2::SockRef::from(&gone)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(gone);
        let mut last = connect(&proxy);
        last.set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        match last.write_all(b"2").and_then(|()| last.read(&mut byte)) {
            Err(e) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&e.kind()) => {
                break last;
            }
            other => assert!(Instant::now() < until, "{other:?}"),
        }
    };
    drop(first);
    last.set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    last.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"2");
}

#[test]
fn p1_who_has_only_ended_its_direction_keeps_its_place_in_the_queue() {
    let backend = StreamBackend::echo();
    let proxy = Proxy::start(&format!(
        "{}\n[upstreams.app.queue]\nsize = 1\ntimeout = \"60s\"\n",
        config("", &[backend.addr]).replace(
            "connect-timeout = \"2s\"\n",
            "connect-timeout = \"2s\"\nmax-connections = 1\n"
        )
    ));
    let mut first = connect(&proxy);
    first.write_all(b"1").unwrap();
    first.read_exact(&mut [0]).unwrap();
    // A question, whole, and nothing more: now it waits for its answer.
    let mut asker = connect(&proxy);
    asker.write_all(b"a question").unwrap();
    asker.shutdown(std::net::Shutdown::Write).unwrap();
    asker
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let early = asker.read(&mut [0; 32]).unwrap_err();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&early.kind()));
    drop(first);
    asker
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let mut answer = String::new();
    asker.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "a question");
}
