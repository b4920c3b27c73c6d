//! `sticky`: the hash of a client, for whom the same hash comes out, and the choice by it.

use std::net::IpAddr;

use crate::balance::mix::{hash_bytes, mix};
use crate::balance::rendezvous;
use crate::geo::table::{EMBEDDED, embedded_v4};
use crate::net::Key;

use super::Steering;
use super::offer::Candidate;

/// The hash of the client's network and the length of the widest prefix around the address that
/// has no other hash, in bits of the address's own family.
///
/// An IPv6 form that carries an IPv4 address hashes as that IPv4 address: it is the same client. So
/// the scope of another IPv6 address must not reach into those blocks, however few bits are hashed.
pub(super) fn hash(addr: IpAddr, prefix4: u8, prefix6: u8) -> (u64, u8) {
    match addr {
        IpAddr::V4(a) => (hash4(a.into(), prefix4), prefix4),
        IpAddr::V6(a) => {
            let a = u128::from(a);
            let mut scope = prefix6;
            for (block, len, offset) in EMBEDDED {
                let common = a.common(block.into());
                if common >= len {
                    return (hash4(embedded_v4(a, offset), prefix4), offset + prefix4);
                }
                scope = scope.max(common + 1);
            }
            let kept = a.first_of(prefix6);
            let high = mix((kept >> 64) as u64 ^ 0x7636);
            (mix(high ^ kept as u64), scope)
        }
    }
}

fn hash4(addr: u32, prefix4: u8) -> u64 {
    mix(u64::from(addr.first_of(prefix4)) ^ (0x7634 << 32))
}

/// Hashes of names, so that neither the order of a file nor a restart moves a client.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Hashes {
    /// By endpoint.
    pub(super) endpoints: Vec<u64>,
    /// By pool.
    pub(super) pools: Vec<u64>,
}

impl Hashes {
    pub(super) fn of(steering: &Steering) -> Hashes {
        let endpoints = steering
            .endpoints
            .iter()
            .map(|e| hash_bytes(e.name.as_bytes()));
        // A pool and an endpoint of one name must not score alike.
        let pools = steering
            .pools
            .iter()
            .map(|p| mix(!hash_bytes(p.name.as_bytes())));
        Hashes {
            endpoints: endpoints.collect(),
            pools: pools.collect(),
        }
    }
}

/// Chooses for a client: pools by weighted rendezvous, then endpoints inside each pool likewise,
/// until `picks` is full. Returns how many there are.
///
/// In two steps, because a pool keeps its share when one of its endpoints goes: the weights of the
/// others in it then grow, and in one step they would win clients of other pools as well
/// (requirement O6: only the clients of what is gone move).
pub(super) fn draw(
    client: u64,
    steering: &Steering,
    hashes: &Hashes,
    candidates: &[Candidate],
    picks: &mut [usize],
) -> usize {
    let pool_of = |i: usize| steering.endpoints[candidates[i].endpoint.index()].pool;
    let upto = |i: usize| i.checked_sub(1).map_or(0, |i| candidates[i].upto);
    // Candidates of one pool stand together; a run's start settles ties.
    let ahead = |a: (f64, usize), b: (f64, usize)| a.0 > b.0 || (a.0 == b.0 && a.1 < b.1);
    let mut count = 0;
    let mut taken: Option<(f64, usize)> = None;
    while count < picks.len() {
        let mut best: Option<((f64, usize), usize)> = None;
        let mut start = 0;
        while start < candidates.len() {
            let pool = pool_of(start);
            let end = (start..candidates.len()).find(|i| pool_of(*i) != pool);
            let end = end.unwrap_or(candidates.len());
            let weight = (upto(end) - upto(start)) as f64;
            let entry = (
                rendezvous::score(client, hashes.pools[pool.index()], weight),
                start,
            );
            if taken.is_none_or(|t| ahead(t, entry)) && best.is_none_or(|(b, _)| ahead(entry, b)) {
                best = Some((entry, end));
            }
            start = end;
        }
        let Some((entry, end)) = best else { break };
        taken = Some(entry);
        let items = (entry.1..end).map(|i| {
            let share = (candidates[i].upto - upto(i)) as f64;
            (hashes.endpoints[candidates[i].endpoint.index()], share)
        });
        let found = rendezvous::draw(client, items, &mut picks[count..]);
        for pick in &mut picks[count..count + found] {
            *pick += entry.1;
        }
        count += found;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ip(s: &str) -> IpAddr {
        s.parse().unwrap()
    }

    #[test]
    fn e4_a_client_hashes_alike_in_every_form() {
        let (h, scope) = hash(ip("192.0.2.77"), 24, 56);
        assert_eq!(scope, 24);
        assert_eq!(hash(ip("::ffff:192.0.2.1"), 24, 56), (h, 120));
        assert_eq!(hash(ip("64:ff9b::192.0.2.1"), 24, 56), (h, 120));
        assert_eq!(hash(ip("2002:c000:0201::1"), 24, 56), (h, 40));
        assert_eq!(hash(ip("2001:0:c000:0201::1"), 24, 56), (h, 56));
        assert_eq!(hash(ip("2001:db8::1"), 24, 56).1, 56);
        assert_eq!(hash(ip("2001:db8::1"), 24, 16).1, 21);
    }

    proptest! {
        #[test]
        fn e4_scope_covers_only_equal_hashes(
            near in 0usize..5, low: u128, other: u128, prefix4 in 8u8..=32, prefix6 in 16u8..=128,
        ) {
            let base = [0, 0xffff << 32, 0x0064_ff9b << 96, 0x2002 << 112, 0x2001 << 112][near];
            let a = base | (low >> (low % 128));
            let (h, scope) = hash(IpAddr::V6(a.into()), prefix4, prefix6);
            let b = a.first_of(scope) | (other & !u128::MAX.first_of(scope));
            prop_assert_eq!(hash(IpAddr::V6(b.into()), prefix4, prefix6).0, h);
            // A scope around an address outside the blocks reaches into none of them.
            for (block, len, _) in EMBEDDED {
                let block = u128::from(block);
                prop_assert!(a.common(block) >= len || block.first_of(scope) != a.first_of(scope));
            }
        }
    }
}
