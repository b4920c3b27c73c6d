//! Names of backends that clients carry: opaque, signed, the same on every proxy with the same secrets.
//!
//! A token is 8 octets that stand for the backend and 16 octets of HMAC-SHA-256 over them (RFC 2104,
//! truncated as its section 5 allows), in base64url. What stands for a backend is itself an HMAC of its
//! name, so a token tells nobody how backends are called. The tokens of all backends there are, are made
//! beforehand: reading one is a look into a map.

use data_encoding::BASE64URL_NOPAD;
use hashbrown::HashMap;
use ring::hmac;

use crate::limit::Secret;

/// Octets of a token as text.
pub const TEXT: usize = 32;

const ID: usize = 8;
const RAW: usize = 24;

/// A token as text.
pub type Token = [u8; TEXT];

/// The tokens of one upstream.
pub struct Tokens {
    keys: Vec<hmac::Key>,
    upstream: Box<str>,
    /// By place in the list of backends, made with the first secret.
    own: Vec<Token>,
    /// Place, and whether it was made with the first secret.
    known: HashMap<Token, (usize, bool)>,
}

/// What a token says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The backend at this place.
    Backend {
        /// Its place.
        place: usize,
        /// Whether the token is made with the first secret; else it is time for a new one.
        is_current: bool,
    },
    /// A backend that there was.
    Gone,
    /// Nothing: it is not of this upstream's making.
    Foreign,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({}, {} backends)", self.upstream, self.own.len())
    }
}

impl Tokens {
    /// The tokens of an upstream's backends. `secrets`: not empty; the first signs, all are accepted.
    pub fn new<'a>(
        secrets: &[Secret],
        upstream: &str,
        backends: impl Iterator<Item = &'a str> + Clone,
    ) -> Tokens {
        let key = |s: &Secret| hmac::Key::new(hmac::HMAC_SHA256, s.bits());
        let mut tokens = Tokens {
            keys: secrets.iter().map(key).collect(),
            upstream: upstream.into(),
            own: Vec::new(),
            known: HashMap::new(),
        };
        for (at, key) in tokens.keys.iter().enumerate() {
            for (place, name) in backends.clone().enumerate() {
                let token = make(key, upstream, name);
                if at == 0 {
                    tokens.own.push(token);
                }
                tokens.known.entry(token).or_insert((place, at == 0));
            }
        }
        tokens
    }

    /// The token of the backend at `place`.
    pub fn of(&self, place: usize) -> Option<&Token> {
        self.own.get(place)
    }

    /// What a token says.
    pub fn read(&self, text: &[u8]) -> Told {
        let Ok(token) = <&Token>::try_from(text) else {
            return Told::Foreign;
        };
        if let Some((place, is_current)) = self.known.get(token) {
            return Told::Backend {
                place: *place,
                is_current: *is_current,
            };
        }
        let mut raw = [0; RAW];
        let read = BASE64URL_NOPAD.decode_mut(text, &mut raw);
        let (id, mac) = raw.split_at(ID);
        let signed = |key: &hmac::Key| {
            let right = sign(key, &self.upstream, id);
            // In constant time: where the first wrong octet is must not show.
            let differ = right.iter().zip(mac).fold(0, |d, (a, b)| d | (a ^ b));
            differ == 0
        };
        if read.is_ok() && self.keys.iter().any(signed) {
            Told::Gone
        } else {
            Told::Foreign
        }
    }
}

fn make(key: &hmac::Key, upstream: &str, backend: &str) -> Token {
    let name = tag(key, b"backend", upstream, backend.as_bytes());
    let id = &name.as_ref()[..ID];
    let mut raw = [0; RAW];
    raw[..ID].copy_from_slice(id);
    raw[ID..].copy_from_slice(&sign(key, upstream, id));
    let mut token = [0; TEXT];
    BASE64URL_NOPAD.encode_mut(&raw, &mut token);
    token
}

fn sign(key: &hmac::Key, upstream: &str, id: &[u8]) -> [u8; RAW - ID] {
    let whole = tag(key, b"session", upstream, id);
    let mut mac = [0; RAW - ID];
    mac.copy_from_slice(&whole.as_ref()[..RAW - ID]);
    mac
}

/// An HMAC over what it is for, the upstream and what is said; names hold no NUL.
fn tag(key: &hmac::Key, purpose: &[u8], upstream: &str, said: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    for part in [purpose, b"\0", upstream.as_bytes(), b"\0", said] {
        context.update(part);
    }
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secrets(first: &[u8]) -> Vec<Secret> {
        first.iter().map(|b| Secret::new([*b; 16])).collect()
    }

    fn tokens(of: &[u8], upstream: &str, backends: &[&'static str]) -> Tokens {
        Tokens::new(&secrets(of), upstream, backends.iter().copied())
    }

    #[test]
    fn tokens_name_backends_whatever_their_place() {
        let t = tokens(&[1], "api", &["a", "b"]);
        let of_b = *t.of(1).unwrap();
        assert_eq!(
            t.read(&of_b),
            Told::Backend {
                place: 1,
                is_current: true
            }
        );
        let more = tokens(&[1], "api", &["a", "aa", "b"]);
        assert_eq!(more.of(2), Some(&of_b));
        // It is text that a cookie can hold, and does not show the name.
        assert!(
            of_b.iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
        );
    }

    #[test]
    fn a_backend_that_is_gone_is_told_from_a_forgery() {
        let before = *tokens(&[1], "api", &["a", "b"]).of(1).unwrap();
        let t = tokens(&[1], "api", &["a"]);
        assert_eq!(t.read(&before), Told::Gone);
        assert_eq!(
            tokens(&[2], "api", &["a", "b"]).read(&before),
            Told::Foreign
        );
        assert_eq!(
            tokens(&[1], "web", &["a", "b"]).read(&before),
            Told::Foreign
        );
        assert_eq!(t.read(b""), Told::Foreign);
        assert_eq!(t.read(&[b'A'; 32]), Told::Foreign);
        assert_eq!(t.read(&[b'!'; 32]), Told::Foreign);
    }

    #[test]
    fn an_older_secret_is_accepted_and_noticed() {
        let old = *tokens(&[1], "api", &["a", "b"]).of(0).unwrap();
        let both = tokens(&[2, 1], "api", &["a", "b"]);
        assert_eq!(
            both.read(&old),
            Told::Backend {
                place: 0,
                is_current: false
            }
        );
        assert_ne!(both.of(0), Some(&old));
        assert_eq!(tokens(&[2, 1], "api", &["b"]).read(&old), Told::Gone);
    }

    proptest! {
        #[test]
        fn whatever_a_client_sends_names_nobody(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(tokens(&[7, 8], "api", &["a", "b"]).read(&text), Told::Foreign);
        }

        #[test]
        fn a_changed_token_names_nobody(at in 0usize..32, to in 0u8..64) {
            let t = tokens(&[7], "api", &["a"]);
            let mut token = *t.of(0).unwrap();
            let other = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::from(to)];
            prop_assume!(token[at] != other);
            token[at] = other;
            prop_assert_eq!(t.read(&token), Told::Foreign);
        }
    }
}
