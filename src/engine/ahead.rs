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

/// The lower octet of OPT's type; the upper one is 0.
const OPT: u8 = rtype::OPT as u8;

/// Stands where the question's name is not steered by a large table.
const NONE: u32 = u32::MAX;

/// What is remembered of the questions of the last batches, and of the present one.
#[derive(Debug)]
pub struct Ahead {
    /// The view that `places` speaks of.
    generation: Generation,
    places: Box<[Place; PLACES]>,
    /// Octets from which a table is large.
    large: usize,
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
            large: SMALL,
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
                shape: shape(view, packet, self.large).map_or(NONE, |s| s.0),
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
    // Most queries have no options, and their OPT record is last.
    if let Some([0, 0, OPT, _, _, _, _, _, _, 0, 0]) = packet.last_chunk::<OPT_FIXED>() {
        return None;
    }
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
    if rdata.is_empty() || fixed[..3] != [0, 0, OPT] {
        return None;
    }
    let (edns, _) = edns::read(0, 0, rdata);
    Some((question, edns.ecs?.network()?.addr()))
}

/// The shape of the steered name that is asked for, if its table has `large` octets.
fn shape(view: &View, packet: &[u8], large: usize) -> Option<ShapeId> {
    let mut name = NameBuf::default();
    let question = parse(packet, &mut name)?.question?;
    let lookup = view.snapshot.zones.lookup(name.as_bytes(), question.qtype);
    let Found::Steered { name } = lookup.found else {
        return None;
    };
    let steering = &view.snapshot.steering;
    let shape = steering.shape_id_of(name);
    let octets = steering.shapes[shape.index()].partition.heap_bytes();
    (octets >= large && !steering.ignores_ecs(name)).then_some(shape)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testkit::{Steer, World, ask};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    const ZONE: &str = "
$TTL 300
@    SOA ns1 admin 1 7200 3600 604800 60
@    NS  ns1
ns1  A   192.0.2.53
";

    fn view(generation: u64) -> View {
        let mut world = World::new("example.com", ZONE)
            .steer(Steer::new("near.example.com", "near"))
            .steer(Steer::new("weighted.example.com", "weighted"));
        world.generation = generation;
        world.view()
    }

    /// For tables of any size.
    fn eager() -> Ahead {
        Ahead {
            large: 1,
            ..Ahead::default()
        }
    }

    fn subnet(packet: &[u8]) -> Option<String> {
        client_subnet(packet).map(|(_, addr)| addr.to_string())
    }

    #[test]
    fn the_client_subnet_is_found_where_it_is_plain() {
        let q = || ask("near.example.com", rtype::A);
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(subnet(&q().ecs("192.0.2.0/24").bytes()), found("192.0.2.0"));
        let v6 = q().ecs("2001:db8:1::/48").bytes();
        assert_eq!(subnet(&v6), found("2001:db8:1::"));
        let behind = q().option(10, &[1; 8]).ecs("192.0.2.0/24").bytes();
        assert_eq!(subnet(&behind), found("192.0.2.0"));
        for none in [
            q(),
            q().edns(1232),
            q().option(10, &[1; 8]),
            q().ecs("0.0.0.0/0"),
        ] {
            assert_eq!(subnet(&none.bytes()), None, "{none:?}");
        }
        let whole = q().ecs("192.0.2.0/24").bytes();
        for len in 0..whole.len() {
            assert_eq!(subnet(&whole[..len]), None, "cut to {len}");
        }
    }

    #[test]
    fn only_names_steered_by_place_wait() {
        let view = view(1);
        let mut ahead = eager();
        for (name, waiting) in [
            ("ns1.example.com", 0),
            ("weighted.example.com", 0),
            ("absent.example.com", 0),
            ("near.example.com", 1),
            ("near.example.com", 2),
            ("NEAR.example.com", 3),
        ] {
            ahead.note(&view, &ask(name, rtype::A).ecs("192.0.2.0/24").bytes());
            assert_eq!(ahead.waiting.len(), waiting, "{name}");
        }
        ahead.read(&view);
        assert_eq!((ahead.waiting.len(), ahead.begun.len()), (0, 0));
        let mut default = Ahead::default();
        default.note(
            &view,
            &ask("near.example.com", rtype::A)
                .ecs("192.0.2.0/24")
                .bytes(),
        );
        assert_eq!(
            default.waiting.len(),
            0,
            "a small table stays near by itself"
        );
    }

    #[test]
    fn a_new_view_is_looked_at_anew() {
        let mut ahead = eager();
        let query = ask("near.example.com", rtype::A)
            .ecs("192.0.2.0/24")
            .bytes();
        ahead.note(&view(1), &query);
        ahead.waiting.clear();
        let mut gone = World::new("example.com", ZONE);
        gone.generation = 2;
        ahead.note(&gone.view(), &query);
        assert_eq!(ahead.waiting.len(), 0, "nothing is steered there any more");
    }

    #[test]
    fn a_batch_never_outgrows_its_room() {
        let view = view(1);
        let mut ahead = eager();
        let room = ahead.waiting.capacity();
        for n in 0..200u8 {
            let client = format!("20.0.{n}.0/24");
            ahead.note(
                &view,
                &ask("near.example.com", rtype::A).ecs(&client).bytes(),
            );
        }
        assert_eq!(
            (ahead.waiting.len(), ahead.waiting.capacity()),
            (MOST, room)
        );
        ahead.read(&view);
    }

    proptest! {
        #[test]
        fn no_octets_disturb_it(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in any::<prop::sample::Index>(),
        ) {
            static VIEW: LazyLock<View> = LazyLock::new(|| view(1));
            let mut ahead = eager();
            for subnet in ["192.0.2.0/24", "2001:db8:1::/48", "2002:c000:200::/40"] {
                let mut packet = ask("near.example.com", rtype::A).ecs(subnet).bytes();
                for (at, octet) in &changes {
                    let at = at.index(packet.len());
                    packet[at] = *octet;
                }
                ahead.note(&VIEW, &packet);
                ahead.note(&VIEW, &packet[..cut.index(packet.len())]);
            }
            ahead.read(&VIEW);
            prop_assert!(ahead.waiting.is_empty());
        }
    }
}
