//! What the tests of this room share: an empty view, and a stand-in engine.

use std::sync::Arc;

use crate::engine::{Inbound, Reply, Scratch};
use crate::geo::GeoTable;
use crate::health::Board;
use crate::snapshot::{Parts, Publisher, Settings, Snapshot, View};
use crate::steer::Steering;
use crate::telemetry::DnsEvent;
use crate::time::{Clock, Moment, SimClock};
use crate::units::Generation;
use crate::zone::ZoneSet;

/// A view without zones.
pub(crate) fn empty_view() -> View {
    let snapshot = Snapshot {
        zones: ZoneSet::default(),
        geo: GeoTable::empty(),
        steering: Steering::default(),
        monitors: Vec::new(),
        targets: Vec::new(),
        target_of: Vec::new(),
        traffic: Arc::default(),
        settings: Settings::default(),
    };
    View::new(
        Generation(1),
        Moment::ZERO,
        Parts::new(Arc::new(snapshot), Arc::new(Board::default())),
    )
}

/// A publisher of the empty view.
pub(crate) fn publisher() -> Publisher {
    Publisher::new(empty_view())
}

/// A clock that stands still unless moved.
pub(crate) fn clock() -> (Arc<SimClock>, Arc<dyn Clock>) {
    let sim = Arc::new(SimClock::default());
    (sim.clone(), sim)
}

/// The message that makes [`refuse`] panic.
pub(crate) const BOMB: &[u8] = b"\x00\x07\x01\x00boom-boom-boom";

/// A message that [`refuse`] does not answer, as all that is shorter than a header.
pub(crate) const SILENT: &[u8] = b"\x00\x08\x81\x00silence please";

/// Answers every query with its own octets, QR set and REFUSED.
pub(crate) fn refuse(
    _: &View,
    inbound: &Inbound<'_>,
    _: Moment,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    if inbound.packet == BOMB {
        // As a panic, but without the hook, whose backtrace takes seconds on a busy machine.
        std::panic::resume_unwind(Box::new("the bomb"));
    }
    if inbound.packet == SILENT || inbound.packet.len() < 12 {
        scratch.counters.count(DnsEvent::Dropped);
        return Reply::Drop;
    }
    scratch.counters.count(DnsEvent::Refused);
    let len = inbound.packet.len().min(out.len());
    out[..len].copy_from_slice(&inbound.packet[..len]);
    out[2] |= 0x80;
    out[3] = 5;
    Reply::Send(len)
}

/// A query-like message with this id and so many octets.
pub(crate) fn query(id: u16, len: usize) -> Vec<u8> {
    let mut message = vec![0x2a; len.max(12)];
    message[..4].copy_from_slice(&[(id >> 8) as u8, id as u8, 1, 0]);
    message
}

/// What [`refuse`] says to [`query`].
pub(crate) fn refusal(id: u16, len: usize) -> Vec<u8> {
    let mut message = query(id, len);
    message[2] = 0x81;
    message[3] = 5;
    message
}
