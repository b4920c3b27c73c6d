//! What changed between two versions of a zone, kept for IXFR, and told where secondaries would not
//! notice.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::dns::message::serial::newer;
use crate::dns::name::WireName;
use crate::dns::{Rtype, rtype};
use crate::snapshot::{Delta, Packed, PackedRecord, Snapshot};

use super::{content, serial_of};

/// The history for `new`, which is to take the place of `old`, and what its operator should know of
/// it, one line each, ordered.
///
/// Costs a sort of both versions of every zone that is transferred or announced.
pub fn follow(old: &Snapshot, new: &Snapshot) -> (HashMap<WireName, Vec<Arc<Delta>>>, Vec<String>) {
    let mut history = HashMap::new();
    let mut told = Vec::new();
    for (apex, rule) in &new.settings.transfers.zones {
        let places = (
            old.zones.position(apex.as_bytes()),
            new.zones.position(apex.as_bytes()),
        );
        let (Some(was), Some(is)) = places else {
            continue;
        };
        let serial = |s: &Snapshot, at: usize| serial_of(&s.zones.zones()[at]);
        let (from, to) = (serial(old, was), serial(new, is));
        let (before, after) = (Content::of(old, was), Content::of(new, is));
        let (removed, added) = before.difference(&after);
        let kept = old.settings.transfers.history.get(apex);
        if newer(to, from) {
            let delta = Delta {
                from,
                to,
                removed: before.pack(old, was, &removed),
                added: after.pack(new, is, &added),
            };
            let chain = kept.into_iter().flatten().cloned();
            let chain = within(chain.chain([Arc::new(delta)]), rule.history_limit);
            history.insert(apex.clone(), chain);
        } else if from != to {
            told.push(format!(
                "zone `{apex}`: its serial went from {from} to {to}, which is not newer (RFC 1982): \
                 secondaries keep the version they have; set a serial after {from}"
            ));
        } else if let Some((sign, example)) = (added.first().map(|a| ("+", after.show(a))))
            .or_else(|| removed.first().map(|r| ("-", before.show(r))))
        {
            // A client at this serial may have either content, so that no change leads on from it.
            told.push(format!(
                "zone `{apex}`: what secondaries get changed ({} records removed, {} added, such as \
                 {sign} {example}), but its serial is still {to}, so they will not notice; raise the \
                 serial (steered names are sent as their last-resort set, so a change of pools counts \
                 as well)",
                removed.len(),
                added.len(),
            ));
        } else if let Some(kept) = kept {
            // The limit may have changed.
            let chain = within(kept.iter().cloned(), rule.history_limit);
            history.insert(apex.clone(), chain);
        }
    }
    told.sort_unstable();
    (history, told)
}

/// The newest changes that together take at most `limit` octets.
fn within(chain: impl Iterator<Item = Arc<Delta>>, limit: usize) -> Vec<Arc<Delta>> {
    let mut chain: Vec<Arc<Delta>> = chain.collect();
    let mut room = limit;
    let fits = chain.iter().rev().take_while(|d| {
        let left = room.checked_sub(d.octets());
        room = left.unwrap_or(0);
        left.is_some()
    });
    let first = chain.len() - fits.count();
    chain.drain(..first);
    chain
}

/// All records of a version but the SOA, packed and ordered.
struct Content {
    octets: Vec<u8>,
    records: Vec<Range<usize>>,
}

impl Content {
    fn of(snapshot: &Snapshot, position: usize) -> Content {
        let mut octets = Vec::new();
        let mut records = Vec::new();
        content::zone(snapshot, position, |r| {
            let start = octets.len();
            PackedRecord {
                owner: r.owner,
                rtype: r.rtype,
                ttl: r.ttl,
                rdata: r.rdata,
            }
            .write(&mut octets);
            records.push(start..octets.len());
        });
        records.sort_unstable_by(|a, b| octets[a.clone()].cmp(&octets[b.clone()]));
        records.dedup_by(|a, b| octets[a.clone()] == octets[b.clone()]);
        Content { octets, records }
    }

    fn bytes(&self, record: &Range<usize>) -> &[u8] {
        &self.octets[record.clone()]
    }

    /// What is in `self` only, and what is in `other` only.
    fn difference(&self, other: &Content) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        let (mut ours, mut theirs) = (self.records.iter(), other.records.iter());
        let (mut a, mut b) = (ours.next(), theirs.next());
        loop {
            let order = match (a, b) {
                (None, None) => return (gone, come),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(a), Some(b)) => self.bytes(a).cmp(other.bytes(b)),
            };
            if order.is_lt() {
                gone.extend(a.cloned());
            } else if order.is_gt() {
                come.extend(b.cloned());
            }
            if order.is_le() {
                a = ours.next();
            }
            if order.is_ge() {
                b = theirs.next();
            }
        }
    }

    /// The SOA of this version and these records.
    fn pack(&self, snapshot: &Snapshot, position: usize, records: &[Range<usize>]) -> Packed {
        let zone = &snapshot.zones.zones()[position];
        let soa = zone.soa();
        let mut octets = Vec::new();
        for r in soa.records() {
            PackedRecord {
                owner: zone.apex.as_bytes(),
                rtype: rtype::SOA,
                ttl: soa.ttl,
                rdata: r.bytes,
            }
            .write(&mut octets);
        }
        for record in records {
            octets.extend_from_slice(self.bytes(record));
        }
        Packed::new(octets)
    }

    /// Owner and type of a record, for a person.
    fn show(&self, record: &Range<usize>) -> String {
        let packed = Packed::new(self.bytes(record).to_vec());
        match packed.get(0) {
            Some((r, _)) => {
                let owner = WireName::from_wire(r.owner).unwrap_or_else(|_| WireName::root());
                format!("`{owner}` {}", Rtype(r.rtype))
            }
            None => String::new(),
        }
    }
}
