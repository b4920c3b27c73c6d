//! The one decision function.

use crate::balance::{round_robin, weighted};
use crate::ids::{EndpointId, NameId};
use crate::net::Family;
use crate::time::Moment;
use crate::units::{ScopeLen, Ttl};

use super::decision::{MAX_ANSWERS, Picks, Standing};
use super::facts::Lane;
use super::offer::{Candidate, Outcome};
use super::partition::{Slot, Space};
use super::{
    Ask, Chooser, Chosen, ClientSource, Decision, Live, Steering, Step, Trace, TtlBound, sticky,
    why,
};

/// Decides what to answer to `ask`. Allocates nothing with [`super::NoTrace`].
///
/// `live` must have been resolved from `steering`. With a recorder that was given the view's
/// [`super::Context`] the way to the published offer is gone again, through the same functions.
pub fn decide<T: Trace>(steering: &Steering, live: &Live, ask: &Ask, trace: &mut T) -> Decision {
    let name = steering.dense.name(ask.name);
    let group = steering.dense.group(name.group);
    let chooser = group.chooser;
    let partition = &steering.shapes[group.shape.index()].partition;
    let addr = ask.client.addr;
    let (slot, len) = live.narrowed(steering, group.shape, addr, partition.lookup(addr));
    let lane = if group.cname {
        Lane::Cname
    } else {
        Lane::of(ask.family)
    };
    let Some((offer, candidates)) = live.offer(steering, ask.name, slot.plan, lane) else {
        return no_data(ask.family, trace);
    };
    let bound = if T::ON {
        why::retrace(steering, live, ask, slot, lane, trace)
    } else {
        TtlBound::Untold
    };

    let blind = matches!(partition.space, Space::Blind(_));
    let (hash, hashed) = match chooser {
        Chooser::Sticky { prefix4, prefix6 } => {
            let (hash, hashed) = sticky::hash(ask.client.addr, prefix4, prefix6);
            (hash, Some(hashed))
        }
        _ => (0, None),
    };
    let scope = match ask.client.source {
        // All clients in there are decided by the resolver's address alone.
        ClientSource::ResolverForBogon(n) if !blind || hashed.is_some() => ScopeLen(n),
        ClientSource::ResolverForBogon(_) => ScopeLen(0),
        ClientSource::Ecs(_) | ClientSource::Resolver => ScopeLen(len.max(hashed.unwrap_or(0))),
    };

    let chosen = match offer.outcome {
        Outcome::Cname => Chosen::LastResortCname,
        Outcome::ServFail => Chosen::ServFail,
        Outcome::Endpoints => {
            let want = if group.cname { 1 } else { name.answers };
            Chosen::Endpoints(pick(steering, chooser, candidates, live, ask, hash, want))
        }
    };
    let ttl = cut(offer.ttl, offer.expires, ask.now);
    if T::ON {
        why::choice(steering, live, ask, chooser, candidates, &chosen, trace);
        trace.step(|| Step::Ttl {
            ttl,
            why: if ttl < offer.ttl {
                TtlBound::OverrideEnd
            } else {
                bound
            },
        });
        trace.step(|| Step::Scope {
            scope,
            why: why::scope(ask, slot, len, hashed, blind),
        });
    }
    Decision {
        chosen,
        ttl,
        scope,
        standing: offer.standing,
        overridden: offer.overridden,
    }
}

impl Steering {
    /// The slot of `addr` for `name`, and the length of the widest prefix around it in one slot. An
    /// ECS address in a slot marked `bogon` is not to be used: the resolver's address decides, with
    /// [`ClientSource::ResolverForBogon`] of this length (requirement E7).
    pub fn slot(&self, name: NameId, addr: std::net::IpAddr) -> (Slot, u8) {
        self.shape_of(name).partition.lookup(addr)
    }
}

fn no_data<T: Trace>(family: Family, trace: &mut T) -> Decision {
    trace.step(|| Step::NotOffered { family });
    Decision {
        chosen: Chosen::NoData,
        ttl: Ttl::ZERO,
        scope: ScopeLen(0),
        standing: Standing::Normal,
        overridden: false,
    }
}

/// The TTL, ended by the time an override that takes part ends (requirement T3); the bound wins
/// over the name's smallest TTL, down to one second.
fn cut(ttl: Ttl, expires: u64, now: Moment) -> Ttl {
    if expires == u64::MAX {
        return ttl;
    }
    let left = Ttl::floor(now.until(Moment(expires)));
    ttl.min(left.max(Ttl::from_secs(1)))
}

/// Chooses `want` of the candidates, or all if there are fewer, none twice. Of those that share an
/// address the first stands for all: an RRset has no record twice (RFC 2181 section 5).
fn pick(
    steering: &Steering,
    chooser: Chooser,
    candidates: &[Candidate],
    live: &Live,
    ask: &Ask,
    hash: u64,
    want: u8,
) -> Picks {
    let mut at = [0usize; MAX_ANSWERS];
    let room = &mut at[..usize::from(want.max(1)).min(MAX_ANSWERS)];
    let n = candidates.len();
    let count = match chooser {
        // With `random` every candidate has the same share.
        Chooser::Weighted | Chooser::Random => {
            weighted::draw(n, |i| candidates[i].upto, ask.draw.random, room)
        }
        // With `round-robin` all shares are 1, unless one is let in by steps: then turns are spread
        // evenly over the shares, by multiples of the golden ratio.
        Chooser::RoundRobin => match candidates.last() {
            Some(last) if last.upto != n as u64 => {
                let even = u64::from(ask.draw.turn).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                weighted::draw(n, |i| candidates[i].upto, even, room)
            }
            _ => round_robin::draw(n, ask.draw.turn, room),
        },
        Chooser::Sticky { .. } => sticky::draw(hash, steering, &live.hashes, candidates, room),
    };
    let mut picks = Picks::default();
    let address = |e: EndpointId| steering.endpoints[e.index()].address;
    for i in &at[..count] {
        let e = candidates[*i].endpoint;
        // One pick is the usual case, and needs no look at the endpoint.
        if count == 1 || !picks.as_slice().iter().any(|p| address(*p) == address(e)) {
            picks.push(e);
        }
    }
    picks
}
