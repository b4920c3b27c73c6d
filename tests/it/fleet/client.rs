//! Clients of the lab: `dig` for what is answered, and a watch that asks all the time for when.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use super::host::Host;
use crate::support::{dns, wait_for};

/// Pause of a watch between an answer and the next query.
const PAUSE: Duration = Duration::from_millis(20);
/// A watch waits so long for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// What `dig` shows of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// `NOERROR` and the like.
    pub status: String,
    /// Data of the answer's records, sorted.
    pub data: Vec<String>,
    /// TTL of the first of them.
    pub ttl: Option<u32>,
    /// Texts of extended errors.
    pub errors: Vec<String>,
}

/// Asks `server` from `host` with `dig`. `None` when nothing comes within two seconds.
pub fn dig(host: &Host, server: IpAddr, name: &str, rtype: &str) -> Option<Answer> {
    let at = format!("@{server}");
    let mut command = Command::new("dig");
    command.args([&at, name, rtype, "+tries=2", "+time=1", "+nocookie"]);
    command.args(["+noall", "+comments", "+answer"]);
    let output = host.inside(|| command.output().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = text.split_once("status: ")?;
    let mut answer = Answer {
        status: rest.split(',').next()?.to_owned(),
        data: Vec::new(),
        ttl: None,
        errors: Vec::new(),
    };
    for line in text.lines() {
        if let Some(error) = line.strip_prefix("; EDE: ") {
            answer.errors.push(error.to_owned());
        } else if !line.starts_with(';') && !line.is_empty() {
            // Owner, TTL, class, type, data.
            let mut fields = line.split_whitespace();
            let ttl = fields.nth(1).and_then(|ttl| ttl.parse().ok());
            answer.ttl = answer.ttl.or(ttl);
            answer
                .data
                .push(fields.skip(2).collect::<Vec<_>>().join(" "));
        }
    }
    answer.data.sort();
    Some(answer)
}

/// The same outcome, again and again.
#[derive(Clone, Debug)]
pub struct Run {
    /// When the first query with it was sent.
    pub from: Instant,
    /// When the last one with it was answered, or given up.
    pub to: Instant,
    /// The addresses; `None`: no answer.
    pub got: Option<Vec<IpAddr>>,
    /// How many queries.
    pub queries: u64,
}

/// A client that asks one server for one name all the time.
#[derive(Debug)]
pub struct Watch {
    what: String,
    runs: Arc<Mutex<Vec<Run>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to ask `server` from `host` for the A records of `name`.
    pub fn start(host: &Host, server: IpAddr, name: &str) -> Watch {
        let server = SocketAddr::new(server, 53);
        let mut packet = dns::query(name, RecordType::A, None);
        let runs: Arc<Mutex<Vec<Run>>> = Arc::default();
        let end = Arc::new(AtomicBool::new(false));
        let (log, over) = (runs.clone(), end.clone());
        let socket = host.inside(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                let from = Instant::now();
                let got = ask(&socket, &mut packet);
                note(&mut log.lock().unwrap(), from, got);
                std::thread::park_timeout(PAUSE);
            }
        });
        Watch {
            what: format!("{name} at {server}"),
            runs,
            end,
            thread: Some(thread),
        }
    }

    /// Waits until the answer is `wanted`, and returns how long after `since` the first query with it
    /// was sent.
    ///
    /// # Panics
    /// When that does not come within `bound` after `since`.
    pub fn wait(&self, wanted: &[IpAddr], since: Instant, bound: Duration) -> Duration {
        let begun = Instant::now();
        loop {
            let last = self.runs.lock().unwrap().last().cloned();
            if let Some(run) = last
                && run.to >= since
                && run.got.as_deref() == Some(wanted)
            {
                let took = run.from.saturating_duration_since(since);
                assert!(
                    took <= bound,
                    "{}: {wanted:?} only after {took:?}, not within {bound:?}\n{}",
                    self.what,
                    self.told(since)
                );
                return took;
            }
            // What was asked may be answered a moment later.
            assert!(
                begun.elapsed() <= bound + PATIENCE,
                "{}: no {wanted:?} within {bound:?}\n{}",
                self.what,
                self.told(since)
            );
            std::thread::park_timeout(PAUSE);
        }
    }

    /// Waits until nothing has answered for so long.
    pub fn wait_silence(&self, lasting: Duration) {
        let what = format!("{}: silence for {lasting:?}", self.what);
        wait_for(&what, lasting + Duration::from_secs(5), || {
            let last = self.runs.lock().unwrap().last().cloned()?;
            (last.got.is_none() && last.to - last.from >= lasting).then_some(())
        });
    }

    /// Waits until `lasting` after `since` is over, asserting that all that time every query was
    /// answered with `wanted`.
    pub fn only_for(&self, wanted: &[IpAddr], since: Instant, lasting: Duration) {
        while since.elapsed() < lasting {
            self.only(wanted, since);
        }
    }

    /// What was seen since then, in short.
    pub fn since(&self, since: Instant) -> Vec<Run> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|r| r.to >= since).cloned().collect()
    }

    /// Asserts that since then every query was answered, and with `wanted`. At least one more query is
    /// waited for.
    pub fn only(&self, wanted: &[IpAddr], since: Instant) {
        let now = Instant::now();
        wait_for("one more query", 20 * PATIENCE, || {
            self.runs
                .lock()
                .unwrap()
                .last()
                .is_some_and(|r| r.to > now)
                .then_some(())
        });
        let fine = |r: &Run| r.got.as_deref() == Some(wanted);
        let runs = self.since(since);
        assert!(
            !runs.is_empty() && runs.iter().all(fine),
            "{}: not only {wanted:?}\n{}",
            self.what,
            self.told(since)
        );
    }

    /// Asserts that no query since then was without an answer.
    pub fn always_answered(&self, since: Instant) {
        let silent = self.since(since).into_iter().filter(|r| r.got.is_none());
        assert_eq!(
            silent.count(),
            0,
            "{}: queries without answer\n{}",
            self.what,
            self.told(since)
        );
    }

    fn told(&self, since: Instant) -> String {
        let line = |r: &Run| {
            format!(
                "  +{:.2} s to +{:.2} s: {} queries: {:?}\n",
                r.from.saturating_duration_since(since).as_secs_f64(),
                r.to.saturating_duration_since(since).as_secs_f64(),
                r.queries,
                r.got
            )
        };
        self.since(since).iter().map(line).collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}

fn ask(socket: &UdpSocket, packet: &mut [u8]) -> Option<Vec<IpAddr>> {
    // Each query has its own ID: what comes late answers an earlier one.
    let id = u16::from_be_bytes([packet[0], packet[1]]).wrapping_add(1);
    packet[..2].copy_from_slice(&id.to_be_bytes());
    let mut buf = [0; 2_048];
    // A host that is gone may refuse with ICMP; that is no answer either.
    socket.send(packet).ok()?;
    loop {
        let n = socket.recv(&mut buf).ok()?;
        if buf[..2] == id.to_be_bytes() {
            return Some(dns::addresses(&Message::from_vec(&buf[..n]).unwrap()));
        }
    }
}

fn note(runs: &mut Vec<Run>, from: Instant, got: Option<Vec<IpAddr>>) {
    let to = Instant::now();
    if let Some(last) = runs.last_mut()
        && last.got == got
    {
        last.to = to;
        last.queries += 1;
        return;
    }
    runs.push(Run {
        from,
        to,
        got,
        queries: 1,
    });
}
