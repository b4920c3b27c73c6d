//! What a proxy remembers of clients of HTTP, for the process that comes after it: octets under names that
//! carry the number of their layout.

use crate::limit::Secret;
use crate::traffic::session::table::{Key, Remembered, Tag};

use super::run::Proxy;

/// The name of the secret with which this process names backends in cookies.
const SECRET: &str = "cookie-secret/1";

/// What the names of remembered sessions begin with; the upstream's name follows.
const SESSIONS: &str = "sessions/1/";

/// Sessions of one upstream at most.
const MOST: usize = 1 << 20;

/// Octets of a session: key, backend, milliseconds until it expires.
const SESSION: usize = 16 + 8 + 8;

/// Names and octets.
pub type Keepsakes = Vec<(Box<str>, Vec<u8>)>;

impl Proxy {
    /// The secret, for the next process.
    pub fn secret(&self) -> (Box<str>, Vec<u8>) {
        (SECRET.into(), self.own_secret().bits().to_vec())
    }

    /// Remembered sessions by upstream, for the next process.
    pub fn remembered(&self) -> Keepsakes {
        let (tier, now) = (self.tier(), self.now());
        let tables = tier.plan.upstreams.iter().zip(&tier.upstreams);
        let tables = tables.filter_map(|(upstream, group)| {
            let all = group.chooser.table()?.remembered(MOST, now);
            let octets = all.iter().flat_map(write).collect::<Vec<u8>>();
            (!octets.is_empty()).then(|| (format!("{SESSIONS}{}", upstream.name).into(), octets))
        });
        tables.collect()
    }

    /// Goes on from what the process before kept. Names that are not known are those of other layouts, or of
    /// upstreams that are no more. The secret is heeded only before anybody is served.
    pub fn remember(&self, kept: &Keepsakes) {
        let secret = kept.iter().find(|(name, _)| **name == *SECRET);
        if let Some(bits) = secret.and_then(|(_, bits)| bits.as_slice().try_into().ok()) {
            self.set_own_secret(Secret::new(bits));
        }
        let (tier, now) = (self.tier(), self.now());
        for (name, octets) in kept {
            let name = name.strip_prefix(SESSIONS);
            let mut tables = tier.plan.upstreams.iter().zip(&tier.upstreams);
            let found = tables.find(|(upstream, _)| Some(&*upstream.name) == name);
            if let Some(table) = found.and_then(|(_, group)| group.chooser.table()) {
                let (all, _) = octets.as_chunks();
                all.iter().for_each(|one| table.take_in(&read(one), now));
            }
        }
    }
}

fn write(session: &Remembered) -> [u8; SESSION] {
    let mut octets = [0; SESSION];
    let left = u64::try_from(session.left.as_millis()).unwrap_or(u64::MAX);
    octets[..16].copy_from_slice(&session.key.0.to_be_bytes());
    octets[16..24].copy_from_slice(&session.tag.0.to_be_bytes());
    octets[24..].copy_from_slice(&left.to_be_bytes());
    octets
}

fn read(octets: &[u8; SESSION]) -> Remembered {
    let word = |at: usize| {
        let word = octets[at..at + 8].iter();
        word.fold(0_u64, |word, octet| word << 8 | u64::from(*octet))
    };
    Remembered {
        key: Key(u128::from(word(0)) << 64 | u128::from(word(8))),
        tag: Tag(word(16)),
        left: std::time::Duration::from_millis(word(24)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p2_a_session_that_is_written_is_read_again() {
        let session = Remembered {
            key: Key::of_text(b"somebody"),
            tag: Tag::of("b1"),
            left: std::time::Duration::from_millis(1_234_567),
        };
        assert_eq!(read(&write(&session)), session);
    }
}
