//! What runs of a backend: one value per upstream and backend name, shared by all workers and kept over
//! reloads.
//!
//! What a request asks is an atomic: whether the backend may be used, its weight, what is under way.
//! What follows from failures is decided in [`upstream`], under a lock that a request which goes well
//! does not take.

pub mod counters;
pub mod permit;
pub mod queue;
pub mod registry;
#[cfg(test)]
mod tests;
pub mod upstream;

pub use counters::Counters;
pub use permit::Permit;
pub use registry::{Members, Registry};
pub use upstream::{Admitted, Unavailable, UpstreamState};

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::balance::candidate::{Candidate, UNIT};
use crate::balance::peak_ewma::PeakEwma;
use crate::health::backend::{Mode, SlowStart};
use crate::time::Moment;
use crate::traffic::{Backend, DrainSticky};

use self::queue::Queue;
use super::layer4::FlowTally;
use super::tally::Tally;
use super::udp::Traffic;

/// Reasons why a backend is not used, as bits of [`BackendState::gates`].
pub(super) mod gate {
    /// Fails its probes.
    pub(crate) const DOWN: u32 = 1;
    /// Not probed yet.
    pub(crate) const UNKNOWN: u32 = 1 << 1;
    /// Failed requests.
    pub(crate) const EJECTED: u32 = 1 << 2;
    /// An operator drains it.
    pub(crate) const DRAINING: u32 = 1 << 3;
    /// An operator took it out.
    pub(crate) const DISABLED: u32 = 1 << 4;
    /// The configuration does not name it any more.
    pub(crate) const REMOVED: u32 = 1 << 5;
    /// Clients that are bound to it move away while it drains.
    pub(crate) const BOUND_MOVE: u32 = 1 << 6;
    /// Its time to drain is over.
    pub(crate) const CUT: u32 = 1 << 7;

    /// What an operator said.
    pub(crate) const OPERATOR: u32 = DRAINING | DISABLED | REMOVED | CUT;
    /// It serves nobody any more, whatever binds a client to it.
    pub(crate) const LOST: u32 = DISABLED | REMOVED | CUT;
    /// Every reason.
    pub(crate) const ALL: u32 = DOWN | UNKNOWN | EJECTED | OPERATOR;
}

/// No bound.
const UNBOUNDED: u32 = u32::MAX;

/// What the backends of one upstream share and look at with each choice.
#[derive(Debug)]
pub(super) struct Beat {
    /// [`Mode`].
    mode: AtomicU8,
    /// When something changes by itself next, on the monotonic clock.
    due: AtomicU64,
    upstream: Weak<UpstreamState>,
}

impl Beat {
    fn new(upstream: Weak<UpstreamState>) -> Beat {
        Beat {
            mode: AtomicU8::new(Mode::Normal as u8),
            due: AtomicU64::new(u64::MAX),
            upstream,
        }
    }

    fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Relaxed) {
            0 => Mode::Normal,
            1 => Mode::Unproven,
            2 => Mode::Panic,
            _ => Mode::Nothing,
        }
    }

    fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }
}

/// One backend as it is now.
#[derive(Debug)]
pub struct BackendState {
    /// Differs from every other backend of this process.
    pub id: u64,
    /// Its name.
    pub name: Box<str>,
    /// Where it is.
    pub address: SocketAddr,
    /// What is counted of its exchanges.
    pub tally: Tally,
    /// What is counted of its connections and sessions of layer 4.
    pub flows: FlowTally,
    /// What is counted of its datagrams.
    pub datagrams: Traffic,
    /// What is counted of its failures.
    pub counters: Counters,
    gates: AtomicU32,
    /// In [`UNIT`]s.
    weight: AtomicU32,
    in_flight: AtomicU32,
    /// Requests under way at most; [`UNBOUNDED`].
    limit: AtomicU32,
    /// Whether successes and times are listened to.
    heeds: AtomicBool,
    timed: AtomicBool,
    ewma: Mutex<PeakEwma>,
    /// When its ramp began, on the monotonic clock; 0: it has its whole share.
    ramp_began: AtomicU64,
    ramp_nanos: AtomicU64,
    ramp_floor: AtomicU32,
    cut: Notify,
    /// How often what was under way to it had to end.
    cuts: AtomicU64,
    beat: Arc<Beat>,
    queue: Arc<Queue>,
}

impl BackendState {
    fn new(
        id: u64,
        backend: &Backend,
        workers: usize,
        beat: Arc<Beat>,
        queue: Arc<Queue>,
    ) -> BackendState {
        BackendState {
            id,
            name: backend.name.clone(),
            address: backend.address,
            tally: Tally::new(workers),
            flows: FlowTally::new(workers),
            datagrams: Traffic::default(),
            counters: Counters::default(),
            gates: AtomicU32::new(0),
            weight: AtomicU32::new(backend.weight.saturating_mul(UNIT)),
            in_flight: AtomicU32::new(0),
            limit: AtomicU32::new(UNBOUNDED),
            heeds: AtomicBool::new(false),
            timed: AtomicBool::new(false),
            ewma: Mutex::default(),
            ramp_began: AtomicU64::new(0),
            ramp_nanos: AtomicU64::new(0),
            ramp_floor: AtomicU32::new(100),
            cut: Notify::new(),
            cuts: AtomicU64::new(0),
            beat,
            queue,
        }
    }

    fn gates(&self) -> u32 {
        self.gates.load(Ordering::Relaxed)
    }

    fn has(&self, gates: u32) -> bool {
        self.gates() & gates != 0
    }

    /// Opens or shuts gates; says whether anything changed.
    fn set_gates(&self, which: u32, shut: bool) -> bool {
        let before = if shut {
            self.gates.fetch_or(which, Ordering::SeqCst)
        } else {
            self.gates.fetch_and(!which, Ordering::SeqCst)
        };
        (before & which == which) != shut || (!shut && before & which != 0)
    }

    /// Whether it may get requests of clients that are bound to none, as far as is known without
    /// looking at the clock.
    fn is_usable(&self) -> bool {
        let shut = self.gates() & gate::ALL;
        shut == 0
            || match self.beat.mode() {
                Mode::Unproven => shut & !gate::UNKNOWN == 0,
                Mode::Panic => shut & gate::OPERATOR == 0,
                Mode::Normal | Mode::Nothing => false,
            }
    }

    /// Does what has become due.
    fn look_at_clock(&self, now: Moment) {
        if self.beat.due.load(Ordering::Relaxed) <= now.0
            && let Some(upstream) = self.beat.upstream.upgrade()
        {
            upstream.settle(now);
        }
    }

    /// Its weight in force, without its share.
    pub fn configured_weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed) / UNIT
    }

    /// Requests under way at most.
    pub fn limit(&self) -> Option<u32> {
        let limit = self.limit.load(Ordering::Relaxed);
        (limit != UNBOUNDED).then_some(limit)
    }

    /// Takes a place, if there is one.
    fn take_place(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == UNBOUNDED {
            self.in_flight.fetch_add(1, Ordering::SeqCst);
            return true;
        }
        let more = |n: u32| (n < limit).then_some(n + 1);
        self.in_flight
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    /// Begins its way back to its whole share.
    fn begin_ramp(&self, ramp: Option<SlowStart>, now: Moment) {
        let Some(ramp) = ramp else {
            return;
        };
        let nanos = u64::try_from(ramp.ramp.as_nanos()).unwrap_or(u64::MAX);
        self.ramp_nanos.store(nanos, Ordering::Relaxed);
        self.ramp_floor.store(ramp.floor_percent, Ordering::Relaxed);
        self.ramp_began.store(now.0.max(1), Ordering::Relaxed);
    }

    /// Its share of its weight in thousandths.
    pub fn share(&self, now: Moment) -> u32 {
        let began = self.ramp_began.load(Ordering::Relaxed);
        if began == 0 {
            return crate::health::backend::slow_start::WHOLE;
        }
        let ramp = SlowStart {
            ramp: Duration::from_nanos(self.ramp_nanos.load(Ordering::Relaxed)),
            floor_percent: self.ramp_floor.load(Ordering::Relaxed),
        };
        let share = ramp.share(Moment(began), now);
        if share == crate::health::backend::slow_start::WHOLE {
            // Who began another ramp meanwhile keeps it.
            let _ =
                self.ramp_began
                    .compare_exchange(began, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
        share
    }

    /// Waits until what is under way to it must end: its time to drain is over, or it was disabled.
    pub async fn cut_off(&self) {
        loop {
            let told = self.cut.notified();
            if self.is_cut() {
                return;
            }
            told.await;
        }
    }

    /// Whether the configuration does not name it any more, or speaks to it in another way.
    pub fn is_removed(&self) -> bool {
        self.has(gate::REMOVED)
    }

    /// Whether what is under way to it must end.
    pub fn is_cut(&self) -> bool {
        self.has(gate::CUT)
    }

    /// Whether nobody gets a place at it any more, clients that are bound to it included.
    fn is_lost(&self) -> bool {
        self.has(gate::LOST)
    }

    /// Whether all that is held against it is that the configuration does not name it any more: what is
    /// under way to it may end in its own time.
    pub fn is_only_removed(&self) -> bool {
        let shut = self.gates() & gate::ALL & !gate::UNKNOWN;
        shut & gate::REMOVED != 0 && shut & !(gate::REMOVED | gate::DRAINING) == 0
    }

    /// How often what was under way to it had to end. Rises also when it served again in between, so that
    /// who looks now and then misses none.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// Whether anybody listens to how long answers take.
    pub fn is_timed(&self) -> bool {
        self.timed.load(Ordering::Relaxed)
    }

    fn heard(&self, took: Duration, now: Moment) {
        if self.timed.load(Ordering::Relaxed) {
            self.counters.took(took);
            let mut ewma = self.ewma.lock().unwrap_or_else(PoisonError::into_inner);
            ewma.add(took, now);
        }
    }

    fn upstream(&self) -> Option<Arc<UpstreamState>> {
        self.beat.upstream.upgrade()
    }

    fn apply_sticky(&self, sticky: DrainSticky) {
        self.set_gates(gate::BOUND_MOVE, sticky == DrainSticky::Move);
    }
}

impl Candidate for BackendState {
    fn eligible(&self, now: Moment) -> bool {
        self.look_at_clock(now);
        self.is_usable()
    }

    fn serves_bound(&self, now: Moment) -> bool {
        self.look_at_clock(now);
        let gates = self.gates();
        if gates & gate::DRAINING == 0 || gates & gate::BOUND_MOVE != 0 {
            return self.is_usable();
        }
        // Draining is all that is held against it.
        gates & gate::ALL & !gate::DRAINING == 0
    }

    fn weight(&self, now: Moment) -> u32 {
        let weight = self.weight.load(Ordering::Relaxed);
        match self.share(now) {
            crate::health::backend::slow_start::WHOLE => weight,
            share => {
                let part = u64::from(weight) * u64::from(share) / 1000;
                (part as u32).max(u32::from(weight > 0))
            }
        }
    }

    fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn has_room(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) < self.limit.load(Ordering::Relaxed)
    }

    fn ewma(&self, now: Moment) -> Duration {
        let ewma = self.ewma.lock().unwrap_or_else(PoisonError::into_inner);
        ewma.get(now)
    }
}
