//! Owner names in canonical wire form.

use std::fmt;
use std::str::FromStr;

/// The longest name on the wire, with its root label (RFC 1035 section 3.1).
pub const MAX_NAME: usize = 255;

/// A complete name in wire form: uncompressed, lower-cased, ending in the root label, at most 255
/// octets. Equality and hashing are therefore those of DNS (RFC 4343).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireName(Box<[u8]>);

/// Why a text is not a domain name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or a dot at the start.
    #[error("`{0}` has an empty label")]
    EmptyLabel(String),
    /// A label over 63 octets.
    #[error("label `{label}` has {len} octets; the limit is 63")]
    LabelTooLong {
        /// The label.
        label: String,
        /// Its length.
        len: usize,
    },
    /// The whole over 255 octets.
    #[error("`{name}` takes {len} octets on the wire; the limit is 255")]
    TooLong {
        /// The text.
        name: String,
        /// Its length on the wire.
        len: usize,
    },
    /// `\` not followed by a character or three digits up to 255.
    #[error(
        "`{0}` has a `\\` that is followed neither by a character nor by three digits up to 255"
    )]
    Escape(String),
    /// A wire form that is truncated, compressed or has bytes after the root label.
    #[error("not one complete uncompressed name")]
    Wire,
}

impl WireName {
    /// The root.
    pub fn root() -> WireName {
        WireName(Box::new([0]))
    }

    /// Takes an uncompressed wire name and lower-cases it.
    ///
    /// # Errors
    /// [`NameError::Wire`] when the bytes are not exactly one name.
    pub fn from_wire(bytes: &[u8]) -> Result<WireName, NameError> {
        let mut at = 0;
        loop {
            let len = *bytes.get(at).ok_or(NameError::Wire)? as usize;
            if len > 63 {
                return Err(NameError::Wire);
            }
            at += 1 + len;
            if len == 0 {
                break;
            }
        }
        if at != bytes.len() || at > MAX_NAME {
            return Err(NameError::Wire);
        }
        // Length octets are at most 63 and so never an upper-case letter.
        Ok(WireName(bytes.to_ascii_lowercase().into_boxed_slice()))
    }

    /// The bytes, with the root label.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The labels from the left, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels(&self.0)
    }

    /// Number of labels without the root.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The name without its first label; `None` for the root.
    pub fn parent(&self) -> Option<WireName> {
        let first = self.0[0] as usize;
        (first > 0).then(|| WireName(self.0[first + 1..].into()))
    }

    /// Whether this name is `ancestor` or lies below it, on label boundaries (requirement A3).
    pub fn is_at_or_below(&self, ancestor: &WireName) -> bool {
        is_at_or_below(&self.0, &ancestor.0)
    }

    /// `label` in front of this name.
    ///
    /// # Errors
    /// When the label or the result is too long or empty.
    pub fn prepend(&self, label: &[u8]) -> Result<WireName, NameError> {
        let text = || String::from_utf8_lossy(label).into_owned();
        if label.is_empty() {
            return Err(NameError::EmptyLabel(text()));
        }
        if label.len() > 63 {
            return Err(NameError::LabelTooLong {
                label: text(),
                len: label.len(),
            });
        }
        let len = self.0.len() + 1 + label.len();
        if len > MAX_NAME {
            return Err(NameError::TooLong {
                name: format!("{}.{self}", text()),
                len,
            });
        }
        let mut v = Vec::with_capacity(len);
        v.push(label.len() as u8);
        v.extend_from_slice(&label.to_ascii_lowercase());
        v.extend_from_slice(&self.0);
        Ok(WireName(v.into_boxed_slice()))
    }
}

/// A [`WireName`] that lies in somebody else's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// Takes the bytes of a [`WireName`], as they are.
    pub(crate) fn trusted(bytes: &'a [u8]) -> NameRef<'a> {
        debug_assert!(
            bytes.last() == Some(&0) && !bytes.iter().any(u8::is_ascii_uppercase),
            "a name that was packed is whole and in lower case"
        );
        NameRef(bytes)
    }

    /// The bytes, with the root label.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// A copy of its own.
    pub fn to_name(self) -> WireName {
        WireName(self.0.into())
    }
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display_wire(self.0, f)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether the wire name `name` is `ancestor` or lies below it, on label boundaries (requirement
/// A3). Both must be uncompressed and of the same case; bytes that are no name are below nothing.
pub fn is_at_or_below(mut name: &[u8], ancestor: &[u8]) -> bool {
    loop {
        if name == ancestor {
            return true;
        }
        match name.first() {
            None | Some(0) => return false,
            Some(len) => match name.get(1 + usize::from(*len)..) {
                Some(rest) => name = rest,
                None => return false,
            },
        }
    }
}

/// Iterates over the labels of a wire name, from the left, without the root.
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let len = *self.0.first()? as usize;
        if len == 0 {
            return None;
        }
        let (label, rest) = self.0[1..].split_at(len);
        self.0 = rest;
        Some(label)
    }
}

impl FromStr for WireName {
    type Err = NameError;

    /// Reads presentation form (RFC 1035 section 5.1 escapes); the final dot may be missing, the name
    /// is absolute either way.
    fn from_str(s: &str) -> Result<WireName, NameError> {
        if s == "." {
            return Ok(WireName::root());
        }
        let mut wire = Vec::with_capacity(s.len() + 2);
        let mut label: Vec<u8> = Vec::new();
        let flush = |label: &mut Vec<u8>, wire: &mut Vec<u8>| {
            if label.is_empty() {
                return Err(NameError::EmptyLabel(s.to_owned()));
            }
            if label.len() > 63 {
                return Err(NameError::LabelTooLong {
                    label: String::from_utf8_lossy(label).into_owned(),
                    len: label.len(),
                });
            }
            wire.push(label.len() as u8);
            wire.append(label);
            Ok(())
        };
        let bytes = s.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            match bytes[i] {
                b'.' => flush(&mut label, &mut wire)?,
                b'\\' => {
                    let escape = || NameError::Escape(s.to_owned());
                    let next = *bytes.get(i + 1).ok_or_else(escape)?;
                    if next.is_ascii_digit() {
                        let code = s
                            .get(i + 1..i + 4)
                            .and_then(|d| d.parse::<u8>().ok())
                            .ok_or_else(escape)?;
                        label.push(code.to_ascii_lowercase());
                        i += 3;
                    } else {
                        label.push(next.to_ascii_lowercase());
                        i += 1;
                    }
                }
                b => label.push(b.to_ascii_lowercase()),
            }
            i += 1;
        }
        if !label.is_empty() {
            flush(&mut label, &mut wire)?;
        }
        if wire.is_empty() {
            return Err(NameError::EmptyLabel(s.to_owned()));
        }
        wire.push(0);
        if wire.len() > MAX_NAME {
            return Err(NameError::TooLong {
                name: s.to_owned(),
                len: wire.len(),
            });
        }
        Ok(WireName(wire.into_boxed_slice()))
    }
}

/// Writes a wire name in presentation form, without the final dot.
///
/// Bytes that are not printable, and dots and backslashes inside labels, are escaped.
pub fn display_wire(wire: &[u8], f: &mut impl fmt::Write) -> fmt::Result {
    let mut first = true;
    for label in Labels(wire) {
        if !first {
            f.write_char('.')?;
        }
        first = false;
        for &b in label {
            match b {
                b'.' | b'\\' | b'"' | b';' | b'@' | b'$' | b'(' | b')' => {
                    write!(f, "\\{}", char::from(b))?;
                }
                0x21..=0x7e => f.write_char(char::from(b))?,
                _ => write!(f, "\\{b:03}")?,
            }
        }
    }
    if first {
        f.write_char('.')?;
    }
    Ok(())
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display_wire(&self.0, f)
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::borrow::Borrow<[u8]> for WireName {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_wire_round_trip() {
        for (text, shown) in [
            ("www.Example.COM.", "www.example.com"),
            (".", "."),
            ("a\\.b.c", "a\\.b.c"),
            ("\\000x.y", "\\000x.y"),
            ("*.w", "*.w"),
        ] {
            let n: WireName = text.parse().unwrap();
            assert_eq!(n.to_string(), shown);
            assert_eq!(WireName::from_wire(n.as_bytes()).unwrap(), n);
        }
    }

    #[test]
    fn refuses_what_is_no_name() {
        for bad in ["", "..", ".a", "a..b", "a\\", "a\\25", "a\\999"] {
            assert!(bad.parse::<WireName>().is_err(), "{bad}");
        }
        assert!("x".repeat(64).parse::<WireName>().is_err());
        assert!(
            [
                "x".repeat(63),
                "y".repeat(63),
                "z".repeat(63),
                "w".repeat(62)
            ]
            .join(".")
            .parse::<WireName>()
            .is_err()
        );
        assert!(WireName::from_wire(b"\x01a").is_err());
        assert!(WireName::from_wire(b"\xc0\x00").is_err());
        assert!(WireName::from_wire(b"\x00\x00").is_err());
    }

    #[test]
    fn label_boundaries() {
        let n = |s: &str| s.parse::<WireName>().unwrap();
        assert!(n("a.example.com").is_at_or_below(&n("example.com")));
        assert!(!n("aexample.com").is_at_or_below(&n("example.com")));
        assert!(n("example.com").is_at_or_below(&n("example.com")));
        assert!(n("example.com").is_at_or_below(&WireName::root()));
        assert_eq!(n("a.b").parent().unwrap(), n("b"));
        assert_eq!(n("b").prepend(b"A").unwrap(), n("a.b"));
    }
}
