//! Changes that came already: whoever records a request and sends it again changes nothing.
//!
//! A client marks each change with a fresh `Idempotency-Key`; one that was seen before is refused. Each
//! person has a table of their own, so that nobody can push the keys of others out of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use hashbrown::HashMap;

use super::refused::Refused;
use crate::time::Moment;

/// How long a key is remembered.
const REMEMBERED: Duration = Duration::from_secs(86_400);

/// Keys of one person that are remembered; the oldest makes room.
const MOST: usize = 16_384;

/// The longest key.
const LONGEST: usize = 255;

const FIELD: &str = "idempotency-key";

/// All keys, by whose they are. There are as many tables as the configuration has names.
#[derive(Default)]
pub(super) struct Seen(HashMap<Arc<str>, Keys>);

#[derive(Default)]
struct Keys {
    at: HashMap<[u8; 16], Moment>,
    order: VecDeque<[u8; 16]>,
}

impl Seen {
    /// Remembers a key; an error says how long ago it was seen before.
    pub(super) fn note(
        &mut self,
        name: &Arc<str>,
        key: &[u8],
        now: Moment,
    ) -> Result<(), Duration> {
        let keys = self.0.entry(name.clone()).or_default();
        while let Some(oldest) = keys.order.front() {
            let at = keys.at.get(oldest).copied().unwrap_or_default();
            if now.since(at) < REMEMBERED && keys.order.len() < MOST {
                break;
            }
            keys.at.remove(oldest);
            keys.order.pop_front();
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, key);
        let mut short = [0; 16];
        short.copy_from_slice(&digest.as_ref()[..16]);
        if let Some(before) = keys.at.get(&short) {
            return Err(now.since(*before));
        }
        keys.at.insert(short, now);
        keys.order.push_back(short);
        Ok(())
    }
}

/// The key of a change, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, Refused> {
    let mut all = headers.get_all(FIELD).iter();
    let Some(first) = all.next() else {
        return Ok(None);
    };
    let key = first.as_bytes();
    let fits = (1..=LONGEST).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
    match fits && all.next().is_none() {
        true => Ok(Some(key)),
        false => Err(Refused::Key),
    }
}
