//! Backends and clients of datagrams.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How long an answer may take before its question is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// How often a question is asked.
const TRIES: usize = 40;

/// A datagram as it reached a backend: who sent it, and its octets.
pub type Got = (SocketAddr, Vec<u8>);

/// A server of datagrams on a free port; it ends when dropped.
pub struct DatagramBackend {
    pub addr: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl DatagramBackend {
    /// On `bind`, answering with what `answer` makes of a datagram.
    pub fn on(
        bind: &str,
        answer: impl Fn(&Got) -> Vec<Vec<u8>> + Send + 'static,
    ) -> DatagramBackend {
        let socket = UdpSocket::bind(bind).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let addr = socket.local_addr().unwrap();
        let (got, stop) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let (ours, stopped) = (got.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut space = vec![0; 64 << 10];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((n, from)) = socket.recv_from(&mut space) {
                    let one = (from, space[..n].to_vec());
                    for octets in answer(&one) {
                        let _ = socket.send_to(&octets, from);
                    }
                    ours.lock().unwrap().push(one);
                }
            }
        });
        DatagramBackend {
            addr,
            got,
            stop,
            thread: Some(thread),
        }
    }

    /// Sends back what it gets.
    pub fn echo() -> DatagramBackend {
        DatagramBackend::on("127.0.0.1:0", |got| vec![got.1.clone()])
    }

    /// Says `name`, whom it answers, and what it got.
    pub fn named(name: &'static str) -> DatagramBackend {
        DatagramBackend::on("127.0.0.1:0", move |(from, octets)| {
            let text = format!("{name} {from} {}", String::from_utf8_lossy(octets));
            vec![text.into_bytes()]
        })
    }

    /// Says nothing.
    pub fn silent() -> DatagramBackend {
        DatagramBackend::on("127.0.0.1:0", |_| Vec::new())
    }

    /// What has come so far.
    pub fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// How much has come so far.
    pub fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

impl Drop for DatagramBackend {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client of one address.
pub struct Client {
    pub socket: UdpSocket,
}

impl Client {
    /// On a free port, talking to `server`.
    pub fn of(server: SocketAddr) -> Client {
        let from = if server.is_ipv6() {
            "[::1]:0"
        } else {
            "127.0.0.1:0"
        };
        Client::from(from, server)
    }

    /// On `bind`, talking to `server`.
    pub fn from(bind: &str, server: SocketAddr) -> Client {
        let socket = UdpSocket::bind(bind).unwrap();
        socket.set_read_timeout(Some(AGAIN)).unwrap();
        socket.connect(server).unwrap();
        Client { socket }
    }

    /// Sends without waiting for anything.
    pub fn send(&self, octets: &[u8]) {
        self.socket.send(octets).unwrap();
    }

    /// The next answer, if one comes soon.
    pub fn next(&self) -> Option<Vec<u8>> {
        let mut space = vec![0; 64 << 10];
        let n = self.socket.recv(&mut space).ok()?;
        space.truncate(n);
        Some(space)
    }

    /// Asks until an answer comes for which `fits` holds.
    ///
    /// # Panics
    /// When none does.
    pub fn ask_for(&self, octets: &[u8], fits: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        for _ in 0..TRIES {
            self.send(octets);
            while let Some(answer) = self.next() {
                if fits(&answer) {
                    return answer;
                }
            }
        }
        panic!("no answer to {:?}", String::from_utf8_lossy(octets));
    }

    /// As [`Client::ask_for`], of any answer.
    pub fn ask(&self, text: &str) -> String {
        let answer = self.ask_for(text.as_bytes(), |answer| answer.ends_with(text.as_bytes()));
        String::from_utf8(answer).unwrap()
    }
}
