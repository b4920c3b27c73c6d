//! Octets that were written as such (RFC 3597 section 5), held against the fields of their type.

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};

use crate::dns::name::MAX_NAME;

use super::fields::{Field, Row, fields, of_library};

/// The names in the data that may be compressed: offset and length of each.
///
/// # Errors
/// Why the octets are not the data of a type that is known here. Of other types all octets are sound.
pub(super) fn names(code: u16, bytes: &[u8]) -> Result<Vec<(u16, u16)>, String> {
    match fields(code) {
        Some(row) => by_row(row, bytes),
        None if of_library(code) => by_library(code, bytes).map(|()| Vec::new()),
        None => Ok(Vec::new()),
    }
}

fn by_row(row: Row, bytes: &[u8]) -> Result<Vec<(u16, u16)>, String> {
    let mut names = Vec::new();
    let mut at = 0;
    for (field, label) in row {
        let rest = &bytes[at..];
        let len = length(*field, rest)
            .ok_or_else(|| format!("the {label} at octet {} is cut off or not one", at + 1))?;
        if *field == Field::Name(true) {
            // Both fit: data has at most 65,535 octets.
            names.push((at as u16, len as u16));
        }
        at += len;
    }
    if at < bytes.len() {
        return Err(left_over(bytes.len() - at));
    }
    Ok(names)
}

/// Octets of the field at the start of `rest`; `None` where it is not one.
fn length(field: Field, rest: &[u8]) -> Option<usize> {
    let fixed = |n: usize| (rest.len() >= n).then_some(n);
    match field {
        Field::U8 | Field::Algorithm => fixed(1),
        Field::U16 | Field::CertType => fixed(2),
        Field::V4 | Field::U32 | Field::Seconds => fixed(4),
        Field::Eui48 => fixed(6),
        Field::Eui64 | Field::Groups => fixed(8),
        Field::V6 => fixed(16),
        // RFC 1876 section 2: version 0.
        Field::Location => fixed(16).filter(|_| rest[0] == 0),
        Field::Name(_) => name_length(rest),
        Field::Text => fixed(1 + usize::from(*rest.first()?)),
        Field::Texts => {
            let mut end = 1 + usize::from(*rest.first()?);
            while end < rest.len() {
                end += 1 + usize::from(rest[end]);
            }
            (end == rest.len()).then_some(end)
        }
        Field::Tag => {
            let len = usize::from(*rest.first()?);
            let tag = rest.get(1..=len)?;
            (len > 0 && tag.iter().all(u8::is_ascii_alphanumeric)).then_some(1 + len)
        }
        Field::Types => bitmap_length(rest),
        Field::Bytes => Some(rest.len()),
        Field::Hex | Field::Base64 => (!rest.is_empty()).then_some(rest.len()),
    }
}

/// Octets of the uncompressed name at the start of `rest` (RFC 3597 section 4).
fn name_length(rest: &[u8]) -> Option<usize> {
    let mut end = 0;
    loop {
        let len = usize::from(*rest.get(end)?);
        end += 1 + len;
        if len > 63 || end > MAX_NAME {
            return None;
        }
        if len == 0 {
            return Some(end);
        }
    }
}

/// Octets of the bitmap that is `rest` (RFC 4034 section 4.1.2): windows ascend, each with 1 to 32
/// octets of which the last is not zero.
fn bitmap_length(rest: &[u8]) -> Option<usize> {
    let (mut at, mut before) = (0, None);
    while at < rest.len() {
        let window = rest[at];
        let len = usize::from(*rest.get(at + 1)?);
        let bits = rest.get(at + 2..at + 2 + len)?;
        let sound = (1..=32).contains(&len) && bits.last() != Some(&0);
        if !sound || before.is_some_and(|b| b >= window) {
            return None;
        }
        before = Some(window);
        at += 2 + len;
    }
    Some(at)
}

fn by_library(code: u16, bytes: &[u8]) -> Result<(), String> {
    let length = u16::try_from(bytes.len()).map_err(|e| e.to_string())?;
    let mut decoder = BinDecoder::new(bytes);
    RData::read(&mut decoder, RecordType::from(code), Restrict::new(length))
        .map_err(|e| e.to_string())?;
    if decoder.is_empty() {
        Ok(())
    } else {
        Err(left_over(decoder.len()))
    }
}

fn left_over(octets: usize) -> String {
    match octets {
        1 => "1 octet is left over".to_owned(),
        n => format!("{n} octets are left over"),
    }
}
