//! Reading ahead: before the queries of a batch are answered one by one, what their answers will read
//! of large tables is touched for all of them, so that the waits for memory overlap.
//!
//! A look-up of a client's network among a million reads two places that depend on each other, and
//! neither is in a cache when clients differ from query to query: without help that takes longer than
//! all other work on the answer. Nothing here decides anything. A wrong guess costs a little time.

use std::hint::black_box;
use std::net::IpAddr;

use crate::dns::edns::{self, OPT_FIXED};
use crate::dns::message::{HEADER, NameBuf, parse};
use crate::dns::rtype;
use crate::ids::ShapeId;
use crate::snapshot::View;
use crate::steer::Approach;
use crate::units::Generation;
use crate::zone::Found;

/// Questions remembered, a power of two: more of them in one batch are rare, and each takes 8 octets
/// of the nearest cache.
const PLACES: usize = 512;

/// Queries read ahead for at once.
const MOST: usize = 64;

/// Octets of a table that stay in a near cache by themselves.
const SMALL: usize = 256 << 10;

/// Stands where the question's name is not steered by a large table.
const NONE: u32 = u32::MAX;

/// What is remembered of the questions of the last batches, and of the present one.
#[derive(Debug)]
pub struct Ahead {
    /// The view that `places` speaks of.
    generation: Generation,
    places: Box<[Place; PLACES]>,
    /// Clients of the present batch. Never more than its capacity.
    waiting: Vec<(ShapeId, IpAddr)>,
    begun: Vec<(ShapeId, Approach)>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    tag: u32,
    shape: u32,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead {
            generation: Generation(0),
            places: Box::new(
                [Place {
                    tag: 0,
                    shape: NONE,
                }; PLACES],
            ),
            waiting: Vec::with_capacity(MOST),
            begun: Vec::with_capacity(MOST),
        }
    }
}

impl Ahead {
    /// Takes note of a query that will be answered from `view`.
    pub fn note(&mut self, view: &View, packet: &[u8]) {
        let Some((question, client)) = client_subnet(packet) else {
            return;
        };
        if self.generation != view.generation {
            self.generation = view.generation;
            self.places.fill(Place {
                tag: 0,
                shape: NONE,
            });
        }
        // Names in another case of letters take places of their own, at no harm.
        let hash = hash(question);
        let place = &mut self.places[hash as usize % PLACES];
        let tag = (hash >> 32) as u32 | 1; // never that of an empty place
        if place.tag != tag {
            *place = Place {
                tag,
                shape: shape(view, packet).map_or(NONE, |s| s.0),
            };
        }
        if place.shape != NONE && self.waiting.len() < MOST {
            self.waiting.push((ShapeId(place.shape), client));
        }
    }

    /// Touches what answering the noted queries will read, and forgets them.
    pub fn read(&mut self, view: &View) {
        // Two queries hardly wait longer one by one.
        if self.waiting.len() > 2 {
            let shapes = &view.snapshot.steering.shapes;
            // Loops without a branch on what is read: the processor runs on into the next queries
            // while the first still wait.
            for (shape, client) in &self.waiting {
                let partition = &shapes[shape.index()].partition;
                self.begun.push((*shape, partition.approach(*client)));
            }
            let mut seen = 0;
            for (shape, approach) in &self.begun {
                seen ^= shapes[shape.index()].partition.touch(*approach);
            }
            black_box(seen);
        }
        self.waiting.clear();
        self.begun.clear();
    }
}

/// The octets of the question and the client's address, where a query of the usual form has the
/// client subnet option; anything else is left to the answer.
fn client_subnet(packet: &[u8]) -> Option<(&[u8], IpAddr)> {
    // One question and one additional record.
    if packet.get(4..HEADER)? != [0, 1, 0, 0, 0, 0, 0, 1] {
        return None;
    }
    let mut end = HEADER;
    loop {
        match usize::from(*packet.get(end)?) {
            0 => break,
            len @ 1..=63 => end += 1 + len,
            _ => return None,
        }
    }
    let (question, opt) = packet[HEADER..].split_at_checked(end + 5 - HEADER)?;
    let (fixed, rdata) = opt.split_first_chunk::<OPT_FIXED>()?;
    if rdata.is_empty() || fixed[..3] != [0, 0, rtype::OPT as u8] {
        return None;
    }
    let (edns, _) = edns::read(0, 0, rdata);
    Some((question, edns.ecs?.network()?.addr()))
}

/// The shape of the steered name that is asked for, if its table is large.
fn shape(view: &View, packet: &[u8]) -> Option<ShapeId> {
    let mut name = NameBuf::default();
    let question = parse(packet, &mut name)?.question?;
    let lookup = view.snapshot.zones.lookup(name.as_bytes(), question.qtype);
    let Found::Steered { name } = lookup.found else {
        return None;
    };
    let steering = &view.snapshot.steering;
    let shape = steering.shape_id_of(name);
    let large = steering.shapes[shape.index()].partition.heap_bytes() > SMALL;
    (large && !steering.ignores_ecs(name)).then_some(shape)
}

/// Spreads the octets of a question, eight at a time; a collision costs time only.
fn hash(question: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |sum: u64, word: u64| {
        let wide = u128::from(sum ^ word ^ ODD) * u128::from(ODD);
        (wide >> 64) as u64 ^ wide as u64
    };
    let (chunks, rest) = question.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let sum = chunks
        .iter()
        .fold(0, |sum, chunk| mix(sum, u64::from_le_bytes(*chunk)));
    mix(sum, u64::from_le_bytes(last))
}
