//! The session of a request: which backend its client is bound to, and what the answer says of it.
//!
//! [`Sessions::claim`] reads what the client sent, [`Sessions::choose`] heeds it, [`Sessions::send`] takes
//! off what is ours before the backend sees it, and [`Sessions::answer`] writes what the client is to send
//! next time. An upstream without sessions has none of it.

use std::net::IpAddr;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::balance::Candidate;
use crate::limit::Secret;
use crate::message::{RequestHead, ResponseHead, Scheme};
use crate::time::Moment;
use crate::traffic::session::cookie::{self, DELIMITER, Edit};
use crate::traffic::session::table::{Key, LocalTable, StickyTable, Tag};
use crate::traffic::session::token::{TEXT, Tokens, Told};
use crate::traffic::session::{Binding, OnGone, Session};
use crate::traffic::{HashKey, Upstream};

use super::pick::{Ask, NoPick, Picked, Picker, Turns};

/// The sessions of one upstream.
#[derive(Debug)]
pub struct Sessions {
    rules: Session,
    /// With cookies that name backends.
    tokens: Option<Tokens>,
    /// With sessions that are remembered.
    table: Option<Arc<dyn StickyTable>>,
    /// By place.
    tags: Vec<Tag>,
    places: HashMap<Tag, usize>,
}

/// The session of one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bond {
    /// The backend that the client is bound to.
    to: Option<usize>,
    /// It is bound to one that is not among the backends any more.
    is_orphan: bool,
    /// What it is known by in the table.
    key: Option<Key>,
    /// What it carries says it right; the answer need not say it again.
    is_told: bool,
}

impl Sessions {
    /// The sessions that `upstream` wants; `own`: the secret that the process drew, for an upstream that
    /// has none. `table`: sessions remembered so far; see [`Sessions::new_table`].
    pub fn new(
        upstream: &Upstream,
        own: Secret,
        table: Option<Arc<dyn StickyTable>>,
    ) -> Option<Sessions> {
        let rules = upstream.session.clone()?;
        let names = upstream.backends.iter().map(|b| &*b.name);
        let secrets = match &rules.secrets[..] {
            [] => &[own][..],
            secrets => secrets,
        };
        let tags: Vec<Tag> = names.clone().map(Tag::of).collect();
        let in_cookies = !rules.binding.wants_table();
        Some(Sessions {
            tokens: in_cookies.then(|| Tokens::new(secrets, &upstream.name, names)),
            table,
            places: tags.iter().enumerate().map(|(i, tag)| (*tag, i)).collect(),
            tags,
            rules,
        })
    }

    /// An empty table in memory, where `rules` want one.
    pub fn new_table(rules: &Session) -> Option<Arc<dyn StickyTable>> {
        let wanted = rules.binding.wants_table();
        wanted.then(|| Arc::new(LocalTable::new(rules.entries, rules.ttl)) as Arc<dyn StickyTable>)
    }

    /// What the request says.
    pub fn claim(&self, head: &RequestHead, client: IpAddr, now: Moment) -> Bond {
        match &self.rules.binding {
            Binding::Insert(cookie) => self.told(head.cookie(cookie.name.as_bytes())),
            Binding::Prefix(name) => {
                self.told(head.cookie(name).and_then(split).map(|(token, _)| token))
            }
            Binding::Learn(name) => self.remembered(head.cookie(name).map(Key::of_text), now),
            Binding::Key(HashKey::Source) => self.remembered(Some(Key::of_address(client)), now),
            Binding::Key(key) => self.remembered(key.of(head).map(Key::of_text), now),
        }
    }

    /// The session of a connection of whose octets nothing is known: it is its source's.
    pub fn claim_connection(&self, source: IpAddr, now: Moment) -> Bond {
        match &self.rules.binding {
            Binding::Key(HashKey::Source) => self.remembered(Some(Key::of_address(source)), now),
            _ => Bond::default(),
        }
    }

    fn told(&self, token: Option<&[u8]>) -> Bond {
        let told = token.zip(self.tokens.as_ref()).map(|(t, all)| all.read(t));
        match told {
            Some(Told::Backend { place, is_current }) => Bond {
                to: Some(place),
                is_told: is_current,
                ..Bond::default()
            },
            Some(Told::Gone) => Bond {
                is_orphan: true,
                ..Bond::default()
            },
            Some(Told::Foreign) | None => Bond::default(),
        }
    }

    fn remembered(&self, key: Option<Key>, now: Moment) -> Bond {
        let (Some(key), Some(table)) = (key, &self.table) else {
            return Bond::default();
        };
        let tag = table.find(key, now);
        let to = tag.and_then(|tag| self.places.get(&tag).copied());
        Bond {
            to,
            is_orphan: tag.is_some() && to.is_none(),
            key: Some(key),
            is_told: to.is_some(),
        }
    }

    /// Chooses: the backend of the session while it serves, also without weight or while it drains, else
    /// what is configured for that.
    ///
    /// # Errors
    /// When none may be used, all are full, or the session's cannot serve and no other shall.
    pub fn choose<C: Candidate>(
        &self,
        bond: &mut Bond,
        picker: &Picker,
        turns: &mut Turns,
        backends: &[C],
        ask: &Ask<'_>,
    ) -> Result<Picked, NoPick> {
        if let Some(to) = bond.to {
            let serves = backends.get(to).is_some_and(|b| b.serves_bound(ask.now));
            if serves && !ask.tried.contains(&to) {
                return Ok(Picked::Only(to));
            }
        }
        if (bond.to.is_some() || bond.is_orphan) && self.rules.on_gone == OnGone::Refuse {
            return Err(NoPick::SessionGone);
        }
        let picked = picker.pick(turns, backends, ask)?;
        self.bind(bond, picked.place(), ask.now);
        Ok(picked)
    }

    /// The client is bound to the backend at `place` from now on: the one that was chosen, or that had
    /// room first.
    pub fn bind(&self, bond: &mut Bond, place: usize, now: Moment) {
        if bond.to == Some(place) {
            return;
        }
        (bond.to, bond.is_orphan, bond.is_told) = (Some(place), false, false);
        // What the application has yet to hand out is remembered when it does.
        let learns = matches!(self.rules.binding, Binding::Learn(_));
        if let (Some(key), Some(table), false) = (bond.key, &self.table, learns) {
            table.bind(key, self.tags[place], now);
        }
    }

    /// Takes off what the backend is not to see.
    pub fn send(&self, head: &mut RequestHead) {
        match &self.rules.binding {
            Binding::Insert(c) if c.indirect => {
                cookie::edit_request(&mut head.fields, c.name.as_bytes(), |_| Edit::Remove);
            }
            Binding::Prefix(name) => {
                cookie::edit_request(&mut head.fields, name, |value| match split(value) {
                    Some((token, rest)) if self.is_ours(token) => Edit::Replace(rest.to_vec()),
                    _ => Edit::Keep,
                });
            }
            Binding::Insert(_) | Binding::Learn(_) | Binding::Key(_) => {}
        }
    }

    fn is_ours(&self, token: &[u8]) -> bool {
        let told = self.tokens.as_ref().map(|all| all.read(token));
        !matches!(told, None | Some(Told::Foreign))
    }

    /// Says in the answer of the bond's backend what the client is to send next time, or remembers what
    /// it will.
    pub fn answer(&self, bond: &Bond, head: &mut ResponseHead, scheme: Scheme, now: Moment) {
        let Some(place) = bond.to else {
            return;
        };
        let token = self.tokens.as_ref().and_then(|all| all.of(place));
        match (&self.rules.binding, token) {
            (Binding::Insert(c), Some(token)) if !bond.is_told => {
                cookie::insert(head, c, token, scheme == Scheme::Https);
            }
            (Binding::Prefix(name), Some(token)) => {
                cookie::prefix_response(&mut head.fields, name, token);
            }
            (Binding::Learn(name), _) => {
                let value = cookie::set_by(&head.fields, name).filter(|v| !v.is_empty());
                let key = value.map(Key::of_text);
                // A client that was moved and keeps its cookie stays where it went.
                let key = key.or(bond.key.filter(|_| !bond.is_told));
                if let (Some(key), Some(table)) = (key, &self.table) {
                    table.bind(key, self.tags[place], now);
                }
            }
            _ => {}
        }
    }
}

/// Token and value of the application's cookie.
fn split(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (token, rest) = value.split_at_checked(TEXT)?;
    let rest = rest.strip_prefix(&[DELIMITER])?;
    Some((token, rest))
}

#[cfg(test)]
mod tests;
