//! The tap: a few queries with their answers, for whoever looks at traffic, at no cost to the rest.
//!
//! Each desk has a `Tap`. It counts down, so a query that is no sample costs one subtraction and one
//! branch. A sample is copied into a buffer that was used before, and put into a bounded queue; where
//! that is full the sample is dropped and counted, and the query never waits.
//!
//! Whether a query is a sample is decided for each by itself with the same chance, so what consumers
//! add up is right on average whatever clients do: a sample stands for [`Sample::weight`] queries, one
//! over the chance. The chance follows the load: all queries while there are few, as many a second as
//! the consumer wants when there are many.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::balance::mix::mix;
use crate::engine::{Inbound, Transport};
use crate::time::Moment;
use crate::units::Generation;

/// How often the chance is fitted to the load.
const WINDOW: Duration = Duration::from_secs(1);

/// Buffers that are kept for further samples, and the longest that is.
const KEPT_BUFFERS: usize = 256;
const KEPT_OCTETS: usize = 4_096;

/// A sample stands for no more queries than this.
const MAX_WEIGHT: u32 = 1 << 24;

/// A query and its answer.
pub struct Sample {
    /// How it came.
    pub transport: Transport,
    /// Who sent it, as far as a trusted proxy's word goes.
    pub peer: SocketAddr,
    /// When it was answered.
    pub at: Moment,
    /// By which view.
    pub generation: Generation,
    /// For how many queries it stands.
    pub weight: u32,
    octets: Vec<u8>,
    query: usize,
    pool: Arc<Pool>,
}

impl Sample {
    /// The query's octets.
    pub fn query(&self) -> &[u8] {
        &self.octets[..self.query]
    }

    /// The answer's octets; empty where none was sent, or where it is a transfer.
    pub fn answer(&self) -> &[u8] {
        &self.octets[self.query..]
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sample")
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.pool.give_back(std::mem::take(&mut self.octets));
    }
}

/// Buffers to be used again. Nobody waits for it: where it is in use, memory is asked for instead.
#[derive(Default)]
struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        let mut buffers = self.0.try_lock();
        let buffer = buffers.as_mut().ok().and_then(|all| all.pop());
        buffer.unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        if let Ok(mut all) = self.0.try_lock()
            && all.len() < KEPT_BUFFERS
            && (1..=KEPT_OCTETS).contains(&buffer.capacity())
        {
            buffer.clear();
            all.push(buffer);
        }
    }
}

/// What is counted of one consumer's samples.
#[derive(Debug, Default)]
pub struct TapCounters {
    /// Samples taken.
    pub taken: AtomicU64,
    /// Samples that found the queue full.
    pub dropped: AtomicU64,
}

/// Where one consumer's samples go.
struct Outlet {
    /// Samples a second of all taps together; 0: none.
    rate: AtomicU32,
    /// Taps there are.
    taps: AtomicU32,
    queue: SyncSender<Sample>,
    pool: Arc<Pool>,
    counters: Arc<TapCounters>,
}

/// A consumer's end: the samples come out here.
pub struct Inlet {
    queue: Receiver<Sample>,
    outlet: Arc<Outlet>,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inlet")
            .field("counters", &self.outlet.counters)
            .finish_non_exhaustive()
    }
}

impl Inlet {
    /// The samples that wait. Taking them wakes nobody and is woken by nobody: whoever reads looks from
    /// time to time, so that the DNS threads have no system call to make for it.
    pub fn waiting(&self) -> impl Iterator<Item = Sample> + '_ {
        self.queue.try_iter()
    }

    /// What is counted.
    pub fn counters(&self) -> &Arc<TapCounters> {
        &self.outlet.counters
    }

    /// Wants so many samples a second of all taps together from now on; 0: none.
    pub fn set_rate(&self, per_second: u32) {
        self.outlet.rate.store(per_second, Ordering::Relaxed);
    }
}

/// All consumers; the default has none.
#[derive(Clone, Default)]
pub struct Taps(Vec<Arc<Outlet>>);

impl fmt::Debug for Taps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Taps").field(&self.0.len()).finish()
    }
}

impl Taps {
    /// Adds a consumer that wants so many samples a second, and lets so many wait. Only before taps are
    /// made.
    pub fn add(&mut self, per_second: u32, waiting: usize) -> Inlet {
        let (sender, queue) = sync_channel(waiting);
        let outlet = Arc::new(Outlet {
            rate: AtomicU32::new(per_second),
            taps: AtomicU32::new(0),
            queue: sender,
            pool: Arc::default(),
            counters: Arc::default(),
        });
        self.0.push(outlet.clone());
        Inlet { queue, outlet }
    }

    /// The tap of one desk; `seed` is chance.
    pub(super) fn tap(&self, seed: u64) -> Tap {
        let spouts = self.0.iter().map(|outlet| {
            outlet.taps.fetch_add(1, Ordering::Relaxed);
            Spout {
                outlet: outlet.clone(),
                every: 1,
                left: u64::MAX,
                seen: 0,
                taken: 0,
                share: 0,
            }
        });
        let spouts: Box<[Spout]> = spouts.collect();
        Tap {
            countdown: u64::MAX,
            stride: u64::MAX,
            // Without a consumer no window ever ends.
            window_ends: match spouts.is_empty() {
                true => Moment(u64::MAX),
                false => Moment::ZERO,
            },
            window_began: Moment::ZERO,
            random: seed,
            spouts,
        }
    }
}

/// One consumer's part in a tap.
struct Spout {
    outlet: Arc<Outlet>,
    /// Each query is a sample with a chance of one in so many.
    every: u32,
    /// Queries up to and with the next sample; `u64::MAX`: there is none.
    left: u64,
    /// Queries in this window, those since the tap last looked left out.
    seen: u64,
    /// Samples since `every` was last changed.
    taken: u32,
    /// Samples wanted in a window.
    share: u32,
}

/// One desk's tap.
pub(super) struct Tap {
    /// Queries up to and with the next sample of any consumer.
    countdown: u64,
    /// What `countdown` began at.
    stride: u64,
    pub(super) window_ends: Moment,
    window_began: Moment,
    random: u64,
    spouts: Box<[Spout]>,
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("consumers", &self.spouts.len())
            .finish_non_exhaustive()
    }
}

impl Tap {
    /// Whether the query just answered is a sample. To be asked once for each.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        self.countdown -= 1;
        self.countdown == 0
    }

    /// Hands the sample to those whose it is.
    #[cold]
    pub(super) fn take(
        &mut self,
        inbound: &Inbound<'_>,
        answer: &[u8],
        at: Moment,
        generation: Generation,
    ) {
        let passed = self.stride;
        for spout in &mut self.spouts {
            spout.pass(passed);
            if spout.left != 0 {
                continue;
            }
            spout.send(inbound, answer, at, generation);
            spout.taken += 1;
            // A load that grew: each further round of samples comes from twice as many queries.
            if spout.taken >= spout.share.max(1) && spout.every < MAX_WEIGHT {
                spout.taken = 0;
                spout.every *= 2;
            }
            spout.left = gap(spout.every, &mut self.random);
        }
        self.wind_up();
    }

    /// Fits the chances to the load of the window that has ended.
    #[cold]
    pub(super) fn turn_window(&mut self, now: Moment) {
        let passed = self.stride - self.countdown;
        let seconds = now.since(self.window_began).max(WINDOW).as_secs_f64();
        for spout in &mut self.spouts {
            spout.pass(passed);
            let rate = spout.outlet.rate.load(Ordering::Relaxed);
            let taps = spout.outlet.taps.load(Ordering::Relaxed).max(1);
            let a_second = std::mem::take(&mut spout.seen) as f64 / seconds;
            spout.taken = 0;
            spout.share = rate.div_ceil(taps);
            if rate == 0 {
                spout.left = u64::MAX;
                continue;
            }
            let every = (a_second / f64::from(spout.share)).ceil();
            spout.every = every.clamp(1.0, f64::from(MAX_WEIGHT)) as u32;
            // Chance has no memory: to draw anew changes no query's chance.
            spout.left = gap(spout.every, &mut self.random);
        }
        self.window_began = now;
        self.window_ends = now + WINDOW;
        self.wind_up();
    }

    fn wind_up(&mut self) {
        self.stride = self.spouts.iter().map(|s| s.left).min().unwrap_or(u64::MAX);
        self.countdown = self.stride;
    }
}

impl Spout {
    /// So many queries went by.
    fn pass(&mut self, queries: u64) {
        self.seen += queries;
        if self.left != u64::MAX {
            self.left -= queries;
        }
    }

    fn send(&self, inbound: &Inbound<'_>, answer: &[u8], at: Moment, generation: Generation) {
        let outlet = &self.outlet;
        let mut octets = outlet.pool.take();
        octets.extend_from_slice(inbound.packet);
        octets.extend_from_slice(answer);
        let sample = Sample {
            transport: inbound.transport,
            peer: inbound.peer,
            at,
            generation,
            weight: self.every,
            octets,
            query: inbound.packet.len(),
            pool: outlet.pool.clone(),
        };
        let counter = match outlet.queue.try_send(sample) {
            Ok(()) => &outlet.counters.taken,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => &outlet.counters.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Queries up to and with the next sample where each is one with a chance of one in `every`.
fn gap(every: u32, random: &mut u64) -> u64 {
    if every <= 1 {
        return 1;
    }
    *random = mix(random.wrapping_add(0x9e37_79b9_7f4a_7c15));
    // From above 0 to 1, with the 53 bits that a float has.
    let chance = ((*random >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    let skipped = chance.ln() / (-1.0 / f64::from(every)).ln_1p();
    1 + skipped as u64
}

#[cfg(test)]
mod tests;
