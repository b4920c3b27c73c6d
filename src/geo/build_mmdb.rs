//! Own networks → a database in the MaxMind DB format, version 2.0, that any reader understands.
//!
//! The tree is an IPv6 tree with the IPv4 networks under `::/96`; the IPv6 forms that carry an IPv4
//! address ([`EMBEDDED`]) point to the same subtree, so the database answers as the geo table does.
//! The same input gives the same bytes, on every machine and at any time.

use std::net::IpAddr;

use hashbrown::HashMap;

use crate::net::Prefix;

use super::build::in_embedded;
use super::networks::{OwnNetwork, OwnNetworks};
use super::table::EMBEDDED;

/// `database_type` of the databases made here.
pub const DATABASE_TYPE: &str = "Tradewind-Networks";

/// Why networks cannot be put into a database.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum BuildError {
    /// IPv6 rows where the format keeps IPv4 addresses.
    #[error(
        "the database format keeps IPv4 addresses in `::/96`, `::ffff:0:0/96`, `64:ff9b::/96`, \
         `2002::/16` and `2001::/32`, so no IPv6 row may lie there: {}; write the IPv4 networks instead, \
         or use the CSV itself as own networks",
        list(.0)
    )]
    Embedded(Vec<Prefix>),
    /// Nodes and data do not fit 32-bit records.
    #[error("{0} nodes and bytes of data, but the database format addresses at most 4294967295")]
    TooLarge(usize),
}

fn list(prefixes: &[Prefix]) -> String {
    let all: Vec<String> = prefixes.iter().map(|p| format!("`{p}`")).collect();
    all.join(", ")
}

/// The database of these networks; `build_epoch` (seconds since 1970) goes into its metadata.
///
/// # Errors
/// When a row lies where the format keeps IPv4 addresses, or there are too many.
pub fn write_mmdb(networks: &OwnNetworks, build_epoch: u64) -> Result<Vec<u8>, BuildError> {
    let mut rows: Vec<&OwnNetwork> = networks.rows().iter().collect();
    // A shorter prefix goes in first, so that the longer ones are cut out of it.
    rows.sort_by_key(|row| row.prefix.len());
    let (v4, v6): (Vec<&OwnNetwork>, _) = rows.iter().partition(|r| r.prefix.addr().is_ipv4());
    let embedded: Vec<Prefix> = v6
        .iter()
        .map(|row| row.prefix)
        .filter(|prefix| in_ipv4_space(*prefix))
        .collect();
    if !embedded.is_empty() {
        return Err(BuildError::Embedded(embedded));
    }
    let mut data = Data::default();
    let mut tree = Tree::new();
    for row in v6 {
        tree.insert(ROOT, bits(row.prefix), Child::Data(data.insert(row)));
    }
    // The IPv4 tree inherits nothing from an IPv6 network around ::/96, so it starts empty.
    let v4_root = tree.node([Child::Empty; 2]);
    tree.insert(ROOT, (0, 96), Child::Node(v4_root));
    for row in v4 {
        tree.insert(v4_root, bits(row.prefix), Child::Data(data.insert(row)));
    }
    for (prefix, len, _) in EMBEDDED {
        tree.insert(ROOT, (prefix.into(), len), Child::Node(v4_root));
    }
    let pointers = tree.nodes.len() + SEPARATOR.len() + data.bytes.len();
    let record_size = match pointers {
        0..0x0100_0000 => 24,
        0x0100_0000..0x1000_0000 => 28,
        0x1000_0000..=0xffff_ffff => 32,
        _ => return Err(BuildError::TooLarge(pointers)),
    };
    let mut out = tree.encode(record_size);
    out.extend_from_slice(&SEPARATOR);
    out.extend_from_slice(&data.bytes);
    out.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    metadata(&mut out, tree.nodes.len(), record_size, build_epoch);
    Ok(out)
}

fn in_ipv4_space(prefix: Prefix) -> bool {
    let (addr, len) = bits(prefix);
    in_embedded(addr, len) || (len >= 96 && addr >> 32 == 0)
}

/// The prefix with its bits moved to the front.
fn bits(prefix: Prefix) -> (u128, u8) {
    let addr = match prefix.addr() {
        IpAddr::V4(a) => u128::from(u32::from(a)) << 96,
        IpAddr::V6(a) => a.into(),
    };
    (addr, prefix.len())
}

/// Zero bytes between the tree and the data.
const SEPARATOR: [u8; 16] = [0; 16];

/// Number of the first node.
const ROOT: u32 = 0;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Child {
    Empty,
    Node(u32),
    /// Offset in the data section.
    Data(u32),
}

struct Tree {
    nodes: Vec<[Child; 2]>,
}

impl Tree {
    fn new() -> Tree {
        Tree {
            nodes: vec![[Child::Empty; 2]],
        }
    }

    fn node(&mut self, children: [Child; 2]) -> u32 {
        self.nodes.push(children);
        (self.nodes.len() - 1) as u32
    }

    /// Puts `child` at the end of the path, in place of whatever is there. A leaf on the way is
    /// split into two of its kind.
    fn insert(&mut self, root: u32, (path, len): (u128, u8), child: Child) {
        let bit = |depth: u8| (path >> (127 - depth) & 1) as usize;
        let mut at = root;
        if len == 0 {
            self.nodes[at as usize] = [child; 2];
            return;
        }
        for depth in 0..len - 1 {
            at = match self.nodes[at as usize][bit(depth)] {
                Child::Node(next) => next,
                leaf => {
                    let next = self.node([leaf; 2]);
                    self.nodes[at as usize][bit(depth)] = Child::Node(next);
                    next
                }
            };
        }
        self.nodes[at as usize][bit(len - 1)] = child;
    }

    fn encode(&self, record_size: u16) -> Vec<u8> {
        let count = self.nodes.len() as u32;
        let mut out = Vec::with_capacity(self.nodes.len() * usize::from(record_size) / 4);
        for children in &self.nodes {
            let [l, r] = children.map(|child| match child {
                Child::Empty => count,
                Child::Node(n) => n,
                Child::Data(offset) => count + SEPARATOR.len() as u32 + offset,
            });
            let ([l3, l2, l1, l0], [r3, r2, r1, r0]) = (l.to_be_bytes(), r.to_be_bytes());
            match record_size {
                24 => out.extend_from_slice(&[l2, l1, l0, r2, r1, r0]),
                28 => out.extend_from_slice(&[l2, l1, l0, l3 << 4 | r3, r2, r1, r0]),
                _ => out.extend_from_slice(&[l3, l2, l1, l0, r3, r2, r1, r0]),
            }
        }
        out
    }
}

/// The data section; equal records are stored once.
#[derive(Default)]
struct Data {
    bytes: Vec<u8>,
    known: HashMap<Vec<u8>, u32>,
}

impl Data {
    fn insert(&mut self, row: &OwnNetwork) -> u32 {
        let record = record(row);
        if let Some(offset) = self.known.get(&record) {
            return *offset;
        }
        // Beyond 4 GiB the number is wrong, and the whole is refused for its size.
        let offset = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&record);
        self.known.insert(record, offset);
        offset
    }
}

/// A record with the layout of a city database, keys in alphabetical order.
fn record(row: &OwnNetwork) -> Vec<u8> {
    let l = &row.location;
    let mut fields: Vec<(&str, Vec<u8>)> = Vec::new();
    if let Some(asn) = l.asn {
        fields.push(("autonomous_system_number", unsigned(UINT32, asn.into())));
    }
    if let Some(place) = &row.place {
        fields.push(("city", map(&[("names", map(&[("en", string(place))]))])));
    }
    if let Some(code) = l.continent {
        fields.push(("continent", map(&[("code", string(code.as_str()))])));
    }
    if let Some(code) = l.country {
        fields.push(("country", map(&[("iso_code", string(code.as_str()))])));
    }
    if let Some(point) = l.coordinates {
        let point = [
            ("latitude", double(point.latitude())),
            ("longitude", double(point.longitude())),
        ];
        fields.push(("location", map(&point)));
    }
    if let Some(code) = l.subdivision {
        let widest = map(&[("iso_code", string(code.as_str()))]);
        fields.push(("subdivisions", array(&[widest])));
    }
    map(&fields)
}

fn metadata(out: &mut Vec<u8>, nodes: usize, record_size: u16, build_epoch: u64) {
    let about = "Networks placed by their operator, built by Tradewind";
    out.extend(map(&[
        ("binary_format_major_version", unsigned(UINT16, 2)),
        ("binary_format_minor_version", unsigned(UINT16, 0)),
        ("build_epoch", unsigned(UINT64, build_epoch)),
        ("database_type", string(DATABASE_TYPE)),
        ("description", map(&[("en", string(about))])),
        ("ip_version", unsigned(UINT16, 6)),
        ("languages", array(&[string("en")])),
        ("node_count", unsigned(UINT32, nodes as u64)),
        ("record_size", unsigned(UINT16, record_size.into())),
    ]));
}

// Type numbers of the format.
const STRING: u8 = 2;
const DOUBLE: u8 = 3;
const UINT16: u8 = 5;
const UINT32: u8 = 6;
const MAP: u8 = 7;
const UINT64: u8 = 9;
const ARRAY: u8 = 11;

/// The control bytes: type and size, where types beyond 7 and sizes beyond 28 take more bytes.
fn control(kind: u8, size: usize) -> Vec<u8> {
    let (first, second) = match kind {
        1..=7 => (kind << 5, None),
        _ => (0, Some(kind - 7)),
    };
    let (low, more) = match size {
        0..=28 => (size as u8, 0),
        29..=284 => (29, 1),
        285..=65_820 => (30, 2),
        _ => (31, 3),
    };
    let rest = size - [0, 29, 285, 65_821][more];
    let mut out = vec![first | low];
    out.extend(second);
    out.extend_from_slice(&(rest as u32).to_be_bytes()[4 - more..]);
    out
}

fn string(text: &str) -> Vec<u8> {
    let mut out = control(STRING, text.len());
    out.extend_from_slice(text.as_bytes());
    out
}

fn double(value: f64) -> Vec<u8> {
    let mut out = control(DOUBLE, 8);
    out.extend_from_slice(&value.to_be_bytes());
    out
}

fn unsigned(kind: u8, value: u64) -> Vec<u8> {
    let zeros = value.leading_zeros() as usize / 8;
    let mut out = control(kind, 8 - zeros);
    out.extend_from_slice(&value.to_be_bytes()[zeros..]);
    out
}

fn array(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = control(ARRAY, items.len());
    out.extend(items.concat());
    out
}

fn map(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = control(MAP, fields.len());
    for (key, value) in fields {
        out.extend(string(key));
        out.extend_from_slice(value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::{Database, Location};

    fn database(csv: &str) -> Database {
        let own = OwnNetworks::parse(csv.as_bytes()).unwrap();
        Database::read(write_mmdb(&own, 7).unwrap()).unwrap()
    }

    fn asn(database: &Database, addr: &str) -> (Option<u32>, String) {
        let (location, prefix) = database.lookup(addr.parse().unwrap());
        (location.and_then(|l| l.asn), prefix.to_string())
    }

    #[test]
    fn nested_prefixes_and_all_facts_come_back() {
        let csv = "network,continent,country,subdivision,latitude,longitude,asn,place\n\
                   1.2.3.0/24,EU,DE,HE,50,-8.682,4294967295,Frankfurt\n\
                   1.0.0.0/8,,,,,,300,\n";
        let database = database(csv);
        assert_eq!(database.kind(), DATABASE_TYPE);
        assert_eq!(database.build_epoch(), 7);
        assert_eq!(database.records(), 2);
        let own = OwnNetworks::parse(csv.as_bytes()).unwrap();
        let (inner, prefix) = database.lookup("1.2.3.4".parse().unwrap());
        assert_eq!(inner, Some(&own.rows()[0].location));
        assert_eq!(prefix.to_string(), "1.2.3.0/24");
        assert_eq!(asn(&database, "1.2.2.1"), (Some(300), "1.2.2.0/24".into()));
        assert_eq!(asn(&database, "2.0.0.1"), (None, "2.0.0.0/7".into()));
    }

    #[test]
    fn whole_families_are_apart() {
        let both = database("network,asn\n::/0,6\n0.0.0.0/0,4\n");
        assert_eq!(asn(&both, "9.9.9.9").0, Some(4));
        assert_eq!(asn(&both, "2a00::1").0, Some(6));
        let v6 = database("network,asn\n::/0,6\n");
        assert_eq!(asn(&v6, "9.9.9.9").0, None);
        assert_eq!(asn(&v6, "2002:909:909::").0, None);
        let v4 = database("network,asn\n192.0.2.0/24,4\n");
        for form in ["::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "2002:c000:201::"] {
            assert_eq!(asn(&v4, form).0, Some(4), "{form}");
        }
        assert_eq!(asn(&database("network\n"), "9.9.9.9").0, None);
    }

    #[test]
    fn rows_where_the_format_keeps_ipv4_are_named() {
        let csv = "network,asn\n2002:c000::/24,1\n::5/128,2\n2001:db8::/32,3\n";
        let own = OwnNetworks::parse(csv.as_bytes()).unwrap();
        let error = write_mmdb(&own, 0).unwrap_err().to_string();
        assert!(error.contains("`2002:c000::/24`, `::5/128`;"), "{error}");
    }

    #[test]
    fn all_record_sizes_encode_both_children() {
        let tree = Tree {
            nodes: vec![[Child::Data(0x0ABC_DEF0), Child::Node(0x0102_0304)]],
        };
        let left = 1 + 16 + 0x0ABC_DEF0u32;
        let b = left.to_be_bytes();
        assert_eq!(tree.encode(32), [&b[..], &[1, 2, 3, 4]].concat());
        assert_eq!(tree.encode(28), [b[1], b[2], b[3], b[0] << 4 | 1, 2, 3, 4]);
        assert_eq!(tree.encode(24), [b[1], b[2], b[3], 2, 3, 4]);
    }

    #[test]
    fn sizes_use_as_few_bytes_as_the_format_wants() {
        assert_eq!(control(STRING, 28), [0x5c]);
        assert_eq!(control(STRING, 29), [0x5d, 0]);
        assert_eq!(control(STRING, 285), [0x5e, 0, 0]);
        assert_eq!(control(ARRAY, 1), [0x01, 0x04]);
        assert_eq!(unsigned(UINT64, 0), [0x00, 0x02]);
        assert_eq!(unsigned(UINT32, 500), [0xc2, 0x01, 0xf4]);
    }

    #[test]
    fn the_same_networks_give_the_same_bytes() {
        let rows = (0u32..500).map(|n| {
            let prefix = Prefix::containing(std::net::Ipv4Addr::from(n << 16).into(), 16);
            let location = Location {
                asn: Some(n % 7 + 1),
                ..Location::default()
            };
            (prefix, location)
        });
        let own = OwnNetworks::from_prefixes(rows);
        let bytes = write_mmdb(&own, 0).unwrap();
        assert_eq!(bytes, write_mmdb(&own.clone(), 0).unwrap());
        assert_eq!(Database::read(bytes).unwrap().records(), 7);
    }
}
