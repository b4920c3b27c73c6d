//! What the exchanges of one worker thread share.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use crate::message::{Fields, Known, RequestHead, ResponseHead};
use crate::time::{Clock, Moment, Wall};

use super::features::Paper;
use super::glance::Glances;
use super::pick::AllTurns;
use super::stats::WorkerStats;
use super::tcp::pipes::Pipes;
use super::tier::Tier;
use super::trace::Tracing;
use super::udp::Buffers;
use super::upstream::h2::Shared;
use super::upstream::pool::Pool;
use super::watch::Watches;

/// Octets that one read takes at most.
pub const SCRATCH: usize = 64 << 10;

/// Heads that are kept for the next requests.
const HEADS: usize = 256;

/// Heads that wait to be used again, each where it has always been.
type Kept<T> = RefCell<Vec<Box<T>>>;

/// A worker: one thread, one runtime, its own connections to backends.
pub struct Worker {
    /// Deadlines.
    pub watches: Rc<Watches>,
    /// Idle connections to backends.
    pub pool: Pool,
    /// Connections to backends that speak HTTP/2.
    pub shared: Shared,
    /// What it counts.
    pub stats: Arc<WorkerStats>,
    /// Which of the workers it is.
    pub number: usize,
    /// Copies of requests under way.
    pub mirrors: Cell<usize>,
    /// Pipes for octets that pass within the kernel.
    pub pipes: Pipes,
    /// How many looks at clients' connections it may take.
    pub glances: Glances,
    /// Memory that datagrams go through.
    pub datagrams: Buffers,
    /// Whose turn it is at each upstream.
    pub turns: AllTurns,
    /// Where texts are written.
    pub paper: RefCell<Paper>,
    tracing: OnceCell<Tracing>,
    clock: Arc<dyn Clock>,
    wall: Cell<Wall>,
    tier: RefCell<Cache<Arc<ArcSwap<Tier>>, Arc<Tier>>>,
    scratch: RefCell<Box<[u8]>>,
    requests: Kept<RequestHead>,
    responses: Kept<ResponseHead>,
    random: Cell<u64>,
    connections: Cell<u64>,
    draining: Cell<bool>,
    retired: Cell<bool>,
    quiet_until: Cell<Moment>,
    /// The last second of which the date was asked for, and its text.
    date: RefCell<(u64, String)>,
}

impl Worker {
    /// A worker that reads `tier`. `seed` differs from worker to worker.
    pub fn new(
        tier: Arc<ArcSwap<Tier>>,
        clock: Arc<dyn Clock>,
        stats: Arc<WorkerStats>,
        number: usize,
        seed: u64,
    ) -> Rc<Worker> {
        Rc::new(Worker {
            watches: Watches::new(clock.clone()),
            pool: Pool::default(),
            shared: Shared::default(),
            stats,
            number,
            pipes: Pipes::default(),
            glances: Glances::default(),
            datagrams: Buffers::default(),
            turns: AllTurns::new(number),
            wall: Cell::new(clock.wall()),
            mirrors: Cell::new(0),
            paper: RefCell::default(),
            tracing: OnceCell::new(),
            clock,
            tier: RefCell::new(Cache::new(tier)),
            scratch: RefCell::new(vec![0; SCRATCH].into()),
            requests: RefCell::default(),
            responses: RefCell::default(),
            random: Cell::new(seed | 1),
            connections: Cell::new(0),
            draining: Cell::new(false),
            retired: Cell::new(false),
            quiet_until: Cell::default(),
            date: RefCell::default(),
        })
    }

    /// Traces requests from now on, if they are to be; once.
    pub fn trace_by(&self, tracing: Option<Tracing>) {
        if let Some(tracing) = tracing {
            self.tracing.get_or_init(|| tracing);
        }
    }

    /// How requests are traced; `None`: they are not.
    #[inline]
    pub fn tracing(&self) -> Option<&Tracing> {
        self.tracing.get()
    }

    /// The tier in force. Take it once per exchange.
    pub fn tier(&self) -> Arc<Tier> {
        self.tier.borrow_mut().load().clone()
    }

    /// The time.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// The calendar.
    pub fn wall(&self) -> Wall {
        self.wall.get()
    }

    /// Milliseconds since 1970 of a moment.
    pub fn unix_ms(&self, at: Moment) -> u64 {
        self.wall.get().unix_ms(at)
    }

    /// Puts the date into a response that has none (RFC 9110 section 6.6.1).
    pub fn put_date(&self, fields: &mut Fields) {
        if fields.has(Known::Date) {
            return;
        }
        let unix = self.wall.get().unix(self.watches.coarse());
        let mut date = self.date.borrow_mut();
        if date.0 != unix {
            let time = std::time::UNIX_EPOCH + Duration::from_secs(unix);
            *date = (unix, httpdate::fmt_http_date(time));
        }
        fields.push_known(Known::Date, date.1.as_bytes());
    }

    /// Looks at the calendar again: the machine's clock may have been set.
    pub fn set_wall(&self) {
        self.wall.set(self.clock.wall());
    }

    /// Whether a warning may be logged that could come with every request: once a second.
    pub fn may_warn(&self) -> bool {
        let now = self.watches.coarse();
        let may = now >= self.quiet_until.get();
        if may {
            self.quiet_until.set(now + Duration::from_secs(1));
        }
        may
    }

    /// Whether the proxy takes no new requests on connections that live.
    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Answers end their connections from now on, and idle ones end at once; or no longer.
    pub fn set_draining(&self, draining: bool) {
        self.draining.set(draining);
        if draining {
            self.watches.end_idling();
        }
    }

    /// Answers end their connections from now on; those that idle are left until they ask, so that no
    /// request meets a connection that is just being closed.
    pub fn retire(&self) {
        self.draining.set(true);
        self.retired.set(true);
    }

    /// Whether another process takes what comes in.
    pub fn retired(&self) -> bool {
        self.retired.get()
    }

    /// The number of a client's connection: differs from all others of this worker, and is not 0.
    pub fn number_connection(&self) -> u64 {
        let number = self.connections.get() + 1;
        self.connections.set(number);
        number
    }

    /// A random word (xorshift64*): for choosing, not for secrets.
    pub fn random(&self) -> u64 {
        let mut x = self.random.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.random.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Runs `f` with memory to read into. Not within itself.
    pub fn with_scratch<T>(&self, f: impl FnOnce(&mut [u8]) -> T) -> T {
        f(&mut self.scratch.borrow_mut())
    }

    /// An empty head.
    pub fn request_head(&self) -> Box<RequestHead> {
        self.requests.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a head back.
    pub fn reuse_request(&self, mut head: Box<RequestHead>) {
        let mut heads = self.requests.borrow_mut();
        if heads.len() < HEADS {
            head.clear();
            heads.push(head);
        }
    }

    /// An empty head.
    pub fn response_head(&self) -> Box<ResponseHead> {
        self.responses.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes a head back.
    pub fn reuse_response(&self, mut head: Box<ResponseHead>) {
        let mut heads = self.responses.borrow_mut();
        if heads.len() < HEADS {
            head.fields.clear();
            heads.push(head);
        }
    }
}
