//! Additional data: the addresses of the hosts that an answer points to, so that the client need not
//! ask again (RFC 1035 section 3.3, RFC 2782, RFC 9460 section 4.1).
//!
//! All of it is welcome and none is needed: an RRset that does not fit is left out, without
//! truncation (RFC 2181 section 9). Addresses of a steered name are those that its decision gives
//! this client, and the answer then holds for no more clients than the decision does (requirement E2).

use crate::dns::message::parse::plain_name;
use crate::dns::{Owner, Section, rtype};
use crate::zone::{Found, RrSetRef};

use super::Scratch;
use super::resolve::{MAX_LINKS, Resolve, canonical};
use super::respond::Response;

/// Hosts of one RRset that are looked up at most, which bounds the work for one query; the root has
/// 13 servers.
const MAX_TARGETS: usize = 16;

/// Whether answers of this type point to hosts.
#[inline]
pub(super) fn wanted(rtype: u16) -> bool {
    offset(rtype).is_some()
}

/// Octets of the data before the name of the host.
#[inline]
fn offset(rtype: u16) -> Option<usize> {
    match rtype {
        rtype::NS => Some(0),
        // Preference (RFC 1035 section 3.3.9), SvcPriority (RFC 9460 section 2.2).
        rtype::MX | rtype::SVCB | rtype::HTTPS => Some(2),
        // Priority, weight, port (RFC 2782).
        rtype::SRV => Some(6),
        _ => None,
    }
}

/// The name at the start of `data`; `None` where there is none in full.
fn leading_name(data: &[u8]) -> Option<&[u8]> {
    plain_name(data, 0).and_then(|end| data.get(..end))
}

impl Resolve<'_> {
    /// Adds what is known of the hosts of `rrset`, which stands at `owner` (lower-cased).
    pub(super) fn additional(
        &self,
        rrset: RrSetRef<'_>,
        owner: &[u8],
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) {
        let Some(offset) = offset(rrset.rtype) else {
            return;
        };
        let service = matches!(rrset.rtype, rtype::SVCB | rtype::HTTPS);
        let mut seen: [&[u8]; MAX_TARGETS] = [&[]; MAX_TARGETS];
        let mut count = 0;
        for record in rrset.records() {
            let Some(name) = record.bytes.get(offset..).and_then(leading_name) else {
                continue;
            };
            // RFC 9460 section 2.4.2: priority 0 is AliasMode, of which there is one record.
            let alias = service && record.bytes[..2] == [0, 0];
            // RFC 9460 section 2.5: `.` is the owner in ServiceMode, and "not available" in
            // AliasMode; RFC 2782 and RFC 7505: elsewhere it is "no host".
            let name = match name {
                [0] if service && !alias => owner,
                [0] => continue,
                name => name,
            };
            if count == MAX_TARGETS {
                return;
            }
            if seen[..count].iter().any(|s| s.eq_ignore_ascii_case(name)) {
                continue;
            }
            seen[count] = name;
            count += 1;
            let Some(target) = canonical(name) else {
                continue;
            };
            let target = target.as_bytes();
            // RFC 9460 section 4.1: what an alias points to may be an alias or a service again.
            let binding = (alias && target != owner).then_some(rrset.rtype);
            self.host(
                target,
                binding,
                if service { MAX_LINKS } else { 0 },
                scratch,
                r,
            );
        }
    }

    /// Adds the addresses of `host`, and its records of the type `binding`, following at most `links`
    /// CNAME records, which are added too.
    fn host(
        &self,
        host: &[u8],
        binding: Option<u16>,
        links: usize,
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) {
        let zones = &self.view.snapshot.zones;
        let mut at = host;
        for link in 0..=links {
            let owner = Owner::Name(at);
            match zones.lookup(at, rtype::A).found {
                Found::Steered { name } => {
                    if self.view.snapshot.steering.group_of(name).cname {
                        return;
                    }
                    let both = self.both(name, scratch);
                    r.original_ttl(self.view.snapshot.steering.group_of(name).ttl_max);
                    match binding.map(|kind| zones.lookup(at, kind).found) {
                        Some(Found::Steered { .. }) if both.answered().next().is_some() => {
                            let here = Section::Additional;
                            if r.optional(|r| self.https(name, &both, here, owner, r)) {
                                r.scope = r.scope.max(both.scope());
                            }
                        }
                        Some(Found::Answer(rrset)) => {
                            r.optional(|r| r.rrset(Section::Additional, owner, rrset, rrset.ttl));
                        }
                        _ => {}
                    }
                    self.additional_addresses(&both, owner, r);
                    return;
                }
                Found::Cname { rrset, target } if link < links => {
                    if !r.optional(|r| r.rrset(Section::Additional, owner, rrset, rrset.ttl)) {
                        return;
                    }
                    at = target.as_bytes();
                }
                _ => {
                    for kind in [Some(rtype::A), Some(rtype::AAAA), binding]
                        .into_iter()
                        .flatten()
                    {
                        if let Found::Answer(rrset) = zones.lookup(at, kind).found {
                            r.optional(|r| r.rrset(Section::Additional, owner, rrset, rrset.ttl));
                        }
                    }
                    return;
                }
            }
        }
    }
}
