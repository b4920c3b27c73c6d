//! `tradewind geoip build` and `tradewind geoip lookup`.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::geo::build_mmdb::BuildError;
use crate::geo::{
    Database, DatabaseError, GeoTable, Location, NetworksErrors, OwnNetworks, write_mmdb,
};
use crate::net::Prefix;

/// Why a `geoip` command failed.
#[derive(Debug, thiserror::Error)]
pub enum GeoipError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The result cannot be written.
    #[error("cannot write `{}`: {error}; the file there, if any, is unchanged", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The own networks are not right.
    #[error("{}", each_line(path, error))]
    Networks {
        /// The file.
        path: PathBuf,
        /// All that is wrong.
        error: NetworksErrors,
    },
    /// A database cannot be used.
    #[error("`{}`: {error}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: DatabaseError,
    },
    /// The networks do not fit the format.
    #[error("`{}`: {error}", path.display())]
    Build {
        /// The CSV file.
        path: PathBuf,
        /// What is wrong.
        error: BuildError,
    },
    /// More databases than one table takes.
    #[error("{0} databases, but at most {max} can be used together; leave some out", max = GeoTable::MAX_DATABASES)]
    TooMany(usize),
}

fn each_line(path: &Path, errors: &NetworksErrors) -> String {
    let lines = errors
        .0
        .iter()
        .map(|e| format!("{}:{e}", path.display()))
        .collect::<Vec<_>>();
    lines.join("\n")
}

/// The build time that goes into a database: always the same, so that the same CSV always gives the same
/// bytes. Not 0, which libmaxminddb takes for missing and refuses.
const BUILD_EPOCH: u64 = 1;

/// Makes the database `out` of the own networks in `csv`. A file that is there already is replaced
/// at once, by rename, so that a reader sees the old one or the new one.
///
/// # Errors
/// When the CSV cannot be read or is not right, or the result cannot be written.
pub fn build(csv: &Path, out: &Path) -> Result<(), GeoipError> {
    let networks = read_networks(csv)?;
    let bytes = write_mmdb(&networks, BUILD_EPOCH).map_err(|error| GeoipError::Build {
        path: csv.to_owned(),
        error,
    })?;
    replace(out, &bytes).map_err(|error| GeoipError::Write {
        path: out.to_owned(),
        error,
    })
}

/// Writes beside the file under another name, then renames.
fn replace(out: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = out
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?
        .to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = out.with_file_name(name);
    let written = fs::File::create_new(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, out));
    if written.is_err() {
        // What is half written is of no use; that it cannot be removed changes nothing for the user.
        drop(fs::remove_file(&temporary));
    }
    written
}

/// What is known of `addr`: merged as steering sees it, with the input of each fact, then each
/// input by itself with the prefix that matched. Inputs and their order are as in `[geoip]`.
///
/// # Errors
/// When an input cannot be read or is not right.
pub fn lookup(
    addr: IpAddr,
    databases: &[PathBuf],
    networks: Option<&Path>,
) -> Result<String, GeoipError> {
    let (table, inputs) = known(addr, databases, networks)?;
    Ok(render(addr, &table, &inputs))
}

/// As [`lookup`], for programs.
///
/// # Errors
/// When an input cannot be read or is not right.
pub fn lookup_json(
    addr: IpAddr,
    databases: &[PathBuf],
    networks: Option<&Path>,
) -> Result<Value, GeoipError> {
    let (table, inputs) = known(addr, databases, networks)?;
    let place = table.locate(addr);
    let inputs: Vec<Value> = inputs
        .iter()
        .map(|input| {
            json!({
                "input": input.name,
                "about": input.about,
                "network": input.found.as_ref().map(|(prefix, _)| prefix.to_string()),
                "facts": input.found.as_ref().map(|(_, location)| facts_json(location)),
                "place": input.place,
            })
        })
        .collect();
    Ok(json!({
        "address": addr,
        "network": Prefix::containing(addr, place.len).to_string(),
        "special-purpose": place.id == GeoTable::BOGON,
        "facts": facts_json(table.location(place.id)),
        "inputs": inputs,
    }))
}

fn facts_json(location: &Location) -> Value {
    let facts = facts(location).into_iter();
    let facts = facts.filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Value::Object(facts.collect())
}

/// All inputs together, and what each says by itself.
fn known(
    addr: IpAddr,
    databases: &[PathBuf],
    networks: Option<&Path>,
) -> Result<(GeoTable, Vec<Input>), GeoipError> {
    if databases.len() > GeoTable::MAX_DATABASES {
        return Err(GeoipError::TooMany(databases.len()));
    }
    let own = networks.map(read_networks).transpose()?;
    let mut inputs = Vec::new();
    if let (Some(own), Some(path)) = (&own, networks) {
        inputs.push(Input::own(addr, own, path));
    }
    let mut read = Vec::new();
    for path in databases {
        let database = read_database(path)?;
        inputs.push(Input::database(addr, &database, path));
        read.push((path.display().to_string().into(), database));
    }
    Ok((GeoTable::build(own, read), inputs))
}

fn read(path: &Path) -> Result<Vec<u8>, GeoipError> {
    fs::read(path).map_err(|error| GeoipError::Read {
        path: path.to_owned(),
        error,
    })
}

fn read_networks(path: &Path) -> Result<OwnNetworks, GeoipError> {
    OwnNetworks::parse(&read(path)?).map_err(|error| GeoipError::Networks {
        path: path.to_owned(),
        error,
    })
}

fn read_database(path: &Path) -> Result<Database, GeoipError> {
    Database::read(read(path)?).map_err(|error| GeoipError::Database {
        path: path.to_owned(),
        error,
    })
}

/// What one input says of the address.
struct Input {
    name: String,
    about: String,
    /// The matched prefix and its facts.
    found: Option<(Prefix, Location)>,
    place: Option<String>,
}

impl Input {
    fn own(addr: IpAddr, own: &OwnNetworks, path: &Path) -> Input {
        let row = own.lookup(addr);
        Input {
            name: path.display().to_string(),
            about: format!("own networks, {} rows", own.rows().len()),
            found: row.map(|row| (row.prefix, row.location)),
            place: row.and_then(|row| row.place.as_deref().map(str::to_owned)),
        }
    }

    fn database(addr: IpAddr, database: &Database, path: &Path) -> Input {
        let (location, prefix) = database.lookup(addr);
        Input {
            name: path.display().to_string(),
            about: format!("{}, {} records", database.kind(), database.records()),
            found: location.map(|location| (prefix, *location)),
            place: None,
        }
    }
}

/// The facts of a location by name; `None` where unknown.
fn facts(l: &Location) -> [(&'static str, Option<String>); 5] {
    [
        ("continent", l.continent.map(|c| c.to_string())),
        ("country", l.country.map(|c| c.to_string())),
        ("subdivision", l.subdivision.map(|c| c.to_string())),
        ("coordinates", l.coordinates.map(|c| c.to_string())),
        ("asn", l.asn.map(|asn| asn.to_string())),
    ]
}

fn render(addr: IpAddr, table: &GeoTable, inputs: &[Input]) -> String {
    let place = table.locate(addr);
    let merged = table.location(place.id);
    let around = Prefix::containing(addr, place.len);
    let mut out = format!("{addr} in {around}: ");
    out.push_str(match place.id {
        GeoTable::BOGON => "special-purpose address, says nothing about a place\n",
        GeoTable::UNKNOWN => "nothing is known\n",
        _ => "merged\n",
    });
    for (n, (name, value)) in facts(merged).into_iter().enumerate() {
        let Some(value) = value else { continue };
        let from = inputs.iter().find(|input| {
            let found = input.found.as_ref();
            found.is_some_and(|(_, location)| facts(location)[n].1.as_ref() == Some(&value))
        });
        let from = from.map_or("", |input| input.name.as_str());
        // Writing into a String cannot fail.
        let _ = writeln!(out, "  {name:<12} {value:<18} from {from}");
    }
    for input in inputs {
        let _ = writeln!(out, "{} ({})", input.name, input.about);
        let Some((prefix, location)) = &input.found else {
            out.push_str("  no entry\n");
            continue;
        };
        let _ = writeln!(out, "  {:<12} {prefix}", "network");
        for (name, value) in facts(location) {
            if let Some(value) = value {
                let _ = writeln!(out, "  {name:<12} {value}");
            }
        }
        if let Some(place) = &input.place {
            let _ = writeln!(out, "  {:<12} {place}", "place");
        }
    }
    out
}
