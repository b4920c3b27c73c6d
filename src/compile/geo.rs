//! GeoIP databases and own networks → geo table.

use std::path::Path;

use crate::config::Sources;
use crate::config::Spec;
use crate::config::load::Inputs;
use crate::geo::{Database, GeoTable, OwnNetworks};

use super::Problems;

/// The geo table; `None` when an input is missing or wrong.
pub(super) fn geo(
    spec: &Spec,
    inputs: &Inputs,
    sources: &Sources,
    p: &mut Problems,
) -> Option<GeoTable> {
    let list = &spec.geoip.databases;
    // More than that has been reported by the loader.
    let mut whole = list.len() <= GeoTable::MAX_DATABASES;
    let mut databases: Vec<(Box<str>, Database)> = Vec::new();
    for path in list {
        // A file that could not be read has been reported by the loader.
        let Some(input) = inputs.get(path) else {
            whole = false;
            continue;
        };
        match Database::read(&input.bytes) {
            Ok(database) => databases.push((file_name(path).into(), database)),
            Err(e) => {
                whole = false;
                p.error(
                    path.span,
                    format!("GeoIP database `{}`: {e}", path.display()),
                )
                .help = Some(
                    "fetch it again, and replace it by rename; what runs keeps the old one"
                        .to_owned(),
                );
            }
        }
    }
    let mut own = None;
    if let Some(path) = &spec.geoip.networks {
        match inputs
            .get(path)
            .map(|input| (OwnNetworks::parse(&input.bytes), input.file))
        {
            None => whole = false,
            Some((Ok(networks), _)) => own = Some(networks),
            Some((Err(errors), file)) => {
                whole = false;
                for e in errors.0 {
                    let span = match file {
                        Some(file) => sources.span_at(file, e.line, e.column),
                        None => path.span,
                    };
                    p.error(span, e.problem.to_string());
                }
            }
        }
    }
    whole.then(|| GeoTable::build(own, databases))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}
