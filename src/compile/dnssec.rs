//! Signed zones: each with its policy, and the rules between policy, zone and nodes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::config::load::Inputs;
use crate::config::quantity::show_duration;
use crate::config::spec::{DnssecSpec, Role as NodeRole, ZoneSpec};
use crate::config::{Marked, Spec};
use crate::dns::name::WireName;
use crate::dnssec::import::{self, KeyFile};
use crate::dnssec::{Algorithm, Layout, Policy, Role, SigningKey};
use crate::units::Ttl;

use super::Problems;
use super::names::CheckedName;

/// A zone that is signed.
#[derive(Clone, Debug)]
pub struct SignedZone {
    /// Its name.
    pub apex: WireName,
    /// What its keys go by.
    pub policy: Arc<Policy>,
    /// The largest TTL in it.
    pub zone_ttl: Ttl,
    /// The keys of `key-files`, in their order; empty where keys are made here.
    pub imported: Vec<ImportedKey>,
}

/// A key of an operator's file.
#[derive(Clone, Debug)]
pub struct ImportedKey {
    /// What it signs.
    pub role: Role,
    /// The key pair.
    pub pair: Arc<SigningKey>,
    /// Its file.
    pub file: PathBuf,
}

impl SignedZone {
    /// The imported keys as the life cycle wants them.
    pub fn imported_terms(&self) -> Vec<(Role, Algorithm, Box<[u8]>)> {
        let keys = self.imported.iter();
        keys.map(|k| (k.role, k.pair.algorithm(), k.pair.dnskey().into()))
            .collect()
    }
}

/// The signed zones. `ttls` has the largest TTL of each zone's file.
pub(super) fn zones(
    spec: &Spec,
    inputs: &Inputs,
    ttls: &HashMap<WireName, Ttl>,
    names: &[CheckedName<'_>],
    p: &mut Problems,
) -> Vec<SignedZone> {
    let mut out = Vec::new();
    for zone in &spec.zones {
        let Some(name) = &zone.dnssec else { continue };
        let Some((policy, of)) = policy(spec, name, p) else {
            continue;
        };
        let zone_ttl = largest_ttl(&zone.name.value, ttls, names);
        fits(zone, name, &policy, of, zone_ttl, p);
        let imported = imported(zone, name, &policy, inputs, p);
        out.push(SignedZone {
            apex: zone.name.value.clone(),
            policy: Arc::new(policy),
            zone_ttl,
            imported,
        });
    }
    if let Some(signed) = spec.zones.iter().find(|z| z.dnssec.is_some()) {
        state_dirs(spec, signed, p);
    }
    out
}

/// The policy of a name, and where it is defined unless it is built in.
fn policy<'s>(
    spec: &'s Spec,
    name: &Marked<String>,
    p: &mut Problems,
) -> Option<(Policy, Option<&'s DnssecSpec>)> {
    match name.as_str() {
        Policy::DEFAULT => return Some((Policy::default(), None)),
        Policy::INSECURE => return Some((Policy::insecure(), None)),
        _ => {}
    }
    let found = spec.dnssec.iter().find(|d| d.name.value == name.value);
    // A reference to nothing, or to what could not be read, has been reported.
    let Some(of) = found.filter(|d| d.complete) else {
        p.dangling();
        return None;
    };
    Some((of.policy.clone(), Some(of)))
}

/// The keys of a zone's `key-files`; what is wrong with one is told at its place.
fn imported(
    zone: &ZoneSpec,
    name: &Marked<String>,
    policy: &Policy,
    inputs: &Inputs,
    p: &mut Problems,
) -> Vec<ImportedKey> {
    let mut out: Vec<ImportedKey> = Vec::new();
    let mut whole = true;
    for path in &zone.key_files {
        // A file that could not be read has been reported by the loader.
        let Some(private) = inputs.get(path) else {
            whole = false;
            continue;
        };
        let public = path.with_extension("key");
        let public = inputs.get(&public).filter(|_| public != path.value);
        let file = KeyFile {
            name: path.file_name().and_then(|n| n.to_str()).unwrap_or(""),
            private: &private.bytes,
            public: public.map(|i| i.bytes.as_slice()),
        };
        match import::read(file, &zone.name.value, policy.layout) {
            Ok((role, pair)) => {
                if let Some(first) = out.iter().find(|k| k.pair.dnskey() == pair.dnskey()) {
                    p.error(
                        path.span,
                        format!(
                            "key file `{}` holds the same key as `{}`",
                            path.display(),
                            first.file.display()
                        ),
                    )
                    .help = Some("remove one of the two".to_owned());
                    continue;
                }
                out.push(ImportedKey {
                    role,
                    pair: Arc::new(pair),
                    file: path.value.clone(),
                });
            }
            Err(e) => {
                whole = false;
                p.error(path.span, format!("key file `{}` {e}", path.display()));
            }
        }
    }
    if zone.key_files.is_empty() || !whole {
        return out;
    }
    let last_of = |role: Role| out.iter().rev().find(|k| k.role == role);
    let apex = &zone.name.value;
    let serving: Vec<&ImportedKey> = policy
        .layout
        .roles()
        .iter()
        .filter_map(|role| {
            let key = last_of(*role);
            if key.is_none() {
                let d = p.error(
                    zone.key_files[0].span,
                    format!("`key-files` of zone `{apex}` lists no {role}"),
                );
                let wants = format!("DNSSEC policy `{}` wants one", name.value);
                d.related.push((name.span, wants));
                d.help = Some(format!(
                    "add the file of a {role}, or take a policy with other `keys`"
                ));
            }
            key
        })
        .collect();
    if let [first, second] = serving[..]
        && first.pair.algorithm() != second.pair.algorithm()
    {
        // RFC 4035 section 2.2: every algorithm of the DNSKEY set signs every set of the zone.
        p.error(
            zone.key_files[0].span,
            format!(
                "the last {} and the last {} in `key-files` of zone `{apex}` have algorithms {} \
                 and {}; they must have the same",
                first.role,
                second.role,
                first.pair.algorithm().number(),
                second.pair.algorithm().number()
            ),
        )
        .help = Some("to change the algorithm, append a new KSK and a new ZSK at once".to_owned());
    }
    out
}

/// The largest TTL that an answer of the zone can have.
fn largest_ttl(apex: &WireName, ttls: &HashMap<WireName, Ttl>, names: &[CheckedName<'_>]) -> Ttl {
    let steered = names
        .iter()
        .filter(|n| n.spec.name.value.is_at_or_below(apex))
        .map(|n| n.spec.ttl.1.value);
    let in_file = ttls.get(apex).copied();
    steered.chain(in_file).max().unwrap_or(Ttl::ZERO)
}

/// The times of the policy must leave room for those of the zone.
fn fits(
    zone: &ZoneSpec,
    name: &Marked<String>,
    policy: &Policy,
    of: Option<&DnssecSpec>,
    zone_ttl: Ttl,
    p: &mut Problems,
) {
    if policy.layout == Layout::Insecure {
        return;
    }
    let apex = &zone.name.value;
    let ttl = zone_ttl.duration();
    let related = |text: &str| (name.span, text.to_owned());
    // What a cache holds must not outlive its signature (RFC 4035 section 5.3.3 would cut it short).
    let least = ttl.max(policy.dnskey_ttl);
    if policy.lifetime.refresh <= least {
        let d = p.error(
            of.map_or(name.span, |d| d.refresh),
            format!(
                "`signature-refresh` of DNSSEC policy `{}` is {}; it must be more than the largest \
                 TTL of zone `{apex}`, which is {}",
                policy.name,
                show_duration(policy.lifetime.refresh),
                show_duration(least),
            ),
        );
        d.related.push(related("the zone is signed under it here"));
        d.help = Some("lengthen `signature-refresh`, or lower the TTL".to_owned());
    }
    let publication = policy.dnskey_ttl + policy.propagation_delay;
    let mut room = |lifetime: Option<Duration>, key: &str, needed: Duration, steps: &str| {
        let Some(lifetime) = lifetime.filter(|l| *l <= needed) else {
            return;
        };
        let span = of.map_or(name.span, |d| match key {
            "zsk-lifetime" => d.zsk_lifetime,
            _ => d.ksk_lifetime,
        });
        let d = p.error(
            span,
            format!(
                "`{key}` of DNSSEC policy `{}` is {}; it must be more than one roll-over in zone \
                 `{apex}` takes, which is {}",
                policy.name,
                show_duration(lifetime),
                show_duration(needed),
            ),
        );
        d.related.push(related("the zone is signed under it here"));
        d.help = Some(format!("lengthen `{key}`; a roll-over waits for {steps}"));
    };
    room(
        policy.zsk_lifetime,
        "zsk-lifetime",
        publication * 2 + ttl + policy.propagation_delay,
        "`dnskey-ttl`, the largest TTL and `dnskey-ttl` again, each with `propagation-delay`",
    );
    room(
        policy.ksk_lifetime,
        "ksk-lifetime",
        publication * 2
            + ttl
            + policy.propagation_delay
            + policy.parent_ds_ttl
            + policy.parent_propagation_delay,
        "`dnskey-ttl` twice and the largest TTL, each with `propagation-delay`, and for \
         `parent-ds-ttl` with `parent-propagation-delay`",
    );
}

/// Every node that answers for a signed zone needs a place for its keys.
fn state_dirs(spec: &Spec, signed: &ZoneSpec, p: &mut Problems) {
    let answers = |roles: &[Marked<NodeRole>]| roles.iter().any(|r| r.value == NodeRole::Dns);
    for node in spec.nodes.iter().filter(|n| answers(&n.roles)) {
        if node.state_dir.is_some() {
            continue;
        }
        let d = p.error(
            node.name.span,
            format!(
                "node `{}` has no `state-dir`, but zone `{}` is signed",
                node.name.value, signed.name.value
            ),
        );
        let span = signed.dnssec.as_ref().map_or(signed.name.span, |d| d.span);
        d.related
            .push((span, "keys are needed for this".to_owned()));
        d.help = Some(format!(
            "add `state-dir = \"/var/lib/tradewind\"` to [nodes.{}], or give --state-dir",
            node.name.value
        ));
    }
}

/// Policies that no zone goes by are probably a mistake.
pub(super) fn unused(spec: &Spec, p: &mut Problems) {
    if !spec.declared.all_zones {
        return;
    }
    for policy in &spec.dnssec {
        let used = |z: &ZoneSpec| {
            z.dnssec
                .as_ref()
                .is_some_and(|d| d.value == policy.name.value)
        };
        if !spec.zones.iter().any(used) {
            p.warning(
                policy.name.span,
                format!("DNSSEC policy `{}` is used by no zone", policy.name.value),
            )
            .help = Some("use it in `dnssec` of a zone, or remove it".to_owned());
        }
    }
}
