//! The path to the clients of one prefix.

use std::time::Duration;

use crate::time::Moment;

/// Time constant with which samples lose weight: a path that changed shows within minutes where there
/// is traffic, and where there is none the last that is known stands.
const TAU: Duration = Duration::from_secs(600);

/// The lowest round-trip time is that of this window and of the one before it.
const WINDOW: Duration = Duration::from_secs(300);

/// Fewer connections than this say little of a prefix.
const CONFIDENT: u64 = 5;

/// What was last heard longer ago than this is no base for a decision.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// What one look at a connection says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PathSample {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Its mean deviation within the connection.
    pub rtt_var: Duration,
    /// The lowest round-trip time of the connection.
    pub min_rtt: Duration,
    /// Segments with data that were sent since the last look at the same connection.
    pub segments: u32,
    /// Segments that were sent again since then.
    pub retransmits: u32,
    /// Whether it is the first look at the connection.
    pub first: bool,
}

/// What all samples of a prefix say together. Weighed sums, all of the moment `at`: a sample of an age
/// *a* has the weight e^(−a/τ).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClientPath {
    /// When the newest sample came.
    at: Moment,
    /// When the oldest came.
    since: Moment,
    samples: u64,
    connections: u64,
    weight: f64,
    /// Microseconds.
    rtt: f64,
    /// Squares of these.
    squares: f64,
    /// Microseconds.
    min_rtt: f64,
    /// Microseconds.
    rtt_var: f64,
    segments: f64,
    retransmits: f64,
    /// Number of the newest window, and the lowest of it and of the one before, in microseconds.
    window: u64,
    lowest: [u32; 2],
}

/// No value.
const NONE: u32 = u32::MAX;

fn micros(d: Duration) -> f64 {
    d.as_secs_f64() * 1e6
}

fn duration(us: f64) -> Duration {
    Duration::from_nanos((us.max(0.0) * 1e3).round() as u64)
}

impl ClientPath {
    /// A path of which this sample is all that is known.
    pub fn new(sample: &PathSample, at: Moment) -> ClientPath {
        let rtt = micros(sample.rtt);
        let lowest = u32::try_from(sample.min_rtt.as_micros()).unwrap_or(NONE - 1);
        ClientPath {
            at,
            since: at,
            samples: 1,
            connections: u64::from(sample.first),
            weight: 1.0,
            rtt,
            squares: rtt * rtt,
            min_rtt: micros(sample.min_rtt),
            rtt_var: micros(sample.rtt_var),
            segments: f64::from(sample.segments),
            // More sent again than sent at all: the counts are of two moments.
            retransmits: f64::from(sample.retransmits.min(sample.segments)),
            window: at.0 / WINDOW.as_nanos() as u64,
            lowest: [lowest.min(NONE - 1), NONE],
        }
    }

    /// Takes a sample in.
    pub fn add(&mut self, sample: &PathSample, at: Moment) {
        self.merge(&ClientPath::new(sample, at));
    }

    /// Takes in what another table knows of the same prefix. The order in which paths are merged does
    /// not matter, but for rounding.
    pub fn merge(&mut self, other: &ClientPath) {
        let at = self.at.max(other.at);
        let (mine, theirs) = (self.faded(at), other.faded(at));
        *self = ClientPath {
            at,
            since: self.since.min(other.since),
            samples: self.samples.saturating_add(other.samples),
            connections: self.connections.saturating_add(other.connections),
            weight: mine.weight + theirs.weight,
            rtt: mine.rtt + theirs.rtt,
            squares: mine.squares + theirs.squares,
            min_rtt: mine.min_rtt + theirs.min_rtt,
            rtt_var: mine.rtt_var + theirs.rtt_var,
            segments: mine.segments + theirs.segments,
            retransmits: mine.retransmits + theirs.retransmits,
            window: self.window.max(other.window),
            lowest: {
                let window = self.window.max(other.window);
                let (a, b) = (self.lowest_as_of(window), other.lowest_as_of(window));
                [a[0].min(b[0]), a[1].min(b[1])]
            },
        };
    }

    /// With the weights of a later moment.
    fn faded(&self, at: Moment) -> ClientPath {
        let keeps = (-at.since(self.at).as_secs_f64() / TAU.as_secs_f64()).exp();
        ClientPath {
            weight: self.weight * keeps,
            rtt: self.rtt * keeps,
            squares: self.squares * keeps,
            min_rtt: self.min_rtt * keeps,
            rtt_var: self.rtt_var * keeps,
            segments: self.segments * keeps,
            retransmits: self.retransmits * keeps,
            ..*self
        }
    }

    /// The lowest of window `window`, not before its own, and of the one before it.
    fn lowest_as_of(&self, window: u64) -> [u32; 2] {
        match window - self.window {
            0 => self.lowest,
            1 => [NONE, self.lowest[0]],
            _ => [NONE; 2],
        }
    }

    /// The mean of the smoothed round-trip times, newer ones weighing more.
    pub fn rtt(&self) -> Duration {
        duration(self.rtt / self.weight)
    }

    /// The standard deviation between samples: how much clients of the prefix differ, and how much they
    /// change.
    pub fn spread(&self) -> Duration {
        let mean = self.rtt / self.weight;
        // Rounding may leave less than nothing.
        duration((self.squares / self.weight - mean * mean).max(0.0).sqrt())
    }

    /// The mean deviation within connections, as TCP smooths it.
    pub fn rtt_var(&self) -> Duration {
        duration(self.rtt_var / self.weight)
    }

    /// The lowest round-trip time of the last five to ten minutes with samples.
    pub fn min_rtt(&self) -> Duration {
        let lowest = self.lowest[0].min(self.lowest[1]);
        Duration::from_micros(u64::from(lowest))
    }

    /// Which share of the segments was sent again, from 0 to 1; 0 without segments.
    pub fn retransmit_share(&self) -> f64 {
        if self.segments > 0.0 {
            (self.retransmits / self.segments).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Connections that were looked at so far.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// When the newest sample came.
    pub fn at(&self) -> Moment {
        self.at
    }

    /// When the oldest sample came.
    pub fn since(&self) -> Moment {
        self.since
    }

    /// How far the prefix is, to go by when clients are steered: the mean of the lowest round-trip times
    /// of connections, so that queues which clients fill themselves do not count. `None` when fewer than
    /// five connections were looked at, or none within a day.
    pub fn distance(&self, now: Moment) -> Option<Duration> {
        let known = self.connections >= CONFIDENT && now.since(self.at) <= FRESH;
        known.then(|| duration(self.min_rtt / self.weight))
    }
}
