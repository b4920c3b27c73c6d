//! Sessions that several proxies remember together.
//!
//! Each proxy asks its own memory only; what it bound or saw in use it writes into a log that the others
//! get, and what they say it takes in. Who is right needs no clock: a session counts how often it was
//! bound anew, and the higher count wins; of two proxies that bound a client at the same time all nodes
//! take the same. Ages travel instead of times of day.
//!
//! Memory is fixed: what others say never displaces what this proxy bound or saw in use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::balance::mix::{hash_bytes, scale};
use crate::time::Moment;

use super::table::{Key, StickyTable, Tag};

/// Records of a chunk of the log.
pub const RECORDS: usize = 128;

/// Chunks of the log; with [`RECORDS`] the newest 4,096 records.
pub const CHUNKS: usize = 32;

/// Places of a bucket.
const WAYS: usize = 8;

/// Locks; the workers rarely meet at one.
const SHARDS: usize = 64;

/// What one proxy says of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record {
    /// The first half of its [`Key`]: what the client sent cannot be had from it.
    pub key: u64,
    /// Its backend.
    pub tag: Tag,
    /// How often it was bound to another backend so far, from 1 on.
    pub version: u16,
    /// How long it was not used when this was said, as far as the one who says it knows.
    pub age: Duration,
}

/// A chunk of the log that says something new; without records it is no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Which: below [`CHUNKS`].
    pub number: usize,
    /// At most [`RECORDS`].
    pub records: Vec<Record>,
}

/// A session in memory.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: u64,
    /// 0: nobody.
    tag: u64,
    expires: Moment,
    /// When it was last told to others, or by them, in seconds.
    told: u32,
    version: u16,
    /// Others said it, and nobody used it here.
    is_hearsay: bool,
}

const FREE: Entry = Entry {
    key: 0,
    tag: 0,
    expires: Moment::ZERO,
    told: 0,
    version: 0,
    is_hearsay: false,
};

impl Entry {
    /// Of two words on one session the higher holds, on every node.
    fn rank(&self) -> (u16, u64) {
        rank(self.key, self.tag, self.version)
    }
}

fn rank(key: u64, tag: u64, version: u16) -> (u16, u64) {
    // Not the tag alone: ties must not favour one backend for all clients.
    (version, hash_bytes(&(key ^ tag).to_be_bytes()))
}

/// A line of the log.
#[derive(Clone, Copy, Debug)]
struct Line {
    key: u64,
    tag: u64,
    version: u16,
    used: Moment,
}

/// What is to be told, the newest lines only.
#[derive(Debug)]
struct Log {
    lines: Vec<Line>,
    /// Where the next line goes.
    next: usize,
    /// By chunk.
    chunks: [Told; CHUNKS],
}

/// How a chunk stands to what was told of it.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    has_news: bool,
    is_out: bool,
    newest: Moment,
}

impl Log {
    fn write(&mut self, line: Line) {
        let at = self.next;
        match self.lines.get_mut(at) {
            Some(old) => *old = line,
            None => self.lines.push(line),
        }
        let chunk = &mut self.chunks[at / RECORDS];
        chunk.has_news = true;
        chunk.newest = chunk.newest.max(line.used);
        self.next = (at + 1) % (RECORDS * CHUNKS);
    }
}

/// A table whose sessions are told to other proxies and heard from them.
pub struct SharedTable {
    shards: Box<[Mutex<Box<[Entry]>>]>,
    buckets: u64,
    ttl: Duration,
    log: Mutex<Log>,
    no_room: AtomicU64,
}

impl std::fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedTable({} places)", self.buckets as usize * WAYS)
    }
}

impl SharedTable {
    /// A table of at least `entries` places, whose entries expire `ttl` after their last use.
    pub fn new(entries: usize, ttl: Duration) -> SharedTable {
        let buckets = entries.div_ceil(WAYS).max(1);
        let shards = SHARDS.min(buckets);
        let each = buckets.div_ceil(shards);
        let shard = |_| Mutex::new(vec![FREE; each * WAYS].into_boxed_slice());
        SharedTable {
            shards: (0..shards).map(shard).collect(),
            buckets: (shards * each) as u64,
            ttl,
            log: Mutex::new(Log {
                lines: Vec::new(),
                next: 0,
                chunks: [Told::default(); CHUNKS],
            }),
            no_room: AtomicU64::new(0),
        }
    }

    /// Sessions of others so far for which there was no place.
    pub fn no_room(&self) -> u64 {
        self.no_room.load(Ordering::Relaxed)
    }

    /// Chunks of the log that others do not know yet, at most so many, the oldest first. What is given
    /// here counts as told.
    pub fn say(&self, now: Moment, most: usize) -> Vec<Chunk> {
        let mut log = lock(&self.log);
        // The chunk that is being written may wait the longest.
        let first = log.next / RECORDS + 1;
        let mut out = Vec::new();
        for number in (first..first + CHUNKS).map(|n| n % CHUNKS) {
            if out.len() >= most {
                break;
            }
            let told = log.chunks[number];
            let is_over = told.newest + self.ttl <= now;
            if !(told.has_news || told.is_out && is_over) {
                continue;
            }
            let from = (number * RECORDS).min(log.lines.len());
            let to = (from + RECORDS).min(log.lines.len());
            let live = log.lines[from..to]
                .iter()
                .filter(|l| l.used + self.ttl > now);
            let records: Vec<Record> = live
                .map(|l| Record {
                    key: l.key,
                    tag: Tag(l.tag),
                    version: l.version,
                    age: now.since(l.used),
                })
                .collect();
            let chunk = &mut log.chunks[number];
            chunk.has_news = false;
            let was_out = std::mem::replace(&mut chunk.is_out, !records.is_empty());
            if was_out || !records.is_empty() {
                out.push(Chunk { number, records });
            }
        }
        out
    }

    /// Takes in what another proxy says; whether it was news.
    pub fn hear(&self, record: &Record, now: Moment) -> bool {
        if record.age >= self.ttl || record.tag.0 == 0 || record.version == 0 {
            return false;
        }
        let heard = Entry {
            key: record.key,
            tag: record.tag.0,
            expires: now + (self.ttl - record.age),
            told: seconds(now - record.age),
            version: record.version,
            is_hearsay: true,
        };
        self.with_bucket(record.key, |bucket| {
            if let Some(known) = find(bucket, record.key) {
                if known.expires <= now {
                    *known = heard;
                    return true;
                }
                if known.tag == heard.tag && known.version == heard.version {
                    known.expires = known.expires.max(heard.expires);
                    known.told = known.told.max(heard.told);
                } else if known.rank() < heard.rank() {
                    let is_hearsay = known.is_hearsay;
                    *known = Entry {
                        is_hearsay,
                        ..heard
                    };
                    return true;
                }
                return false;
            }
            let displaced = |e: &&mut Entry| e.expires <= now || e.is_hearsay;
            let oldest = bucket
                .iter_mut()
                .filter(displaced)
                .min_by_key(|e| e.expires);
            match oldest {
                Some(place) if place.expires < heard.expires => {
                    *place = heard;
                    true
                }
                _ => {
                    self.no_room.fetch_add(1, Ordering::Relaxed);
                    false
                }
            }
        })
    }

    fn with_bucket<T>(&self, key: u64, f: impl FnOnce(&mut [Entry]) -> T) -> T {
        let bucket = scale(key, self.buckets) as usize;
        let shard = bucket % self.shards.len();
        let at = bucket / self.shards.len() * WAYS;
        f(&mut lock(&self.shards[shard])[at..at + WAYS])
    }

    /// An entry is in use: it lives on, and others are told when they may be about to forget it.
    fn touch(&self, entry: &mut Entry, now: Moment) -> Option<Line> {
        entry.expires = now + self.ttl;
        entry.is_hearsay = false;
        let silent = u64::from(seconds(now).saturating_sub(entry.told));
        (Duration::from_secs(silent) * 2 >= self.ttl).then(|| line(entry, now))
    }

    fn write(&self, line: Option<Line>) {
        if let Some(line) = line {
            lock(&self.log).write(line);
        }
    }
}

/// An entry that is being told.
fn line(entry: &mut Entry, now: Moment) -> Line {
    entry.told = seconds(now);
    Line {
        key: entry.key,
        tag: entry.tag,
        version: entry.version,
        used: now,
    }
}

fn find(bucket: &mut [Entry], key: u64) -> Option<&mut Entry> {
    bucket.iter_mut().find(|e| e.tag != 0 && e.key == key)
}

fn short(key: Key) -> u64 {
    (key.0 >> 64) as u64
}

fn seconds(at: Moment) -> u32 {
    u32::try_from(at.0 / 1_000_000_000).unwrap_or(u32::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one can leave it half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StickyTable for SharedTable {
    fn find(&self, key: Key, now: Moment) -> Option<Tag> {
        let (tag, line) = self.with_bucket(short(key), |bucket| {
            let entry = find(bucket, short(key)).filter(|e| e.expires > now)?;
            Some((Tag(entry.tag), self.touch(entry, now)))
        })?;
        self.write(line);
        Some(tag)
    }

    fn bind(&self, key: Key, to: Tag, now: Moment) {
        let key = short(key);
        let line = self.with_bucket(key, |bucket| {
            let known = bucket.iter().position(|e| e.tag != 0 && e.key == key);
            let version = match known.map(|at| &mut bucket[at]) {
                Some(e) if e.tag == to.0 && e.expires > now => return self.touch(e, now),
                // Also of one that has expired: others may remember it for longer.
                Some(e) => e.version.saturating_add(1),
                None => 1,
            };
            // Free and expired places expired before all others; then goes what others only said.
            let worth = |i: &usize| {
                let e = &bucket[*i];
                (e.expires > now && !e.is_hearsay, e.expires)
            };
            let at = known.or_else(|| (0..WAYS).min_by_key(worth)).unwrap_or(0);
            bucket[at] = Entry {
                key,
                tag: to.0,
                expires: now + self.ttl,
                told: 0,
                version,
                is_hearsay: false,
            };
            Some(line(&mut bucket[at], now))
        });
        self.write(line);
    }
}

#[cfg(test)]
mod tests;
