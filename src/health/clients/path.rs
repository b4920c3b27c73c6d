//! The path to the clients of one prefix.

use std::time::Duration;

use crate::time::Moment;

/// Time constant with which samples lose weight: a path that changed shows within minutes where there
/// is traffic, and where there is none the last that is known stands.
const TAU: Duration = Duration::from_secs(600);

/// The lowest round-trip time is that of this window and of the one before it.
const WINDOW: Duration = Duration::from_secs(300);

/// Fewer connections than this say little of a prefix.
pub(super) const CONFIDENT: u64 = 5;

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

/// A path in words that any node understands: times are ages.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PathWord {
    /// Since the newest sample.
    pub age: Duration,
    /// Between the oldest and the newest sample.
    pub span: Duration,
    /// Samples.
    pub samples: u32,
    /// Connections that were looked at.
    pub connections: u32,
    /// The sum of the samples' weights at the time of the newest.
    pub weight: f32,
    /// Mean of the smoothed times, in microseconds.
    pub rtt: f32,
    /// Their standard deviation.
    pub spread: f32,
    /// Mean of the lowest times of connections, in microseconds.
    pub min_rtt: f32,
    /// Mean deviation within connections, in microseconds.
    pub rtt_var: f32,
    /// Weighed segments with data.
    pub segments: f32,
    /// Those sent again.
    pub retransmits: f32,
    /// The lowest time of the last windows, in microseconds.
    pub lowest: u32,
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

    /// What is told to other nodes at `now`: everything, in the numbers of a clock that has no zero.
    pub fn tell(&self, now: Moment) -> PathWord {
        let mean = |sum: f64| (sum / self.weight) as f32;
        let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        PathWord {
            age: now.since(self.at),
            span: self.at.since(self.since),
            samples: count(self.samples),
            connections: count(self.connections),
            weight: self.weight as f32,
            rtt: mean(self.rtt),
            spread: self.spread().as_secs_f32() * 1e6,
            min_rtt: mean(self.min_rtt),
            rtt_var: mean(self.rtt_var),
            segments: self.segments as f32,
            retransmits: self.retransmits as f32,
            lowest: self.lowest[0].min(self.lowest[1]),
        }
    }

    /// What another node told at `said`; `None` where that is nonsense. Both it and the path are on whatever
    /// line of time `said` is.
    pub fn heard(word: &PathWord, said: Moment) -> Option<ClientPath> {
        let numbers = [
            word.weight,
            word.rtt,
            word.spread,
            word.min_rtt,
            word.rtt_var,
            word.segments,
            word.retransmits,
        ];
        let fine = |n: &f32| n.is_finite() && *n >= 0.0 && *n < 1e12;
        // Nothing that a clock of this node can hold is longer than an hour of microseconds.
        let times = [word.rtt, word.spread, word.min_rtt, word.rtt_var];
        let honest = numbers.iter().all(fine)
            && times.iter().all(|t| *t <= 3.6e9)
            && word.weight >= 1e-3
            && word.samples > 0
            && word.connections <= word.samples;
        if !honest {
            return None;
        }
        let at = Moment(
            said.0
                .checked_sub(u64::try_from(word.age.as_nanos()).ok()?)?,
        );
        let weight = f64::from(word.weight);
        let (rtt, spread) = (f64::from(word.rtt), f64::from(word.spread));
        Some(ClientPath {
            at,
            since: at - word.span,
            samples: word.samples.into(),
            connections: word.connections.into(),
            weight,
            rtt: rtt * weight,
            squares: (rtt * rtt + spread * spread) * weight,
            min_rtt: f64::from(word.min_rtt) * weight,
            rtt_var: f64::from(word.rtt_var) * weight,
            segments: word.segments.into(),
            retransmits: word.retransmits.min(word.segments).into(),
            window: at.0 / WINDOW.as_nanos() as u64,
            lowest: [word.lowest.min(NONE - 1), NONE],
        })
    }

    /// How far the prefix is, to go by when clients are steered: the mean of the lowest round-trip times
    /// of connections, so that queues which clients fill themselves do not count. `None` when fewer than
    /// five connections were looked at, or none within a day.
    pub fn distance(&self, now: Moment) -> Option<Duration> {
        self.distance_within(FRESH, now)
    }

    /// As [`ClientPath::distance`], where what is older than `expire` does not count.
    pub fn distance_within(&self, expire: Duration, now: Moment) -> Option<Duration> {
        let known = self.connections >= CONFIDENT && now.since(self.at) <= expire;
        known.then(|| duration(self.min_rtt / self.weight))
    }
}
