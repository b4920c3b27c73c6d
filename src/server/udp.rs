//! DNS over UDP: one socket and one thread per worker, batches of queries, one view per batch.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::engine::{Inbound, Reply, Transport, answer};
use crate::snapshot::Publisher;
use crate::telemetry::{DnsCounters, DnsEvent};
use crate::time::Clock;

use super::desk::{Desk, Engine};
use super::proxied::Proxies;
use super::tap::Taps;
use crate::sys::packet::PacketIo;
use crate::sys::{self, BatchSocket};

/// How long a worker waits for packets before it looks at its stop flag.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How long sending may wait for room in the device's queue. Longer, and the newer queries that
/// wait meanwhile are lost instead.
const SEND_WAIT: Duration = Duration::from_millis(20);

/// Pause after the system refused to receive, so that an error that stays does not take a whole core.
const ERROR_PAUSE: Duration = Duration::from_millis(10);

/// Asked of the kernel for queries that wait while a batch is answered; it gives up to
/// `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The sockets of one address, not yet served: queries wait in them.
#[derive(Debug)]
pub struct Bound {
    addr: SocketAddr,
    sockets: Vec<UdpSocket>,
    proxies: Proxies,
    taps: Taps,
}

/// Binds `addr` once per worker; the kernel spreads clients over the sockets (SO_REUSEPORT). With
/// port 0 the first socket picks a free port and the others follow. IPv6 sockets take IPv6 only, so
/// that `0.0.0.0` and `[::]` can stand side by side.
///
/// # Errors
/// When the address cannot be bound; also (`AddrInUse`) when another process serves it, though
/// SO_REUSEPORT alone would let two of one user share the queries silently.
pub fn bind(addr: SocketAddr, workers: usize) -> io::Result<Bound> {
    if addr.port() != 0 {
        drop(open(addr, false)?);
    }
    let first = open(addr, true)?;
    let addr = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers.max(1) {
        sockets.push(open(addr, true)?);
    }
    Ok(Bound {
        addr,
        sockets,
        proxies: Proxies::default(),
        taps: Taps::default(),
    })
}

/// Takes over sockets that another process bound to `addr`, queries waiting in them and all. For each
/// there is a worker, or what waits in one would never be answered; where there shall be more workers,
/// more sockets are bound.
///
/// # Errors
/// When there is none, or another one cannot be bound.
pub fn take_over(
    addr: SocketAddr,
    mut sockets: Vec<UdpSocket>,
    workers: usize,
) -> io::Result<Bound> {
    let Some(first) = sockets.first() else {
        return bind(addr, workers);
    };
    let addr = first.local_addr()?;
    if sockets.len() > workers.max(1) {
        tracing::info!(
            %addr,
            workers,
            sockets = sockets.len(),
            "each socket that was passed keeps a worker; a restart lowers their number"
        );
    }
    for socket in &sockets {
        prepare(socket, addr)?;
    }
    while sockets.len() < workers {
        sockets.push(open(addr, true)?);
    }
    Ok(Bound {
        addr,
        sockets,
        proxies: Proxies::default(),
        taps: Taps::default(),
    })
}

fn open(addr: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.into())?;
    let socket = UdpSocket::from(socket);
    prepare(&socket, addr)?;
    Ok(socket)
}

/// Sets what a worker needs of its socket.
fn prepare(socket: &UdpSocket, addr: SocketAddr) -> io::Result<()> {
    // A smaller buffer than asked only means earlier losses under bursts.
    drop(SockRef::from(socket).set_recv_buffer_size(RECEIVE_BUFFER));
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(LOOK_UP))?;
    socket.set_write_timeout(Some(SEND_WAIT))?;
    if addr.ip().is_unspecified() {
        sys::report_destination(socket, addr.is_ipv6())?;
    }
    if let Err(error) = sys::send_without_path_mtu(socket, addr.is_ipv6()) {
        tracing::debug!(%addr, %error, "path-MTU news will be believed");
    }
    Ok(())
}

impl Bound {
    /// The address, with the port that was picked.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Number of workers that [`Bound::start`] will start.
    pub fn workers(&self) -> usize {
        self.sockets.len()
    }

    /// The sockets themselves.
    pub fn sockets(&self) -> &[UdpSocket] {
        &self.sockets
    }

    /// Believes these proxies about who asks.
    #[must_use]
    pub fn behind(mut self, proxies: Proxies) -> Bound {
        self.proxies = proxies;
        self
    }

    /// Gives samples of what is answered to these consumers.
    #[must_use]
    pub fn tapped(mut self, taps: Taps) -> Bound {
        self.taps = taps;
        self
    }

    /// Starts the workers, each counting in its own of `counters`.
    ///
    /// # Errors
    /// `InvalidInput` when there are not as many counters as workers; else when the system has no
    /// thread to give.
    pub fn start(
        self,
        publisher: &Publisher,
        clock: &Arc<dyn Clock>,
        counters: Vec<Arc<DnsCounters>>,
    ) -> io::Result<UdpServer> {
        self.start_with(publisher, clock, counters, answer)
    }

    pub(super) fn start_with(
        self,
        publisher: &Publisher,
        clock: &Arc<dyn Clock>,
        counters: Vec<Arc<DnsCounters>>,
        engine: Engine,
    ) -> io::Result<UdpServer> {
        if counters.len() != self.sockets.len() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "{} workers on {} but {} sets of counters",
                    self.sockets.len(),
                    self.addr,
                    counters.len()
                ),
            ));
        }
        let mut server = UdpServer {
            addr: self.addr,
            stop: Arc::new(AtomicBool::new(false)),
            threads: Vec::with_capacity(self.sockets.len()),
            counters: counters.clone(),
        };
        let wildcard = self.addr.ip().is_unspecified();
        for (i, (socket, own)) in self.sockets.into_iter().zip(counters).enumerate() {
            let mut io = BatchSocket::new(socket, wildcard);
            let mut desk = Desk::with_engine(publisher, clock, own, engine);
            desk.tap(&self.taps);
            let stop = server.stop.clone();
            let proxies = self.proxies.clone();
            // On an error `server` is dropped, which ends the workers already started.
            server.threads.push(
                thread::Builder::new()
                    .name(format!("dns-udp-{i}"))
                    .spawn(move || work(&mut io, &mut desk, &proxies, &stop))?,
            );
        }
        Ok(server)
    }
}

/// The workers of one address.
#[derive(Debug)]
pub struct UdpServer {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    counters: Vec<Arc<DnsCounters>>,
}

impl UdpServer {
    /// The address served.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Each worker's counters.
    pub fn counters(&self) -> &[Arc<DnsCounters>] {
        &self.counters
    }

    /// Tells the workers to end after their present batch, without waiting. Stopping several servers
    /// is quicker when all are told first.
    pub fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in &self.threads {
            thread.thread().unpark();
        }
    }

    /// Ends the workers and waits for it; takes at most a fifth of a second.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for UdpServer {
    fn drop(&mut self) {
        self.tell_to_stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(addr = %self.addr, "a DNS worker had ended by a panic");
            }
        }
    }
}

/// One worker: rounds until told to stop. No error of the system ends it.
fn work<P: PacketIo>(io: &mut P, desk: &mut Desk, proxies: &Proxies, stop: &AtomicBool) {
    let mut refusals: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        match io.receive() {
            Ok(0) => desk.rest(),
            Ok(packets) => answer_batch(io, desk, proxies, packets),
            Err(error) => {
                refusals += 1;
                if refusals.is_power_of_two() {
                    tracing::warn!(%error, refusals, "the system refuses to receive; trying on");
                }
                thread::park_timeout(ERROR_PAUSE);
            }
        }
    }
}

fn answer_batch<P: PacketIo>(io: &mut P, desk: &mut Desk, proxies: &Proxies, packets: usize) {
    let behind_proxies = !proxies.is_empty();
    let mut refused = 0u32;
    let mut round = desk.round();
    if packets > 2 {
        round.read_ahead(|ahead, view| {
            for index in 0..packets {
                ahead.note(view, io.packet(index).query);
            }
            ahead.read(view);
        });
    }
    for index in 0..packets {
        let packet = io.packet(index);
        let (mut query, mut peer) = (packet.query, packet.peer);
        if behind_proxies {
            match proxies.datagram(query, peer) {
                Ok(found) => (query, peer) = found,
                Err(error) => {
                    refused += 1;
                    tracing::debug!(%peer, %error, "a datagram from a trusted proxy has no PROXY header");
                    continue;
                }
            }
        }
        let inbound = Inbound {
            packet: query,
            peer,
            transport: Transport::Udp,
        };
        if let Reply::Send(len) = round.answer(&inbound, packet.reply) {
            io.queue(index, len);
        }
    }
    let sent = io.send();
    for _ in 0..refused {
        desk.count(DnsEvent::ProxyRefused);
    }
    for _ in 0..sent.failed {
        desk.count(DnsEvent::SendFailed);
    }
    if let Some(error) = sent.error {
        tracing::debug!(%error, failed = sent.failed, "answers not sent");
    }
}

#[cfg(test)]
mod tests;
