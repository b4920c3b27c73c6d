//! A stored response as a file: `TWC1`, the length of what describes it, that, the body, and a CRC-32 of
//! all before.
//!
//! Numbers are little-endian; texts have their length before them.

use std::time::Duration;

use bytes::Bytes;

use crate::caching::{Selection, Terms};
use crate::message::Fields;
use crate::time::{Moment, Wall};
use crate::traffic::compression::Coding;

use super::object::{Object, Variant};

const MAGIC: &[u8; 4] = b"TWC1";

/// Octets of description at most: a response's head is shorter.
pub const MOST_META: usize = 1 << 20;

/// What a file says of itself before its body.
#[derive(Clone, Debug)]
pub struct Described {
    /// The URL that it is kept under.
    pub url: Vec<u8>,
    /// All but the body, with terms as of the calendar.
    pub object: Object,
    /// When it came, in milliseconds since 1970.
    pub received_ms: u64,
}

/// The octets of an object's file.
pub fn encode(url: &[u8], object: &Object, wall: Wall) -> Vec<u8> {
    let mut meta = Vec::with_capacity(512);
    text(&mut meta, url);
    number(&mut meta, wall.unix_ms(object.terms.received));
    let terms = &object.terms;
    for time in [
        terms.initial_age,
        terms.lifetime,
        terms.while_revalidate,
        terms.if_error,
    ] {
        number(
            &mut meta,
            u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        );
    }
    let flags = u64::from(terms.always_validate) | u64::from(terms.never_stale) << 1;
    number(&mut meta, flags);
    number(&mut meta, u64::from(object.status));
    number(&mut meta, object.length);
    text(&mut meta, &object.variant.partition);
    number(
        &mut meta,
        match object.variant.coding {
            None => 0,
            Some(None) => 1,
            Some(Some(Coding::Zstd)) => 2,
            Some(Some(Coding::Brotli)) => 3,
            Some(Some(Coding::Gzip)) => 4,
        },
    );
    let selection: Vec<_> = object.variant.selection.parts().collect();
    number(&mut meta, selection.len() as u64);
    for (name, value) in selection {
        text(&mut meta, name);
        optional(&mut meta, value);
    }
    optional(&mut meta, object.tag.as_deref());
    number(&mut meta, object.fields.len() as u64);
    for (name, value) in object.fields.iter() {
        text(&mut meta, name);
        text(&mut meta, value);
    }
    let mut out = Vec::with_capacity(meta.len() + object.length as usize + 16);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(meta.len() as u32).to_le_bytes());
    out.extend_from_slice(&meta);
    for chunk in object.body.iter() {
        out.extend_from_slice(chunk);
    }
    let sum = crc(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

fn crc(octets: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(octets);
    crc.sum()
}

fn number(out: &mut Vec<u8>, n: u64) {
    out.extend_from_slice(&n.to_le_bytes());
}

fn text(out: &mut Vec<u8>, octets: &[u8]) {
    number(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

fn optional(out: &mut Vec<u8>, octets: Option<&[u8]>) {
    number(out, u64::from(octets.is_some()));
    text(out, octets.unwrap_or_default());
}

/// Reads what stands before the body, from the start of a file; `None` when it is none of these files.
pub fn describe(start: &[u8]) -> Option<Described> {
    let meta = start.strip_prefix(MAGIC)?;
    let (length, meta) = meta.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let mut r = Reader(meta.get(..length)?);
    let url = r.text()?.to_vec();
    let received_ms = r.number()?;
    let mut time = || r.number().map(Duration::from_millis);
    let (initial_age, lifetime) = (time()?, time()?);
    let (while_revalidate, if_error) = (time()?, time()?);
    let flags = r.number()?;
    let status = u16::try_from(r.number()?).ok()?;
    let length = r.number()?;
    let partition = r.text()?.into();
    let coding = match r.number()? {
        0 => None,
        1 => Some(None),
        2 => Some(Some(Coding::Zstd)),
        3 => Some(Some(Coding::Brotli)),
        4 => Some(Some(Coding::Gzip)),
        _ => return None,
    };
    let mut selection = Vec::new();
    for _ in 0..r.count()? {
        selection.push((r.text()?.to_vec(), r.optional()?));
    }
    let tag = r.optional()?.map(Vec::into_boxed_slice);
    let mut fields = Fields::new();
    for _ in 0..r.count()? {
        let (name, value) = (r.text()?, r.text()?);
        if name.len() > usize::from(u16::MAX)
            || value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0))
        {
            return None;
        }
        fields.push(name, value);
    }
    if !r.0.is_empty() || !(200..600).contains(&status) {
        return None;
    }
    let labels = super::object::labels(&fields);
    Some(Described {
        url,
        received_ms,
        object: Object {
            status,
            fields,
            terms: Terms {
                received: Moment::ZERO,
                initial_age,
                lifetime,
                always_validate: flags & 1 != 0,
                never_stale: flags & 2 != 0,
                while_revalidate,
                if_error,
            },
            variant: Variant {
                partition,
                selection: Selection::from_parts(selection.into_iter()),
                coding,
            },
            tag,
            labels,
            body: [].into(),
            length,
        },
    })
}

/// Reads a whole file, checked to the last octet; `None` when anything is wrong with it.
pub fn decode(file: &[u8], now: Moment, wall: Wall) -> Option<Described> {
    let (rest, sum) = file.split_last_chunk::<4>()?;
    if crc(rest) != u32::from_le_bytes(*sum) {
        return None;
    }
    let mut described = describe(rest)?;
    let object = &mut described.object;
    let at = rest
        .len()
        .checked_sub(usize::try_from(object.length).ok()?)?;
    let body = Bytes::copy_from_slice(&rest[at..]);
    object.body = match body.is_empty() {
        true => [].into(),
        false => [body].into(),
    };
    let resident = wall.unix_ms(now).saturating_sub(described.received_ms);
    object.terms = object.terms.restored(Duration::from_millis(resident), now);
    Some(described)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn number(&mut self) -> Option<u64> {
        let (n, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*n))
    }

    /// A number of things, of which each takes at least 16 octets.
    fn count(&mut self) -> Option<u64> {
        let n = self.number()?;
        (n <= self.0.len() as u64 / 16).then_some(n)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let n = usize::try_from(self.number()?).ok()?;
        let text = self.0.get(..n)?;
        self.0 = &self.0[n..];
        Some(text)
    }

    fn optional(&mut self) -> Option<Option<Vec<u8>>> {
        let given = self.number()? == 1;
        let text = self.text()?;
        Some(given.then(|| text.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caching::vary;
    use crate::message::RequestHead;
    use proptest::prelude::*;

    fn wall() -> Wall {
        Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600))
    }

    fn object() -> Object {
        let request = RequestHead {
            fields: [("Accept-Language", "de")].into_iter().collect(),
            ..RequestHead::default()
        };
        let fields: Fields = [
            ("Content-Type", "text/html"),
            ("Vary", "Accept-Language, X"),
            ("Cache-Tag", "a,b"),
        ]
        .into_iter()
        .collect();
        Object {
            status: 200,
            terms: Terms {
                received: Moment::ZERO + Duration::from_secs(5),
                initial_age: Duration::from_secs(2),
                lifetime: Duration::from_secs(60),
                never_stale: true,
                ..Terms::default()
            },
            variant: Variant {
                partition: b"route\0http".as_slice().into(),
                selection: vary::select(&fields, &request).unwrap(),
                coding: Some(Some(Coding::Brotli)),
            },
            tag: Some(b"\"a\"".as_slice().into()),
            labels: crate::proxy::cache::object::labels(&fields),
            fields,
            length: 10,
            body: [Bytes::from_static(b"01234"), Bytes::from_static(b"56789")].into(),
        }
    }

    #[test]
    fn an_object_is_the_same_after_a_restart_but_for_its_age() {
        let file = encode(b"www.example/a", &object(), wall());
        // Another process, whose clock began 100 s later.
        let later = Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_700));
        let now = Moment::ZERO + Duration::from_secs(1);
        let found = decode(&file, now, later).unwrap();
        assert_eq!(found.url, b"www.example/a");
        let (old, new) = (object(), found.object);
        assert_eq!(
            (new.status, &new.fields, &new.variant),
            (200, &old.fields, &old.variant)
        );
        assert_eq!(
            (&new.tag, &new.labels, new.length),
            (&old.tag, &old.labels, 10)
        );
        assert_eq!(new.body.concat(), b"0123456789");
        assert_eq!(new.terms.age(now).as_secs(), 2 + 96);
        assert_eq!(new.terms.lifetime, old.terms.lifetime);
        assert!(new.terms.never_stale);
    }

    proptest! {
        #[test]
        fn a_damaged_file_is_found_out(at in 0usize..200, bit in 0u8..8) {
            let mut file = encode(b"www.example/a", &object(), wall());
            let at = at % file.len();
            file[at] ^= 1 << bit;
            prop_assert!(decode(&file, Moment::ZERO, wall()).is_none());
        }

        #[test]
        fn a_file_that_was_cut_is_found_out(cut in 0usize..400) {
            let file = encode(b"www.example/a", &object(), wall());
            prop_assert!(decode(&file[..cut.min(file.len() - 1)], Moment::ZERO, wall()).is_none());
        }

        #[test]
        fn any_octets_are_read_without_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let file = [MAGIC.as_slice(), &(octets.len() as u32).to_le_bytes(), &octets].concat();
            let _ = describe(&file);
            let _ = describe(&octets);
        }
    }
}
