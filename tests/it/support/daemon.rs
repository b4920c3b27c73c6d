//! A server from another house, as a child on a port of 127.0.0.1 that nobody else has.
//!
//! Such servers want their port told. One that is free now may be taken before the child binds it, by
//! UDP or by TCP; the child then ends, or hangs about without it. It is started anew on another port.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::demo::signal;

/// Ports tried before the server itself is taken to be at fault.
const TRIES: usize = 4;
/// Time to come up, on a machine that has much else to do.
const TO_COME_UP: Duration = Duration::from_secs(15);
/// Time to end by itself.
const TO_END: Duration = Duration::from_secs(10);

/// A running server; ended by its pid when dropped.
pub struct Daemon {
    child: Child,
    pub addr: SocketAddr,
}

impl Daemon {
    /// Starts a server. `command` writes its configuration for a port and gives the command, which
    /// must not go into the background; `is_up` asks whether it serves. What it says on stderr goes
    /// to a file in `dir`.
    ///
    /// # Panics
    /// When it does not come up on any port, with what it said each time.
    pub fn start(
        what: &str,
        dir: &Path,
        mut command: impl FnMut(u16) -> Command,
        mut is_up: impl FnMut(SocketAddr) -> bool,
    ) -> Daemon {
        let log = dir.join("daemon.log");
        let mut failures = String::new();
        for _ in 0..TRIES {
            let port = free_port();
            let child = command(port)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(File::create(&log).unwrap())
                .spawn()
                .unwrap_or_else(|e| panic!("{what} cannot be started: {e}"));
            let addr = SocketAddr::from(([127, 0, 0, 1], port));
            let mut daemon = Daemon { child, addr };
            match daemon.comes_up(&mut is_up) {
                Ok(()) => return daemon,
                Err(why) => {
                    drop(daemon);
                    let said = std::fs::read(&log).unwrap();
                    let said = String::from_utf8_lossy(&said);
                    failures.push_str(&format!("port {port}: {why}\n{said}\n"));
                }
            }
        }
        panic!("{what} does not come up:\n{failures}");
    }

    fn comes_up(&mut self, is_up: &mut impl FnMut(SocketAddr) -> bool) -> Result<(), String> {
        let start = Instant::now();
        while start.elapsed() < TO_COME_UP {
            // Whoever else has the port may answer as well, so the child must be alive then.
            let up = is_up(self.addr);
            if let Some(status) = self.child.try_wait().unwrap() {
                return Err(format!("it ended with {status}"));
            }
            if up {
                return Ok(());
            }
            // A pause between looks, not a wait for an event.
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Err(format!("it does not answer within {TO_COME_UP:?}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            signal("-TERM", self.child.id());
            let start = Instant::now();
            while start.elapsed() < TO_END && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            // It may have ended by itself.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// A port that nobody has at the moment, neither for UDP nor for TCP.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        if UdpSocket::bind(addr).is_ok() {
            return addr.port();
        }
    }
}

/// Whether something answers this query over UDP.
pub fn answers(at: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(at).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket.send(query).ok()?;
    let mut answer = vec![0; 2_048];
    let n = socket.recv(&mut answer).ok()?;
    answer.truncate(n);
    Some(answer)
}

/// A daemon that finds its port taken gets another; one that never serves is reported with its words.
#[test]
fn a_daemon_that_ends_early_is_started_anew() {
    let dir = tempfile::tempdir().unwrap();
    let starts = std::cell::Cell::new(0);
    let daemon = Daemon::start(
        "sleep",
        dir.path(),
        |_| {
            starts.set(starts.get() + 1);
            let mut c = Command::new("sh");
            c.args([
                "-c",
                if starts.get() < 3 {
                    "exit 3"
                } else {
                    "exec sleep 60"
                },
            ]);
            c
        },
        |_| starts.get() == 3,
    );
    assert_eq!(starts.get(), 3);
    drop(daemon);

    let failure = std::panic::catch_unwind(|| {
        let dir = tempfile::tempdir().unwrap();
        Daemon::start(
            "sh",
            dir.path(),
            |_| {
                let mut c = Command::new("sh");
                c.args(["-c", "echo the port is taken >&2; exit 3"]);
                c
            },
            |_| false,
        );
    });
    let said = failure.unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    assert!(said.starts_with("sh does not come up:\nport "), "{said}");
    assert_eq!(
        said.matches("exit status: 3\nthe port is taken").count(),
        TRIES
    );
}
