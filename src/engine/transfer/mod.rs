//! Zone transfers to secondaries: AXFR (RFC 5936), IXFR (RFC 1995) and NOTIFY (RFC 1996).
//!
//! `begin` decides whether and how, [`stream`] makes the messages one by one, `content` says which
//! records a zone is made of when it leaves, [`history`] keeps what changed between reloads, and
//! [`notify`] makes and reads the messages that announce a change.

mod content;
pub mod history;
mod last_resort;
pub mod notify;
pub mod stream;

pub use stream::{Kind, Next, Transfer};

use std::net::IpAddr;

use crate::dns::message::{Question, flags, serial};
use crate::dns::{Query, rtype};
use crate::snapshot::View;
use crate::zone::ZoneInfo;

use super::Transport;
use super::request::Refusal;
use super::tsig::Signed;
use stream::{Head, Source};

/// A request for a transfer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) view: &'a View,
    pub(super) packet: &'a [u8],
    pub(super) query: &'a Query<'a>,
    pub(super) question: Question<'a>,
    /// The question's name in lower case.
    pub(super) name: &'a [u8],
    pub(super) source: IpAddr,
    pub(super) transport: Transport,
    pub(super) signed: Option<&'a Signed<'a, 'a>>,
}

/// The serial in force of a zone.
pub fn serial_of(zone: &ZoneInfo) -> u32 {
    let soa = zone.soa().records().next();
    soa.and_then(|r| serial::of_soa(r.bytes)).unwrap_or(0)
}

/// Begins the transfer that is asked for.
///
/// # Errors
/// Why there is none.
pub(super) fn begin(asked: &Asked<'_>) -> Result<Box<Transfer>, Refusal> {
    let snapshot = &asked.view.snapshot;
    let transfers = &snapshot.settings.transfers;
    // RFC 5936 section 2.2.1: "If a server is not authoritative for the queried zone, the server
    // SHOULD set the value to NotAuth."
    let position = snapshot
        .zones
        .position(asked.name)
        .ok_or(Refusal::NoSuchZone)?;
    let zone = &snapshot.zones.zones()[position];
    let rule = transfers
        .zones
        .get(&zone.apex)
        .filter(|rule| rule.permits(asked.source, asked.signed.and_then(Signed::key)))
        .ok_or(Refusal::TransferProhibited)?;
    let full = asked.question.qtype == rtype::AXFR;
    match asked.transport {
        // RFC 5936 section 4.2: "AXFR sessions over UDP transport are not defined".
        Transport::Udp if full => return Err(Refusal::AxfrOverUdp),
        Transport::Udp | Transport::Tcp | Transport::Tls => {}
        Transport::Https | Transport::Quic => return Err(Refusal::TransferTransport),
    }
    // A copy without signatures would be bogus for every validator that asks the secondary.
    if !rule.unsigned && asked.view.keys.of(&zone.apex).is_some() {
        return Err(Refusal::TransferOfSigned);
    }
    let source = if full {
        Source::Full
    } else {
        let client = serial::of_ixfr(asked.packet).ok_or(Refusal::IxfrWithoutSoa)?;
        let deltas = transfers.history.get(&zone.apex);
        incremental(client, serial_of(zone), deltas.map_or(&[], Vec::as_slice))
    };
    let head = Head {
        id: asked.query.id,
        // RFC 5936 section 2.2.1: AA set, RD copied, TC, RA, AD and CD clear.
        flags: flags::AA | asked.query.flags & flags::RD,
        question: asked.question.raw.into(),
        edns: asked.query.edns.map(|e| e.dnssec_ok),
    };
    let chain = asked.signed.and_then(Signed::chain);
    Ok(Box::new(Transfer::new(
        snapshot.clone(),
        position,
        source,
        head,
        chain,
    )))
}

/// How a client that has `client` gets to `current` (RFC 1995 section 2).
fn incremental(
    client: u32,
    current: u32,
    deltas: &[std::sync::Arc<crate::snapshot::Delta>],
) -> Source {
    // "If an IXFR query with the same or newer version number than that of the server is received, it
    // is replied to with a single SOA record of the server's current version".
    if !serial::newer(current, client) {
        return Source::Current;
    }
    match deltas.iter().position(|d| d.from == client) {
        Some(first) => Source::Changes(deltas[first..].into()),
        // "If incremental zone transfer is not available, the entire zone is returned."
        None => Source::Full,
    }
}

#[cfg(test)]
mod tests;
