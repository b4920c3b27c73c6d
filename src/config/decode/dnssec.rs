//! `[dnssec.NAME]` and what zones say of their keys.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_duration;
use crate::config::spec::DnssecSpec;
use crate::config::tree::Table;
use crate::dnssec::{Algorithm, Denial, Layout, Lifetime, Policy};

use super::context::Context;
use super::objects::objects;
use super::reader::Reader;

/// A ZSK's lifetime where the policy has one and does not say how long.
const ZSK_LIFETIME: Duration = Duration::from_secs(90 * 86_400);

pub(super) fn decode(cx: &mut Context<'_>, root: &Table) -> Vec<DnssecSpec> {
    let mut policies = Vec::new();
    for (name, r) in objects(cx, root, "dnssec", false) {
        if Policy::BUILT_IN.contains(&name.as_str()) {
            cx.push(
                Diagnostic::error(
                    name.span,
                    format!("{} is built in and cannot be defined", r.subject()),
                )
                .help("choose another name, and say it in `dnssec` of the zones"),
            );
            continue;
        }
        policies.push(policy(cx, name, &r));
    }
    policies
}

/// `key-files` of a zone.
pub(super) fn key_files(cx: &mut Context<'_>, r: &Reader<'_>) -> Vec<Marked<PathBuf>> {
    let files: Vec<Marked<PathBuf>> = r.list(cx, "key-files").unwrap_or_default();
    if !files.is_empty() && r.lacks("dnssec") {
        cx.absence(
            Diagnostic::error(
                r.span_of("key-files"),
                format!(
                    "{} has `key-files` but no `dnssec`: it would not be signed",
                    r.subject()
                ),
            )
            .help("add `dnssec = \"default\"`, or the name of a policy, or remove `key-files`"),
        );
    }
    files.into_iter().map(|f| super::path(cx, f)).collect()
}

fn policy(cx: &mut Context<'_>, name: Marked<String>, r: &Reader<'_>) -> DnssecSpec {
    let mark = cx.mark();
    let keys = r.get_or(cx, "keys", String::new());
    let layout = match keys.as_str() {
        "ksk-zsk" => Layout::KskZsk,
        _ => Layout::Csk,
    };
    let algorithm = match r.get_or(cx, "algorithm", String::new()).as_str() {
        "ed25519" => Algorithm::Ed25519,
        _ => Algorithm::EcdsaP256,
    };
    let denial = match r.get_or(cx, "denial", String::new()).as_str() {
        "nsec3" => Denial::Nsec3,
        _ => Denial::Compact,
    };
    let zsk_lifetime: Option<Marked<Duration>> = r.get(cx, "zsk-lifetime");
    if let (Layout::Csk, Some(given)) = (layout, &zsk_lifetime) {
        cx.push(
            Diagnostic::error(
                given.span,
                format!(
                    "{} has `zsk-lifetime`, but with `keys = \"csk\"` there is no ZSK",
                    r.subject()
                ),
            )
            .help("use `ksk-lifetime`, which a CSK goes by, or `keys = \"ksk-zsk\"`"),
        );
    }
    let zsk_lifetime = match (layout, zsk_lifetime) {
        (Layout::KskZsk, None) => Some(ZSK_LIFETIME),
        (_, given) => given.map(|d| d.value).filter(|d| !d.is_zero()),
    };
    let standard = Policy::default();
    let ksk_lifetime = r.get_or(cx, "ksk-lifetime", Duration::ZERO).value;
    let valid = r.get_or(cx, "signature-lifetime", standard.lifetime.valid);
    let refresh = r.get_or(cx, "signature-refresh", standard.lifetime.refresh);
    if refresh.value >= valid.value {
        cx.push(
            Diagnostic::error(
                refresh.span,
                format!(
                    "`signature-refresh` of {} is {}; it must be less than `signature-lifetime`, \
                     which is {}",
                    r.subject(),
                    show_duration(refresh.value),
                    show_duration(valid.value)
                ),
            )
            .help("shorten `signature-refresh` or lengthen `signature-lifetime`"),
        );
    }
    let parent_check: Option<Vec<Marked<SocketAddr>>> = r.list(cx, "parent-check");
    let policy = Policy {
        name: name.value.as_str().into(),
        layout,
        algorithm,
        zsk_lifetime,
        ksk_lifetime: (!ksk_lifetime.is_zero()).then_some(ksk_lifetime),
        dnskey_ttl: r.get_or(cx, "dnskey-ttl", standard.dnskey_ttl).value,
        propagation_delay: r
            .get_or(cx, "propagation-delay", standard.propagation_delay)
            .value,
        parent_ds_ttl: r.get_or(cx, "parent-ds-ttl", standard.parent_ds_ttl).value,
        parent_propagation_delay: r
            .get_or(
                cx,
                "parent-propagation-delay",
                standard.parent_propagation_delay,
            )
            .value,
        lifetime: Lifetime {
            valid: valid.value,
            refresh: refresh.value,
            ..Lifetime::default()
        },
        denial,
        cds: r.get_or(cx, "cds", standard.cds).value,
        parent_check: parent_check
            .unwrap_or_default()
            .into_iter()
            .map(|a| a.value)
            .collect(),
    };
    DnssecSpec {
        name,
        policy,
        refresh: refresh.span,
        zsk_lifetime: r.span_of("zsk-lifetime"),
        ksk_lifetime: r.span_of("ksk-lifetime"),
        complete: cx.clean_since(mark) && r.misspelt().is_empty(),
    }
}
