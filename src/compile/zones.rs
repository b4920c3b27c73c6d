//! Zones: parsed from their files, then joined with the steered names.

use hashbrown::{HashMap, HashSet};

use crate::config::load::{Input, Inputs};
use crate::config::{FileId, Sources, Span, Spec};
use crate::dns::name::WireName;
use crate::ids::NameId;
use crate::units::Ttl;
use crate::zone::{self, BuildRule, ParsedZone, SteeredAt, ZoneProblem, ZoneSet};

use super::Problems;
use super::names::CheckedName;

/// A parsed zone and the file it came from.
#[derive(Debug)]
pub(super) struct FromFile {
    zone: ParsedZone,
    file: FileId,
}

/// The zones that could be read, and the apexes of those that could not.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    good: Vec<FromFile>,
    bad: HashSet<WireName>,
}

impl Parsed {
    /// The largest TTL in each zone's file.
    pub(super) fn largest_ttls(&self) -> HashMap<WireName, Ttl> {
        let largest = |z: &ParsedZone| z.rrsets.iter().map(|(_, set, _)| set.ttl).max();
        let zones = self.good.iter().map(|f| &f.zone);
        zones
            .filter_map(|z| Some((z.apex.clone(), largest(z)?)))
            .collect()
    }
}

/// Parses every zone file; every bad record is reported.
pub(super) fn parse(spec: &Spec, inputs: &Inputs, sources: &Sources, p: &mut Problems) -> Parsed {
    let mut out = Parsed {
        good: Vec::new(),
        bad: spec.declared.zones.iter().cloned().collect(),
    };
    for z in &spec.zones {
        // A file that could not be read has been reported by the loader.
        let Some(Input {
            bytes,
            file: Some(file),
        }) = inputs.get(&z.file)
        else {
            continue;
        };
        let file = *file;
        let at = |e: &ZoneProblem| sources.span_at(file, e.line as usize, e.column as usize);
        let Ok(text) = std::str::from_utf8(bytes) else {
            p.error(
                z.file.span,
                format!("zone file `{}` is not UTF-8 text", z.file.display()),
            )
            .help = Some("save it as UTF-8; write other octets as `\\DDD`".to_owned());
            continue;
        };
        match zone::parse::parse(text, &z.name) {
            Ok(zone) => {
                for w in &zone.warnings {
                    p.warning(at(w), in_zone(&z.name, &w.message));
                }
                out.bad.remove(&z.name.value);
                out.good.push(FromFile { zone, file });
            }
            Err(problems) => {
                for e in problems {
                    p.error(at(&e), in_zone(&z.name, &e.message));
                }
            }
        }
    }
    if !out.bad.is_empty() || !spec.declared.all_zones {
        p.dangling();
    }
    out
}

/// The message with the zone's name in front, unless it names the zone itself.
fn in_zone(apex: &WireName, message: &str) -> String {
    let zone = format!("zone `{apex}`");
    if message.contains(&zone) {
        message.to_owned()
    } else {
        format!("{zone}: {message}")
    }
}

/// Joins all zones that could be read with the steered names in them, and reports what does not fit.
pub(super) fn build(
    spec: &Spec,
    parsed: Parsed,
    names: &[CheckedName<'_>],
    sources: &Sources,
    p: &mut Problems,
) -> ZoneSet {
    let readable: HashSet<&WireName> = parsed.good.iter().map(|z| &z.zone.apex).collect();
    let steered: Vec<SteeredAt> = names
        .iter()
        .enumerate()
        .flat_map(|(i, n)| {
            let owners = std::iter::once(&n.spec.name.value).chain(&n.aliases);
            owners.map(move |owner| (i, n, owner))
        })
        .filter(|(_, _, owner)| !in_bad_zone(owner, &readable, &parsed.bad))
        .map(|(i, n, owner)| SteeredAt {
            owner: owner.clone(),
            name: NameId::from_index(i),
            // Unknown: then only the rules for both kinds can be broken.
            cname: n.cname == Some(true),
            https: n.spec.https.is_some(),
        })
        .collect();
    let files: HashMap<WireName, FileId> = parsed
        .good
        .iter()
        .map(|z| (z.zone.apex.clone(), z.file))
        .collect();
    let tables: HashMap<&WireName, Span> = spec
        .zones
        .iter()
        .map(|z| (&z.name.value, z.name.span))
        .collect();
    drop(readable);
    let aliases = spec.aliases.iter().map(|a| (&a.name.value, a.name.span));
    let owners: HashMap<&WireName, Span> = spec
        .names
        .iter()
        .map(|n| (&n.name.value, n.name.span))
        .chain(aliases)
        .collect();
    let zones = parsed.good.into_iter().map(|z| z.zone).collect();
    let (set, problems) = ZoneSet::join(zones, &steered);
    for e in problems {
        // The zone may be one of those whose name could not be read.
        if e.rule == BuildRule::SteeredInNoZone && !spec.declared.all_zones {
            continue;
        }
        let file = e.zone.as_ref().and_then(|apex| files.get(apex).copied());
        let at_line = file
            .zip(e.line)
            .map(|(file, line)| sources.span_at(file, line as usize, 1));
        // A steered name is shown where it is configured; what a zone lacks, in the zone's file.
        let steered = e.steered.and_then(|_| owners.get(&e.owner).copied());
        let table = e.zone.as_ref().and_then(|apex| tables.get(apex).copied());
        match steered.or(at_line).or(table) {
            Some(span) if e.rule == BuildRule::SteeredInNoZone => {
                let mut zones: Vec<String> = spec
                    .declared
                    .zones
                    .iter()
                    .map(|z| format!("`{z}`"))
                    .collect();
                zones.sort_unstable();
                zones.truncate(12);
                p.error(
                    span,
                    format!("name `{}` lies in no zone of the configuration", e.owner),
                )
                .help = Some(match zones[..] {
                    [] => "add a table such as [zones.\"gslb.example\"] with its `file`".to_owned(),
                    _ => format!(
                        "add its zone, or correct the name to lie in {}",
                        zones.join(" or ")
                    ),
                });
            }
            Some(span) => {
                let d = p.error(span, e.message);
                if steered.is_some()
                    && let Some(line) = at_line
                {
                    d.related.push((line, "the zone has this".to_owned()));
                }
            }
            None => {
                p.general(e.message);
            }
        }
    }
    set
}

/// Whether the zone around `owner` is one that could not be read: then it is in its place, as far as
/// one can tell.
fn in_bad_zone(owner: &WireName, good: &HashSet<&WireName>, bad: &HashSet<WireName>) -> bool {
    if bad.is_empty() {
        return false;
    }
    let mut at = Some(owner.clone());
    while let Some(name) = at {
        if bad.contains(&name) {
            return true;
        }
        if good.contains(&name) {
            return false;
        }
        at = name.parent();
    }
    false
}
