//! Signatures made ahead, so that queries find them in the cache: of what stands in the zones, of
//! the proofs at names that exist, and of every set of members that a steered name with few of them
//! can answer, whatever is up or down. A failover so finds the signature of its new answer.
//!
//! What stands in the zones is signed by asking for it: there is no second description of what an
//! answer holds.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::dns::edns::nsid::Nsid;
use crate::dns::message::{NameBuf, parse};
use crate::dns::rtype;
use crate::dnssec::rrsig::Signatures;
use crate::dnssec::{Keep, Present, SignatureCache};
use crate::ids::{EndpointId, NameId};
use crate::net::Family;
use crate::snapshot::View;
use crate::steer::{Group, LastResort};
use crate::telemetry::DnsCounters;
use crate::time::Moment;

use super::client::Asker;
use super::guard::Guard;
use super::resolve::Resolve;
use super::respond::Response;
use super::signed::Signing;
use super::{Scratch, Transport};

/// Sets of members signed ahead per name and type at most.
const SETS: usize = 64;

/// A type that no name has: asking for it brings the proof that it is absent.
const ABSENT: u16 = 65_280;

/// Signs ahead; keeps what it needs between passes.
#[derive(Debug)]
pub struct Presigner {
    scratch: Scratch,
    out: Box<[u8]>,
    query: Vec<u8>,
}

impl Default for Presigner {
    fn default() -> Self {
        Presigner {
            // What is asked ahead is counted nowhere.
            scratch: Scratch::presigning(Arc::new(DnsCounters::default())),
            out: vec![0; 65_535].into(),
            query: Vec::new(),
        }
    }
}

impl Presigner {
    /// Signs what is not signed yet, at most as much as half the cache holds. `pace` is told the
    /// number of signatures made after each few, and may end the pass.
    pub fn pass(
        &mut self,
        view: &View,
        now: Moment,
        mut pace: impl FnMut(u64) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if view.keys.zones.is_empty() {
            return ControlFlow::Continue(());
        }
        let mut left = view.signatures.room() / 2;
        self.static_data(view, now, &mut left, &mut pace)?;
        self.steered_names(view, now, &mut left, &mut pace)
    }

    fn static_data(
        &mut self,
        view: &View,
        now: Moment,
        left: &mut usize,
        pace: &mut impl FnMut(u64) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let zones = &view.snapshot.zones;
        let mut types = Vec::new();
        for (name, at, below_cut) in zones.all() {
            let name = name.as_bytes();
            let signed = zones
                .lookup(name, rtype::SOA)
                .zone
                .is_some_and(|zone| view.keys.of(&zone.apex).is_some());
            // A wildcard answers under other names; glue is not signed.
            if !signed || name.starts_with(b"\x01*") || (below_cut && !at.is_cut) {
                continue;
            }
            types.clear();
            types.push(ABSENT);
            if at.is_cut {
                types.push(rtype::DS);
            } else {
                types.extend(at.sets.iter().map(|set| set.rtype));
            }
            if at.is_apex {
                types.extend([rtype::DNSKEY, rtype::CDS, rtype::CDNSKEY]);
            }
            for kind in &types {
                if *left < types.len() {
                    return ControlFlow::Continue(());
                }
                *left -= 1;
                self.ask(view, name, *kind, now);
                pace(self.scratch.signatures_made())?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Answers one question with DO.
    fn ask(&mut self, view: &View, name: &[u8], kind: u16, now: Moment) {
        let packet = &mut self.query;
        packet.clear();
        packet.extend([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
        packet.extend(name);
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1]);
        // OPT with DO.
        packet.extend([0, 0, 41, 0xFF, 0xFF, 0, 0, 0x80, 0, 0, 0]);
        let mut lowered = NameBuf::default();
        let Some(query) = parse(packet, &mut lowered) else {
            return;
        };
        let way = Transport::Tcp;
        let scratch = &mut self.scratch;
        let mut r = Response::new(
            &query,
            way,
            || Nsid::new("", view.generation),
            &mut self.out,
        );
        r.signing = Signing::begin(view, &query, lowered.as_bytes(), way, now, scratch);
        let resolve = Resolve {
            view,
            qtype: kind,
            asker: Asker {
                resolver: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                network: None,
            },
            now,
            guard: &Guard::waived(view, now),
            label: None,
        };
        // What does not fit a message is nobody's answer.
        let _ = resolve.run(lowered.as_bytes(), scratch, &mut r);
        scratch.return_signer(r.seal());
    }

    fn steered_names(
        &mut self,
        view: &View,
        now: Moment,
        left: &mut usize,
        pace: &mut impl FnMut(u64) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let present = Present {
            now,
            unix: view.wall.unix(now),
        };
        let steering = &view.snapshot.steering;
        for (i, name) in steering.names.iter().enumerate() {
            let owner = name.owner.as_bytes();
            let Some(keys) = view
                .snapshot
                .zones
                .lookup(owner, rtype::SOA)
                .zone
                .and_then(|zone| view.keys.of(&zone.apex))
            else {
                continue;
            };
            if owner.starts_with(b"\x01*") {
                continue;
            }
            let group = steering.group_of(NameId::from_index(i));
            for set in possible(view, group, usize::from(name.answers)) {
                if *left == 0 {
                    return ControlFlow::Continue(());
                }
                *left -= 1;
                let mut signer = self.scratch.lend_signer();
                let (kind, apex) = (set.rtype, keys.apex.as_bytes());
                signer.set.begin(apex, owner, kind, group.ttl_max);
                for rdata in &set.records {
                    signer.set.push(rdata);
                }
                // What cannot be signed is told to those who ask for it.
                let _ = signer.sign(&view.signatures, keys, present, false, |_| Keep::Lasting);
                self.scratch.return_signer(Some(signer));
                pace(self.scratch.signatures_made())?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Makes those signatures anew that will want it within `ahead` seconds and are still asked for.
pub fn refresh(
    view: &View,
    now: Moment,
    ahead: u64,
    mut pace: impl FnMut(u64) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let unix = view.wall.unix(now);
    let cache: &SignatureCache = &view.signatures;
    let due = cache.lasting(|s| s.wants_refresh(unix + ahead) && s.was_asked());
    for (old, made) in due.iter().zip(1..) {
        let key = old.key();
        let Some(keys) = view.keys.zones.get(key.apex()) else {
            continue;
        };
        if let Ok(new) = Signatures::make(key, keys, unix) {
            cache.put(cache.hash(key.0), &Arc::new(new), Keep::Lasting);
        }
        pace(made)?;
    }
    ControlFlow::Continue(())
}

/// A set that a steered name can answer.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Possible {
    rtype: u16,
    records: Vec<Vec<u8>>,
}

/// The sets of at most `answers` members that a group can answer, [`SETS`] of each type at most.
fn possible(view: &View, group: &Group, answers: usize) -> Vec<Possible> {
    let steering = &view.snapshot.steering;
    let pool = |id: crate::ids::PoolId| &steering.pools[id.index()].endpoints[..];
    // By pool, and what the last resort may bring.
    let mut lists: Vec<&[EndpointId]> = group.members.iter().map(|m| pool(m.pool)).collect();
    let mut all = Vec::new();
    match &group.last_resort {
        LastResort::Endpoints(these) => lists.push(these),
        LastResort::Pool(other) => lists.push(pool(*other)),
        LastResort::Cname(target) => all.push(Possible {
            rtype: rtype::CNAME,
            records: vec![target.as_bytes().to_vec()],
        }),
        LastResort::AllEligible | LastResort::ServFail => {}
    }
    if group.cname {
        for e in lists.concat() {
            let target = steering.endpoints[e.index()].cname.as_ref();
            let set = target.map(|t| Possible {
                rtype: rtype::CNAME,
                records: vec![t.as_bytes().to_vec()],
            });
            all.extend(set.filter(|s| !all.contains(s)));
        }
        all.truncate(SETS);
        return all;
    }
    for family in &group.families {
        let kind = match family {
            Family::V4 => rtype::A,
            Family::V6 => rtype::AAAA,
        };
        let data = |list: &[EndpointId]| -> Vec<Vec<u8>> {
            let endpoints = list.iter().map(|e| &steering.endpoints[e.index()]);
            let mut data: Vec<Vec<u8>> = endpoints
                .filter(|e| e.enabled)
                .filter_map(|e| match (e.address?, family) {
                    (IpAddr::V4(a), Family::V4) => Some(a.octets().to_vec()),
                    (IpAddr::V6(a), Family::V6) => Some(a.octets().to_vec()),
                    _ => None,
                })
                .collect();
            data.sort();
            data.dedup();
            data
        };
        let mut sets: Vec<Vec<Vec<u8>>> = Vec::new();
        let whole = data(&lists.concat());
        if subsets_up_to(whole.len(), answers) <= SETS {
            subsets(&whole, answers, &mut sets);
        } else {
            // Answers usually come from one pool.
            for list in &lists {
                subsets(&data(list), answers, &mut sets);
            }
        }
        // The fuller ones first: they are what is answered while all is well.
        sets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        sets.dedup();
        sets.truncate(SETS);
        all.extend(sets.into_iter().map(|records| Possible {
            rtype: kind,
            records,
        }));
    }
    all
}

/// How many subsets of 1 to `k` of `n` things there are; no more than needed to know it is too many.
fn subsets_up_to(n: usize, k: usize) -> usize {
    let (mut sum, mut of_size) = (0usize, 1usize);
    for j in 1..=k.min(n) {
        of_size = of_size.saturating_mul(n - j + 1) / j;
        sum = sum.saturating_add(of_size);
        if sum > 1_000_000 {
            return sum;
        }
    }
    sum
}

/// Appends the subsets of 1 to `k` of `things`; when there are too many, only some of the largest.
fn subsets(things: &[Vec<u8>], k: usize, out: &mut Vec<Vec<Vec<u8>>>) {
    let k = k.min(things.len());
    for size in (1..=k).rev() {
        let mut pick: Vec<usize> = (0..size).collect();
        loop {
            if out.len() >= 4 * SETS {
                return;
            }
            out.push(pick.iter().map(|i| things[*i].clone()).collect());
            // The next combination in lexicographic order.
            let Some(up) = (0..size).rev().find(|i| pick[*i] < things.len() - size + i) else {
                break;
            };
            pick[up] += 1;
            for i in up + 1..size {
                pick[i] = pick[i - 1] + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_small_sets() {
        let things: Vec<Vec<u8>> = (0..4u8).map(|i| vec![i]).collect();
        let mut sets = Vec::new();
        subsets(&things, 2, &mut sets);
        assert_eq!(sets.len(), 6 + 4);
        assert_eq!(subsets_up_to(4, 2), 10);
        sets.sort();
        sets.dedup();
        assert_eq!(sets.len(), 10);
        assert_eq!(subsets_up_to(12, 1), 12);
        assert!(subsets_up_to(100, 32) > SETS);
        let mut many = Vec::new();
        subsets(&vec![vec![0]; 100], 32, &mut many);
        assert_eq!(many.len(), 4 * SETS);
    }
}
