//! What is known of a place, and from where.

use std::fmt;

use super::Coordinates;

/// An upper-case ASCII code of up to four characters: continent `EU`, country `DE`, subdivision `BY`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Code([u8; 4]);

impl Code {
    /// The code in `text`, upper-cased; `None` when it is empty, longer than four characters or not
    /// ASCII letters and digits.
    pub fn new(text: &str) -> Option<Code> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > 4 || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        let mut code = [0; 4];
        for (to, from) in code.iter_mut().zip(bytes) {
            *to = from.to_ascii_uppercase();
        }
        Some(Code(code))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|b| *b == 0).unwrap_or(4);
        std::str::from_utf8(&self.0[..len]).unwrap_or("")
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Which inputs a location's facts came from, as a bit set: bit 0 is the own-networks file, bit
/// `n + 1` the n-th database of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Source(pub u16);

impl Source {
    /// The own-networks file.
    pub const OWN: Source = Source(1);

    /// The n-th database, counted from 0; at most 15 are possible.
    pub fn database(n: usize) -> Source {
        Source(1 << (n + 1))
    }

    /// Whether `other`'s inputs are among these.
    pub fn has(self, other: Source) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    pub fn and(self, other: Source) -> Source {
        Source(self.0 | other.0)
    }
}

/// What is known of a network's place. All fields may be unknown.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Location {
    /// Continent code as MaxMind writes it: AF AN AS EU NA OC SA.
    pub continent: Option<Code>,
    /// ISO 3166-1 alpha-2 country.
    pub country: Option<Code>,
    /// ISO 3166-2 subdivision without the country part (the first, widest one).
    pub subdivision: Option<Code>,
    /// Where it is.
    pub coordinates: Option<Coordinates>,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// Inputs that told us.
    pub source: Source,
}
