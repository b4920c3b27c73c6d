//! Redirection of a subtree (RFC 6672).

use crate::dns::message::Full;
use crate::dns::name::{MAX_NAME, NameRef};
use crate::dns::{Owner, Rcode, Section, rtype};
use crate::zone::RrSetRef;

use super::Scratch;
use super::resolve::{Canonical, MAX_LINKS, Resolve};
use super::respond::Response;

/// The DNAME that a lookup came by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redirect<'z> {
    pub(super) rrset: RrSetRef<'z>,
    /// Where it stands, above the name.
    pub(super) above: NameRef<'z>,
    /// What takes the place of `above`.
    pub(super) target: NameRef<'z>,
    /// Aliases followed before it.
    pub(super) link: usize,
}

impl Resolve<'_> {
    /// Answers with the DNAME and the CNAME that it means for `at`, and goes on there.
    pub(super) fn redirect(
        &self,
        at: &[u8],
        owner: Owner<'_>,
        redirect: Redirect<'_>,
        scratch: &mut Scratch,
        r: &mut Response<'_, '_>,
    ) -> Result<(), Full> {
        let Redirect {
            rrset,
            above,
            target,
            link,
        } = redirect;
        r.rrset(
            Section::Answer,
            Owner::Name(above.as_bytes()),
            rrset,
            rrset.ttl,
        )?;
        let Some(next) = substitute(at, above, target) else {
            // RFC 6672 section 2.2 and 3.2 step 3C: the DNAME alone, with YXDOMAIN.
            r.rcode = Rcode::YX_DOMAIN;
            return Ok(());
        };
        let next = next.as_bytes();
        // RFC 6672 section 3.1: with the TTL of the DNAME. It carries no signature (section 5.3.1).
        r.synthesized(owner, rrset.ttl, next)?;
        if matches!(self.qtype, rtype::CNAME | rtype::ANY) || link >= MAX_LINKS {
            return Ok(());
        }
        self.follow(next, Owner::Name(next), link + 1, scratch, r)
    }
}

/// `name`, which ends in `above`, with `target` in that place; `None` over 255 octets.
pub(super) fn substitute(
    name: &[u8],
    above: NameRef<'_>,
    target: NameRef<'_>,
) -> Option<Canonical> {
    let kept = name.len().checked_sub(above.as_bytes().len())?;
    let target = target.as_bytes();
    let len = kept + target.len();
    if len > MAX_NAME {
        return None;
    }
    let mut bytes = [0; MAX_NAME];
    bytes[..kept].copy_from_slice(&name[..kept]);
    bytes[kept..len].copy_from_slice(target);
    Some(Canonical { bytes, len })
}
