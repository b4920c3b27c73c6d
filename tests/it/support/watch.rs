//! An HTTP server whose health a test sets, and which says when a probe first saw it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[derive(Debug)]
struct State {
    healthy: bool,
    /// When a probe was first told of `healthy`, after it was set.
    told: Option<Instant>,
}

/// The server. Its thread ends with the process.
#[derive(Debug)]
pub struct Watched {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Watched {
    /// A healthy one on a free port of 127.0.0.1.
    pub fn start() -> Watched {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State {
            healthy: true,
            told: None,
        }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut request = [0; 2048];
                if !matches!(stream.read(&mut request), Ok(n) if n > 0) {
                    continue;
                }
                let mut state = shared.lock().unwrap();
                let status = if state.healthy { "200 OK" } else { "503 Down" };
                let told = Instant::now();
                let text =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                if stream.write_all(text.as_bytes()).is_ok() {
                    state.told.get_or_insert(told);
                }
            }
        });
        Watched { port, state }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets what the next probes are told.
    pub fn set(&self, healthy: bool) {
        *self.state.lock().unwrap() = State {
            healthy,
            told: None,
        };
    }

    /// When a probe was first told what was set last.
    pub fn told(&self) -> Option<Instant> {
        self.state.lock().unwrap().told
    }
}
