//! What a zone publishes and signs with, from the state of its keys.

use std::sync::Arc;

use super::state::{DsPhase, KeyState, ZoneState};
use crate::dns::name::WireName;
use crate::dnssec::policy::Layout;
use crate::dnssec::{Policy, SigningKey, ZoneKeys, ds};
use crate::units::Ttl;

/// The keys whose DS the parent shall have (what CDS and CDNSKEY say, RFC 7344 section 3).
pub fn ds_wanted(state: &ZoneState) -> impl Iterator<Item = &KeyState> {
    state.live().filter(|k| k.ds.phase.is_wanted())
}

/// Whether the parent is asked for something that it is not known to have done.
pub fn awaits_parent(state: &ZoneState) -> bool {
    state
        .live()
        .any(|k| matches!(k.ds.phase, DsPhase::Submitted | DsPhase::Leaving))
}

/// What the zone publishes and signs with now; `None` when it is unsigned. `secret` gives the key
/// pair of a DNSKEY.
///
/// # Errors
/// The first key that must sign but whose secret is not there.
pub fn zone_keys<'s>(
    apex: &WireName,
    state: &'s ZoneState,
    policy: &Policy,
    secret: &dyn Fn(&KeyState) -> Option<Arc<SigningKey>>,
    generation: u64,
) -> Result<Option<ZoneKeys>, &'s KeyState> {
    let mut dnskey: Vec<Box<[u8]>> = Vec::new();
    let (mut key_signing, mut zone_signing) = (Vec::new(), Vec::new());
    for key in state.live() {
        let published = key.dnskey.phase.is_published();
        if published {
            dnskey.push(key.dnskey_rdata.clone());
        }
        let signs_keys = published && key.role.signs_keys();
        if !signs_keys && !key.is_signing() {
            continue;
        }
        let pair = secret(key).ok_or(key)?;
        if signs_keys {
            key_signing.push(pair.clone());
        }
        if key.is_signing() {
            zone_signing.push(pair);
        }
    }
    if dnskey.is_empty() {
        return Ok(None);
    }
    let (mut cds, mut cdnskey) = (Vec::new(), Vec::new());
    if policy.cds {
        for key in ds_wanted(state) {
            cds.push(ds::ds_rdata(apex, &key.dnskey_rdata));
            cdnskey.push(key.dnskey_rdata.clone());
        }
        let leaving = state.live().any(|k| k.ds.phase == DsPhase::Leaving);
        if cds.is_empty() && leaving && policy.layout == Layout::Insecure {
            // "Remove all DS" (RFC 8078 section 4).
            cds.push(Box::new([0, 0, 0, 0, 0]));
            cdnskey.push(Box::new([0, 0, 3, 0, 0]));
        }
    }
    for set in [&mut dnskey, &mut cds, &mut cdnskey] {
        // Canonical order (RFC 4034 section 6.3).
        set.sort();
    }
    Ok(Some(ZoneKeys {
        apex: apex.clone(),
        generation,
        dnskey,
        cds,
        cdnskey,
        ttl: Ttl::floor(policy.dnskey_ttl),
        key_signing,
        zone_signing,
        denial: policy.denial,
        lifetime: policy.lifetime,
    }))
}
