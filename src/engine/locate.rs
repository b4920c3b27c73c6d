//! What is known of a client's place, as plain data for people.

use std::fmt;
use std::net::IpAddr;

use crate::geo::{Coordinates, GeoTable, Source};
use crate::net::Prefix;

/// What is known of an address's place, and from where.
#[derive(Clone, PartialEq, Debug)]
pub struct Whereabouts {
    /// The widest network around the address with one place.
    pub network: Prefix,
    /// Special-purpose space that no own network covers.
    pub special_purpose: bool,
    /// Continent code.
    pub continent: Option<String>,
    /// Country code.
    pub country: Option<String>,
    /// Subdivision code, without the country.
    pub subdivision: Option<String>,
    /// Where it is.
    pub coordinates: Option<Coordinates>,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// Names of the inputs that know something of it.
    pub inputs: Vec<String>,
}

impl Whereabouts {
    /// What `geo` knows of `addr`.
    pub fn of(geo: &GeoTable, addr: IpAddr) -> Whereabouts {
        let place = geo.locate(addr);
        let location = geo.location(place.id);
        Whereabouts {
            network: Prefix::containing(addr, place.len),
            special_purpose: place.id == GeoTable::BOGON,
            continent: location.continent.map(|c| c.to_string()),
            country: location.country.map(|c| c.to_string()),
            subdivision: location.subdivision.map(|c| c.to_string()),
            coordinates: location.coordinates,
            asn: location.asn,
            inputs: geo
                .inputs
                .iter()
                .zip(0..16)
                .filter(|(_, bit)| location.source.has(Source(1 << bit)))
                .map(|(name, _)| name.to_string())
                .collect(),
        }
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.network)?;
        if self.special_purpose {
            return f.write_str("special-purpose address space, no place known");
        }
        let mut known = Vec::new();
        let mut add = |what: &str, value: Option<String>| {
            known.extend(value.map(|v| format!("{what} {v}")));
        };
        add("continent", self.continent.clone());
        add("country", self.country.clone());
        add("subdivision", self.subdivision.clone());
        add("at", self.coordinates.map(|c| c.to_string()));
        known.extend(self.asn.map(|asn| format!("AS{asn}")));
        if known.is_empty() {
            return f.write_str("no place known");
        }
        f.write_str(&known.join(", "))?;
        if !self.inputs.is_empty() {
            write!(f, " (from {})", self.inputs.join(", "))?;
        }
        Ok(())
    }
}
