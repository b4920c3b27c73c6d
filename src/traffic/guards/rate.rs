//! `[rate-limits.NAME]`: what is counted together, and what happens above the rate.

use std::hash::Hasher;
use std::net::IpAddr;
use std::time::Duration;

use siphasher::sip::SipHasher13;

use crate::limit::{Prefixes, Rate, Taken};
use crate::message::{Fields, Name, RequestHead};

/// A rate limit.
#[derive(Clone, PartialEq, Debug)]
pub struct RateRule {
    /// Its name.
    pub name: Box<str>,
    /// What is counted together.
    pub key: RateKey,
    /// How often.
    pub rate: Rate,
    /// The status of a refusal.
    pub status: u16,
    /// Whether it refuses; otherwise it only counts and logs.
    pub enforce: bool,
    /// Whether responses tell the client where it stands.
    pub tell: bool,
    /// Octets of its table at most.
    pub table_bytes: usize,
}

/// What is counted together: requests for which all parts are the same.
#[derive(Clone, PartialEq, Debug)]
pub struct RateKey {
    /// The parts; without any, all requests are counted together.
    pub parts: Box<[KeyPart]>,
    /// Which sources are one.
    pub prefixes: Prefixes,
}

/// One part of a key. What a request lacks counts as empty.
#[derive(Clone, PartialEq, Debug)]
pub enum KeyPart {
    /// The client's network.
    Source,
    /// The listener.
    Listener,
    /// The route.
    Route,
    /// The host.
    Host,
    /// The path.
    Path,
    /// The method.
    Method,
    /// The first field of the name.
    Header(Name),
    /// The first cookie of the name.
    Cookie(Box<[u8]>),
    /// The first query parameter of the name.
    Query(Box<[u8]>),
}

/// What keys are made of.
#[derive(Clone, Copy, Debug)]
pub struct KeyFacts<'a> {
    /// The request.
    pub head: &'a RequestHead,
    /// The client.
    pub client: IpAddr,
    /// The listener's name.
    pub listener: &'a str,
    /// The route's name.
    pub route: &'a str,
}

impl KeyPart {
    /// The parts without an argument.
    const PLAIN: [(&'static str, KeyPart); 6] = [
        ("source", KeyPart::Source),
        ("listener", KeyPart::Listener),
        ("route", KeyPart::Route),
        ("host", KeyPart::Host),
        ("path", KeyPart::Path),
        ("method", KeyPart::Method),
    ];

    /// How all parts are written; one with an argument ends with `:`.
    pub fn words() -> impl Iterator<Item = &'static str> {
        let plain = KeyPart::PLAIN.into_iter().map(|(word, _)| word);
        plain.chain(["header:", "cookie:", "query:"])
    }

    /// The part that `text` names.
    pub fn parse(text: &str) -> Option<KeyPart> {
        let Some((word, argument)) = text.split_once(':') else {
            let found = KeyPart::PLAIN.into_iter().find(|(word, _)| *word == text);
            return found.map(|(_, part)| part);
        };
        if argument.is_empty() || !argument.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        match word {
            "header" => Some(KeyPart::Header(Name::new(argument.as_bytes()))),
            "cookie" => Some(KeyPart::Cookie(argument.as_bytes().into())),
            "query" => Some(KeyPart::Query(argument.as_bytes().into())),
            _ => None,
        }
    }
}

impl RateKey {
    /// The hash of a request's key. `seed` is random, so that nobody can write a key that collides with
    /// another's.
    pub fn hash(&self, facts: &KeyFacts<'_>, seed: [u64; 2]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(seed[0], seed[1]);
        for part in &self.parts {
            let text: &[u8] = match part {
                KeyPart::Source => {
                    let client = facts.client.to_canonical();
                    hasher.write_u8(if client.is_ipv4() { 4 } else { 6 });
                    hasher.write_u64(self.prefixes.of(client));
                    continue;
                }
                KeyPart::Listener => facts.listener.as_bytes(),
                KeyPart::Route => facts.route.as_bytes(),
                KeyPart::Host => facts.head.host(),
                KeyPart::Path => facts.head.path(),
                KeyPart::Method => facts.head.method.as_bytes(),
                KeyPart::Header(name) => facts.head.fields.get_named(name).unwrap_or_default(),
                KeyPart::Cookie(name) => facts.head.cookie(name).unwrap_or_default(),
                KeyPart::Query(name) => facts.head.parameter(name).unwrap_or_default(),
            };
            // The length keeps the parts apart.
            hasher.write_u64(text.len() as u64);
            hasher.write(text);
        }
        hasher.finish()
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3) in whole seconds, rounded up, at least 1.
pub fn retry_after(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Writes `RateLimit-Policy` and `RateLimit` as draft-ietf-httpapi-ratelimit-headers-09 does.
pub fn write_rate_fields(rule: &RateRule, taken: Taken, fields: &mut Fields) {
    let window = rule.rate.window.as_secs().max(1);
    let (name, amount, left) = (&rule.name, rule.rate.amount, taken.remaining);
    let policy = format!("\"{name}\";q={amount};w={window}");
    let state = format!("\"{name}\";r={left};t={}", retry_after(taken.wait));
    fields.push(b"ratelimit-policy", policy.as_bytes());
    fields.push(b"ratelimit", state.as_bytes());
}
