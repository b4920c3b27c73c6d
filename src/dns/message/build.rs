//! Writes an answer into the caller's buffer.
//!
//! Everything goes in whole or not at all: a caller takes a [`Mark`], writes an RRset, and rolls
//! back when it does not fit.

use crate::units::Ttl;

use super::compress::Compressor;
use super::{HEADER, flags};

/// Class IN.
const IN: u16 = 1;

/// What was to be written does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Full;

/// The sections that hold records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// Answer.
    Answer,
    /// Authority.
    Authority,
    /// Additional.
    Additional,
}

/// The owner of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner<'a> {
    /// The name of the question.
    Question,
    /// This uncompressed wire name.
    Name(&'a [u8]),
}

/// What the header says beside the counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The query's.
    pub id: u16,
    /// All flags, and the lower four bits of the response code.
    pub flags: u16,
}

/// A state to return to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    at: usize,
    counts: [u16; 4],
    names: usize,
}

/// A message in the making.
#[derive(Debug)]
pub struct MessageWriter<'b> {
    buf: &'b mut [u8],
    at: usize,
    limit: usize,
    counts: [u16; 4],
    names: Compressor,
}

impl<'b> MessageWriter<'b> {
    /// Starts a message of at most `limit` octets; a buffer that is smaller limits it further.
    ///
    /// # Panics
    /// When the buffer does not even hold a header.
    pub fn new(buf: &'b mut [u8], limit: usize) -> MessageWriter<'b> {
        assert!(buf.len() >= HEADER, "the buffer must hold a header");
        MessageWriter {
            limit: limit.min(buf.len()),
            buf,
            at: HEADER,
            counts: [0; 4],
            names: Compressor::default(),
        }
    }

    /// Keeps `octets` free for later.
    pub fn reserve(&mut self, octets: usize) {
        self.limit = self.limit.saturating_sub(octets);
    }

    /// Gives octets back that [`MessageWriter::reserve`] kept.
    pub fn release(&mut self, octets: usize) {
        self.limit = (self.limit + octets).min(self.buf.len());
    }

    /// Octets that still fit.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.at)
    }

    /// Octets of the message so far.
    pub fn written(&self) -> usize {
        self.at
    }

    /// Number of records written to a section.
    pub fn count(&self, section: Section) -> u16 {
        self.counts[section as usize + 1]
    }

    /// The present state.
    pub fn mark(&self) -> Mark {
        Mark {
            at: self.at,
            counts: self.counts,
            names: self.names.len(),
        }
    }

    /// Takes back everything written since `mark`.
    pub fn rollback(&mut self, mark: Mark) {
        self.at = mark.at;
        self.counts = mark.counts;
        self.names.forget(mark.names);
    }

    /// Repeats the question: name, type and class as they stood in the query. Comes first.
    ///
    /// # Errors
    /// [`Full`].
    pub fn question(&mut self, raw: &[u8]) -> Result<(), Full> {
        self.put(raw)?;
        self.counts[0] += 1;
        Ok(())
    }

    /// Writes one record of class IN. `names` says where in `rdata` names stand that may be
    /// compressed: offset and length of each, ascending.
    ///
    /// # Errors
    /// [`Full`]; roll back then, part of the record may have been written.
    pub fn record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: u16,
        ttl: Ttl,
        rdata: &[u8],
        names: &[(u16, u16)],
    ) -> Result<(), Full> {
        self.record_of_class(section, owner, rtype, IN, ttl, rdata, names)
    }

    /// As [`MessageWriter::record`], of another class.
    ///
    /// # Errors
    /// [`Full`]; roll back then, part of the record may have been written.
    #[expect(clippy::too_many_arguments, reason = "a record has so many parts")]
    #[inline]
    pub fn record_of_class(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        rtype: u16,
        class: u16,
        ttl: Ttl,
        rdata: &[u8],
        names: &[(u16, u16)],
    ) -> Result<(), Full> {
        match owner {
            Owner::Question => self.put(&[0xC0, HEADER as u8])?,
            Owner::Name(name) => self.name(name)?,
        }
        let mut fixed = [0; 10];
        fixed[0..2].copy_from_slice(&rtype.to_be_bytes());
        fixed[2..4].copy_from_slice(&class.to_be_bytes());
        fixed[4..8].copy_from_slice(&ttl.secs().to_be_bytes());
        self.put(&fixed)?;
        let start = self.at;
        let mut done = 0;
        for (offset, len) in names {
            let (offset, len) = (usize::from(*offset), usize::from(*len));
            self.put(&rdata[done..offset])?;
            done = offset + len;
            self.name(&rdata[offset..done])?;
        }
        self.put(&rdata[done..])?;
        self.patch_length(start)?;
        self.count_one(section);
        Ok(())
    }

    /// Writes the OPT record (RFC 6891 section 6.1.2): `class` is the payload size we accept, `ttl`
    /// the extended response code, version and flags; `options` writes the options.
    ///
    /// # Errors
    /// [`Full`]; roll back then.
    pub fn opt(
        &mut self,
        class: u16,
        ttl: u32,
        options: impl FnOnce(&mut Self) -> Result<(), Full>,
    ) -> Result<(), Full> {
        let mut fixed = [0; 11];
        fixed[1..3].copy_from_slice(&crate::dns::rtype::OPT.to_be_bytes());
        fixed[3..5].copy_from_slice(&class.to_be_bytes());
        fixed[5..9].copy_from_slice(&ttl.to_be_bytes());
        self.put(&fixed)?;
        let start = self.at;
        options(self)?;
        self.patch_length(start)?;
        self.count_one(Section::Additional);
        Ok(())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// [`Full`]; nothing is written then.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if bytes.len() > self.room() {
            return Err(Full);
        }
        self.buf[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
        Ok(())
    }

    /// Writes the header and returns the message's length.
    pub fn finish(self, header: Header) -> usize {
        self.buf[0..2].copy_from_slice(&header.id.to_be_bytes());
        let bits = header.flags | flags::QR;
        self.buf[2..4].copy_from_slice(&bits.to_be_bytes());
        for (i, n) in self.counts.iter().enumerate() {
            self.buf[4 + 2 * i..6 + 2 * i].copy_from_slice(&n.to_be_bytes());
        }
        self.at
    }

    /// Writes a name, as far as possible as a pointer to an earlier one.
    fn name(&mut self, name: &[u8]) -> Result<(), Full> {
        if self.names.is_empty() && self.counts[0] > 0 {
            // Most answers name nothing but the question, by a pointer that needs no table.
            self.names.remember_question(self.buf);
        }
        let at = self.at;
        match self.names.find(&self.buf[..at], name) {
            Some((before, offset)) => {
                self.put(&name[..before])?;
                self.put(&(0xC000 | offset).to_be_bytes())?;
                self.names.remember(name, at, before);
            }
            None => {
                self.put(name)?;
                self.names.remember(name, at, name.len());
            }
        }
        Ok(())
    }

    /// Sets the RDLENGTH before `start` to what was written since.
    fn patch_length(&mut self, start: usize) -> Result<(), Full> {
        let len = u16::try_from(self.at - start).map_err(|_| Full)?;
        self.buf[start - 2..start].copy_from_slice(&len.to_be_bytes());
        Ok(())
    }

    fn count_one(&mut self, section: Section) {
        let n = &mut self.counts[section as usize + 1];
        // Fewer than 65,536 records of 11 octets fit a message.
        *n = n.saturating_add(1);
    }
}
