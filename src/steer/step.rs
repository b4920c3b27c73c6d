//! One step of a decision, in words.

use std::fmt;

use crate::net::Family;
use crate::units::{ScopeLen, Ttl};

use super::bound::TtlBound;
use super::decision::Standing;
use super::ruling::Ruling;

/// A member in a tier, and what put it there.
#[derive(Clone, PartialEq, Debug)]
pub struct Ranked {
    /// The pool.
    pub pool: String,
    /// What the stage saw in it: `priority 1`, `412 km`, `rtt 12.1 ms`.
    pub key: String,
}

/// One step of a decision. Its `Display` is one line of about 200 characters at most.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// The members at the start.
    Members {
        /// Pools by name.
        pools: Vec<String>,
    },
    /// A stage split the tiers.
    Stage {
        /// Its key in the configuration.
        stage: &'static str,
        /// What it went by: the rule that matched, the client's coordinates; may be empty.
        by: String,
        /// The tiers after it.
        tiers: Vec<Vec<Ranked>>,
        /// Pools that a fence put out.
        fenced: Vec<String>,
    },
    /// The sites whose round-trip times speak for the client.
    Vantages {
        /// Sites, nearest first, with the vantages there that are not believed.
        sites: Vec<String>,
    },
    /// An endpoint is not a candidate.
    HeldBack {
        /// The endpoint.
        endpoint: String,
        /// Its pool.
        pool: String,
        /// By which rule.
        rule: Ruling,
        /// Why.
        why: String,
    },
    /// A pool is not a candidate as a whole.
    PassedOver {
        /// The pool.
        pool: String,
        /// By which rule.
        rule: Ruling,
        /// Why.
        why: String,
    },
    /// An operator's order takes part.
    Ordered {
        /// What it covers and orders, by whom and why.
        order: String,
    },
    /// The tier that answers.
    Tier {
        /// Counted from 1.
        tier: usize,
        /// Of how many.
        of: usize,
        /// How good an answer from it is.
        standing: Standing,
        /// Why this one.
        why: String,
    },
    /// Nothing eligible is live.
    LastResort {
        /// What the configuration says to do then.
        what: String,
    },
    /// Those among whom the draw chooses.
    Candidates {
        /// Endpoint and its share in percent.
        shares: Vec<(String, f64)>,
    },
    /// The draw.
    Drawn {
        /// The choosing stage's key in the configuration.
        chooser: &'static str,
        /// What it went by.
        by: String,
        /// Endpoints in answer order.
        picks: Vec<String>,
    },
    /// What follows is about this family, of a decision for both.
    Family {
        /// The family.
        family: Family,
    },
    /// The name does not answer this family.
    NotOffered {
        /// The family asked.
        family: Family,
    },
    /// How long the answer may be kept.
    Ttl {
        /// Seconds.
        ttl: Ttl,
        /// What bounds it.
        why: TtlBound,
    },
    /// For whom the answer holds.
    Scope {
        /// Bits.
        scope: ScopeLen,
        /// What makes it so.
        why: String,
    },
}

/// Most characters of a list inside a line.
const LIST: usize = 130;

/// Writes items with separators; what does not fit is counted.
struct List {
    used: usize,
    left_out: usize,
}

impl List {
    fn new() -> List {
        List {
            used: 0,
            left_out: 0,
        }
    }

    fn item(&mut self, f: &mut fmt::Formatter<'_>, sep: &str, text: &str) -> fmt::Result {
        let len = text.chars().count();
        if self.used > 0 && (self.left_out > 0 || self.used + len > LIST) {
            self.left_out += 1;
            return Ok(());
        }
        if self.used > 0 {
            f.write_str(sep)?;
        }
        self.used += len + sep.len();
        f.write_str(text)
    }

    fn end(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left_out {
            0 => Ok(()),
            n => write!(f, " … {n} more"),
        }
    }
}

fn list<T>(f: &mut fmt::Formatter<'_>, items: &[T], text: impl Fn(&T) -> String) -> fmt::Result {
    let mut l = List::new();
    for item in items {
        l.item(f, ", ", &text(item))?;
    }
    l.end(f)
}

/// Tiers as `a (key), b (key) > c (key)`.
fn tiers_text(f: &mut fmt::Formatter<'_>, tiers: &[Vec<Ranked>]) -> fmt::Result {
    if tiers.is_empty() {
        return f.write_str("nobody is left");
    }
    let mut l = List::new();
    for tier in tiers {
        for (i, r) in tier.iter().enumerate() {
            let text = if r.key.is_empty() {
                r.pool.clone()
            } else {
                format!("{} ({})", r.pool, r.key)
            };
            l.item(f, if i == 0 { " > " } else { ", " }, &text)?;
        }
    }
    l.end(f)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Members { pools } => {
                f.write_str("members: ")?;
                list(f, pools, String::clone)
            }
            Step::Stage {
                stage,
                by,
                tiers,
                fenced,
            } => {
                f.write_str(stage)?;
                if !by.is_empty() {
                    write!(f, " by {by}")?;
                }
                f.write_str(": ")?;
                tiers_text(f, tiers)?;
                if !fenced.is_empty() {
                    f.write_str("; fenced out: ")?;
                    list(f, fenced, String::clone)?;
                }
                Ok(())
            }
            Step::Vantages { sites } if sites.is_empty() => {
                f.write_str("vantages: none is known to be near the client")
            }
            Step::Vantages { sites } => {
                f.write_str("vantages nearest the client: ")?;
                list(f, sites, String::clone)
            }
            Step::HeldBack {
                endpoint,
                pool,
                why,
                ..
            } => write!(f, "endpoint {endpoint} of pool {pool}: {why}"),
            Step::PassedOver { pool, why, .. } => write!(f, "pool {pool} passed over: {why}"),
            Step::Ordered { order } => write!(f, "override: {order}"),
            Step::Tier {
                tier,
                of,
                standing,
                why,
            } => {
                let standing = match standing {
                    Standing::Normal => "normal",
                    Standing::Held => "held",
                    Standing::Degraded => "degraded",
                    Standing::LastResort => "last resort",
                };
                write!(f, "tier {tier} of {of} answers ({standing}): {why}")
            }
            Step::LastResort { what } => write!(f, "nothing eligible is live; last resort: {what}"),
            Step::Candidates { shares } => {
                f.write_str("candidates: ")?;
                list(f, shares, |(name, share)| format!("{name} {share:.1} %"))
            }
            Step::Drawn { chooser, by, picks } => {
                write!(f, "{chooser} by {by}: ")?;
                list(f, picks, String::clone)
            }
            Step::Family { family } => write!(f, "for {family}:"),
            Step::NotOffered { family } => {
                write!(f, "the name answers no {family} addresses: no data")
            }
            Step::Ttl { ttl, why } => write!(f, "ttl {ttl}: {why}"),
            Step::Scope { scope, why } => write!(f, "scope {scope}: {why}"),
        }
    }
}
