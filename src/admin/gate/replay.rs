//! Changes that came already: whoever records a request and sends it again changes nothing.
//!
//! A client marks each change with a fresh `Idempotency-Key`; one that was seen before is refused. Each
//! person has a table of their own, so that nobody can push the keys of others out of it.
//!
//! The table is this node's. Orders and drills bear the mark of the request that made them, so a request
//! that made one at another node, or at this one before it was started anew, is found among them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};
use hashbrown::HashMap;
use ring::digest::{Context, SHA256};

use super::refused::Refused;
use super::{Gate, Standing, Who};
use crate::admin::desk::OrderDesk;
use crate::overrides::Mark;
use crate::time::Moment;

/// How long a key is remembered.
pub(super) const REMEMBERED: Duration = Duration::from_secs(86_400);

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
    /// When, and what was asked.
    at: HashMap<[u8; 16], (Moment, [u8; 8])>,
    order: VecDeque<[u8; 16]>,
}

/// A key that was seen before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Before {
    /// How long ago.
    pub(super) ago: Duration,
    /// Whether the same was asked.
    pub(super) same: bool,
}

impl Seen {
    /// Remembers a mark; an error says when its key was seen before, and with what.
    pub(super) fn note(&mut self, name: &Arc<str>, mark: &Mark, now: Moment) -> Result<(), Before> {
        let keys = self.0.entry(name.clone()).or_default();
        while let Some(oldest) = keys.order.front() {
            let at = keys.at.get(oldest).map_or(Moment::ZERO, |(at, _)| *at);
            if now.since(at) < REMEMBERED && keys.order.len() < MOST {
                break;
            }
            keys.at.remove(oldest);
            keys.order.pop_front();
        }
        if let Some((at, body)) = keys.at.get(&mark.key) {
            return Err(Before {
                ago: now.since(*at),
                same: *body == mark.body,
            });
        }
        keys.at.insert(mark.key, (now, mark.body));
        keys.order.push_back(mark.key);
        Ok(())
    }
}

impl Gate {
    /// Refuses a change that came already, and has the handler told how this one is marked.
    pub(super) fn first_time(
        &self,
        parts: &mut Parts,
        who: &Who,
        body: &[u8],
        orders: &dyn OrderDesk,
    ) -> Result<(), Refused> {
        let Some(key) = key(&parts.headers)? else {
            return Ok(());
        };
        let mark = mark(&who.name, key, &parts.method, &parts.uri, body);
        let refused = |ago, node, same| Refused::Replayed {
            who: who.clone(),
            ago,
            node,
            same,
        };
        let noted = self.seen().note(&who.name, &mark, self.clock.now());
        noted.map_err(|before| refused(before.ago, None, before.same))?;
        if let Some(made) = orders.made_with(&mark.key, REMEMBERED) {
            let same = made.mark.body == mark.body;
            return Err(refused(made.ago, Some(made.node), same));
        }
        let who = Who {
            mark: Some(mark),
            ..who.clone()
        };
        parts.extensions.insert(Standing(Ok(who)));
        Ok(())
    }
}

/// A request, as it is remembered: whose key, and what was asked.
pub(super) fn mark(name: &str, key: &[u8], method: &Method, uri: &Uri, body: &[u8]) -> Mark {
    let target = uri.path_and_query().map_or("", |t| t.as_str());
    Mark {
        key: digest(&[name.as_bytes(), key]),
        body: digest(&[method.as_str().as_bytes(), target.as_bytes(), body]),
    }
}

/// The beginning of the SHA-256 of some texts, each with its length before it.
fn digest<const N: usize>(texts: &[&[u8]]) -> [u8; N] {
    let mut context = Context::new(&SHA256);
    for text in texts {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text);
    }
    let whole = context.finish();
    std::array::from_fn(|i| whole.as_ref()[i])
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
