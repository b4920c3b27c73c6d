//! What operators ordered of backends while the proxy runs: laid over the plan, so that there is one
//! source of truth and everything that follows from a configuration follows from an order too.
//!
//! An order stands until another of its kind takes its place: over reloads, over restarts. What the
//! configuration does not name waits, and is in force again when the configuration names it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Backend, Plan, Upstream};
use crate::units::Weight;

/// Most backends that orders may be about.
pub const MOST: usize = 10_000;

/// An operator's word about one backend.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Word {
    /// It serves.
    #[default]
    Serve,
    /// No new clients; what is under way finishes (requirement P6).
    Drain,
    /// Nothing; what is under way is cut off.
    Disable,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Word::Serve => "serve",
            Word::Drain => "drain",
            Word::Disable => "disable",
        })
    }
}

/// A backend that the configuration does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Added {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it serves only while no other can.
    pub backup: bool,
    /// The zone it stands in.
    pub zone: Option<Box<str>>,
    /// Requests under way at once.
    pub max_connections: Option<u32>,
}

/// Whether a backend is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Presence {
    /// An operator added it.
    Added(Added),
    /// An operator removed it from what the configuration has.
    Removed,
}

/// One part of an order with its author.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given<T> {
    /// What is ordered.
    pub what: T,
    /// Who ordered it.
    pub owner: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
}

/// What stands about one backend.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BackendOrder {
    /// Whether it is there.
    pub presence: Option<Given<Presence>>,
    /// Whether it serves.
    pub word: Option<Given<Word>>,
    /// Its weight.
    pub weight: Option<Given<u32>>,
}

impl BackendOrder {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == BackendOrder::default()
    }
}

/// A backend of an upstream, by their names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The upstream.
    pub upstream: Box<str>,
    /// The backend.
    pub backend: Box<str>,
}

impl Place {
    /// By their names.
    pub fn new(upstream: &str, backend: &str) -> Place {
        Place {
            upstream: upstream.into(),
            backend: backend.into(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "backend `{}` of upstream `{}`",
            self.backend, self.upstream
        )
    }
}

/// What an operator wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// A new backend, of this weight.
    Add(Added, u32),
    /// No such backend any more.
    Remove,
    /// Another weight; `None`: as configured.
    Weight(Option<u32>),
    /// Another word.
    Word(Word),
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Add(added, weight) => write!(f, "add at {} with weight {weight}", added.address),
            Wish::Remove => f.write_str("remove"),
            Wish::Weight(Some(weight)) => write!(f, "weight {weight}"),
            Wish::Weight(None) => f.write_str("weight as configured"),
            Wish::Word(Word::Serve) => f.write_str("enable"),
            Wish::Word(word) => word.fmt(f),
        }
    }
}

/// Why an order was not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// No such upstream or backend.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be, as things are.
    #[error("{0}")]
    Conflict(String),
    /// What is asked is not allowed.
    #[error("{0}")]
    Invalid(String),
}

/// All orders that stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BackendOrders(pub BTreeMap<Place, BackendOrder>);

impl BackendOrders {
    /// The plan as the configuration has it, with the orders laid over it. The same one when there is
    /// nothing to lay over.
    pub fn over(&self, plan: &Arc<Plan>) -> Arc<Plan> {
        if self.0.is_empty() {
            return plan.clone();
        }
        let mut plan = (**plan).clone();
        for upstream in &mut plan.upstreams {
            self.lay_over(upstream);
        }
        Arc::new(plan)
    }

    /// The orders about backends of an upstream.
    fn of<'o>(&'o self, upstream: &'o str) -> impl Iterator<Item = (&'o Place, &'o BackendOrder)> {
        let from = Place::new(upstream, "");
        let after = self.0.range(from..);
        after.take_while(move |(place, _)| *place.upstream == *upstream)
    }

    fn lay_over(&self, upstream: &mut Upstream) {
        let name = upstream.name.clone();
        for (place, order) in self.of(&name) {
            let at = upstream
                .backends
                .iter()
                .position(|b| b.name == place.backend);
            let presence = order.presence.as_ref().map(|p| &p.what);
            let backend = match (presence, at) {
                (Some(Presence::Removed), at) => {
                    if let Some(at) = at {
                        upstream.backends.remove(at);
                    }
                    continue;
                }
                (_, Some(at)) => &mut upstream.backends[at],
                (Some(Presence::Added(added)), None) => {
                    upstream.backends.push(Backend {
                        backup: added.backup,
                        zone: added.zone.clone(),
                        max_connections: added.max_connections,
                        ..Backend::new(&place.backend, added.address)
                    });
                    let last = upstream.backends.len() - 1;
                    &mut upstream.backends[last]
                }
                // The configuration does not name it here or now.
                (None, None) => continue,
            };
            if let Some(weight) = &order.weight {
                backend.weight = weight.what;
            }
            if let Some(word) = &order.word {
                backend.word = word.what;
            }
        }
        upstream.backends.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// Takes an order in; `plan` is what the configuration has.
    ///
    /// # Errors
    /// Says why not; nothing is changed then.
    pub fn give(&mut self, place: &Place, wish: &Given<Wish>, plan: &Plan) -> Result<(), Refused> {
        let configured = plan.upstreams.iter().find(|u| u.name == place.upstream);
        let configured = configured.ok_or_else(|| {
            let known: Vec<_> = plan
                .upstreams
                .iter()
                .map(|u| format!("`{}`", u.name))
                .collect();
            Refused::Unknown(format!(
                "there is no upstream `{}` here; there are: {}",
                place.upstream,
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                }
            ))
        })?;
        let mut now = configured.clone();
        self.lay_over(&mut now);
        let is_there = now.backends.iter().any(|b| b.name == place.backend);
        if !is_there && !matches!(wish.what, Wish::Add(..)) {
            let known: Vec<_> = now
                .backends
                .iter()
                .map(|b| format!("`{}`", b.name))
                .collect();
            return Err(Refused::Unknown(format!(
                "there is no {place}; it has: {}",
                known.join(", ")
            )));
        }
        let is_configured = configured.backends.iter().any(|b| b.name == place.backend);
        let mut order = self.0.get(place).cloned().unwrap_or_default();
        match &wish.what {
            Wish::Add(added, weight) => {
                check_new(place, added, *weight, &now)?;
                // A configured one that was removed comes back as it is configured.
                order = BackendOrder::default();
                if !is_configured {
                    order.presence = Some(of(wish, Presence::Added(added.clone())));
                    order.weight = Some(of(wish, *weight));
                } else if let Some(b) = configured.backends.iter().find(|b| b.name == place.backend)
                    && b.address != added.address
                {
                    return Err(Refused::Conflict(format!(
                        "{place} is configured at {}; give that address, or another name",
                        b.address
                    )));
                }
            }
            Wish::Remove => {
                order = BackendOrder::default();
                if is_configured {
                    order.presence = Some(of(wish, Presence::Removed));
                }
            }
            Wish::Weight(Some(weight)) => {
                check_weight(*weight)?;
                order.weight = Some(of(wish, *weight));
            }
            // One that was added has no other weight than the one it was given.
            Wish::Weight(None) if !is_configured => order.weight = Some(of(wish, 1)),
            Wish::Weight(None) => order.weight = None,
            Wish::Word(Word::Serve) => order.word = None,
            Wish::Word(word) => order.word = Some(of(wish, *word)),
        }
        if order.is_empty() {
            self.0.remove(place);
        } else if self.0.len() >= MOST && !self.0.contains_key(place) {
            return Err(Refused::Conflict(format!(
                "there are orders about {MOST} backends already; the most is {MOST}"
            )));
        } else {
            self.0.insert(place.clone(), order);
        }
        Ok(())
    }
}

fn of<T>(wish: &Given<Wish>, what: T) -> Given<T> {
    Given {
        what,
        owner: wish.owner.clone(),
        reason: wish.reason.clone(),
        at_ms: wish.at_ms,
    }
}

fn check_weight(weight: u32) -> Result<(), Refused> {
    if weight > Weight::MAX.0 {
        return Err(Refused::Invalid(format!(
            "the weight is {weight}; the largest allowed is {} (range 0 to {})",
            Weight::MAX.0,
            Weight::MAX.0
        )));
    }
    Ok(())
}

fn check_new(place: &Place, added: &Added, weight: u32, now: &Upstream) -> Result<(), Refused> {
    check_weight(weight)?;
    let name = &*place.backend;
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(fine) {
        return Err(Refused::Invalid(format!(
            "`{name}` is no name of a backend: 1 to 63 letters, digits, `-` and `_`"
        )));
    }
    let ip = added.address.ip();
    if added.address.port() == 0 || ip.is_unspecified() || ip.is_multicast() {
        return Err(Refused::Invalid(format!(
            "nobody can connect to {}; give an address and a port from 1 to 65535",
            added.address
        )));
    }
    for b in &now.backends {
        if b.name == place.backend {
            return Err(Refused::Conflict(format!(
                "there is a {place} already, at {}; remove it first, or choose another name",
                b.address
            )));
        }
        if b.address == added.address {
            return Err(Refused::Conflict(format!(
                "backend `{}` of upstream `{}` has the address {} already; give it twice the weight \
                 instead",
                b.name, place.upstream, added.address
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan() -> Arc<Plan> {
        let backend = |n: u8| {
            let address = SocketAddr::from(([10, 0, 0, n], 80));
            Backend::new(&format!("b{n}"), address)
        };
        let upstream = |name: &str| Upstream {
            name: name.into(),
            backends: (1..4).map(backend).collect(),
            ..Upstream::default()
        };
        Arc::new(Plan {
            upstreams: vec![upstream("api"), upstream("api2")],
            ..Plan::default()
        })
    }

    fn wish(what: Wish) -> Given<Wish> {
        Given {
            what,
            owner: "ann".into(),
            reason: "test".into(),
            at_ms: 1,
        }
    }

    fn added(n: u8) -> Added {
        Added {
            address: SocketAddr::from(([10, 0, 0, n], 80)),
            backup: false,
            zone: None,
            max_connections: None,
        }
    }

    fn give(orders: &mut BackendOrders, backend: &str, what: Wish) -> Result<(), Refused> {
        orders.give(&Place::new("api", backend), &wish(what), &plan())
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.upstreams[0]
            .backends
            .iter()
            .map(|b| &*b.name)
            .collect()
    }

    #[test]
    fn orders_lie_over_the_plan_and_touch_no_other_upstream() {
        let mut o = BackendOrders::default();
        let base = plan();
        assert!(Arc::ptr_eq(&o.over(&base), &base));
        give(&mut o, "b2", Wish::Weight(Some(7))).unwrap();
        give(&mut o, "b3", Wish::Word(Word::Drain)).unwrap();
        give(&mut o, "b1", Wish::Remove).unwrap();
        give(&mut o, "b0", Wish::Add(added(9), 3)).unwrap();
        let p = o.over(&base);
        assert_eq!(names(&p), ["b0", "b2", "b3"]);
        let [new, heavy, draining] = &p.upstreams[0].backends[..] else {
            panic!("three backends");
        };
        assert_eq!((new.weight, new.address), (3, added(9).address));
        assert_eq!(heavy.weight, 7);
        assert_eq!(draining.word, Word::Drain);
        assert_eq!(p.upstreams[1], base.upstreams[1]);
        // All of it taken back leaves nothing.
        give(&mut o, "b2", Wish::Weight(None)).unwrap();
        give(&mut o, "b3", Wish::Word(Word::Serve)).unwrap();
        give(&mut o, "b1", Wish::Add(added(1), 1)).unwrap();
        give(&mut o, "b0", Wish::Remove).unwrap();
        assert_eq!(o, BackendOrders::default());
    }

    #[test]
    fn what_cannot_be_is_refused_and_changes_nothing() {
        let mut o = BackendOrders::default();
        let refused = |o: &mut BackendOrders, b, w| give(o, b, w).unwrap_err().to_string();
        let text = refused(&mut o, "b7", Wish::Weight(Some(1)));
        assert_eq!(
            text,
            "there is no backend `b7` of upstream `api`; it has: `b1`, `b2`, `b3`"
        );
        let text = refused(&mut o, "b1", Wish::Weight(Some(1_000_001)));
        assert!(
            text.contains("1000001") && text.contains("1000000"),
            "{text}"
        );
        let text = refused(&mut o, "b1", Wish::Add(added(9), 1));
        assert!(text.contains("already"), "{text}");
        let text = refused(&mut o, "new", Wish::Add(added(1), 1));
        assert!(text.contains("`b1`"), "{text}");
        for name in ["", "a b", "a/b", "\n"] {
            let text = refused(&mut o, name, Wish::Add(added(9), 1));
            assert!(text.contains("letters"), "{text}");
        }
        let nowhere = Added {
            address: SocketAddr::from(([0, 0, 0, 0], 80)),
            ..added(9)
        };
        assert!(give(&mut o, "new", Wish::Add(nowhere, 1)).is_err());
        let place = Place::new("web", "b1");
        let e = o.give(&place, &wish(Wish::Remove), &plan()).unwrap_err();
        assert_eq!(
            e.to_string(),
            "there is no upstream `web` here; there are: `api`, `api2`"
        );
        give(&mut o, "b1", Wish::Remove).unwrap();
        let text = refused(&mut o, "b1", Wish::Add(added(9), 1));
        assert!(text.contains("configured at 10.0.0.1:80"), "{text}");
        assert_eq!(o.0.len(), 1);
    }

    #[test]
    fn an_order_about_what_the_configuration_lost_waits_for_it() {
        let mut o = BackendOrders::default();
        give(&mut o, "b1", Wish::Word(Word::Drain)).unwrap();
        let without = {
            let mut p = (*plan()).clone();
            p.upstreams[0].backends.remove(0);
            Arc::new(p)
        };
        assert_eq!(names(&o.over(&without)), ["b2", "b3"]);
        assert_eq!(o.over(&plan()).upstreams[0].backends[0].word, Word::Drain);
    }

    proptest! {
        /// Whatever is ordered: names stay unique and sorted, and enabling and removing everything
        /// leads back.
        #[test]
        fn orders_in_any_order_leave_a_sound_plan(
            steps in proptest::collection::vec((1..7_u8, 0..7_u8, 0..5_u32), 0..60),
        ) {
            let mut o = BackendOrders::default();
            for (n, what, weight) in steps {
                let what = match what {
                    0 => Wish::Add(added(n), weight),
                    1 => Wish::Remove,
                    2 => Wish::Weight(Some(weight)),
                    3 => Wish::Weight(None),
                    4 => Wish::Word(Word::Drain),
                    5 => Wish::Word(Word::Disable),
                    _ => Wish::Word(Word::Serve),
                };
                // Some of them cannot be.
                let _ = give(&mut o, &format!("b{n}"), what);
                let p = o.over(&plan());
                let backends = &p.upstreams[0].backends;
                prop_assert!(backends.is_sorted_by(|a, b| a.name < b.name));
                prop_assert!(o.0.values().all(|order| !order.is_empty()));
            }
        }
    }
}
