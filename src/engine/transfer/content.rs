//! The records that a zone is made of when it leaves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dns::name::{NameRef, WireName, is_at_or_below};
use crate::dns::rtype;
use crate::dns::svcb::MAX_SERVICE;
use crate::snapshot::Snapshot;
use crate::units::Ttl;
use crate::zone::{Owned, Place, RrSetRef};

use super::last_resort::{Stand, stand};

/// One record on its way out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    pub(super) owner: &'a [u8],
    pub(super) rtype: u16,
    pub(super) ttl: Ttl,
    pub(super) rdata: &'a [u8],
    /// Names in the data that may be compressed.
    pub(super) names: &'a [(u16, u16)],
}

/// Hands every record at one owner to `emit`, but the SOA, which begins and ends a transfer. Stops at
/// the first error.
pub(super) fn records<E>(
    snapshot: &Snapshot,
    owned: &Owned<'_>,
    mut emit: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let owner = owned.name.as_bytes();
    if let Some(child) = owned.child {
        // A zone that is served here too: what it says of itself, and what the parent adds.
        let Some(ns) = owned.ns() else {
            return Ok(());
        };
        set(owner, ns, &mut emit)?;
        if let Some(ds) = child.ds {
            set(owner, ds, &mut emit)?;
        }
        return glue(snapshot, owned.name, ns, &mut emit);
    }
    for rrset in owned.sets.iter().filter(|s| s.rtype != rtype::SOA) {
        set(owner, rrset, &mut emit)?;
    }
    let Some(name) = owned.steered else {
        return Ok(());
    };
    let ttl = snapshot.steering.group_of(name).ttl_min;
    let mut record = |rtype, rdata: &[u8]| {
        emit(Record {
            owner,
            rtype,
            ttl,
            rdata,
            names: &[],
        })
    };
    match stand(&snapshot.steering, name, owned.sets.is_empty()) {
        Stand::Cname(target) => record(rtype::CNAME, target.as_bytes()),
        Stand::Addresses(addresses) => {
            if owned.https
                && let Some(service) = &snapshot.steering.names[name.index()].https
            {
                let mut rdata = [0; MAX_SERVICE];
                let len = service.write(v4(&addresses), v6(&addresses), &mut rdata);
                len.map_or(Ok(()), |len| record(rtype::HTTPS, &rdata[..len]))?;
            }
            addresses.iter().try_for_each(|a| match a {
                IpAddr::V4(a) => record(rtype::A, &a.octets()),
                IpAddr::V6(a) => record(rtype::AAAA, &a.octets()),
            })
        }
    }
}

/// Hints of one family at most, as in answers.
const HINTS: usize = 32;

fn v4(addresses: &[IpAddr]) -> impl Iterator<Item = Ipv4Addr> + Clone {
    let of = |a: &IpAddr| match a {
        IpAddr::V4(a) => Some(*a),
        IpAddr::V6(_) => None,
    };
    addresses.iter().filter_map(of).take(HINTS)
}

fn v6(addresses: &[IpAddr]) -> impl Iterator<Item = Ipv6Addr> + Clone {
    let of = |a: &IpAddr| match a {
        IpAddr::V4(_) => None,
        IpAddr::V6(a) => Some(*a),
    };
    addresses.iter().filter_map(of).take(HINTS)
}

fn set<E>(
    owner: &[u8],
    rrset: RrSetRef<'_>,
    emit: &mut impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    rrset.records().try_for_each(|r| {
        emit(Record {
            owner,
            rtype: rrset.rtype,
            ttl: rrset.ttl,
            rdata: r.bytes,
            names: r.names(),
        })
    })
}

/// The addresses of name servers that lie at or below the cut that they serve.
fn glue<E>(
    snapshot: &Snapshot,
    cut: NameRef<'_>,
    ns: RrSetRef<'_>,
    emit: &mut impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for server in ns.records() {
        let Ok(target) = WireName::from_wire(server.bytes) else {
            continue;
        };
        if !is_at_or_below(target.as_bytes(), cut.as_bytes()) {
            continue;
        }
        for kind in [rtype::A, rtype::AAAA] {
            if let Some(addresses) = snapshot.zones.rrset(target.as_bytes(), kind) {
                set(target.as_bytes(), addresses, emit)?;
            }
        }
    }
    Ok(())
}

/// Hands every record of the zone at `position` to `emit`, but the SOA.
pub(super) fn zone(snapshot: &Snapshot, position: usize, mut emit: impl FnMut(Record<'_>)) {
    let mut at = Place::default();
    while let Some((owned, next)) = snapshot.zones.owner_from(position, at) {
        at = next;
        let each: Result<(), std::convert::Infallible> = records(snapshot, &owned, |r| {
            emit(r);
            Ok(())
        });
        match each {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
}
