//! `STATE/history.redb`: rows of the record, events, configurations. Without state directory the same in
//! memory.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _,
    TableDefinition,
};

use super::files::{self, Kept, Manifest};
use super::pack::{pack_text, unpack_text};
use super::ring::Turns;
use crate::app::store::disk::{Open, Trouble, open_file, text};
use crate::history::{Batch, Fact, Filter, Row, Segment, State, Told};

const ROWS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("rows");
const SEGMENTS: TableDefinition<'_, u64, (u64, u64, u64, u64)> = TableDefinition::new("segments");
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const CONFIGS: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("configs");
const FILES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("files");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Memory for pages that were read.
const CACHE: usize = 1024 * 1024;

/// Segments of which a start shows what changed.
const SEGMENTS_SHOWN: usize = 4;

/// Most events that one search looks at.
const LOOKED_AT: usize = 50_000;

/// How much may be kept, in octets of what is written: the file takes about twice as much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shares {
    /// The file.
    pub(super) file: u64,
    /// Rows of the record.
    pub(super) rows: u64,
    /// Events.
    pub(super) events: u64,
    /// Files of configurations.
    pub(super) files: u64,
}

impl Shares {
    /// Of a file of so many octets.
    pub(super) fn of(file: u64) -> Shares {
        Shares {
            file,
            rows: file / 4,
            events: file / 16,
            files: file / 8,
        }
    }
}

/// What a start finds.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) segments: Vec<Segment>,
    /// Number of the next row.
    pub(super) next: u64,
    /// Until when the last row is known to hold, in milliseconds since 1970.
    pub(super) alive_ms: u64,
    /// The last events, earliest first.
    pub(super) events: Vec<Told>,
    /// What the last segments say, in order.
    pub(super) turns: Turns,
}

/// What is to be written together.
#[derive(Debug, Default)]
pub(super) struct Write<'w> {
    pub(super) rows: &'w [Row],
    pub(super) events: &'w [(u64, u64, Vec<u8>)],
    pub(super) configs: &'w [Kept],
    /// All segments.
    pub(super) segments: &'w [Segment],
    pub(super) alive_ms: u64,
    /// The configuration in force.
    pub(super) in_force: &'w str,
    /// Events before this time go.
    pub(super) oldest_ms: u64,
}

/// The file, opened when it is first needed and again after an error.
pub(super) struct Disk {
    path: Option<PathBuf>,
    shares: Shares,
    database: Option<Database>,
    open: Box<Open>,
    /// Octets of events and of files in it, once known.
    octets: Option<(u64, u64)>,
    /// Length of the file when it was last made anew.
    compacted: u64,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "the history `{}`", path.display()),
            None => f.write_str("the history in memory"),
        }
    }
}

fn open_memory(_: &Path, builder: Builder) -> Result<Database, Trouble> {
    Ok(builder.create_with_backend(InMemoryBackend::new())?)
}

impl Disk {
    /// The file of a state directory; without one, memory.
    pub(super) fn new(state_dir: Option<&Path>, shares: Shares) -> Disk {
        Disk {
            path: state_dir.map(|dir| dir.join("history.redb")),
            shares,
            database: None,
            open: match state_dir {
                Some(_) => Box::new(open_file),
                None => Box::new(open_memory),
            },
            octets: None,
            compacted: 0,
        }
    }

    /// A disk that is opened otherwise.
    #[cfg(test)]
    pub(super) fn with(
        open: impl Fn(&Path, Builder) -> Result<Database, Trouble> + Send + 'static,
        shares: Shares,
    ) -> Disk {
        Disk {
            path: Some("test".into()),
            shares,
            database: None,
            open: Box::new(open),
            octets: None,
            compacted: 0,
        }
    }

    /// Other bounds from now on.
    pub(super) fn bound(&mut self, shares: Shares) {
        self.shares = shares;
    }

    /// How much may be kept.
    pub(super) fn shares(&self) -> Shares {
        self.shares
    }

    /// Opens the file and reads what a start needs, with the last `events` events. A damaged file is set
    /// aside.
    pub(super) fn load(&mut self, events: usize) -> Result<Stored, String> {
        match self.guarded(|disk| disk.read_start(events)) {
            Ok(stored) => Ok(stored),
            Err(Trouble::Disk(e)) => Err(e),
            Err(Trouble::Damaged(e)) => {
                self.set_aside(&e)?;
                self.guarded(|disk| disk.read_start(events)).map_err(text)
            }
        }
    }

    /// Writes in one transaction, on the disk when this returns. Damage that only shows now sets the file
    /// aside; what was to be written is then lost with the rest.
    pub(super) fn write(&mut self, write: &Write<'_>) -> Result<(), String> {
        let written = self.guarded(|disk| disk.commit(write));
        self.or_set_aside(written)?;
        self.shrink()
    }

    /// The state at a time, of the rows that tell of it.
    pub(super) fn replay(&mut self, rows: Range<u64>, at_ms: u64) -> Result<State, String> {
        let state = self.guarded(|disk| disk.read_state(rows, at_ms));
        self.or_set_aside(state)
    }

    /// How the verdicts on some endpoints changed, of these rows.
    pub(super) fn turns(
        &mut self,
        rows: Range<u64>,
        wanted: &HashSet<Arc<str>>,
    ) -> Result<Turns, String> {
        let turns = self.guarded(|disk| disk.read_turns(rows, wanted));
        self.or_set_aside(turns)
    }

    /// Wanted events below `filter.before`, latest first, at most `limit`; and from which number on to
    /// look further, where not all was looked at.
    pub(super) fn page(
        &mut self,
        filter: &Filter,
        limit: usize,
    ) -> Result<(Vec<Told>, Option<u64>), String> {
        let page = self.guarded(|disk| disk.read_page(filter, limit));
        self.or_set_aside(page)
    }

    /// The number of the last event up to a time; 0: none.
    pub(super) fn event_at(&mut self, at_ms: u64) -> Result<u64, String> {
        let number = self.guarded(|disk| disk.read_event_at(at_ms));
        self.or_set_aside(number)
    }

    /// A configuration; `None`: it is not kept, or not all of it.
    pub(super) fn config(&mut self, digest: &str) -> Result<Option<Kept>, String> {
        let kept = self.guarded(|disk| disk.read_config(digest));
        self.or_set_aside(kept)
    }

    /// Closes the file: another process may open it. The next use opens it again.
    pub(super) fn close(&mut self) {
        if self.path.is_none() {
            return;
        }
        let database = self.database.take();
        self.octets = None;
        // Closing writes, which may fail.
        drop(catch_unwind(AssertUnwindSafe(|| drop(database))));
    }

    fn or_set_aside<T>(&mut self, result: Result<T, Trouble>) -> Result<T, String> {
        result.map_err(|trouble| match trouble {
            Trouble::Disk(e) => e,
            Trouble::Damaged(e) => match self.set_aside(&e) {
                Ok(()) => format!("the file was damaged and is set aside: {e}"),
                Err(e) => e,
            },
        })
    }

    /// Runs `work`; after any failure the file is closed, since redb takes no more writes then. A damaged
    /// file can make redb panic, which is a failure like others.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Disk) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let result = catch_unwind(AssertUnwindSafe(|| work(self)))
            .unwrap_or_else(|_| Err(Trouble::Damaged("reading it panicked".to_owned())));
        if result.is_err() {
            self.close();
        }
        result
    }

    fn database(&mut self) -> Result<&mut Database, Trouble> {
        if self.database.is_none() {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE);
            let path = self.path.clone().unwrap_or_default();
            let is_new = fs::metadata(&path).map_or(true, |m| m.len() == 0);
            let opened = (self.open)(&path, builder);
            if opened.is_err() && is_new {
                // A full disk has a part of it: that is no file that was damaged, and the next try begins
                // anew.
                let begun = fs::OpenOptions::new().write(true).open(&path);
                drop(begun.and_then(|file| file.set_len(0)));
            }
            self.database = Some(opened?);
        }
        let opened = self.database.as_mut();
        opened.ok_or_else(|| Trouble::Disk("it is not open".to_owned()))
    }

    fn read_start(&mut self, events: usize) -> Result<Stored, Trouble> {
        let database = self.database()?;
        let write = database.begin_write()?;
        {
            // Opened for writing, so that reading finds each of them.
            write.open_table(ROWS)?;
            write.open_table(SEGMENTS)?;
            write.open_table(EVENTS)?;
            write.open_table(CONFIGS)?;
            write.open_table(FILES)?;
            write.open_table(META)?;
        }
        write.commit()?;
        let read = database.begin_read()?;
        let mut stored = Stored::default();
        for row in read.open_table(SEGMENTS)?.iter()? {
            let (first, values) = row?;
            let (at_ms, blank_from_ms, octets, checkpoint) = values.value();
            stored.segments.push(Segment {
                first: first.value(),
                at_ms,
                blank_from_ms,
                octets,
                checkpoint,
            });
        }
        let last = read.open_table(ROWS)?.last()?.map_or(0, |(n, _)| n.value());
        stored.next = last + 1;
        let alive = read.open_table(META)?.get("alive")?;
        stored.alive_ms = alive.map_or(0, |ms| ms.value());
        for row in read.open_table(EVENTS)?.iter()?.rev().take(events) {
            stored.events.push(told(row?.1.value())?);
        }
        stored.events.reverse();
        if events > 0 {
            let last = stored
                .segments
                .iter()
                .rev()
                .take(SEGMENTS_SHOWN)
                .next_back();
            let first = last.map_or(u64::MAX, |s| s.first);
            for row in read.open_table(ROWS)?.range(first..)? {
                let (number, packed) = row?;
                let batch = batch(number.value(), packed.value())?;
                stored.turns.learn(batch.at_ms, &batch.facts);
            }
        }
        Ok(stored)
    }

    fn commit(&mut self, w: &Write<'_>) -> Result<(), Trouble> {
        let shares = self.shares;
        let mut octets = self.octets;
        // Durability is immediate by default: commit returns after fsync.
        let write = self.database()?.begin_write()?;
        {
            let mut rows = write.open_table(ROWS)?;
            let mut segments = write.open_table(SEGMENTS)?;
            for row in w.rows {
                rows.insert(row.number, &*row.packed)?;
            }
            let first = w.segments.first().map_or(0, |s| s.first);
            rows.retain_in(..first, |_, _| false)?;
            segments.retain_in(..first, |_, _| false)?;
            // Of the earlier ones nothing changes; of the last but one it may just have.
            for s in w.segments.iter().rev().take(8) {
                let values = (s.at_ms, s.blank_from_ms, s.octets, s.checkpoint);
                segments.insert(s.first, values)?;
            }
            let mut events = write.open_table(EVENTS)?;
            let (mut of_events, mut of_files) = match octets {
                Some(known) => known,
                None => {
                    let mut sum = 0;
                    for row in events.iter()? {
                        sum += row?.1.value().len() as u64;
                    }
                    let mut files = 0;
                    for row in write.open_table(FILES)?.iter()? {
                        files += row?.1.value().len() as u64;
                    }
                    (sum, files)
                }
            };
            for (number, _, packed) in w.events {
                events.insert(number, &**packed)?;
                of_events += packed.len() as u64;
            }
            loop {
                let goes = match events.first()? {
                    Some((number, packed)) => {
                        let size = packed.value().len() as u64;
                        let old = told(packed.value())?.at_ms < w.oldest_ms;
                        (old || of_events > shares.events).then(|| (number.value(), size))
                    }
                    None => None,
                };
                let Some((number, size)) = goes else { break };
                events.remove(number)?;
                of_events = of_events.saturating_sub(size);
            }
            let mut configs = write.open_table(CONFIGS)?;
            let mut files = write.open_table(FILES)?;
            for kept in w.configs {
                of_files += files::store(kept, w.alive_ms, shares.files, &mut configs, &mut files)?;
            }
            let used = configs.get(w.in_force)?.map(|row| row.value().1.to_vec());
            if let Some(manifest) = used {
                configs.insert(w.in_force, (w.alive_ms, &*manifest))?;
            }
            let oldest = w.segments.first().map_or(0, |s| s.at_ms);
            of_files -= files::prune(
                w.in_force,
                oldest,
                of_files,
                shares.files,
                &mut configs,
                &mut files,
            )?
            .min(of_files);
            octets = Some((of_events, of_files));
            let mut meta = write.open_table(META)?;
            meta.insert("alive", w.alive_ms)?;
        }
        write.commit()?;
        self.octets = octets;
        Ok(())
    }

    /// What was thrown away leaves the file only when it is made anew.
    fn shrink(&mut self) -> Result<(), String> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let length = fs::metadata(path).map_or(0, |m| m.len());
        // Where that does not help, it is not tried again before the file has grown.
        if length <= self.shares.file.max(self.compacted + self.compacted / 4) {
            return Ok(());
        }
        self.compacted = length;
        let compacted = self.guarded(|disk| {
            let compacted = disk.database()?.compact();
            compacted.map_err(|e| Trouble::Disk(e.to_string()))
        });
        compacted.map_err(text)?;
        let length = self.path.as_ref().and_then(|p| fs::metadata(p).ok());
        self.compacted = length.map_or(self.compacted, |m| m.len());
        Ok(())
    }

    fn read_state(&mut self, rows: Range<u64>, at_ms: u64) -> Result<State, Trouble> {
        let read = self.database()?.begin_read()?;
        let mut state = State::default();
        for row in read.open_table(ROWS)?.range(rows)? {
            let (number, packed) = row?;
            let batch = batch(number.value(), packed.value())?;
            if batch.at_ms > at_ms {
                break;
            }
            state.apply(&batch);
        }
        Ok(state)
    }

    fn read_turns(
        &mut self,
        rows: Range<u64>,
        wanted: &HashSet<Arc<str>>,
    ) -> Result<Turns, Trouble> {
        let read = self.database()?.begin_read()?;
        let mut turns = Turns::default();
        for row in read.open_table(ROWS)?.range(rows)? {
            let (number, packed) = row?;
            let mut batch = batch(number.value(), packed.value())?;
            batch.facts.retain(
                |f| matches!(f, Fact::Verdict { endpoint, .. } if wanted.contains(endpoint)),
            );
            turns.learn(batch.at_ms, &batch.facts);
        }
        Ok(turns)
    }

    fn read_page(
        &mut self,
        filter: &Filter,
        limit: usize,
    ) -> Result<(Vec<Told>, Option<u64>), Trouble> {
        let read = self.database()?.begin_read()?;
        let table = read.open_table(EVENTS)?;
        let mut page = Vec::new();
        let before = filter.before.unwrap_or(u64::MAX);
        for (looked, row) in table.range(..before)?.rev().enumerate() {
            let (number, packed) = row?;
            if page.len() == limit || looked == LOOKED_AT {
                return Ok((page, Some(number.value() + 1)));
            }
            let told = told(packed.value())?;
            if filter.since_ms.is_some_and(|since| told.at_ms < since) {
                break;
            }
            if filter.wants(&told) {
                page.push(told);
            }
        }
        Ok((page, None))
    }

    fn read_event_at(&mut self, at_ms: u64) -> Result<u64, Trouble> {
        let read = self.database()?.begin_read()?;
        let table = read.open_table(EVENTS)?;
        if table.is_empty()? {
            return Ok(0);
        }
        let ends = (table.first()?, table.last()?);
        let (Some((first, _)), Some((last, _))) = ends else {
            return Ok(0);
        };
        // The first number that is later, between these two.
        let (mut low, mut high) = (first.value(), last.value() + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(row) = table.range(middle..)?.next() else {
                break;
            };
            let (number, packed) = row?;
            match told(packed.value())?.at_ms <= at_ms {
                true => low = number.value() + 1,
                false => high = middle,
            }
        }
        let before = table.range(..low)?.next_back();
        Ok(before.transpose()?.map_or(0, |(n, _)| n.value()))
    }

    fn read_config(&mut self, digest: &str) -> Result<Option<Kept>, Trouble> {
        let read = self.database()?.begin_read()?;
        let configs = read.open_table(CONFIGS)?;
        let Some(row) = configs.get(digest)? else {
            return Ok(None);
        };
        let manifest = unpack_text(row.value().1).and_then(|t| Manifest::read(&t));
        let manifest = manifest
            .ok_or_else(|| Trouble::Damaged(format!("configuration {digest} cannot be read")))?;
        let files = read.open_table(FILES)?;
        let mut missing = HashSet::new();
        let kept = manifest.fill(digest, |sha| {
            let octets = files.get(&sha[..]).ok()??;
            let octets = super::pack::unpack(octets.value());
            if octets.is_none() {
                missing.insert(sha);
            }
            octets
        });
        if !missing.is_empty() {
            return Err(Trouble::Damaged(format!(
                "a file of configuration {digest} cannot be read"
            )));
        }
        Ok(kept)
    }

    /// Renames a damaged file, so that a person can look at it.
    fn set_aside(&mut self, why: &str) -> Result<(), String> {
        self.close();
        let Some(path) = &self.path else {
            self.database = None;
            return Ok(());
        };
        // One is kept to be looked at; more would fill the disk.
        let aside = path.with_extension("damaged");
        fs::rename(path, &aside).map_err(|e| format!("{why}; nor can it be renamed: {e}"))?;
        tracing::error!(
            "{self} is damaged: {why}; it was set aside as `{}` and a new one begun. What happened \
             before is not told any more; DNS and orders are not touched",
            aside.display()
        );
        Ok(())
    }
}

fn told(packed: &[u8]) -> Result<Told, Trouble> {
    let line = unpack_text(packed);
    let told = line.and_then(|l| Told::read(&l));
    told.ok_or_else(|| Trouble::Damaged("an event cannot be read".to_owned()))
}

fn batch(number: u64, packed: &[u8]) -> Result<Batch, Trouble> {
    let batch = unpack_text(packed).and_then(|t| Batch::read(&t));
    batch.ok_or_else(|| Trouble::Damaged(format!("row {number} cannot be read")))
}

/// The octets of an event.
pub(super) fn pack_event(told: &Told) -> Vec<u8> {
    pack_text(&told.line())
}
