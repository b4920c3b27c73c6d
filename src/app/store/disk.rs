//! The redb file.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, StorageError,
    TableDefinition,
};

use super::Stored;
use super::pending::Pending;

const ORDERS: TableDefinition<'_, &str, (&str, bool)> = TableDefinition::new("orders");
const AUDIT: TableDefinition<'_, u64, &str> = TableDefinition::new("audit");
const VERDICTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("verdicts");
const BACKENDS: TableDefinition<'_, &str, &str> = TableDefinition::new("backends");
const DRILLS: TableDefinition<'_, &str, &str> = TableDefinition::new("drills");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Lines of the audit record that are kept.
pub(super) const AUDIT_KEPT: u64 = 10_000;

/// Memory for pages that were read.
const CACHE: usize = 1024 * 1024;

/// The file, opened when it is first needed and again after an error.
pub(super) struct Disk {
    path: PathBuf,
    database: Option<Database>,
    open: Box<Open>,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store `{}`", self.path.display())
    }
}

/// Why the file cannot be used.
pub(in crate::app) enum Trouble {
    /// What is in it is no store any more.
    Damaged(String),
    /// It cannot be read or written now.
    Disk(String),
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(e: E) -> Trouble {
        match e.into() {
            redb::Error::Corrupted(what) => Trouble::Damaged(what),
            e @ (redb::Error::UpgradeRequired(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::RepairAborted) => Trouble::Damaged(e.to_string()),
            // What is no redb file at all, or is cut short.
            redb::Error::Io(e)
                if matches!(
                    e.kind(),
                    std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
                ) =>
            {
                Trouble::Damaged(e.to_string())
            }
            e => Trouble::Disk(e.to_string()),
        }
    }
}

/// Opens the file, or what a test puts in its place.
pub(in crate::app) type Open = dyn Fn(&Path, Builder) -> Result<Database, Trouble> + Send;

pub(in crate::app) fn open_file(path: &Path, builder: Builder) -> Result<Database, Trouble> {
    // Orders name people; nobody else reads them.
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| Trouble::Disk(e.to_string()))?;
    Ok(builder.create_with_backend(FileBackend::new(file)?)?)
}

impl Disk {
    pub(super) fn new(path: PathBuf) -> Disk {
        Disk {
            path,
            database: None,
            open: Box::new(open_file),
        }
    }

    /// A disk that is opened otherwise.
    #[cfg(test)]
    pub(super) fn with(
        open: impl Fn(&Path, Builder) -> Result<Database, Trouble> + Send + 'static,
    ) -> Disk {
        Disk {
            path: "test".into(),
            database: None,
            open: Box::new(open),
        }
    }

    /// Opens the file and reads all of it; counts the start. A damaged file is set aside.
    pub(super) fn load(&mut self) -> Result<Stored, String> {
        match self.guarded(Self::open_and_read) {
            Ok(stored) => Ok(stored),
            Err(Trouble::Disk(e)) => Err(e),
            Err(Trouble::Damaged(e)) => {
                self.set_aside(&e)?;
                self.guarded(Self::open_and_read).map_err(text)
            }
        }
    }

    /// Writes in one transaction, on the disk when this returns.
    pub(super) fn write(&mut self, pending: &Pending) -> Result<(), String> {
        self.guarded(|disk| disk.commit(pending)).map_err(text)
    }

    /// Runs `work`; after any failure the file is closed, since redb takes no more writes then. A
    /// damaged file can make redb panic, which is a failure like others.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Disk) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let result = catch_unwind(AssertUnwindSafe(|| work(self)))
            .unwrap_or_else(|_| Err(Trouble::Damaged("reading it panicked".to_owned())));
        if result.is_err() {
            let database = self.database.take();
            // Closing writes, which may fail in its turn.
            drop(catch_unwind(AssertUnwindSafe(|| drop(database))));
        }
        result
    }

    /// Closes the file: another process may open it. The next use opens it again.
    pub(super) fn close(&mut self) {
        let database = self.database.take();
        // Closing writes, which may fail.
        drop(catch_unwind(AssertUnwindSafe(|| drop(database))));
    }

    fn database(&mut self) -> Result<&mut Database, Trouble> {
        if self.database.is_none() {
            self.database = Some(self.open()?);
        }
        let opened = self.database.as_mut();
        opened.ok_or_else(|| Trouble::Disk("it is not open".to_owned()))
    }

    fn open(&self) -> Result<Database, Trouble> {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        (self.open)(&self.path, builder)
    }

    fn open_and_read(&mut self) -> Result<Stored, Trouble> {
        let database = self.database()?;
        match database.check_integrity() {
            Ok(_) => {}
            Err(DatabaseError::Storage(StorageError::Corrupted(e))) => {
                return Err(Trouble::Damaged(e));
            }
            Err(e) => return Err(e.into()),
        }
        let write = database.begin_write()?;
        let starts = {
            // Opened for writing, so that reading finds each of them.
            write.open_table(ORDERS)?;
            write.open_table(AUDIT)?;
            write.open_table(VERDICTS)?;
            write.open_table(BACKENDS)?;
            write.open_table(DRILLS)?;
            let mut meta = write.open_table(META)?;
            let starts = meta.get("starts")?.map_or(0, |n| n.value()) + 1;
            meta.insert("starts", starts)?;
            starts
        };
        write.commit()?;
        let read = database.begin_read()?;
        let mut stored = Stored {
            starts,
            ..Stored::default()
        };
        for row in read.open_table(ORDERS)?.iter()? {
            let (text, believed) = row.map(|(_, v)| {
                let (text, believed) = v.value();
                (text.to_owned(), believed)
            })?;
            stored.orders.push((text, believed));
        }
        for row in read.open_table(AUDIT)?.iter()? {
            let (number, line) = row?;
            stored.audit.push((number.value(), line.value().to_owned()));
        }
        for row in read.open_table(VERDICTS)?.iter()? {
            let (key, bytes) = row?;
            stored
                .verdicts
                .push((key.value(), bytes.value().to_owned()));
        }
        for row in read.open_table(BACKENDS)?.iter()? {
            let (key, text) = row?;
            let row = (key.value().to_owned(), text.value().to_owned());
            stored.backends.push(row);
        }
        for row in read.open_table(DRILLS)?.iter()? {
            let (key, text) = row?;
            let row = (key.value().to_owned(), text.value().to_owned());
            stored.drills.push(row);
        }
        Ok(stored)
    }

    fn commit(&mut self, pending: &Pending) -> Result<(), Trouble> {
        // Durability is immediate by default: commit returns after fsync.
        let write = self.database()?.begin_write()?;
        {
            let mut orders = write.open_table(ORDERS)?;
            for (stamp, order) in &pending.orders {
                match order {
                    Some((text, believed)) => orders.insert(&**stamp, (&**text, *believed))?,
                    None => orders.remove(&**stamp)?,
                };
            }
            let mut audit = write.open_table(AUDIT)?;
            for (number, line) in &pending.audit {
                audit.insert(number, &**line)?;
            }
            if let Some((last, _)) = pending.audit.back() {
                let first_kept = (last + 1).saturating_sub(AUDIT_KEPT);
                audit.retain_in(..first_kept, |_, _| false)?;
            }
            let mut verdicts = write.open_table(VERDICTS)?;
            for (key, bytes) in &pending.verdicts {
                verdicts.insert(key, &**bytes)?;
            }
            let mut backends = write.open_table(BACKENDS)?;
            for (key, order) in &pending.backends {
                match order {
                    Some(text) => backends.insert(&**key, &**text)?,
                    None => backends.remove(&**key)?,
                };
            }
            let mut drills = write.open_table(DRILLS)?;
            for (key, word) in &pending.drills {
                match word {
                    Some(text) => drills.insert(&**key, &**text)?,
                    None => drills.remove(&**key)?,
                };
            }
        }
        write.commit()?;
        Ok(())
    }

    /// Renames a damaged file, so that a person can look at it.
    fn set_aside(&self, why: &str) -> Result<(), String> {
        let aside = (1..=u32::MAX)
            .map(|n| self.path.with_extension(format!("damaged-{n}")))
            .find(|p| !p.exists())
            .ok_or_else(|| why.to_owned())?;
        fs::rename(&self.path, &aside).map_err(|e| format!("{why}; nor can it be renamed: {e}"))?;
        tracing::error!(
            "{self} is damaged: {why}; it was set aside as `{}` and a new one begun. Orders that \
             only this node had are lost unless they are given again: check `tradewind overrides`",
            aside.display()
        );
        Ok(())
    }
}

pub(in crate::app) fn text(trouble: Trouble) -> String {
    match trouble {
        Trouble::Damaged(e) | Trouble::Disk(e) => e,
    }
}
