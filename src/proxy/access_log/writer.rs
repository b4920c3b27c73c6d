//! The thread that writes lines: an exchange never waits for a disk.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hashbrown::HashMap;

use crate::traffic::access_log::LogTarget;

/// Lines that wait at most; more are dropped and counted.
const WAITING: usize = 16_384;

/// How often it is looked whether a file was moved away.
const LOOK: Duration = Duration::from_secs(1);

/// One place where lines go.
#[derive(Debug)]
pub struct LogWriter {
    lines: SyncSender<Vec<u8>>,
    lost: Arc<Lost>,
}

impl LogWriter {
    /// Writes a line, soon. Drops it when too many wait: a full disk stops no traffic.
    pub fn write(&self, line: Vec<u8>) {
        match self.lines.try_send(line) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                self.lost.count(1);
            }
        }
    }
}

/// All places where lines go; two listeners with the same file share it.
#[derive(Debug, Default)]
pub struct Logs {
    writers: Mutex<HashMap<LogTarget, Weak<LogWriter>>>,
    dropped: Arc<AtomicU64>,
}

impl Logs {
    /// The writer of a place. Its thread ends with the last that holds it.
    pub fn writer(&self, target: &LogTarget) -> Option<Arc<LogWriter>> {
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writers.get(target).and_then(Weak::upgrade) {
            return Some(writer);
        }
        let (lines, waiting) = sync_channel(WAITING);
        let lost = Arc::new(Lost {
            all: self.dropped.clone(),
            ..Lost::default()
        });
        let (to, ours) = (target.clone(), lost.clone());
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&to, &waiting, &ours));
        if let Err(error) = thread {
            tracing::error!(%error, "cannot start the thread of the access log; it is not written");
            return None;
        }
        let writer = Arc::new(LogWriter { lines, lost });
        writers.insert(target.clone(), Arc::downgrade(&writer));
        writers.retain(|_, w| w.strong_count() > 0);
        Some(writer)
    }

    /// Lines that were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn write_all(to: &LogTarget, lines: &Receiver<Vec<u8>>, lost: &Lost) {
    let mut out = Out::default();
    let mut block = Vec::new();
    // Told once when lines begin to be lost, and once when that is over: a disk that stays full is no
    // news with every line.
    let mut told = None;
    let mut before = 0;
    loop {
        let mut written = None;
        match lines.recv_timeout(LOOK) {
            Ok(line) => {
                block.extend_from_slice(&line);
                // What waits already goes with it.
                while block.len() < 256 << 10
                    && let Ok(line) = lines.try_recv()
                {
                    block.extend_from_slice(&line);
                }
                let done = match to {
                    LogTarget::Stdout => std::io::stdout().lock().write_all(&block),
                    LogTarget::File(path) => out.write(path, &block),
                };
                if done.is_err() {
                    out.file = None;
                    lost.count(block.iter().filter(|octet| **octet == b'\n').count());
                }
                written = Some(done);
                block.clear();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = lost.here.load(Ordering::Relaxed);
        if now == before {
            if let (Some(Ok(())), Some(from)) = (written, told) {
                told = None;
                tracing::warn!(%to, lost = now - from, "the access log is written again");
            }
        } else if told.is_none() {
            told = Some(before);
            match written {
                Some(Err(error)) => {
                    tracing::warn!(%to, %error, "the access log cannot be written; its lines are lost");
                }
                _ => tracing::warn!(%to, "the disk is too slow for the access log; lines are lost"),
            }
        }
        before = now;
    }
}

/// Lines that were lost.
#[derive(Debug, Default)]
struct Lost {
    all: Arc<AtomicU64>,
    /// Of this place.
    here: AtomicU64,
}

impl Lost {
    fn count(&self, lines: usize) {
        self.all.fetch_add(lines as u64, Ordering::Relaxed);
        self.here.fetch_add(lines as u64, Ordering::Relaxed);
    }
}

/// A file that is opened again when it was moved away.
#[derive(Default)]
struct Out {
    file: Option<(File, u64)>,
}

impl Out {
    fn write(&mut self, path: &Path, block: &[u8]) -> std::io::Result<()> {
        let there = std::fs::metadata(path).map(|m| m.ino()).ok();
        if self.file.as_ref().map(|(_, inode)| *inode) != there || there.is_none() {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            let inode = file.metadata()?.ino();
            self.file = Some((file, inode));
        }
        match &mut self.file {
            Some((file, _)) => file.write_all(block),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wait(path: &Path, lines: usize) -> String {
        for _ in 0..2000 {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= lines {
                return text;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("no {lines} lines in {}", path.display());
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let logs = Logs::default();
        let target = LogTarget::File(path.clone());
        let writer = logs.writer(&target).unwrap();
        assert!(Arc::ptr_eq(&writer, &logs.writer(&target).unwrap()));
        writer.write(b"one\n".to_vec());
        wait(&path, 1);
        std::fs::rename(&path, dir.path().join("old")).unwrap();
        writer.write(b"two\n".to_vec());
        assert_eq!(wait(&path, 1), "two\n");
        assert_eq!(logs.dropped(), 0);
    }

    #[test]
    fn every_lost_line_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::default();
        let target = LogTarget::File(dir.path().join("missing").join("access.log"));
        let writer = logs.writer(&target).unwrap();
        writer.write(b"one\ntwo\n".to_vec());
        writer.write(b"three\n".to_vec());
        for _ in 0..2000 {
            if logs.dropped() == 3 {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("{} lines", logs.dropped());
    }
}
