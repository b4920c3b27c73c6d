//! Names that have the answers of another steered name (`alias-of`), and what cannot stand at an apex.

use std::collections::{HashMap, HashSet};

use crate::config::spec::AliasSpec;
use crate::config::{Spec, nearest};
use crate::dns::name::WireName;
use crate::steer::LastResort;

use super::Problems;
use super::names::CheckedName;

/// Gives each name its sound aliases; reports the others.
pub(super) fn aliases(spec: &Spec, names: &mut [CheckedName<'_>], p: &mut Problems) {
    let index: HashMap<WireName, usize> = names
        .iter()
        .enumerate()
        .map(|(i, n)| (n.spec.name.value.clone(), i))
        .collect();
    let others: HashMap<&WireName, &AliasSpec> =
        spec.aliases.iter().map(|a| (&a.name.value, a)).collect();
    for alias in &spec.aliases {
        match index.get(&alias.target.value) {
            Some(&i) => {
                if may_stand_in(alias, &names[i], p) {
                    names[i].aliases.push(alias.name.value.clone());
                }
            }
            // It may be one of those that could not be read.
            None if !spec.declared.names_complete => p.dangling(),
            None => no_target(alias, others.get(&alias.target.value).copied(), &index, p),
        }
    }
    for name in names.iter_mut() {
        name.aliases.sort_unstable();
    }
    at_apexes(spec, names, p);
}

fn no_target(
    alias: &AliasSpec,
    other: Option<&AliasSpec>,
    index: &HashMap<WireName, usize>,
    p: &mut Problems,
) {
    let (owner, target) = (&alias.name.value, &alias.target.value);
    if let Some(other) = other {
        let circle = other.name.value == *owner;
        let d = p.error(
            alias.target.span,
            if circle {
                format!("`alias-of` of name `{owner}` is the name itself")
            } else {
                format!("`alias-of` of name `{owner}` is `{target}`, which is an alias itself")
            },
        );
        if !circle {
            d.related
                .push((other.target.span, "it is an alias by this".to_owned()));
        }
        d.help = Some("give a name that has `pools`".to_owned());
        return;
    }
    let mut known: Vec<String> = index.keys().map(ToString::to_string).collect();
    known.sort_unstable();
    let text = target.to_string();
    p.error(
        alias.target.span,
        format!("`alias-of` of name `{owner}` is `{target}`, which is no steered name here"),
    )
    .help = Some(match nearest(&text, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "add [names.\"{target}\"] with `pools` and `policy`; for a name elsewhere write a CNAME into the zone, or its addresses at an apex"
        ),
    });
}

/// Whether the answers of `name` can stand at the alias beside other data.
fn may_stand_in(alias: &AliasSpec, name: &CheckedName<'_>, p: &mut Problems) -> bool {
    let (owner, target) = (&alias.name.value, &alias.target.value);
    let (what, at, help) = if name.cname == Some(true) {
        let what = "is answered with a CNAME";
        (
            what,
            name.spec.name.span,
            "give a name whose pools have addresses",
        )
    } else if let Some(LastResort::Cname(_)) = name.last_resort {
        let what = "answers with a CNAME as its last resort";
        let help = "give the other name a `last-resort` of addresses, or SERVFAIL";
        (what, name.spec.last_resort.span, help)
    } else {
        return true;
    };
    let d = p.error(
        alias.target.span,
        format!(
            "`alias-of` of name `{owner}` is `{target}`, which {what}: an alias gives addresses, so that other data can stand beside them"
        ),
    );
    d.related.push((at, format!("it {what}")));
    d.help = Some(help.to_owned());
    false
}

/// RFC 1034 section 3.6.2: at an apex stand SOA and NS, so no answer there may be a CNAME.
fn at_apexes(spec: &Spec, names: &[CheckedName<'_>], p: &mut Problems) {
    let apexes: HashSet<&WireName> = spec.declared.zones.iter().collect();
    for n in names {
        let owner = &n.spec.name.value;
        if matches!(n.last_resort, Some(LastResort::Cname(_))) && apexes.contains(owner) {
            p.error(
                n.spec.last_resort.span,
                format!(
                    "`last-resort` of name `{owner}` is a CNAME, but the name is the apex of its zone, where SOA and NS stand (RFC 1034 section 3.6.2)"
                ),
            )
            .help = Some("choose endpoints, a pool or SERVFAIL".to_owned());
        }
    }
}
