//! The sampled query log: takes samples off the tap and writes them as dnstap, to a collector's socket
//! or to a file.
//!
//! DNS threads never wait for it: they leave samples in a bounded queue. Where the collector is slow,
//! dead or not there, samples are dropped and counted; where the disk takes nothing, too.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::spec::{DnstapSpec, DnstapTarget};
use crate::server::tap::{Inlet, Sample, TapCounters, Taps};
use crate::time::Clock;

use super::frames::{self, Control, LONGEST_CONTROL};
use super::message;
use super::tallies::{Tallies, add};

/// Samples that may wait to be written.
const WAITING: usize = 4096;

/// How often they are fetched.
const LOOK: Duration = Duration::from_millis(100);

/// A collector that takes nothing for so long is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two attempts to reach a collector: this at first, then twice as long each time.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// What is counted of the query log.
struct Counts {
    written: Arc<AtomicU64>,
    undelivered: Arc<AtomicU64>,
    failures: Arc<AtomicU64>,
    connected: Arc<AtomicU64>,
}

impl Counts {
    /// Beside what the tap counts; and the metrics of it.
    fn new(tap: Arc<TapCounters>) -> (Counts, Tallies) {
        let mut tallies = Tallies::default();
        let written = tallies.counter(
            "tradewind_dnstap_messages_total",
            "Queries written to the log of sampled queries.",
        );
        let written = written.number("");
        let dropped = tallies.counter(
            "tradewind_dnstap_dropped_total",
            "Sampled queries that were not logged: the queue was full, or nobody took them.",
        );
        dropped.reads("reason=\"queue-full\"", move || {
            tap.dropped.load(Ordering::Relaxed)
        });
        let undelivered = dropped.number("reason=\"undelivered\"");
        let failures = tallies.counter(
            "tradewind_dnstap_failures_total",
            "Times that the collector could not be reached or broke off, or that the file could not be written.",
        );
        let failures = failures.number("");
        let connected = tallies.gauge(
            "tradewind_dnstap_connected",
            "1: the log of sampled queries is being written.",
        );
        let counts = Counts {
            written,
            undelivered,
            failures,
            connected: connected.number(""),
        };
        (counts, tallies)
    }
}

/// Who writes, and where.
struct Writer {
    inlet: Inlet,
    node: String,
    clock: Arc<dyn Clock>,
    counts: Counts,
    stopped: watch::Receiver<bool>,
}

/// Adds itself to those who are given samples, and starts; what it counts.
pub(super) fn start(
    taps: &mut Taps,
    spec: &DnstapSpec,
    node: &str,
    clock: &Arc<dyn Clock>,
    stopped: &watch::Receiver<bool>,
) -> Arc<Tallies> {
    let inlet = taps.add(spec.per_second, WAITING);
    let (counts, tallies) = Counts::new(inlet.counters().clone());
    let writer = Writer {
        inlet,
        node: node.to_owned(),
        clock: clock.clone(),
        counts,
        stopped: stopped.clone(),
    };
    let target = spec.target.clone();
    tokio::spawn(writer.run(target));
    Arc::new(tallies)
}

/// Why a stream ended.
enum Ended {
    /// The node ends.
    Stopped,
    /// The file has its size.
    Full,
    /// The collector or the disk.
    Failed(std::io::Error),
}

impl From<std::io::Error> for Ended {
    fn from(e: std::io::Error) -> Ended {
        Ended::Failed(e)
    }
}

impl Writer {
    /// Opens the target again and again until the node ends.
    async fn run(mut self, target: DnstapTarget) {
        let mut pause = RETRY.0;
        loop {
            let ended = match &target {
                DnstapTarget::Socket(path) => self.feed_collector(path, &mut pause).await,
                DnstapTarget::File(path, size) => self.feed_file(path, *size).await,
            };
            self.counts.connected.store(0, Ordering::Relaxed);
            let error = match ended {
                Ended::Stopped => return,
                Ended::Full => continue,
                Ended::Failed(error) => error,
            };
            let count = self.counts.failures.fetch_add(1, Ordering::Relaxed);
            // The first says it; the metric counts the rest.
            if count == 0 || pause == RETRY.0 {
                let target = match &target {
                    DnstapTarget::Socket(path) | DnstapTarget::File(path, _) => path.display(),
                };
                tracing::warn!(%target, %error, "sampled queries are not logged; trying again");
            }
            if self.idle(pause).await {
                return;
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// Drops samples until the pause is over; whether the node ends.
    async fn idle(&mut self, pause: Duration) -> bool {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return false,
                _ = self.stopped.wait_for(|stop| *stop) => return true,
                () = tokio::time::sleep(LOOK) => {
                    let lost = self.inlet.waiting().take(WAITING).count() as u64;
                    add(&self.counts.undelivered, lost);
                }
            }
        }
    }

    /// What waits, as frames, and how many there are.
    fn frames(&self) -> (Vec<u8>, u64) {
        let wall = self.clock.wall();
        let samples: Vec<Sample> = self.inlet.waiting().take(WAITING).collect();
        let mut out = Vec::new();
        for sample in &samples {
            let payload = message::encode(sample, &self.node, wall.unix_ms(sample.at));
            frames::data(&mut out, &payload);
        }
        (out, samples.len() as u64)
    }

    /// Waits for the next look; whether the node ends.
    async fn next(&mut self) -> bool {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => false,
            _ = self.stopped.wait_for(|stop| *stop) => true,
        }
    }

    /// The two-way handshake of Frame Streams, then data until something ends it.
    async fn feed_collector(&mut self, path: &Path, pause: &mut Duration) -> Ended {
        let opened = timeout(PATIENCE, greet(path)).await;
        let mut stream = match opened.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            Ok(stream) => stream,
            Err(e) => return e.into(),
        };
        self.counts.connected.store(1, Ordering::Relaxed);
        *pause = RETRY.0;
        tracing::info!(socket = %path.display(), "sampled queries go to the collector");
        loop {
            let stops = self.next().await;
            let (mut out, count) = self.frames();
            if stops {
                out.extend(Control::Stop.frame());
            }
            let written = timeout(PATIENCE, stream.write_all(&out)).await;
            match written.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
                Ok(()) => add(&self.counts.written, count),
                Err(e) => {
                    add(&self.counts.undelivered, count);
                    return e.into();
                }
            };
            if stops {
                return Ended::Stopped;
            }
        }
    }

    /// A one-way stream in a new file; the one before it is kept under another name.
    async fn feed_file(&mut self, path: &Path, most: u64) -> Ended {
        match self.fill(path, most).await {
            Ok(ended) | Err(ended) => ended,
        }
    }

    async fn fill(&mut self, path: &Path, most: u64) -> Result<Ended, Ended> {
        let start = Control::Start.frame();
        let mut size = start.len() as u64;
        let mut file = begin(path.to_owned(), start).await?;
        self.counts.connected.store(1, Ordering::Relaxed);
        loop {
            let stops = self.next().await;
            let (mut out, count) = self.frames();
            size += out.len() as u64;
            let full = size >= most;
            if stops || full {
                out.extend(Control::Stop.frame());
            }
            file = match write(file, out).await {
                Ok(file) => file,
                Err(e) => {
                    add(&self.counts.undelivered, count);
                    return Err(e.into());
                }
            };
            add(&self.counts.written, count);
            match (stops, full) {
                (true, _) => return Ok(Ended::Stopped),
                (false, true) => return Ok(Ended::Full),
                (false, false) => {}
            }
        }
    }
}

/// Puts the file of before aside, and begins a new one with these octets.
async fn begin(path: PathBuf, start: Vec<u8>) -> std::io::Result<File> {
    let file = on_a_thread(move || {
        let mut kept = path.as_os_str().to_owned();
        kept.push(".1");
        match std::fs::rename(&path, PathBuf::from(kept)) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
            _ => File::create_new(&path),
        }
    });
    write(file.await?, start).await
}

/// Writes to the end of the file.
async fn write(mut file: File, octets: Vec<u8>) -> std::io::Result<File> {
    on_a_thread(move || {
        file.write_all(&octets)?;
        Ok(file)
    })
    .await
}

/// A disk may take its time; the runtime does not wait for it.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(std::io::Error::other(e)))
}

/// Connects, offers the content, and waits until it is taken.
async fn greet(path: &Path) -> std::io::Result<UnixStream> {
    let invalid = |why: &str| std::io::Error::new(ErrorKind::InvalidData, why.to_owned());
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(&Control::Ready.frame()).await?;
    let escape = stream.read_u32().await?;
    let len = stream.read_u32().await? as usize;
    if escape != 0 || !(4..=LONGEST_CONTROL).contains(&len) {
        return Err(invalid("what listens there does not speak Frame Streams"));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await?;
    match Control::read(&body) {
        Some((Control::Accept, true)) => {}
        Some((Control::Accept, false)) => {
            return Err(invalid("the collector takes other content than dnstap"));
        }
        _ => return Err(invalid("the collector did not accept")),
    }
    stream.write_all(&Control::Start.frame()).await?;
    Ok(stream)
}
