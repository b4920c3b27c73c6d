//! A stored response.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use crate::caching::{Selection, Terms};
use crate::message::{Fields, RequestHead};
use crate::traffic::compression::Coding;

/// Octets that an object takes beside its body and the text of its fields: bookkeeping here and in the
/// table.
const OVERHEAD: u64 = 512;

/// A stored response. Never changed: a validation makes another one with the same body.
#[derive(Clone, Debug)]
pub struct Object {
    /// Status code.
    pub status: u16,
    /// Fields, as they are stored (RFC 9111 section 3.1).
    pub fields: Fields,
    /// On what terms it may be used.
    pub terms: Terms,
    /// What tells it apart from others of its URL.
    pub variant: Variant,
    /// The entity tag that the origin gave it, where the stored one was made weak here.
    pub tag: Option<Box<[u8]>>,
    /// Words by which it can be purged (`Cache-Tag`, `Surrogate-Key`).
    pub labels: Box<[Box<[u8]>]>,
    /// Its body.
    pub body: Arc<[Bytes]>,
    /// Octets of the body.
    pub length: u64,
}

/// What tells an object apart from others of its URL.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Variant {
    /// As [`crate::caching::KeyParts::partition`] writes it.
    pub partition: Box<[u8]>,
    /// What `Vary` names.
    pub selection: Selection,
    /// `Some` when this proxy would have compressed it for some clients: what it did for those that it
    /// is for.
    pub coding: Option<Option<Coding>>,
}

impl Variant {
    /// Whether it is for a request of this partition, which would get `coding`.
    pub fn is_for(&self, request: &RequestHead, partition: &[u8], coding: Option<Coding>) -> bool {
        *self.partition == *partition
            && self.coding.is_none_or(|own| own == coding)
            && self.selection.matches(request)
    }
}

impl Object {
    /// Octets that it takes in memory.
    pub fn weight(&self) -> u64 {
        let labels: usize = self.labels.iter().map(|l| l.len() + 16).sum();
        let variant = self.variant.partition.len() + self.variant.selection.weight();
        let chunks = self.body.len() * size_of::<Bytes>();
        self.length + OVERHEAD + self.fields.octets() as u64 + (labels + variant + chunks) as u64
    }

    /// The parts of the body that make up `range`.
    pub fn slice(&self, range: Range<u64>) -> Vec<Bytes> {
        let mut parts = Vec::new();
        let mut at = 0;
        for chunk in self.body.iter() {
            let end = at + chunk.len() as u64;
            let (from, to) = (range.start.max(at), range.end.min(end));
            if from < to {
                parts.push(chunk.slice((from - at) as usize..(to - at) as usize));
            }
            at = end;
        }
        parts
    }
}

/// The words by which a response can be purged: members of `Cache-Tag`, words of `Surrogate-Key`; at
/// most 64 of them.
pub fn labels(fields: &Fields) -> Box<[Box<[u8]>]> {
    let mut all: Vec<Box<[u8]>> = Vec::new();
    for (name, value) in fields.iter() {
        let separator: fn(&u8) -> bool = match name {
            b"cache-tag" => |b| *b == b',',
            b"surrogate-key" => |b| *b == b' ' || *b == b',',
            _ => continue,
        };
        let words = value.split(separator).map(<[u8]>::trim_ascii);
        all.extend(words.filter(|w| !w.is_empty()).map(Into::into));
    }
    all.truncate(64);
    all.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(chunks: &[&'static str]) -> Object {
        let body: Arc<[Bytes]> = chunks
            .iter()
            .map(|c| Bytes::from_static(c.as_bytes()))
            .collect();
        Object {
            status: 200,
            fields: Fields::new(),
            terms: Terms::default(),
            variant: Variant::default(),
            tag: None,
            labels: Box::default(),
            length: body.iter().map(|c| c.len() as u64).sum(),
            body,
        }
    }

    #[test]
    fn a_slice_is_cut_from_the_chunks_that_it_touches() {
        let object = object(&["0123", "4567", "89"]);
        let text = |range: Range<u64>| -> String {
            let parts = object.slice(range);
            parts
                .iter()
                .map(|p| std::str::from_utf8(p).unwrap())
                .collect()
        };
        assert_eq!(text(0..10), "0123456789");
        assert_eq!(text(3..5), "34");
        assert_eq!(text(4..8), "4567");
        assert_eq!(text(9..10), "9");
        assert_eq!(object.slice(4..8).len(), 1);
        assert!(object.weight() > 10 + OVERHEAD);
    }

    #[test]
    fn labels_of_both_fields() {
        let fields: Fields = [("Cache-Tag", "a, b c,"), ("Surrogate-Key", "d  e")]
            .into_iter()
            .collect();
        let found: Vec<String> = labels(&fields)
            .iter()
            .map(|l| String::from_utf8(l.to_vec()).unwrap())
            .collect();
        assert_eq!(found, ["a", "b c", "d", "e"]);
    }
}
