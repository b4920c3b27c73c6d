//! GeoIP databases and own networks → geo table.

use std::path::Path;

use crate::config::load::{Inputs, Sources};
use crate::config::Spec;
use crate::geo::{Database, GeoTable, OwnNetworks};

use super::Problems;

/// The geo table; `None` when an input is missing or wrong.
pub(super) fn geo(
    spec: &Spec,
    inputs: &Inputs,
    sources: &mut Sources,
    p: &mut Problems,
) -> Option<GeoTable> {
    let list = &spec.geoip.databases;
    if list.len() > GeoTable::MAX_DATABASES {
        p.error(
            list[GeoTable::MAX_DATABASES].span,
            format!(
                "{} databases are listed; at most {} can be used together",
                list.len(),
                GeoTable::MAX_DATABASES
            ),
        );
        return None;
    }
    let mut whole = true;
    let mut databases: Vec<(Box<str>, Database)> = Vec::new();
    for path in list {
        // A file that could not be read has been reported by the loader.
        let Some(bytes) = inputs.bytes(path) else {
            whole = false;
            continue;
        };
        match Database::read(bytes.to_vec()) {
            Ok(database) => databases.push((file_name(path).into(), database)),
            Err(e) => {
                whole = false;
                p.error(path.span, format!("GeoIP database `{}`: {e}", path.display())).help =
                    Some("fetch it again, and replace it by rename; what runs keeps the old one".to_owned());
            }
        }
    }
    let mut own = None;
    if let Some(path) = &spec.geoip.networks {
        match inputs.bytes(path).map(OwnNetworks::parse) {
            None => whole = false,
            Some(Ok(networks)) => own = Some(networks),
            Some(Err(errors)) => {
                whole = false;
                let text = String::from_utf8_lossy(inputs.bytes(path).unwrap_or_default());
                let file = sources.add(&inputs.path(path), &text);
                for e in errors.0 {
                    let span = sources.span_at(file, e.line, e.column);
                    p.error(span, e.problem.to_string());
                }
            }
        }
    }
    whole.then(|| GeoTable::build(own, databases))
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
