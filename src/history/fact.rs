//! What was so from a time on: the smallest piece of the record that replays are made of.
//!
//! A fact says something of one thing, by its name in the configuration, so that it can be read against
//! any configuration. A later fact about the same thing replaces the earlier one.

use std::sync::Arc;

use super::line::{Fields, Line};

/// Longest reason of a failure that is kept, in octets.
pub const MAX_ERROR: usize = 300;

/// Something that is so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// The verdict on an endpoint; `None`: there is no such endpoint any more.
    Verdict {
        /// The endpoint.
        endpoint: Arc<str>,
        /// The verdict.
        verdict: Option<Arc<Verdict>>,
    },
    /// How far an endpoint is from the sites, as it steers; none: nothing is known.
    Times {
        /// The endpoint.
        endpoint: Arc<str>,
        /// By site.
        times: Arc<[SiteTime]>,
    },
    /// What a vantage's word is worth; `None`: there is no such vantage any more.
    Vantage {
        /// The node.
        node: Arc<str>,
        /// One word.
        worth: Option<Arc<str>>,
        /// Whether its round-trip times are believed; `None`: it measures none.
        voice: Option<Arc<str>>,
    },
    /// An order of operators; `None`: it is not in force any more.
    Order {
        /// `state/region/eu`.
        subject: Arc<str>,
        /// The order.
        order: Option<Arc<Order>>,
    },
    /// The configuration in force.
    Config {
        /// By what it is found: the digest of all its files.
        digest: Arc<str>,
    },
}

/// The verdict on an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// `up`, `down`, `awaited` or `presumed`.
    pub state: &'static str,
    /// `unmonitored`, `not-probed`, `passing` or `failing`.
    pub cause: &'static str,
    /// The failure that is the cause.
    pub failure: Option<Arc<str>>,
    /// Since when, in milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: u64,
    /// Nothing can change it sooner, in nanoseconds.
    pub steady_ns: Option<u64>,
    /// Failures while up.
    pub failures: u32,
    /// Passes while down.
    pub passes: u32,
    /// When it was last probed, when this was written, in milliseconds since 1970.
    pub last_probe_ms: Option<u64>,
    /// The last failure.
    pub last_error: Option<Arc<str>>,
    /// Nobody who could say otherwise has a vote.
    pub stale: bool,
    /// Why it is not what votes say, in one word.
    pub held: Option<&'static str>,
    /// The end of that, in milliseconds since 1970.
    pub held_until_ms: Option<u64>,
    /// Percent of its clients that it gets.
    pub share: u8,
    /// The votes; `None` where this node's own word is the verdict.
    pub votes: Option<Arc<[Vote]>>,
}

/// A vantage's vote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vote {
    /// The node.
    pub vantage: Arc<str>,
    /// `up`, `none`, or how it fails: one word.
    pub opinion: &'static str,
    /// Failures counted when this was written.
    pub failures: u8,
}

/// How far an endpoint is from a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteTime {
    /// The site.
    pub site: Arc<str>,
    /// Nanoseconds.
    pub rtt_ns: Option<u64>,
    /// Whether it may change soon.
    pub moving: bool,
}

/// An order in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// `drain`, `weight 5` and so on.
    pub kind: Arc<str>,
    /// Who.
    pub owner: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// When it ends by itself, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// When and where it was given.
    pub stamp: Arc<str>,
    /// The drill it belongs to, as it is written in orders.
    pub drill: Option<Arc<str>>,
}

/// The words that a verdict's fields may have.
pub const STATES: [&str; 4] = ["up", "down", "awaited", "presumed"];
/// The words of causes.
pub const CAUSES: [&str; 4] = ["unmonitored", "not-probed", "passing", "failing"];
/// The words of guards.
pub const GUARDS: [&str; 6] = [
    "brake",
    "suspect",
    "hold",
    "flapping",
    "manual",
    "not-served",
];
/// The words of opinions.
pub const OPINIONS: [&str; 7] = [
    "up",
    "none",
    "connect",
    "timeout",
    "tls",
    "protocol",
    "unexpected",
];

fn one_of<const N: usize>(words: [&'static str; N], word: &str) -> Option<&'static str> {
    words.into_iter().find(|w| *w == word)
}

impl Fact {
    /// Its line in the store.
    pub fn line(&self) -> String {
        match self {
            Fact::Verdict { endpoint, verdict } => {
                let line = Line::new("v").text(endpoint);
                match verdict {
                    None => line.end(),
                    Some(v) => v.fields(line).end(),
                }
            }
            Fact::Times { endpoint, times } => {
                let mut line = Line::new("t").text(endpoint);
                for t in times.iter() {
                    line = line.text(&t.site).maybe(t.rtt_ns).flag(t.moving);
                }
                line.end()
            }
            Fact::Vantage { node, worth, voice } => Line::new("n")
                .text(node)
                .maybe_text(worth.as_deref())
                .maybe_text(voice.as_deref())
                .end(),
            Fact::Order { subject, order } => {
                let line = Line::new("o").text(subject);
                match order {
                    None => line.end(),
                    Some(o) => line
                        .text(&o.kind)
                        .text(&o.owner)
                        .text(&o.reason)
                        .maybe(o.expires_ms)
                        .text(&o.stamp)
                        .maybe_text(o.drill.as_deref())
                        .end(),
                }
            }
            Fact::Config { digest } => Line::new("c").text(digest).end(),
        }
    }

    /// Reads what [`Fact::line`] writes; `None`: it is no such line.
    pub fn read(line: &str) -> Option<Fact> {
        let mut f = Fields::of(line);
        let fact = match f.word()? {
            "v" => Fact::Verdict {
                endpoint: f.text()?.into(),
                verdict: match f.clone().word() {
                    None => None,
                    Some(_) => Some(Arc::new(Verdict::read(&mut f)?)),
                },
            },
            "t" => {
                let endpoint = f.text()?.into();
                let mut times = Vec::new();
                while f.clone().word().is_some() {
                    times.push(SiteTime {
                        site: f.text()?.into(),
                        rtt_ns: f.maybe()?,
                        moving: f.flag()?,
                    });
                }
                Fact::Times {
                    endpoint,
                    times: times.into(),
                }
            }
            "n" => Fact::Vantage {
                node: f.text()?.into(),
                worth: f.maybe_text()?.map(Into::into),
                voice: f.maybe_text()?.map(Into::into),
            },
            "o" => Fact::Order {
                subject: f.text()?.into(),
                order: match f.clone().word() {
                    None => None,
                    Some(_) => Some(Arc::new(Order {
                        kind: f.text()?.into(),
                        owner: f.text()?.into(),
                        reason: f.text()?.into(),
                        expires_ms: f.maybe()?,
                        stamp: f.text()?.into(),
                        drill: f.maybe_text()?.map(Into::into),
                    })),
                },
            },
            "c" => Fact::Config {
                digest: f.text()?.into(),
            },
            _ => return None,
        };
        f.end()?;
        Some(fact)
    }
}

impl Verdict {
    fn fields(&self, line: Line) -> Line {
        let mut line = line
            .plain(self.state)
            .plain(self.cause)
            .maybe_text(self.failure.as_deref())
            .plain(self.since_ms)
            .maybe(self.steady_ns)
            .plain(self.failures)
            .plain(self.passes)
            .maybe(self.last_probe_ms)
            .maybe_text(self.last_error.as_deref())
            .flag(self.stale)
            .maybe(self.held)
            .maybe(self.held_until_ms)
            .plain(self.share)
            .flag(self.votes.is_some());
        for vote in self.votes.iter().flat_map(|v| v.iter()) {
            line = line
                .text(&vote.vantage)
                .plain(vote.opinion)
                .plain(vote.failures);
        }
        line
    }

    fn read(f: &mut Fields<'_>) -> Option<Verdict> {
        let mut verdict = Verdict {
            state: one_of(STATES, f.word()?)?,
            cause: one_of(CAUSES, f.word()?)?,
            failure: f.maybe_text()?.map(Into::into),
            since_ms: f.plain()?,
            steady_ns: f.maybe()?,
            failures: f.plain()?,
            passes: f.plain()?,
            last_probe_ms: f.maybe()?,
            last_error: f.maybe_text()?.map(Into::into),
            stale: f.flag()?,
            held: match f.word()? {
                "-" => None,
                word => Some(one_of(GUARDS, word)?),
            },
            held_until_ms: f.maybe()?,
            share: f.plain()?,
            votes: None,
        };
        if f.flag()? {
            let mut votes = Vec::new();
            while f.clone().word().is_some() {
                votes.push(Vote {
                    vantage: f.text()?.into(),
                    opinion: one_of(OPINIONS, f.word()?)?,
                    failures: f.plain()?,
                });
            }
            verdict.votes = Some(votes.into());
        }
        Some(verdict)
    }
}

/// The text of a failure, as long as it may be kept.
pub fn error_text(text: &str) -> Arc<str> {
    if text.len() <= MAX_ERROR {
        return text.into();
    }
    let mut end = MAX_ERROR;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}
