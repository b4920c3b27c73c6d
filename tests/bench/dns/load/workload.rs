//! The questions. What they ask for stands in the zones that `tests/bench/dns/setting.py` writes.

use crate::Error;
use crate::random::Random;

/// Names that the workload `names` asks for.
const NAMES: usize = 1_000;

/// Kinds of questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Workload {
    /// One static A record.
    Static,
    /// One of 1,000 static A records.
    Names,
    /// A name steered by place, with a random /24 as client subnet.
    GeoEcs,
    /// A name steered by weight.
    Weighted,
    /// One static A record with its signature.
    Signed,
    /// Names that do not exist.
    NxDomain,
    /// A name without records of the type.
    NoData,
}

impl Workload {
    pub(crate) fn of(name: &str) -> Result<Workload, Error> {
        Ok(match name {
            "static" => Workload::Static,
            "names" => Workload::Names,
            "geo-ecs" => Workload::GeoEcs,
            "weighted" => Workload::Weighted,
            "signed" => Workload::Signed,
            "nxdomain" => Workload::NxDomain,
            "nodata" => Workload::NoData,
            other => return Err(format!("no workload is called {other}").into()),
        })
    }
}

/// Makes the queries of one workload, all of the same length.
pub(crate) struct Queries {
    workload: Workload,
    /// A whole query, with zeroes where queries differ.
    packet: Vec<u8>,
    random: Random,
}

/// Where the digits of a random label stand: behind the header, the length octet and one letter.
const DIGITS: usize = 14;

impl Queries {
    pub(crate) fn new(workload: Workload, seed: u64) -> Queries {
        let owner = match workload {
            Workload::Static | Workload::NoData => "www.bench.example",
            Workload::Names => "n000.bench.example",
            Workload::GeoEcs => "geo.gslb.example",
            Workload::Weighted => "weighted.gslb.example",
            Workload::Signed => "www.signed.example",
            Workload::NxDomain => "x00000000.bench.example",
        };
        let kind = if workload == Workload::NoData { 28 } else { 1 };
        let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in owner.split('.') {
            packet.push(label.len() as u8);
            packet.extend_from_slice(label.as_bytes());
        }
        packet.extend_from_slice(&[0, 0, kind, 0, 1]);
        // EDNS: 1,232 octets, and DO where signatures are wanted.
        let dnssec_ok = if workload == Workload::Signed {
            0x80
        } else {
            0
        };
        packet.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, dnssec_ok, 0]);
        if workload == Workload::GeoEcs {
            packet.extend_from_slice(&[0, 11, 0, 8, 0, 7, 0, 1, 24, 0, 0, 0, 0]);
        } else {
            packet.extend_from_slice(&[0, 0]);
        }
        Queries {
            workload,
            packet,
            random: Random::new(seed),
        }
    }

    /// Writes the next query with this id into `out` and returns its length.
    pub(crate) fn write(&mut self, id: u16, out: &mut [u8]) -> usize {
        let len = self.packet.len();
        let out = &mut out[..len];
        out.copy_from_slice(&self.packet);
        out[..2].copy_from_slice(&id.to_be_bytes());
        match self.workload {
            Workload::Names => {
                let mut i = self.random.below(NAMES);
                for digit in out[DIGITS..DIGITS + 3].iter_mut().rev() {
                    *digit = b'0' + (i % 10) as u8;
                    i /= 10;
                }
            }
            Workload::NxDomain => {
                let mut bits = self.random.next();
                for digit in &mut out[DIGITS..DIGITS + 8] {
                    *digit = b"0123456789abcdef"[(bits & 15) as usize];
                    bits >>= 4;
                }
            }
            Workload::GeoEcs => {
                let subnet = subnet(&mut self.random);
                out[len - 3..].copy_from_slice(&subnet.to_be_bytes()[1..]);
            }
            Workload::Static | Workload::Weighted | Workload::Signed | Workload::NoData => {}
        }
        len
    }
}

/// The upper 24 bits of a random network out of 1.0.0.0 to 223.255.255.0, special-purpose blocks
/// left out: there servers may differ in good faith.
fn subnet(random: &mut Random) -> u32 {
    loop {
        let bits = (1 << 16) + random.below(223 << 16) as u32;
        let special = match bits >> 16 {
            10 | 127 => true,
            100 => (bits >> 8) & 0xC0 == 64,
            169 => bits >> 8 & 0xFF == 254,
            172 => (bits >> 8) & 0xF0 == 16,
            192 => matches!(
                bits & 0xFFFF,
                0 | 2 | 0x1FC4 | 0x34C1 | 0x5863 | 0xA800..=0xA8FF | 0xAF30
            ),
            198 => matches!(bits & 0xFFFF, 0x1200..=0x13FF | 0x3364),
            203 => bits & 0xFFFF == 0x0071,
            _ => false,
        };
        if !special {
            return bits;
        }
    }
}
