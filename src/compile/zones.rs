//! Zones: parsed from their files, then joined with the steered names.

use crate::config::Sources;
use crate::config::load::{Input, Inputs};
use crate::config::{FileId, Spec};
use crate::dns::name::WireName;
use crate::ids::NameId;
use crate::zone::ZoneSet;
use crate::zone::parse::ParsedZone;
use crate::zone::set::SteeredAt;

use super::Problems;
use super::names::CompiledName;

/// A parsed zone and the file it came from.
#[derive(Debug)]
pub(super) struct FromFile {
    zone: ParsedZone,
    file: FileId,
}

/// Parses every zone file; every bad record is reported. `None` when a zone is missing.
pub(super) fn parse(
    spec: &Spec,
    inputs: &Inputs,
    sources: &Sources,
    p: &mut Problems,
) -> Option<Vec<FromFile>> {
    let mut zones = Vec::new();
    let mut whole = true;
    for z in &spec.zones {
        // A file that could not be read has been reported by the loader.
        let Some(Input {
            bytes,
            file: Some(file),
        }) = inputs.get(&z.file)
        else {
            whole = false;
            continue;
        };
        let file = *file;
        let Ok(text) = std::str::from_utf8(bytes) else {
            whole = false;
            p.error(
                z.file.span,
                format!("zone file `{}` is not UTF-8 text", z.file.display()),
            );
            continue;
        };
        match crate::zone::parse::parse(text, &z.name) {
            Ok(zone) => {
                for w in &zone.warnings {
                    let span = sources.span_at(file, w.line as usize, w.column as usize);
                    p.warning(span, format!("zone `{}`: {}", z.name.value, w.message));
                }
                zones.push(FromFile { zone, file });
            }
            Err(problems) => {
                whole = false;
                for e in problems {
                    let span = sources.span_at(file, e.line as usize, e.column as usize);
                    p.error(span, format!("zone `{}`: {}", z.name.value, e.message));
                }
            }
        }
    }
    whole.then_some(zones)
}

/// Builds the set of all zones with the steered names in it.
pub(super) fn build(
    spec: &Spec,
    parsed: Option<Vec<FromFile>>,
    names: &[CompiledName],
    sources: &Sources,
    p: &mut Problems,
) -> Option<ZoneSet> {
    let parsed = parsed?;
    let steered: Vec<SteeredAt> = names
        .iter()
        .enumerate()
        .map(|(i, n)| SteeredAt {
            owner: n.input.owner.clone(),
            name: NameId::from_index(i),
            cname: n.input.cname,
        })
        .collect();
    let files: Vec<(WireName, FileId)> = parsed
        .iter()
        .map(|z| (z.zone.apex.clone(), z.file))
        .collect();
    let zones = parsed.into_iter().map(|z| z.zone).collect();
    let problems = match ZoneSet::build(zones, &steered) {
        Ok(set) => return Some(set),
        Err(problems) => problems,
    };
    for e in problems {
        let file = |apex: &WireName| files.iter().find(|(a, _)| a == apex).map(|(_, f)| *f);
        let table = |apex: &WireName| {
            spec.zones
                .iter()
                .find(|z| z.name.value == *apex)
                .map(|z| z.name.span)
        };
        let in_file = e.zone.as_ref().and_then(file).zip(e.line);
        let at_line = in_file.map(|(file, line)| sources.span_at(file, line as usize, 1));
        // A steered name is shown where it is configured; what a zone lacks, in the zone's file.
        let steered = e.steered.map(|id| names[id.index()].span);
        let span = steered.or(at_line).or(e.zone.as_ref().and_then(table));
        match span {
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
    None
}
