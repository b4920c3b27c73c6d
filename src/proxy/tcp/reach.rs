//! A backend for a connection of layer 4: chosen by the upstream's algorithm and the source's session,
//! waited for when all are full, and another one when it takes no connection.
//!
//! Nothing of what the client sent has gone anywhere yet, so another try is always safe.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::health::backend::Fault;
use crate::ids::UpstreamId;
use crate::proxy::backend::upstream::Busy;
use crate::proxy::backend::{Admitted, Permit, Unavailable};
use crate::proxy::io::Io;
use crate::proxy::message::Peer;
use crate::proxy::seat::{NoSeat, Seat, successor};
use crate::proxy::session::Bond;
use crate::proxy::tier::{Server, Tier};
use crate::proxy::upstream::Why;
use crate::proxy::upstream::connect::{Bare, Way, connect};
use crate::proxy::worker::Worker;
use crate::time::Moment;
use crate::traffic::{Transport, Tuple};

use super::flow::{Ended, Flow};

/// A connection to a backend.
pub struct Reached {
    /// The connection.
    pub io: Io,
    /// The place at the backend.
    pub permit: Permit,
    /// What the upstream holds for it.
    pub admitted: Option<Rc<Admitted>>,
    /// What remains to be said of the backend at the end.
    pub trial: Trial,
}

/// Whether a backend that took a connection also did something with it.
#[derive(Debug, Default)]
pub struct Trial {
    /// `None`: nobody asks.
    early: Option<Early>,
}

#[derive(Debug)]
struct Early {
    server: Arc<Server>,
    /// When it took the connection.
    since: Moment,
    /// How soon after that it may not close it.
    within: Duration,
}

/// Why there is no connection.
enum Vain {
    Ended(Ended),
    /// The plan has changed while it waited; see [`NoSeat::Moved`].
    Moved(Option<Permit>),
}

impl From<NoSeat> for Vain {
    fn from(none: NoSeat) -> Vain {
        match none {
            NoSeat::Busy(busy) => busy.into(),
            NoSeat::Moved(permit) => Vain::Moved(permit),
        }
    }
}

impl From<Unavailable> for Vain {
    fn from(busy: Unavailable) -> Vain {
        Vain::Ended(match busy.why {
            Busy::NoBackend => Ended::NoBackend,
            Busy::CircuitOpen => Ended::CircuitOpen,
            Busy::TooMany => Ended::TooMany,
            Busy::QueueFull => Ended::QueueFull,
            Busy::QueueTimeout => Ended::QueueTimeout,
        })
    }
}

/// A connection to a backend of the upstream for the client's, after as many tries as configured.
/// `client`: who it is, and what its TLS has agreed to speak.
///
/// # Errors
/// Why there is none.
pub async fn reach(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    client: (&Peer, Option<&[u8]>),
    flow: &mut Flow,
) -> Result<Reached, Ended> {
    let mut moved = match try_all(worker, tier, id, client, flow).await {
        Ok(reached) => return Ok(reached),
        Err(Vain::Ended(ended)) => return Err(ended),
        Err(Vain::Moved(permit)) => permit,
    };
    let name = tier.upstream(id).0.name.clone();
    let mut tier = tier.clone();
    loop {
        let next = Box::pin(successor(worker, &tier, &name, moved.as_ref())).await;
        let (newer, at) = next.ok_or(Ended::NoBackend)?;
        tier = newer;
        // The place is given back: it is another choice, of another plan.
        drop(moved.take());
        match Box::pin(try_all(worker, &tier, at, client, flow)).await {
            Ok(reached) => return Ok(reached),
            Err(Vain::Ended(ended)) => return Err(ended),
            Err(Vain::Moved(permit)) => moved = permit,
        }
    }
}

async fn try_all(
    worker: &Rc<Worker>,
    tier: &Arc<Tier>,
    id: UpstreamId,
    (peer, alpn): (&Peer, Option<&[u8]>),
    flow: &mut Flow,
) -> Result<Reached, Vain> {
    let (upstream, group) = tier.upstream(id);
    let mut now = worker.now();
    let admitted = group.state.admit(now)?;
    let admitted = admitted.is_guarded().then(|| Rc::new(admitted));
    let ended = |fault: Option<Fault>, now: Moment| {
        if let Some(admitted) = &admitted {
            admitted.ended(None, fault, now);
        }
    };
    let tuple = Tuple {
        source: peer.source,
        destination: peer.local,
        transport: Transport::Tcp,
    };
    let sessions = group.chooser.sessions.as_ref();
    let bond = sessions.map_or_else(Bond::default, |s| s.claim_connection(peer.ip(), now));
    let hash = group.chooser.picker.hash_connection(&tuple);
    let mut seat = Seat::new(worker, group, id, hash, bond);
    let mut tries = 0;
    loop {
        let taken = seat.take(now).await?;
        let server = taken.permit.backend().clone();
        tries += 1;
        server.begin(tries > 1);
        flow.tries += 1;
        flow.server = Some(server.clone());
        let way = Way {
            until: None,
            upstream,
            tls: group.tls.as_deref(),
            server: &server,
            peer,
            bare: Some(Bare {
                sni: flow.sni.as_deref(),
                alpn,
            }),
        };
        let connected = connect(worker, &way).await;
        now = worker.now();
        let why = match connected {
            Ok(io) => {
                server.connected(now.since(taken.at), now);
                flow.connected(taken.at, now);
                ended(None, now);
                let early = upstream.resilience.early_close;
                if early.is_none() {
                    server.went_well();
                }
                return Ok(Reached {
                    io,
                    permit: taken.permit,
                    admitted,
                    trial: Trial {
                        early: early.map(|within| Early {
                            server,
                            since: now,
                            within,
                        }),
                    },
                });
            }
            Err(why) => why,
        };
        if why == Why::NoSocket {
            // Ours: it says nothing of the backend, and another one would fare no better.
            return Err(Vain::Ended(Ended::NoSocket));
        }
        server.failed(Fault::Connect, now);
        if let Err(no) = group.state.may_connect_again(tries, now) {
            ended(Some(Fault::Connect), now);
            tracing::debug!(upstream = %upstream.name, backend = %server.name, "not tried again: {no}");
            return Err(Vain::Ended(match why {
                Why::ConnectTimeout => Ended::ConnectTimeout,
                _ => Ended::ConnectFailed,
            }));
        }
        seat.avoid(taken.place);
    }
}

impl Trial {
    /// Says of the backend what its connection has shown, which ended so.
    pub fn end(self, flow: &Flow, ended: Ended, now: impl FnOnce() -> Moment) {
        let Some(Early {
            server,
            since,
            within,
        }) = self.early
        else {
            return;
        };
        if flow.octets_out > 0 {
            return server.went_well();
        }
        let now = now();
        let was_early = now.since(since) <= within;
        match ended {
            Ended::BackendClosed | Ended::BackendReset if was_early => {
                server.failed(Fault::Reset, now);
            }
            // A client that leaves at once has not seen what the backend would have done.
            _ if was_early => {}
            _ => server.went_well(),
        }
    }
}
