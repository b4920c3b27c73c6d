//! Values that remember where they stood.

use std::ops::{Deref, Range};

/// A file of the configuration, by its number in [`super::sources::Sources`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FileId(pub u32);

/// A place: byte range in a file. In 12 octets, since every key and value of a configuration has one;
/// beyond 4 GiB all places are one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of `range` in `file`.
    pub fn new(file: FileId, range: Range<usize>) -> Span {
        Span {
            file,
            start: at(range.start),
            end: at(range.end),
        }
    }
}

fn at(byte: usize) -> u32 {
    u32::try_from(byte).unwrap_or(u32::MAX)
}

/// A value with its place.
#[derive(Clone, PartialEq, Debug)]
pub struct Marked<T> {
    /// The value.
    pub value: T,
    /// Where it stood; for a default, where the table that lacks it stood.
    pub span: Span,
}

impl<T> Marked<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Span) -> Marked<T> {
        Marked { value, span }
    }

    /// Maps the value, keeping its place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Marked<U> {
        Marked {
            value: f(self.value),
            span: self.span,
        }
    }
}

impl<T> Deref for Marked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
