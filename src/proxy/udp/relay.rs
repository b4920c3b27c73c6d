//! The sessions of one socket: finds them, begins them, moves them to other backends, ends them.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;

use crate::health::backend::Fault;
use crate::ids::ListenerId;
use crate::net::proxy_v2::{self, Endpoints};
use crate::proxy::message::Peer;
use crate::proxy::tcp::flow::{Ended, Flow};
use crate::proxy::worker::Worker;
use crate::sys::Datagrams;
use crate::time::Moment;
use crate::traffic::Protocol;
use crate::traffic::udp::quic;
use crate::traffic::udp::table::{Full, Id, Key, Table};

use super::buffers::Pair;
use super::choice::choose;
use super::counters::Event;
use super::one_way::OneWay;
use super::ours::{Ours, share};
use super::ready::Ready;
use super::session::{Session, connect};

/// Answers taken from one socket in one call. A socket that has fewer is known to be empty.
const ANSWERS: usize = 8;

/// Answers of one session before others have their turn.
const TURN: usize = 64;

/// How often the QUIC connection id of a session is looked at: so it stays known for as long as it is used.
const LOOK: Duration = Duration::from_secs(10);

/// Sessions ended by one sweep before others have their turn.
const SWEPT: usize = 128;

/// While the proxy drains, a session that was silent for so long is over.
const DRAIN_IDLE: Duration = Duration::from_secs(1);

/// The table counts its times from so long before this process began: sessions may have been silent for
/// longer than it runs.
pub(super) const EARLIER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The sessions of one socket.
pub struct Relay {
    /// The thread.
    pub worker: Rc<Worker>,
    name: Rc<str>,
    address: SocketAddr,
    /// Whether clients can send to several addresses of this machine.
    is_wildcard: bool,
    /// Sessions that a draining proxy waits for.
    pub(super) open: Arc<AtomicU32>,
    pub(super) ready: Ready,
    /// Its times are later by [`EARLIER`].
    pub(super) table: Table<Session>,
    ours: Option<Rc<Ours>>,
    one_way: OneWay,
    /// Whose the datagrams of a batch are.
    keys: Vec<Option<Key>>,
    /// Sessions whose sockets have something to read.
    found: Vec<Id>,
    /// Those of them that were not read to the end.
    again: Vec<Id>,
}

impl Relay {
    /// No sessions yet, of the socket bound to `address`.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn new(
        worker: Rc<Worker>,
        name: Rc<str>,
        address: SocketAddr,
        open: Arc<AtomicU32>,
    ) -> io::Result<Relay> {
        let seed = worker.random();
        Ok(Relay {
            worker,
            name,
            address,
            is_wildcard: address.ip().is_unspecified(),
            open,
            ready: Ready::new()?,
            table: Table::new(1, seed),
            ours: None,
            one_way: OneWay::default(),
            keys: Vec::new(),
            found: Vec::new(),
            again: Vec::new(),
        })
    }

    /// Waits until backends have answered.
    pub fn poll_backends(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.again.is_empty() {
            self.ready.poll(cx)
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// What is in force now; `None` when this is no listener for datagrams any more.
    pub(super) fn ours(&mut self) -> Option<Rc<Ours>> {
        let tier = self.worker.tier();
        if let Some(ours) = &self.ours
            && Arc::ptr_eq(&ours.tier, &tier)
        {
            return Some(ours.clone());
        }
        self.ours = None;
        let (at, listener) = tier.listener(&self.name)?;
        let Protocol::Udp(rules) = &listener.protocol else {
            return None;
        };
        let rules = (**rules).clone();
        let state = tier.udp.get(at)?.clone()?;
        let workers = tier.plan.node.workers.max(1) as usize;
        self.table.set_most(share(&tier, &rules, workers));
        let upstream = &tier.plan.upstreams[rules.upstream.index()];
        let ours = Rc::new(Ours {
            tells_client: upstream.proxy_protocol.is_some(),
            listener: ListenerId::from_index(at),
            rules,
            state,
            address: self.address,
            worker: self.worker.number,
            workers,
            tier,
        });
        self.one_way.keep(&ours);
        self.ours = Some(ours.clone());
        Some(ours)
    }

    /// What stands before a client's datagrams to a backend.
    pub fn header(&self, ours: &Ours, key: &Key) -> Box<[u8]> {
        if !ours.tells_client {
            return Box::default();
        }
        let said = Endpoints {
            source: key.client,
            destination: ours.local(key),
        };
        let mut header = Vec::with_capacity(64);
        proxy_v2::write_datagram(&said, &mut header);
        header.into()
    }

    /// Takes in what clients have sent, as much as one call gives, and passes it on; says how much it was.
    ///
    /// # Errors
    /// As the system says; `WouldBlock` when there is nothing.
    pub fn from_clients(&mut self, socket: BorrowedFd<'_>, pair: &mut Pair) -> io::Result<usize> {
        let n = pair.inbound.receive(socket, self.is_wildcard)?;
        let Some(ours) = self.ours() else {
            return Ok(n);
        };
        self.keys.clear();
        for i in 0..n {
            let local = || pair.inbound.destination(i);
            let key = pair.inbound.peer(i).map(|client| Key {
                client,
                local: self.is_wildcard.then(local).flatten(),
            });
            self.keys.push(key);
        }
        let mut at = 0;
        while at < n {
            let whose = self.keys[at];
            let same = self.keys[at + 1..n].iter().take_while(|k| **k == whose);
            let run = at..at + 1 + same.count();
            at = run.end;
            let Some(key) = whose else { continue };
            let octets = run.clone().map(|i| pair.inbound.octets(i)).sum();
            ours.came(run.len(), octets);
            if ours.rules.is_one_way() {
                let header = self.header(&ours, &key);
                self.one_way
                    .forward(&self.worker, &ours, &key, &header, &mut pair.inbound, run);
            } else {
                self.forward(&ours, key, &mut pair.inbound, run);
            }
        }
        Ok(n)
    }

    /// Passes on datagrams that one client sent one after the other.
    fn forward(&mut self, ours: &Ours, key: Key, inbound: &mut Datagrams, run: Range<usize>) {
        let mut left = run;
        while !left.is_empty() {
            let id = match self.table.find(&key) {
                Some(id) => id,
                None => match self.begin(ours, key, inbound.head(left.start)) {
                    Ok(id) => id,
                    Err(why) => return ours.note(why, left.len()),
                },
            };
            left.start = self.deliver(ours, key, id, inbound, left.clone());
        }
    }

    /// Passes on datagrams of a session, as many as it takes; says where those begin that it does not.
    fn deliver(
        &mut self,
        ours: &Ours,
        key: Key,
        id: Id,
        inbound: &mut Datagrams,
        run: Range<usize>,
    ) -> usize {
        let now = self.worker.watches.coarse();
        self.table.heard(id, now + EARLIER);
        let Some(session) = self.table.get_mut(id) else {
            return run.end;
        };
        let end = match ours.rules.requests {
            None => run.end,
            Some(most) => {
                let more = u64::from(most).saturating_sub(session.requests).max(1);
                let more = usize::try_from(more).unwrap_or(usize::MAX);
                run.end.min(run.start.saturating_add(more))
            }
        };
        session.requests += (end - run.start) as u64;
        let is_last = ours
            .rules
            .requests
            .is_some_and(|most| session.requests >= u64::from(most));
        if !session.proven && session.answers > 0 {
            // It has sent again after an answer: it hears what is sent to it.
            session.proven = true;
            self.table.prove(id);
        }
        if is_last {
            self.table.detach(id);
        }
        if let Some(ids) = ours.state.ids()
            && let Some(session) = self.table.get_mut(id)
            && session.look <= now
            && let Some(header) = quic::parse(inbound.head(run.start))
        {
            session.look = now + LOOK;
            ids.find(&header, now);
        }
        let mut at = run.start;
        let mut moved = false;
        while at < end {
            let Some(session) = self.table.get_mut(id) else {
                return run.end;
            };
            if !session.may_stay(now) {
                if moved {
                    ours.note(Event::NoBackend, end - at);
                    break;
                }
                moved = true;
                if let Err(why) = self.move_on(ours, &key, id, now) {
                    ours.note(why, end - at);
                    break;
                }
                continue;
            }
            let sending = inbound.send(session.socket.as_fd(), at..end, &session.header);
            let sent = at..at + sending.sent;
            at = sent.end;
            if !sent.is_empty() {
                let n = sent.len();
                let octets: usize = sent.map(|i| inbound.octets(i)).sum();
                session.octets_in += octets as u64;
                ours.passed(session.server(), n, octets);
            }
            match sending.error {
                None => {}
                Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    // Of a datagram before: this one was not sent yet, and may go elsewhere.
                    session.refused = true;
                    let server = session.server().clone();
                    server.failed(Fault::Connect, self.worker.now());
                }
                Some(error) if is_busy(&error) => {
                    ours.note(Event::ToBackend, end - at);
                    break;
                }
                Some(_) => {
                    ours.note(Event::ToBackend, 1);
                    at += 1;
                }
            }
        }
        end
    }

    /// Begins a session for a client whose first datagram begins with `head`.
    fn begin(&mut self, ours: &Ours, key: Key, head: &[u8]) -> Result<Id, Event> {
        let (tier, worker) = (&ours.tier, self.worker.clone());
        let source = tier
            .guards
            .admit(&tier.plan, ours.listener, key.client.ip(), || worker.now())
            .map_err(|_| Event::SourceLimit)?;
        if self.table.is_full() {
            self.make_room(ours)?;
        }
        let now = worker.watches.coarse();
        let permit = choose(&worker, ours, &key, head, &[], now)?;
        let server = permit.backend();
        let socket = match connect(ours.origin(), server.address) {
            Ok(socket) => socket,
            Err(error) if is_shortage(&error) => {
                // A session that is used for less may have it.
                self.make_room(ours).map_err(|_| Event::NoSocket)?;
                connect(ours.origin(), server.address).map_err(|_| Event::NoSocket)?
            }
            Err(_) => {
                server.failed(Fault::Connect, worker.now());
                return Err(Event::NoSocket);
            }
        };
        server.begin(false);
        let began = if server.is_timed() { worker.now() } else { now };
        let (upstream, _) = tier.upstream(ours.rules.upstream);
        let counted = !worker.draining();
        let session = Session {
            socket,
            permit,
            source,
            header: self.header(ours, &key),
            began,
            earlier: Duration::ZERO,
            requests: 0,
            octets_in: 0,
            answers: 0,
            octets_out: 0,
            tries: 1,
            proven: false,
            refused: false,
            counted,
            look: Moment::ZERO,
            drain: upstream.resilience.drain_timeout,
            leave_by: None,
        };
        let id = match self.table.insert(key, session, now + EARLIER) {
            Ok(id) => id,
            Err(Full(_)) => return Err(Event::NoRoom),
        };
        if counted {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(counters) = ours.counters() {
            super::counters::add(&counters.begun, 1);
            super::counters::add(&counters.open, 1);
        }
        let watched = self
            .table
            .get(id)
            .map(|session| self.ready.watch(&session.socket, id));
        if !matches!(watched, Some(Ok(()))) {
            self.end(ours, id, Event::Evicted, Ended::ConnectFailed);
            return Err(Event::NoSocket);
        }
        Ok(id)
    }

    fn make_room(&mut self, ours: &Ours) -> Result<(), Event> {
        let victim = self.table.victim().ok_or(Event::NoRoom)?;
        self.end(ours, victim, Event::Evicted, Ended::Evicted);
        Ok(())
    }

    /// Gives a session another backend, where there is one.
    fn move_on(&mut self, ours: &Ours, key: &Key, id: Id, now: Moment) -> Result<(), Event> {
        let Some(session) = self.table.get_mut(id) else {
            return Err(Event::NoBackend);
        };
        let (_, group) = ours.tier.upstream(ours.rules.upstream);
        let tried = group.place_of(session.server());
        let permit = choose(&self.worker, ours, key, &[], tried.as_slice(), now)?;
        session.refused = false;
        if Arc::ptr_eq(permit.backend(), session.server()) {
            // There is no other: it may be back.
            return Ok(());
        }
        let socket =
            connect(ours.origin(), permit.backend().address).map_err(|_| Event::NoSocket)?;
        self.ready.watch(&socket, id).map_err(|_| Event::NoSocket)?;
        permit.backend().begin(true);
        session.socket = socket;
        session.permit = permit;
        session.leave_by = None;
        session.tries += 1;
        ours.note(Event::Moved, 1);
        Ok(())
    }

    /// Takes in what backends have answered and passes it on; says whether there may be more.
    ///
    /// # Errors
    /// As the system says of the many sockets together.
    pub fn from_backends(&mut self, socket: BorrowedFd<'_>, pair: &mut Pair) -> io::Result<bool> {
        let mut found = std::mem::take(&mut self.found);
        found.append(&mut self.again);
        let more = self.ready.look(&mut found);
        if let Some(ours) = self.ours() {
            pair.outbound.clear();
            for id in &found {
                self.answers(&ours, *id, socket, &mut pair.outbound);
            }
            flush(&ours, socket, &mut pair.outbound);
        }
        found.clear();
        self.found = found;
        Ok(more? || !self.again.is_empty())
    }

    /// Takes in the answers of one session.
    fn answers(&mut self, ours: &Ours, id: Id, socket: BorrowedFd<'_>, outbound: &mut Datagrams) {
        let now = self.worker.watches.coarse();
        let Some(key) = self.table.key(id) else {
            return;
        };
        let mut taken = 0;
        while let Some(session) = self.table.get_mut(id) {
            if session.server().is_cut() {
                // Its client's next datagram goes elsewhere.
                return;
            }
            if outbound.room() == 0 {
                flush(ours, socket, outbound);
            }
            let first = outbound.len();
            let most = outbound.room().min(ANSWERS);
            match outbound.receive_more(session.socket.as_fd(), most) {
                Ok(n) => {
                    self.pass_back(ours, &key, id, first..first + n, outbound, now);
                    taken += n;
                    if n < most {
                        break;
                    }
                    if taken >= TURN {
                        self.again.push(id);
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    // The next datagram of the client goes elsewhere.
                    session.refused = true;
                    let server = session.server().clone();
                    server.failed(Fault::Connect, self.worker.now());
                }
                Err(_) => break,
            }
        }
        let over = self
            .table
            .get(id)
            .is_some_and(|s| s.answers > 0 && ours.rules.is_complete(s.requests, s.answers));
        if over {
            self.end(ours, id, Event::Complete, Ended::Answered);
        }
    }

    /// Addresses answers of a backend to the client of the session.
    fn pass_back(
        &mut self,
        ours: &Ours,
        key: &Key,
        id: Id,
        answers: Range<usize>,
        outbound: &mut Datagrams,
        now: Moment,
    ) {
        self.table.heard(id, now + EARLIER);
        let Some(session) = self.table.get_mut(id) else {
            return;
        };
        let mut octets = 0;
        for i in answers.clone() {
            outbound.address(i, key.client, key.local);
            octets += outbound.octets(i);
            if let Some(ids) = ours.state.ids()
                && let Some(header) = quic::parse(outbound.head(i))
            {
                ids.learn(&header, session.server().id, now);
            }
        }
        if session.answers == 0 {
            let server = session.server();
            let exact = if server.is_timed() {
                self.worker.now()
            } else {
                now
            };
            // Any answer is a good one; what it says is between the two.
            let took = session.earlier + exact.since(session.began);
            server.answered(200, took, exact);
        }
        session.answers += answers.len() as u64;
        session.octets_out += octets as u64;
        ours.went(session.server(), answers.len(), octets);
    }

    /// Ends a session.
    fn end(&mut self, ours: &Ours, id: Id, why: Event, ended: Ended) {
        let Some((key, session)) = self.table.remove(id) else {
            return;
        };
        if session.counted {
            self.open.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(counters) = ours.counters() {
            let open = counters.open.load(Ordering::Relaxed);
            counters
                .open
                .store(open.saturating_sub(1), Ordering::Relaxed);
            counters.note(why, 1);
        }
        let peer = Peer {
            listener: ours.listener,
            source: key.client,
            local: ours.local(&key),
            tls: None,
            number: 0,
        };
        let mut flow = Flow::new(&self.name, &peer, session.began);
        let (upstream, _) = ours.tier.upstream(ours.rules.upstream);
        flow.upstream = Some(upstream.name.clone());
        flow.server = Some(session.server().clone());
        flow.earlier = session.earlier;
        flow.tries = session.tries;
        flow.octets_in = session.octets_in;
        flow.octets_out = session.octets_out;
        flow.ended = ended;
        flow.finish(&self.worker);
    }

    /// Ends some of the sessions that were silent for too long; says whether there are more.
    pub fn sweep(&mut self) -> bool {
        let Some(ours) = self.ours() else {
            return false;
        };
        let now = self.worker.watches.coarse();
        let idle = if self.worker.draining() {
            ours.rules.idle.min(DRAIN_IDLE)
        } else {
            ours.rules.idle
        };
        for _ in 0..SWEPT {
            let Some(id) = self.table.expired(now + EARLIER, idle) else {
                return false;
            };
            self.end(&ours, id, Event::IdleTimeout, Ended::IdleTimeout);
        }
        true
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The plan in force may not know this listener any more: the one that the sessions went by does.
        let Some(ours) = self.ours.clone() else {
            return;
        };
        while let Some(id) = self.table.any() {
            self.end(&ours, id, Event::ListenerClosed, Ended::ListenerClosed);
        }
    }
}

/// Whether the system cannot take more just now.
pub fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(NO_BUFFERS)
}

const NO_BUFFERS: i32 = Errno::NOBUFS.raw_os_error();

/// Whether the system has no descriptor, local port or memory left for a socket.
fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::AGAIN
                | Errno::ADDRNOTAVAIL
                | Errno::NOBUFS
                | Errno::NOMEM
        )
    )
}

/// Sends answers to clients. What cannot be sent is lost, as datagrams may be.
fn flush(ours: &Ours, socket: BorrowedFd<'_>, outbound: &mut Datagrams) {
    let mut at = 0;
    while at < outbound.len() {
        let sending = outbound.flush(socket, at);
        at += sending.sent;
        match sending.error {
            None => break,
            Some(error) if is_busy(&error) => {
                ours.note(Event::ToClient, outbound.len() - at);
                break;
            }
            Some(_) => {
                ours.note(Event::ToClient, 1);
                at += 1;
            }
        }
    }
    outbound.clear();
}
