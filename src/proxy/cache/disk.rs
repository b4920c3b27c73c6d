//! The disk tier of a cache: what was stored is written behind the exchange's back and found again when
//! memory has no room for it any more, or after a restart.
//!
//! One thread writes and removes; readers use the runtime's threads for blocking work. An exchange waits
//! for a read, never for a write: when the writer lags, objects are not written. A file that is damaged
//! is removed when it is met.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use crate::message::RequestHead;
use crate::time::{Moment, Wall};
use crate::traffic::compression::Coding;

use super::object::{Object, Variant};
use super::record;
use super::store::{Purge, VARIANTS};

/// Objects that wait to be written.
const QUEUE: usize = 256;

/// The disk tier of one cache.
pub struct Disk {
    shared: Arc<Shared>,
    jobs: SyncSender<Job>,
}

struct Shared {
    dir: PathBuf,
    index: Mutex<Index>,
}

enum Job {
    Write {
        url: Vec<u8>,
        object: Arc<Object>,
        wall: Wall,
        /// [`Index::purges`] when it was stored.
        purges: u64,
    },
    Remove(Vec<u64>),
}

/// What lies on disk.
#[derive(Default)]
struct Index {
    by_url: HashMap<Box<[u8]>, Vec<Entry>>,
    /// Numbers of files with their URLs, the oldest first.
    order: VecDeque<(u64, Box<[u8]>)>,
    used: u64,
    most: u64,
    next: u64,
    purges: u64,
}

#[derive(Clone)]
struct Entry {
    file: u64,
    octets: u64,
    variant: Variant,
    labels: Box<[Box<[u8]>]>,
}

impl Index {
    /// Adds a file; returns those that go for it.
    fn add(&mut self, url: &[u8], entry: Entry) -> Vec<u64> {
        let mut gone = Vec::new();
        self.used += entry.octets;
        self.order.push_back((entry.file, url.into()));
        let entries = self.by_url.entry(url.into()).or_default();
        let mut freed = 0;
        entries.retain(|e| {
            let same = e.variant == entry.variant;
            if same {
                freed += e.octets;
                gone.push(e.file);
            }
            !same
        });
        if entries.len() >= VARIANTS {
            let oldest = entries.remove(0);
            freed += oldest.octets;
            gone.push(oldest.file);
        }
        entries.push(entry);
        self.used -= freed;
        while self.used > self.most {
            let Some((file, url)) = self.order.pop_front() else {
                break;
            };
            gone.extend(self.forget(&url, |e| e.file == file));
        }
        // Those that were replaced stay in the order until it is twice as long as it need be.
        let files: usize = self.by_url.values().map(Vec::len).sum();
        if self.order.len() > 2 * files + 64 {
            let by_url = &self.by_url;
            self.order.retain(|(file, url)| {
                let entries = by_url.get(url);
                entries.is_some_and(|all| all.iter().any(|e| e.file == *file))
            });
        }
        gone
    }

    /// Forgets files of a URL; returns their numbers.
    fn forget(&mut self, url: &[u8], which: impl Fn(&Entry) -> bool) -> Vec<u64> {
        let Some(entries) = self.by_url.get_mut(url) else {
            return Vec::new();
        };
        let (mut gone, mut freed) = (Vec::new(), 0);
        entries.retain(|e| {
            let goes = which(e);
            if goes {
                gone.push(e.file);
                freed += e.octets;
            }
            !goes
        });
        if entries.is_empty() {
            self.by_url.remove(url);
        }
        self.used -= freed;
        gone
    }
}

impl Shared {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, file: u64) -> PathBuf {
        self.dir.join(format!("{file:016x}.obj"))
    }
}

impl Disk {
    /// Opens the folder `dir`, which holds at most so many octets, and begins to look through it.
    ///
    /// # Errors
    /// When the folder or the thread cannot be made.
    pub fn open(dir: &Path, most: u64) -> io::Result<Disk> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(dir)?;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            index: Mutex::new(Index {
                most,
                ..Index::default()
            }),
        });
        let (jobs, todo) = sync_channel(QUEUE);
        let own = shared.clone();
        std::thread::Builder::new()
            .name("proxy-cache-disk".to_owned())
            .spawn(move || work(&own, &todo))?;
        Ok(Disk { shared, jobs })
    }

    /// Holds so many octets from now on.
    pub fn resize(&self, most: u64) {
        self.shared.index().most = most;
    }

    /// Writes an object down when there is time.
    pub fn write(&self, url: &[u8], object: &Arc<Object>, wall: Wall) {
        let purges = self.shared.index().purges;
        let job = Job::Write {
            url: url.to_vec(),
            object: object.clone(),
            wall,
            purges,
        };
        // A writer that lags is no reason to wait, nor to take more memory.
        let _ = self.jobs.try_send(job);
    }

    /// Forgets what is meant.
    pub fn purge(&self, what: &Purge) {
        let mut index = self.shared.index();
        index.purges += 1;
        let urls: Vec<Box<[u8]>> = match what {
            Purge::Url(url) => vec![url.as_slice().into()],
            _ => index.by_url.keys().cloned().collect(),
        };
        let mut gone = Vec::new();
        for url in urls {
            gone.extend(index.forget(&url, |e| what.is_of(&url, &e.labels)));
        }
        drop(index);
        // When the queue is full the files are left, and found unknown at the next start: so they are
        // removed here.
        if !gone.is_empty()
            && let Err(e) = self.jobs.try_send(Job::Remove(gone))
            && let std::sync::mpsc::TrySendError::Full(Job::Remove(gone)) = e
        {
            remove(&self.shared, &gone);
        }
    }

    /// The object for a request, if it lies here. Waits for the disk, not on the worker's thread.
    pub async fn read(
        &self,
        url: &[u8],
        request: &RequestHead,
        partition: &[u8],
        coding: Option<Coding>,
        (now, wall): (Moment, Wall),
    ) -> Option<Object> {
        let file = {
            let index = self.shared.index();
            let entries = index.by_url.get(url)?;
            let fits = |e: &&Entry| e.variant.is_for(request, partition, coding);
            entries.iter().rev().find(fits)?.file
        };
        let (shared, url) = (self.shared.clone(), url.to_vec());
        let read = tokio::task::spawn_blocking(move || {
            let octets = fs::read(shared.path(file)).ok();
            let found = octets.and_then(|o| record::decode(&o, now, wall));
            let found = found.filter(|f| f.url == url);
            let known = shared.index().by_url.get(&*url).is_some_and(|all| {
                // What was purged while it was read does not come back.
                all.iter().any(|e| e.file == file)
            });
            if found.is_none() {
                let gone = shared.index().forget(&url, |e| e.file == file);
                remove(&shared, &gone);
            }
            found.filter(|_| known)
        });
        Some(read.await.ok()??.object)
    }
}

/// Writes and removes until nobody has anything to write any more.
fn work(shared: &Shared, todo: &Receiver<Job>) {
    if let Err(error) = scan(shared) {
        tracing::warn!(dir = %shared.dir.display(), %error, "cannot read what the cache keeps on disk");
    }
    let mut failing = false;
    while let Ok(job) = todo.recv() {
        match job {
            Job::Remove(files) => remove(shared, &files),
            Job::Write {
                url,
                object,
                wall,
                purges,
            } => {
                let written = write(shared, &url, &object, wall, purges);
                if let (Err(error), false) = (&written, failing) {
                    tracing::warn!(
                        dir = %shared.dir.display(), %error,
                        "the cache cannot write to disk; it goes on in memory"
                    );
                }
                failing = written.is_err();
            }
        }
    }
}

fn write(shared: &Shared, url: &[u8], object: &Object, wall: Wall, purges: u64) -> io::Result<()> {
    let octets = record::encode(url, object, wall);
    let file = {
        let mut index = shared.index();
        if index.purges != purges || octets.len() as u64 > index.most {
            return Ok(());
        }
        index.next += 1;
        index.next
    };
    // A name that counts only once all is written.
    let begun = shared.dir.join(format!("{file:016x}.tmp"));
    let written = fs::write(&begun, &octets).and_then(|()| fs::rename(&begun, shared.path(file)));
    if let Err(error) = written {
        let _ = fs::remove_file(&begun);
        return Err(error);
    }
    let entry = Entry {
        file,
        octets: octets.len() as u64,
        variant: object.variant.clone(),
        labels: object.labels.clone(),
    };
    let mut index = shared.index();
    let gone = match index.purges == purges {
        true => index.add(url, entry),
        // It was purged while it was written.
        false => vec![file],
    };
    drop(index);
    remove(shared, &gone);
    Ok(())
}

fn remove(shared: &Shared, files: &[u64]) {
    for file in files {
        let _ = fs::remove_file(shared.path(*file));
    }
}

/// Finds what lies there from before; what is no whole description is removed.
fn scan(shared: &Shared) -> io::Result<()> {
    let mut found: Vec<(u64, PathBuf, u64)> = Vec::new();
    for entry in fs::read_dir(&shared.dir)? {
        let entry = entry?;
        let path = entry.path();
        let stem = path.file_stem().and_then(|s| s.to_str());
        let number = stem.and_then(|s| u64::from_str_radix(s, 16).ok());
        let ours = path.extension().is_some_and(|e| e == "obj");
        match number.filter(|_| ours) {
            Some(number) => found.push((number, path, entry.metadata()?.len())),
            None if path.extension().is_some_and(|e| e == "tmp") => fs::remove_file(&path)?,
            None => {}
        }
    }
    found.sort_unstable();
    for (file, path, octets) in found {
        let described = start_of(&path).ok().and_then(|s| record::describe(&s));
        let Some(described) = described else {
            let _ = fs::remove_file(&path);
            continue;
        };
        let entry = Entry {
            file,
            octets,
            variant: described.object.variant,
            labels: described.object.labels,
        };
        let mut index = shared.index();
        index.next = index.next.max(file);
        let gone = index.add(&described.url, entry);
        drop(index);
        remove(shared, &gone);
    }
    Ok(())
}

/// The first octets of a file: its description.
fn start_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = fs::File::open(path)?;
    let mut head = [0; 8];
    file.read_exact(&mut head)?;
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let mut all = head.to_vec();
    file.take(length.min(record::MOST_META) as u64)
        .read_to_end(&mut all)?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::caching::Terms;
    use crate::message::Fields;

    fn object(label: &str, octets: usize) -> Arc<Object> {
        Arc::new(Object {
            status: 200,
            fields: [("Cache-Tag", label)].into_iter().collect::<Fields>(),
            terms: Terms {
                lifetime: Duration::from_secs(60),
                ..Terms::default()
            },
            variant: Variant::default(),
            tag: None,
            labels: [label.as_bytes().into()].into(),
            length: octets as u64,
            body: [Bytes::from(vec![b'x'; octets])].into(),
        })
    }

    async fn length(disk: &Disk, url: &str) -> Option<u64> {
        let clocks = (Moment::ZERO, Wall::default());
        let request = RequestHead::default();
        let read = disk.read(url.as_bytes(), &request, b"", None, clocks);
        read.await.map(|o| o.length)
    }

    /// Waits until the writer has done so much.
    async fn wait(disk: &Disk, what: &str, done: impl Fn(&Index) -> bool) {
        for _ in 0..1000 {
            if done(&disk.shared.index()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what}");
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir).unwrap().count()
    }

    #[tokio::test]
    async fn what_is_written_is_found_again_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        disk.write(b"a", &object("x", 10), Wall::default());
        disk.write(b"b", &object("y", 20), Wall::default());
        wait(&disk, "two are written", |i| i.by_url.len() == 2).await;
        assert_eq!(length(&disk, "a").await, Some(10));
        drop(disk);
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        wait(&disk, "two are found", |i| i.by_url.len() == 2).await;
        assert_eq!(length(&disk, "b").await, Some(20));
        disk.purge(&Purge::Label(b"x".to_vec()));
        assert_eq!(length(&disk, "a").await, None);
        assert_eq!(length(&disk, "b").await, Some(20));
    }

    #[tokio::test]
    async fn it_holds_no_more_than_its_size() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 10_000).unwrap();
        for i in 0..50_u64 {
            disk.write(
                format!("u{i}").as_bytes(),
                &object("", 1000),
                Wall::default(),
            );
            wait(&disk, "it is written", |index| index.next == i + 1).await;
        }
        wait(&disk, "there is room", |i| {
            i.used <= 10_000 && i.order.len() < 10
        })
        .await;
        assert_eq!(length(&disk, "u0").await, None);
        assert!(files(dir.path()) < 12, "{}", files(dir.path()));
    }

    #[tokio::test]
    async fn a_damaged_file_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        disk.write(b"a", &object("x", 1000), Wall::default());
        wait(&disk, "it is written", |i| i.by_url.len() == 1).await;
        let path = disk.shared.path(1);
        let mut octets = fs::read(&path).unwrap();
        octets[900] ^= 1;
        fs::write(&path, octets).unwrap();
        assert_eq!(length(&disk, "a").await, None);
        assert!(!path.exists());
        assert_eq!(disk.shared.index().used, 0);
        drop(disk);
        fs::write(dir.path().join("0000000000000009.obj"), b"no object").unwrap();
        fs::write(dir.path().join("0000000000000008.tmp"), b"begun").unwrap();
        let disk = Disk::open(dir.path(), 1 << 20).unwrap();
        disk.write(b"b", &object("x", 10), Wall::default());
        wait(&disk, "all is read", |i| i.by_url.len() == 1).await;
        assert_eq!(files(dir.path()), 1);
    }
}
