//! The answer: query bytes → answer bytes.

use std::fmt::{self, Write};
use std::net::{IpAddr, SocketAddr};

use crate::dns::edns::nsid::Nsid;
use crate::dns::message::{NameBuf, parse};
use crate::dns::{Ede, Owner, Rcode, Section, rtype};
use crate::snapshot::View;
use crate::telemetry::DnsEvent;
use crate::time::Moment;
use crate::units::Ttl;

use super::client::Asker;
use super::guard::{Guard, Held};
use super::request::{Refusal, admit};
use super::resolve::Resolve;
use super::respond::{Response, Sent, udp_limit};
use super::signed::Signing;
use super::transfer::{self, Transfer};
use super::tsig::Signed;
use super::{Scratch, chaos, explain};

/// How the query came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Datagram: the answer must fit the client's size.
    Udp,
    /// Stream: up to 65,535 octets.
    Tcp,
    /// TLS (RFC 7858).
    Tls,
    /// HTTPS (RFC 8484).
    Https,
    /// QUIC (RFC 9250).
    Quic,
}

impl Transport {
    /// Whether an answer must fit a datagram.
    pub fn is_datagram(self) -> bool {
        self == Transport::Udp
    }

    /// Whether edns-tcp-keepalive means something: over UDP it is ignored (RFC 7828 section 3.3.1),
    /// HTTP keeps its own time, and QUIC ends the connection over it (RFC 9250 section 5.5.2).
    pub fn keeps_alive(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls)
    }

    /// Whether nobody between client and server can read along.
    pub fn is_encrypted(self) -> bool {
        match self {
            Transport::Udp | Transport::Tcp => false,
            Transport::Tls | Transport::Https | Transport::Quic => true,
        }
    }
}

/// One query as received.
#[derive(Clone, Copy, Debug)]
pub struct Inbound<'a> {
    /// The message, without TCP's length prefix.
    pub packet: &'a [u8],
    /// Who sent it.
    pub peer: SocketAddr,
    /// How.
    pub transport: Transport,
}

/// What to do with the query.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Say nothing.
    Drop,
    /// Send the first so many bytes of the out buffer.
    Send(usize),
    /// Send the messages of the transfer that [`Scratch::take_transfer`] gives; only over a stream.
    Transfer,
    /// Send them, and close the connection: its client may not go on. Streams only.
    SendAndClose(usize),
}

/// Answers one message. `out` must hold at least 1,232 octets for UDP, 65,535 for TCP.
///
/// Every message counts once as a query, and once as a response by its code or as dropped.
///
/// # Panics
/// When `out` does not even hold 12 octets.
pub fn answer(
    view: &View,
    inbound: &Inbound<'_>,
    now: Moment,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    // Lent, not made: clearing room for a name costs as much as looking it up.
    let mut name = scratch.lend_name();
    let reply = answer_with(view, inbound, now, scratch, &mut name, out);
    scratch.return_name(name);
    reply
}

fn answer_with(
    view: &View,
    inbound: &Inbound<'_>,
    now: Moment,
    scratch: &mut Scratch,
    name: &mut NameBuf,
    out: &mut [u8],
) -> Reply {
    let peer = inbound.peer.ip().to_canonical();
    scratch.counters.count(received(inbound.transport, peer));
    let mut guard = Guard::new(view, inbound, peer, now);
    if guard.shuts_out(&scratch.counters) {
        return Reply::Drop;
    }
    let Some(query) = parse(inbound.packet, name) else {
        scratch.counters.count(DnsEvent::Dropped);
        return Reply::Drop;
    };
    let cookie = guard.meet(&query, &scratch.counters);
    let nsid = || nsid(view);
    let mut words = Words::default();
    let signed = query
        .tsig
        .filter(|_| query.fault.is_none())
        .map(|at| Signed::check(view, inbound.packet, at, view.wall.unix(now)));
    let mut admitted = match (guard.refusal(&query), &signed) {
        (Some(refusal), _) => Err(refusal),
        (None, Some(Err(malformed))) => Err(*malformed),
        (None, Some(Ok(signed))) => signed
            .good()
            .and_then(|()| admit(&query, inbound.transport)),
        (None, None) => admit(&query, inbound.transport),
    };
    let signed = signed.and_then(Result::ok);
    if let Ok(question) = admitted
        && matches!(question.qtype, rtype::AXFR | rtype::IXFR)
        && !guard.wants_cookie()
    {
        let asked = transfer::Asked {
            view,
            packet: inbound.packet,
            query: &query,
            question,
            name: name.as_bytes(),
            source: peer,
            transport: inbound.transport,
            signed: signed.as_ref(),
        };
        match transfer::begin(&asked) {
            Ok(t) => return transferred(t, &asked, view.wall.unix(now), scratch, out),
            Err(refusal) => {
                scratch.counters.count(DnsEvent::TransferRefused);
                admitted = Err(refusal);
            }
        }
    }
    let mut r = Response::new(&query, inbound.transport, nsid, out);
    if let Some(signed) = &signed {
        r.reserve(signed.octets());
    }
    r.cookie = cookie;
    r.idle_timeout = scratch.idle_timeout;
    let refusal = match admitted {
        Ok(_) if guard.wants_cookie() => Some(Refusal::Cookie),
        Ok(question) => {
            let ecs = query.edns.as_ref().and_then(|e| e.ecs.as_ref());
            if ecs.is_some() {
                scratch.counters.count(DnsEvent::Ecs);
            }
            let resolve = Resolve {
                view,
                qtype: question.qtype,
                asker: Asker {
                    resolver: peer,
                    network: ecs.and_then(|e| e.network()),
                },
                now,
                guard: &guard,
                label: None,
            };
            let way = inbound.transport;
            r.signing = Signing::begin(view, &query, name.as_bytes(), way, now, scratch);
            let explained = explained(&resolve, name.as_bytes(), scratch, &mut r);
            if !explained && resolve.run(name.as_bytes(), scratch, &mut r).is_err() {
                r.overflow();
            }
            None
        }
        Err(refusal) => Some(refusal),
    };
    match refusal {
        None => {}
        Some(_) if !guard.admits_refusal() => r.held = true,
        Some(Refusal::Chaos(qtype)) if chaos::answer(view, name.as_bytes(), qtype, &mut r) => {
            scratch.counters.count(DnsEvent::Chaos);
        }
        Some(refusal) => {
            // Cannot fail: what does not fit is left out.
            let _ = write!(words, "{refusal}");
            r.rcode = refusal.rcode();
            r.ede = refusal.ede().map(|code| Ede {
                code,
                text: words.as_str(),
            });
            if refusal == Refusal::Access {
                scratch.counters.count(DnsEvent::AccessRefused);
            }
            if refusal == Refusal::Busy {
                scratch.counters.count(DnsEvent::LimitedRefused);
            }
        }
    }
    if r.held {
        match guard.hold(scratch) {
            Held::Drop => {
                r.drop_set();
                scratch.return_signer(r.seal());
                return Reply::Drop;
            }
            Held::Truncate => r.instead(Rcode::NO_ERROR, true),
            Held::Cookie => r.instead(Rcode::BAD_COOKIE, false),
        }
    }
    scratch.return_signer(r.seal());
    let mut sent = r.finish();
    if let Some(signed) = &signed {
        sent.len = signed.finish(out, sent.len);
    }
    count(scratch, sent);
    if guard.closes() {
        return Reply::SendAndClose(sent.len);
    }
    Reply::Send(sent.len)
}

/// Sends a transfer on its way: as a stream of messages, or over UDP as one message (RFC 1995 section
/// 2), which is the SOA alone where the changes do not fit, and says TC where not even that does.
#[cold]
fn transferred(
    mut transfer: Box<Transfer>,
    asked: &transfer::Asked<'_>,
    unix: u64,
    scratch: &mut Scratch,
    out: &mut [u8],
) -> Reply {
    scratch.counters.count(match transfer.kind() {
        transfer::Kind::Full => DnsEvent::TransferFull,
        transfer::Kind::Incremental => DnsEvent::TransferIncremental,
        transfer::Kind::Current => DnsEvent::TransferCurrent,
    });
    scratch.counters.count(DnsEvent::NoError);
    if !asked.transport.is_datagram() {
        scratch.set_transfer(transfer);
        return Reply::Transfer;
    }
    let limit = usize::from(udp_limit(asked.query));
    let whole = match transfer.kind() {
        // "If the UDP reply does not fit, the query is responded to with a single SOA record of the
        // server's current version to inform the client that a TCP query should be initiated."
        transfer::Kind::Full => None,
        _ => Some(transfer.next(unix, limit, out)).filter(|_| transfer.is_done()),
    };
    match whole.unwrap_or_else(|| transfer.current_only().next(unix, limit, out)) {
        transfer::Next::Message(len) => Reply::Send(len),
        transfer::Next::Done | transfer::Next::Broken => {
            let mut r = Response::new(asked.query, asked.transport, || nsid(asked.view), out);
            r.overflow();
            Reply::Send(r.finish().len)
        }
    }
}

/// Answers `_explain.NAME TXT` where NAME is steered and the sender may ask: the lines of an
/// [`super::Explanation`], one record each, TTL 0.
///
/// It explains the A answer, or the AAAA answer of a name that has no A, that this worker's next
/// query for the name would get from the client in the ECS option, or else from the sender.
fn explained(
    resolve: &Resolve<'_>,
    qname: &[u8],
    scratch: &Scratch,
    r: &mut Response<'_, '_>,
) -> bool {
    let Some(target) = qname.strip_prefix(b"\x08_explain") else {
        return false;
    };
    let allow = &resolve.view.snapshot.settings.explain_allow;
    if !allow.iter().any(|p| p.contains(resolve.asker.resolver)) {
        return false;
    }
    if !resolve.guard.admits_explanation() {
        r.held = true;
        return true;
    }
    if resolve.qtype != rtype::TXT {
        if !explain::exists(resolve.view, target) {
            return false;
        }
        if let Some(zone) = resolve.view.snapshot.zones.lookup(target, rtype::SOA).zone {
            r.authoritative = true;
            // Only TXT stands there.
            let told = r
                .speaks(Some(zone))
                .and_then(|()| resolve.absent_type(zone, qname, &[rtype::TXT], r));
            if told.is_err() {
                r.overflow();
            }
        }
        return true;
    }
    let Some((explanation, scope)) =
        explain::for_dns(resolve.view, target, resolve.asker, scratch, resolve.now)
    else {
        return false;
    };
    scratch.counters.count(DnsEvent::Explained);
    let zone = resolve.view.snapshot.zones.lookup(target, rtype::SOA).zone;
    if r.speaks(zone).is_err() {
        r.overflow();
        return true;
    }
    r.authoritative = true;
    r.scope = scope;
    for line in explanation.lines() {
        let mut end = line.len().min(255);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let mut rdata = Vec::with_capacity(1 + end);
        rdata.push(end as u8); // at most 255, cut above
        rdata.extend_from_slice(&line.as_bytes()[..end]);
        let owner = Owner::Question;
        if r.record(Section::Answer, owner, rtype::TXT, Ttl::ZERO, &rdata)
            .is_err()
        {
            r.overflow();
            break;
        }
    }
    true
}

fn nsid(view: &View) -> Nsid {
    Nsid::new(&view.snapshot.settings.node, view.generation)
}

fn received(transport: Transport, peer: IpAddr) -> DnsEvent {
    match (transport, peer) {
        (Transport::Udp, IpAddr::V4(_)) => DnsEvent::QueryUdp4,
        (Transport::Udp, IpAddr::V6(_)) => DnsEvent::QueryUdp6,
        (Transport::Tcp, IpAddr::V4(_)) => DnsEvent::QueryTcp4,
        (Transport::Tcp, IpAddr::V6(_)) => DnsEvent::QueryTcp6,
        (Transport::Tls, _) => DnsEvent::QueryTls,
        (Transport::Https, _) => DnsEvent::QueryHttps,
        (Transport::Quic, _) => DnsEvent::QueryQuic,
    }
}

fn count(scratch: &Scratch, sent: Sent) {
    scratch.counters.count(sent.event);
    if sent.truncated {
        scratch.counters.count(DnsEvent::Truncated);
    }
}

/// A line of text on the stack: a flood of malformed queries must not reach the allocator.
#[derive(Debug)]
struct Words {
    bytes: [u8; 96],
    len: usize,
}

impl Default for Words {
    fn default() -> Self {
        Words {
            bytes: [0; 96],
            len: 0,
        }
    }
}

impl Words {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

impl fmt::Write for Words {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let mut end = s.len().min(self.bytes.len() - self.len);
        while !s.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes[self.len..self.len + end].copy_from_slice(&s.as_bytes()[..end]);
        self.len += end;
        Ok(())
    }
}
