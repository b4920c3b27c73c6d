//! Session tickets (RFC 5077, RFC 8446 section 4.6.1): what a client is given to resume its session,
//! sealed with keys that change with time.
//!
//! The key of each period is derived from a secret, the listener's context and the period's number, so
//! that all proxies that share a secret have the same keys at the same time without talking to each
//! other. Without a shared secret the secret is random and of this process.
//!
//! The context binds tickets to the listener and to its rules for client certificates: a session of one
//! listener opens no other, and what a client was let in with before its authority was taken away does
//! not let it in again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;

use crate::time::Clock;

/// Octets of a secret.
pub const SECRET: usize = 32;

/// Octets that name a key: what a ticket begins with.
const NAME: usize = 16;

/// Octets of the longest ticket that is opened; a chain of client certificates is in it.
const LONGEST: usize = 32 << 10;

/// A secret that keys are derived from.
pub type Secret = [u8; SECRET];

/// What all keys come from.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    /// The first one makes tickets; those of the others are accepted.
    pub secrets: Vec<Secret>,
    /// What the tickets are bound to.
    pub context: [u8; 32],
    /// How long one key makes tickets.
    pub period: Duration,
    /// Whether the secret is random and of this process.
    pub own: bool,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("secrets", &self.secrets.len())
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}

/// Reads a file of secrets: one of 64 hexadecimal digits a line, the first in use, the others still
/// accepted; empty lines and those that begin with `#` are skipped.
///
/// # Errors
/// In words, without the secret.
pub fn secrets(file: &[u8]) -> Result<Vec<Secret>, String> {
    let text = std::str::from_utf8(file).map_err(|_| "it is no text".to_owned())?;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let digits = data_encoding::HEXLOWER_PERMISSIVE
            .decode(line.as_bytes())
            .ok()
            .and_then(|octets| Secret::try_from(octets).ok());
        found.push(digits.ok_or_else(|| {
            format!(
                "its line {} is not {} hexadecimal digits",
                at + 1,
                2 * SECRET
            )
        })?);
    }
    if found.is_empty() {
        return Err("it holds no secret".to_owned());
    }
    Ok(found)
}

/// A secret of this process.
///
/// # Errors
/// When the system has no randomness.
pub fn random_secret() -> Result<Secret, rustls::Error> {
    let mut secret = [0; SECRET];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
    Ok(secret)
}

/// Makes and opens tickets.
pub struct TicketKeys {
    source: Source,
    clock: Arc<dyn Clock>,
    ring: ArcSwap<Keys>,
}

/// The keys of one period.
struct Keys {
    period: u64,
    /// Makes tickets: the first secret's key of this period.
    sealing: Key,
    /// All that are accepted, that one first: each secret's keys of this period, the one before, and the
    /// one after, since another proxy's clock may be a little ahead.
    opening: Vec<Key>,
}

struct Key {
    name: [u8; NAME],
    key: LessSafeKey,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Key {
    fn derive(secret: &Secret, source: &Source, period: u64) -> Option<Key> {
        let prk: Prk = Salt::new(HKDF_SHA256, b"tradewind session tickets 1").extract(secret);
        let number = period.to_be_bytes();
        let length = (source.period.as_millis() as u64).to_be_bytes();
        let expand = |label: &[u8], out: &mut [u8]| {
            let info = [label, &source.context, &length, &number];
            prk.expand(&info, Length(out.len()))
                .and_then(|okm| okm.fill(out))
                .ok()
        };
        let (mut name, mut key) = ([0; NAME], [0; 32]);
        expand(b"name", &mut name)?;
        expand(b"key", &mut key)?;
        let key = UnboundKey::new(&AES_256_GCM, &key).ok()?;
        Some(Key {
            name,
            key: LessSafeKey::new(key),
        })
    }

    /// Name, nonce, sealed text, tag; the name is authenticated.
    fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(NAME + NONCE_LEN + plain.len() + MAX_TAG_LEN);
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(plain);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.name),
                &mut ticket[NAME + NONCE_LEN..],
            )
            .ok()?;
        ticket.extend_from_slice(tag.as_ref());
        Some(ticket)
    }

    fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut plain = sealed.to_vec();
        let len = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.name),
                &mut plain,
            )
            .ok()?
            .len();
        plain.truncate(len);
        Some(plain)
    }
}

impl Keys {
    fn of(source: &Source, period: u64) -> Option<Keys> {
        let sealing = Key::derive(source.secrets.first()?, source, period)?;
        let mut opening = Vec::with_capacity(3 * source.secrets.len());
        for secret in &source.secrets {
            for number in [period, period.wrapping_sub(1), period + 1] {
                opening.push(Key::derive(secret, source, number)?);
            }
        }
        Some(Keys {
            period,
            sealing,
            opening,
        })
    }
}

impl TicketKeys {
    /// Starts with the keys of the present.
    ///
    /// # Errors
    /// When no key can be derived: there is no secret.
    pub fn new(source: Source, clock: Arc<dyn Clock>) -> Result<TicketKeys, rustls::Error> {
        let now = period(&source, &*clock);
        let keys = Keys::of(&source, now)
            .ok_or_else(|| rustls::Error::General("no key for session tickets".to_owned()))?;
        Ok(TicketKeys {
            source,
            clock,
            ring: ArcSwap::from_pointee(keys),
        })
    }

    /// Whether the keys come from this.
    pub fn is_from(&self, source: &Source) -> bool {
        self.source == *source
    }

    /// What the keys come from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The keys of the present; keys of periods long past are gone from memory with the first handshake
    /// after them.
    fn keys(&self) -> Arc<Keys> {
        let now = period(&self.source, &*self.clock);
        let keys = self.ring.load_full();
        if keys.period == now {
            return keys;
        }
        // Several threads may do this at once: all come to the same.
        match Keys::of(&self.source, now) {
            Some(new) => {
                let new = Arc::new(new);
                self.ring.store(new.clone());
                new
            }
            None => keys,
        }
    }
}

/// The number of the present period.
fn period(source: &Source, clock: &dyn Clock) -> u64 {
    let now = clock.wall().unix_ms(clock.now());
    let length = u64::try_from(source.period.as_millis()).unwrap_or(u64::MAX);
    now / length.max(1)
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys({:?})", self.source)
    }
}

impl ProducesTickets for TicketKeys {
    fn enabled(&self) -> bool {
        true
    }

    /// A ticket made at the end of a period is good for one more: what every ticket can be relied on for.
    fn lifetime(&self) -> u32 {
        // RFC 8446 section 4.6.1: "Servers MUST NOT use any value greater than … (7 days)".
        u32::try_from(self.source.period.as_secs())
            .unwrap_or(u32::MAX)
            .clamp(1, 7 * 86_400)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.keys().sealing.seal(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > LONGEST {
            return None;
        }
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        // Names are no secrets: every ticket shows one.
        let keys = self.keys();
        keys.opening
            .iter()
            .find(|key| key.name == *name)?
            .open(*nonce, sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimClock;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn source(secrets: &[Secret], context: u8) -> Source {
        Source {
            secrets: secrets.to_vec(),
            context: [context; 32],
            period: HOUR,
            own: false,
        }
    }

    fn keys(source: Source, clock: &Arc<SimClock>) -> TicketKeys {
        TicketKeys::new(source, clock.clone()).unwrap()
    }

    #[test]
    fn a_ticket_is_good_for_its_period_and_the_next() {
        let clock = Arc::new(SimClock::default());
        let keys = keys(source(&[[1; SECRET]], 0), &clock);
        let ticket = keys.encrypt(b"session").unwrap();
        assert!(!ticket.windows(7).any(|w| w == b"session"));
        assert_eq!(keys.decrypt(&ticket).unwrap(), b"session");
        clock.advance(HOUR);
        assert_eq!(keys.decrypt(&ticket).unwrap(), b"session");
        let newer = keys.encrypt(b"session").unwrap();
        assert_ne!(newer[..NAME], ticket[..NAME], "another key");
        clock.advance(HOUR);
        assert_eq!(keys.decrypt(&ticket), None);
        assert_eq!(keys.decrypt(&newer).unwrap(), b"session");
        assert_eq!(keys.lifetime(), 3_600);
    }

    #[test]
    fn proxies_with_one_secret_open_each_others_tickets() {
        let clock = Arc::new(SimClock::default());
        let ahead = Arc::new(SimClock::default());
        ahead.advance(HOUR);
        let (a, b) = (
            keys(source(&[[1; SECRET]], 0), &clock),
            keys(source(&[[1; SECRET]], 0), &ahead),
        );
        let of_b = b.encrypt(b"session").unwrap();
        assert_eq!(
            a.decrypt(&of_b).unwrap(),
            b"session",
            "a clock that is ahead"
        );
        let of_a = a.encrypt(b"session").unwrap();
        assert_eq!(b.decrypt(&of_a).unwrap(), b"session");
    }

    #[test]
    fn a_new_secret_is_rolled_in_without_losing_sessions() {
        let clock = Arc::new(SimClock::default());
        let (old, new) = ([1; SECRET], [2; SECRET]);
        let before = keys(source(&[old], 0), &clock);
        let between = keys(source(&[new, old], 0), &clock);
        let after = keys(source(&[new], 0), &clock);
        let ticket = before.encrypt(b"session").unwrap();
        assert_eq!(between.decrypt(&ticket).unwrap(), b"session");
        assert_eq!(after.decrypt(&ticket), None);
        let ticket = between.encrypt(b"session").unwrap();
        assert_eq!(after.decrypt(&ticket).unwrap(), b"session");
    }

    #[test]
    fn other_contexts_forged_and_torn_tickets_open_nothing() {
        let clock = Arc::new(SimClock::default());
        let keys_a = keys(source(&[[1; SECRET]], 0), &clock);
        let ticket = keys_a.encrypt(b"session").unwrap();
        assert_eq!(
            keys(source(&[[1; SECRET]], 1), &clock).decrypt(&ticket),
            None
        );
        for at in 0..ticket.len() {
            let mut forged = ticket.clone();
            forged[at] ^= 1;
            assert_eq!(keys_a.decrypt(&forged), None, "{at}");
            assert_eq!(keys_a.decrypt(&ticket[..at]), None, "{at}");
        }
        assert_eq!(keys_a.decrypt(&vec![0; LONGEST + 1]), None);
    }

    #[test]
    fn files_of_secrets() {
        let text = format!("# ours\n{}\n\n  {}  \n", "aB".repeat(32), "01".repeat(32));
        assert_eq!(secrets(text.as_bytes()), Ok(vec![[0xAB; 32], [1; 32]]));
        for (text, want) in [
            ("", "no secret"),
            ("# none\n", "no secret"),
            ("abcd\n", "line 1 is not 64 hexadecimal digits"),
            (&format!("\n{}\n", "zz".repeat(32)), "line 2"),
        ] {
            let error = secrets(text.as_bytes()).unwrap_err();
            assert!(error.contains(want) && !error.contains("abcd"), "{error}");
        }
    }
}
