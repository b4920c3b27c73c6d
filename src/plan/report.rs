//! What a comparison found.

use std::time::Duration;

use super::certainty::Certainty;
use crate::geo::{Code, Coordinates};
use crate::net::{Family, Prefix};

/// Where an answer sends a client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Place {
    /// To an endpoint of this region.
    Region(Box<str>),
    /// Elsewhere: the CNAME of the last resort.
    LastResort,
    /// Nowhere: SERVFAIL.
    ServFail,
    /// Nowhere: the name does not answer this type.
    NoData,
}

impl Place {
    /// The region, where it is one.
    pub fn region(&self) -> Option<&str> {
        match self {
            Place::Region(name) => Some(name),
            _ => None,
        }
    }

    /// In words; a region by its name.
    pub fn text(&self) -> &str {
        match self {
            Place::Region(name) => name,
            Place::LastResort => "(last resort)",
            Place::ServFail => "(SERVFAIL)",
            Place::NoData => "(no data)",
        }
    }
}

/// What the shares are of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Basis {
    /// Of the queries of the last day, as sampled.
    Traffic,
    /// Of the addresses whose place is known: half IPv4, half IPv6 by /48.
    Addresses,
}

/// Clients that would be sent elsewhere.
#[derive(Clone, PartialEq, Debug)]
pub struct Move {
    /// Where they are sent now.
    pub from: Place,
    /// Where they would be.
    pub to: Place,
    /// Which part of all, 0 to 1.
    pub share: f64,
    /// Networks of such clients, those of the largest share first.
    pub examples: Vec<Example>,
}

/// A network of clients that would be sent elsewhere.
#[derive(Clone, PartialEq, Debug)]
pub struct Example {
    /// The network: of traffic the client's, of addresses one within.
    pub network: Prefix,
    /// Its country.
    pub country: Option<Code>,
    /// Its place.
    pub coordinates: Option<Coordinates>,
    /// Which part of all moves with it, and with all others of this country and place.
    pub share: f64,
}

/// What changes for a name.
#[derive(Clone, PartialEq, Debug)]
pub struct NameChange {
    /// The name.
    pub name: String,
    /// What its shares are of.
    pub basis: Basis,
    /// Queries of the last day, as estimated; 0 without traffic.
    pub queries: f64,
    /// How sure `shift` is; `None`: it is of addresses, and exact.
    pub certainty: Option<Certainty>,
    /// The family of records that is told of: the one of which more moves. `None`: a CNAME name.
    pub family: Option<Family>,
    /// The part of its clients that would be sent to another region, 0 to 1.
    pub shift: f64,
    /// The part of its clients that would get another address or target, 0 to 1.
    pub changed: f64,
    /// From where to where, the most first.
    pub moves: Vec<Move>,
    /// Worst-case failover time as it is and as it would be; `None`: it is not monitored.
    pub failover: (Option<Duration>, Option<Duration>),
    /// ECS partitions, ranges of addresses told apart, as they are and as they would be.
    pub partitions: (usize, usize),
}

impl NameChange {
    /// Whether anything is otherwise.
    pub fn is_change(&self) -> bool {
        self.shift > 0.0
            || self.changed > 0.0
            || self.failover.0 != self.failover.1
            || self.partitions.0 != self.partitions.1
    }
}

/// The load of a region or a pool: its part of all clients, beside its part of all weight.
#[derive(Clone, PartialEq, Debug)]
pub struct Load {
    /// The region.
    pub region: String,
    /// The pool; `None`: the region as a whole.
    pub pool: Option<String>,
    /// Part of all clients as it is and as it would be, 0 to 1.
    pub load: (f64, f64),
    /// The weights of its enabled endpoints, which stand for what they can bear, as they are and would
    /// be.
    pub weight: (u64, u64),
    /// The endpoints of these that serve.
    pub serving: (u64, u64),
}

/// What was added and removed, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Difference {
    /// In the new configuration only.
    pub added: Vec<String>,
    /// In the one in force only.
    pub removed: Vec<String>,
}

/// Names that nobody asked for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Unasked {
    /// The first of them, those of which something would change before the others.
    pub names: Vec<String>,
    /// How many they are.
    pub count: usize,
    /// Of how many some clients would be sent to another region, by addresses.
    pub moving: usize,
}

/// A name that only the new configuration has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewName {
    /// The name.
    pub name: String,
    /// Its worst-case failover time; `None`: it is not monitored.
    pub failover: Option<Duration>,
    /// Its ECS partitions.
    pub partitions: usize,
}

/// What another configuration would change.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// What the sums are of: of traffic, where any name has some.
    pub basis: Basis,
    /// Queries of the last day that count, as estimated.
    pub queries: f64,
    /// How long ago the first of these queries was seen.
    pub over: Duration,
    /// How sure `shift` is; `None`: it is of addresses, and exact.
    pub certainty: Option<Certainty>,
    /// Names of both that nobody asked for, which count in no sum; none where all shares are of addresses.
    pub unasked: Unasked,
    /// The part of all clients that would be sent to another region, 0 to 1.
    pub shift: f64,
    /// The part of all clients that would get another address or target, 0 to 1.
    pub changed: f64,
    /// From where to where in sum, the most first.
    pub moves: Vec<Move>,
    /// Names of both of which something changes, those that move most clients first.
    pub names: Vec<NameChange>,
    /// Names of both of which nothing changes.
    pub unchanged: usize,
    /// Regions first, each with its pools after it.
    pub load: Vec<Load>,
    /// Steered names.
    pub steered: Difference,
    /// The first of those that are added, in order.
    pub new_names: Vec<NewName>,
    /// Pools.
    pub pools: Difference,
    /// Regions.
    pub regions: Difference,
    /// Where the regions of both are, by name; where they would be, of one that is moved.
    pub places: Vec<(String, Coordinates)>,
    /// Endpoints whose health is not known before they are probed, and that were taken as up.
    pub assumed_up: Vec<String>,
}
