//! Who asks: a value that every handler must be given before it does anything (requirement S1).
//!
//! A request passes the [`guard`](guard::guard) first. It counts the request of its source, measures it,
//! finds out who asks (`identify`), sees that a change does not come from another site
//! (`cross_site`) or for the second time (`replay`), and writes down what was changed or refused
//! (`audit`). Handlers take a [`Viewer`], an [`Operator`] or an [`Admin`], and so nobody else's request
//! reaches them.

pub mod audit;
mod cross_site;
mod document;
pub mod guard;
mod identify;
mod limits;
pub mod peer;
pub mod refused;
mod replay;
mod session;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ring::rand::{SecureRandom, SystemRandom};

use super::State;
use crate::compile::Access;
use crate::telemetry::{Metrics, Page};
use crate::time::Clock;

pub use self::audit::{Auditor, Noted};
pub use self::peer::Peer;
pub use self::refused::Refused;
pub use crate::config::spec::AdminRole as Role;
use crate::overrides::Mark;
use audit::Record;
pub(super) use document::describe;
pub(super) use identify::bearer_of;
use limits::Limits;
use replay::Seen;
pub(super) use session::Opened;
use session::Sessions;

/// How somebody was known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// By asking from this machine.
    Loopback,
    /// By a token.
    Token,
    /// By the cookie that a browser got for a token.
    Session,
    /// By a client certificate.
    Certificate,
}

impl By {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            By::Loopback => "loopback",
            By::Token => "token",
            By::Session => "session",
            By::Certificate => "certificate",
        }
    }
}

/// Somebody who may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The name for the audit record.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// How they were known.
    pub by: By,
    /// The change that they ask for, where they marked it with a key.
    pub mark: Option<Mark>,
}

impl Who {
    /// The owner of what they order: their name, with the one they gave beside it where it is another.
    /// Who asks from this machine without credentials is believed.
    ///
    /// # Errors
    /// When they are nobody in particular and give no name.
    pub fn owner(&self, said: Option<String>) -> Result<String, &'static str> {
        let said = said.filter(|s| !s.trim().is_empty());
        match (self.by, said) {
            (By::Loopback, Some(said)) => Ok(said),
            (By::Loopback, None) => Err("say who gives the order"),
            (_, None) => Ok(self.name.to_string()),
            (_, Some(said)) if said == *self.name => Ok(said),
            (_, Some(said)) => Ok(format!("{said} ({})", self.name)),
        }
    }
}

/// Somebody who may at least see.
#[derive(Clone, Debug)]
pub struct Viewer(pub Who);

/// Somebody who may at least give orders.
#[derive(Clone, Debug)]
pub struct Operator(pub Who);

/// Somebody who may do everything.
#[derive(Clone, Debug)]
pub struct Admin(pub Who);

/// Somebody who may read `/metrics`, which is everybody where the configuration says so.
#[derive(Clone, Debug)]
pub struct MetricsReader(());

/// What the guard found out about who asks.
#[derive(Clone, Debug)]
struct Standing(Result<Who, Refused>);

/// Who asks, if they may do what `role` may.
fn at_least(role: Role, parts: &Parts) -> Result<Who, Refused> {
    match parts.extensions.get::<Standing>() {
        Some(Standing(Ok(who))) if who.role >= role => Ok(who.clone()),
        Some(Standing(Ok(who))) => Err(Refused::Role {
            who: who.clone(),
            needs: role,
        }),
        Some(Standing(Err(refused))) => Err(refused.clone()),
        None => Err(Refused::Nobody),
    }
}

impl FromRequestParts<State> for Viewer {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Viewer, Refused> {
        at_least(Role::Viewer, parts).map(Viewer)
    }
}

impl FromRequestParts<State> for Operator {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Operator, Refused> {
        at_least(Role::Operator, parts).map(Operator)
    }
}

impl FromRequestParts<State> for Admin {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Admin, Refused> {
        at_least(Role::Admin, parts).map(Admin)
    }
}

impl OptionalFromRequestParts<State> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &State,
    ) -> Result<Option<Viewer>, Infallible> {
        Ok(at_least(Role::Viewer, parts).ok().map(Viewer))
    }
}

impl FromRequestParts<State> for MetricsReader {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refused> {
        if !state.gate.access().metrics_open {
            at_least(Role::Viewer, parts)?;
        }
        Ok(MetricsReader(()))
    }
}

/// Decides who may ask.
pub struct Gate {
    access: ArcSwap<Access>,
    limits: ArcSwap<Limits>,
    clock: Arc<dyn Clock>,
    sessions: Mutex<Sessions>,
    seen: Mutex<Seen>,
    record: Record,
}

impl std::fmt::Debug for Gate {
    // Without hashes, sessions and seeds.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate that lets in whom `access` says, and tells `auditor` what they change.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(
        access: Access,
        auditor: Arc<dyn Auditor>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Gate>, String> {
        let limits = Limits::new(&access, [random()?, random()?]);
        Ok(Arc::new(Gate {
            access: ArcSwap::from_pointee(access),
            limits: ArcSwap::from_pointee(limits),
            clock,
            sessions: Mutex::default(),
            seen: Mutex::default(),
            record: Record::new(auditor),
        }))
    }

    /// From now on it is as `access` says: whose token is gone is signed out with the next request.
    pub fn adopt(&self, access: Access) {
        let limits = self.limits.load();
        if !limits.are_those_of(&access) {
            self.limits.store(Arc::new(limits.with_rates_of(&access)));
        }
        self.access.store(Arc::new(access));
    }

    /// Who is let in now.
    pub(super) fn access(&self) -> Arc<Access> {
        self.access.load_full()
    }

    /// Signs a browser in with a token: the cookie, and until when it is good.
    ///
    /// # Errors
    /// When the token is none, or may not be used from there.
    pub(super) fn sign_in(&self, peer: &Peer, token: &str) -> Result<Opened, Refused> {
        let (now, access) = (self.clock.now(), self.access());
        let unix = self.clock.wall().unix(now);
        let found = identify::token(&access, token.as_bytes(), peer, unix);
        let found = found.map_err(|refused| self.counted(refused, peer))?;
        let left = found
            .expires
            .map(|at| Duration::from_secs(at.saturating_sub(unix)));
        let lasts = left.map_or(access.session, |left| left.min(access.session));
        let mut secret = [0; 32];
        if SystemRandom::new().fill(&mut secret).is_err() {
            return Err(Refused::NoRandomness);
        }
        let who = Who {
            name: found.name.clone(),
            role: found.holder.role,
            by: By::Session,
            mark: None,
        };
        self.record.signed(&who, peer, true);
        let cookie = self.sessions().open(found, secret, now, now + lasts);
        Ok(Opened {
            who,
            cookie: session::cookie(peer.secure, &cookie, lasts),
            ends: unix + lasts.as_secs(),
        })
    }

    /// Signs a browser out; what its cookie becomes.
    pub(super) fn sign_out(&self, who: &Who, peer: &Peer, headers: &HeaderMap) -> String {
        if self.sessions().close(headers, peer.secure) {
            self.record.signed(who, peer, false);
        }
        session::cookie(peer.secure, "", Duration::ZERO)
    }

    /// Whether a request with these fields would still be let in: what lasts, such as a stream, asks again.
    pub(super) fn still_knows(&self, headers: &HeaderMap, peer: &Peer) -> bool {
        let moment = self.clock.now();
        let unix = self.clock.wall().unix(moment);
        let now = identify::Now { moment, unix };
        let access = self.access();
        let who = identify::identify(&access, &self.sessions(), headers, peer, now);
        who.is_ok_and(|who| who.role >= Role::Viewer)
    }

    /// Until when whoever asks is known, in Unix time; `None`: for as long as they ask.
    pub(super) fn known_until(&self, who: &Who, headers: &HeaderMap, peer: &Peer) -> Option<u64> {
        let now = self.clock.now();
        match who.by {
            By::Session => {
                let left = self.sessions().left(headers, peer.secure, now)?;
                Some(self.clock.wall().unix(now) + left.as_secs())
            }
            By::Token => {
                let access = self.access();
                let token = access.tokens.iter().find(|t| t.name == who.name)?;
                token.expires
            }
            By::Loopback | By::Certificate => None,
        }
    }

    /// The refusal, or that of somebody who was refused too often.
    fn counted(&self, refused: Refused, peer: &Peer) -> Refused {
        if !refused.is_wrong_credentials() {
            return refused;
        }
        match self.limits.load().failure(peer.address, self.clock.now()) {
            None => refused,
            Some(wait) => Refused::Failures { wait },
        }
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        // Each step leaves it whole.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics for Gate {
    fn render(&self, page: &mut Page) {
        self.record.metrics(page);
        let open = self.sessions().len(self.clock.now()) as u64;
        let name = "tradewind_admin_sessions";
        page.family(name, "gauge", "Browsers that are signed in.");
        page.sample(name, "", open);
    }
}

fn random() -> Result<u64, String> {
    let mut octets = [0; 8];
    SystemRandom::new()
        .fill(&mut octets)
        .map_err(|_| "the system has no randomness".to_owned())?;
    Ok(u64::from_ne_bytes(octets))
}

#[cfg(test)]
mod tests;
