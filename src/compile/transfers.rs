//! Keys of TSIG and rules of zone transfers.

use std::collections::{HashMap, HashSet};

use crate::config::load::Inputs;
use crate::config::spec::{SecretSpec, TsigKeySpec};
use crate::config::{Marked, Spec};
use crate::dns::tsig::{Secret, TsigKey};
use crate::snapshot::{Transfers, ZoneTransfer};

use super::Problems;

/// All of it, without a history: that begins with the first reload.
pub(super) fn transfers(spec: &Spec, inputs: &Inputs, p: &mut Problems) -> Transfers {
    let mut out = Transfers::default();
    let mut positions = HashMap::new();
    for key in &spec.tsig_keys {
        if let Some(secret) = secret(key, inputs, p) {
            positions.insert(key.key.as_str(), out.keys.len());
            out.keys
                .push(TsigKey::new(key.name.clone(), key.algorithm, secret));
        }
    }
    let mut used = HashSet::new();
    for zone in &spec.zones {
        if zone.transfer.is_none() && zone.notify.is_none() {
            continue;
        }
        let mut position = |key: &Marked<String>, p: &mut Problems| {
            used.insert(key.value.clone());
            let found = positions.get(key.as_str()).copied();
            if found.is_none() {
                p.dangling();
            }
            found
        };
        let mut rule = ZoneTransfer::default();
        if let Some(transfer) = &zone.transfer {
            rule.allowed = true;
            rule.to = transfer.to.iter().map(|n| n.value).collect();
            rule.keys = transfer
                .keys
                .iter()
                .filter_map(|k| position(k, p))
                .collect();
            rule.unsigned = transfer.unsigned;
            rule.history_limit = transfer.ixfr_history;
        }
        if let Some(notify) = &zone.notify {
            rule.notify = notify.to.iter().map(|n| n.value).collect();
            rule.notify_key = notify.key.as_ref().and_then(|k| position(k, p));
            if zone.transfer.is_none() {
                p.warning(
                    notify.span,
                    format!(
                        "zone `{}` tells secondaries of its changes, but lets nobody transfer it",
                        zone.name.value
                    ),
                )
                .help = Some("add `transfer`, or remove `notify`".to_owned());
            }
        }
        out.zones.insert(zone.name.value.clone(), rule);
    }
    for key in &spec.tsig_keys {
        // Every known key also signs the answers to ordinary queries, so an unused one has an effect,
        // but hardly the one that was meant.
        if spec.declared.all_zones && !used.contains(key.key.as_str()) {
            p.warning(
                key.key.span,
                format!("TSIG key `{}` is used by no zone", key.key.value),
            )
            .help = Some("use it in `transfer` or `notify` of a zone, or remove it".to_owned());
        }
    }
    out
}

fn secret(key: &TsigKeySpec, inputs: &Inputs, p: &mut Problems) -> Option<Secret> {
    match &key.secret {
        SecretSpec::Inline(secret) => Some(secret.clone()),
        SecretSpec::File(path) => {
            let Some(input) = inputs.get(path) else {
                p.dangling(); // the loader has said why
                return None;
            };
            // What is not text is no base64 either.
            let text = String::from_utf8_lossy(&input.bytes);
            match Secret::from_base64(&text) {
                Ok(secret) => Some(secret),
                Err(e) => {
                    p.error(
                        path.span,
                        format!("what stands in secret file `{}` {e}", path.display()),
                    )
                    .help = Some("make one with `openssl rand -base64 32`".to_owned());
                    None
                }
            }
        }
    }
}
