//! What an expectation asserts of an answer, and whether it holds.

use std::collections::BTreeMap;

use crate::config::Span;
use crate::config::spec::{AnswerSpec, ExpectSpec};
use crate::engine::{Answers, Prospect};
use crate::ids::EndpointId;
use crate::steer::Steering;
use crate::steer::decision::Standing;

use super::question::Question;
use super::seconds;
use super::things::text;

/// Endpoints that are listed one by one; where there are more, their pools are.
const LISTED: usize = 4;

/// A part that does not hold.
pub(super) struct Broken {
    /// Where it is asserted.
    pub(super) span: Span,
    /// Both values.
    pub(super) text: String,
}

/// All of `e` that does not hold of `prospect`.
pub(super) fn breaches(
    e: &ExpectSpec,
    q: &Question<'_>,
    prospect: &Prospect,
    steering: &Steering,
) -> Vec<Broken> {
    let mut broken = Vec::new();
    let is = got(prospect, steering);
    if let Some(first) = e.answer.first()
        && !answers_are(e, q, prospect, steering)
    {
        broken.push(Broken {
            span: first.span,
            text: format!("expected {}, but it gets {is}", listed(&e.answer)),
        });
    }
    for item in &e.not {
        if holds_any(&item.value, q, prospect, steering) {
            broken.push(Broken {
                span: item.span,
                text: format!(
                    "{} must not be answered, but it gets {is}",
                    word(&item.value)
                ),
            });
        }
    }
    if let Some(region) = &e.region {
        let in_region = |e: EndpointId| {
            let pool = steering.endpoints[e.index()].pool;
            let at = steering.pools[pool.index()].region;
            *steering.regions[at.index()].name == *region.value
        };
        let all = match &prospect.answers {
            Answers::Endpoints(shares) => shares.iter().all(|s| in_region(s.endpoint)),
            _ => false,
        };
        if !all {
            broken.push(Broken {
                span: region.span,
                text: format!("expected region {}, but it gets {is}", region.value),
            });
        }
    }
    for (thing, percent) in &e.shares {
        let named = text(&thing.value);
        let is: f64 = match &prospect.answers {
            Answers::Endpoints(shares) => shares
                .iter()
                .filter(|s| q.things[&named].binary_search(&s.endpoint).is_ok())
                .map(|s| s.percent)
                .sum(),
            _ => 0.0,
        };
        // The sum of nothing is -0.0, which would be shown.
        let is = is + 0.0;
        // What differs by less than rounding is equal.
        if (is - f64::from(*percent)).abs() > f64::from(e.tolerance) + 1e-9 {
            broken.push(Broken {
                span: thing.span,
                text: format!(
                    "expected {percent}% (give or take {}) for {named}, but it gets {is:.1}%",
                    e.tolerance
                ),
            });
        }
    }
    if let (Some(most), Some(ttl)) = (&e.ttl_max, prospect.ttl)
        && ttl.duration() > most.value
    {
        broken.push(Broken {
            span: most.span,
            text: format!(
                "expected a TTL of {} at most, but it is {}",
                seconds(most.value),
                seconds(ttl.duration())
            ),
        });
    }
    if let Some(standing) = &e.standing {
        let is = standing_word(prospect.standing);
        if standing.value != is {
            broken.push(Broken {
                span: standing.span,
                text: format!("expected the standing {}, but it is {is}", standing.value),
            });
        }
    }
    broken
}

/// Whether the answers are of `answer`: nothing else, and something of each.
fn answers_are(e: &ExpectSpec, q: &Question<'_>, prospect: &Prospect, steering: &Steering) -> bool {
    let of_each = e
        .answer
        .iter()
        .all(|a| holds_any(&a.value, q, prospect, steering));
    let nothing_else = match &prospect.answers {
        Answers::Endpoints(shares) => shares.iter().all(|s| {
            let mut items = e.answer.iter();
            items.any(|a| covers(&a.value, q, s.endpoint, steering))
        }),
        Answers::Addresses(all) => all.iter().all(|addr| {
            let mut items = e.answer.iter();
            items.any(|a| a.value == AnswerSpec::Address(*addr))
        }),
        _ => true,
    };
    of_each && nothing_else
}

/// Whether something of `item` may be answered.
fn holds_any(
    item: &AnswerSpec,
    q: &Question<'_>,
    prospect: &Prospect,
    steering: &Steering,
) -> bool {
    match (&prospect.answers, item) {
        (Answers::Endpoints(shares), item) => {
            shares.iter().any(|s| covers(item, q, s.endpoint, steering))
        }
        (Answers::Addresses(all), AnswerSpec::Address(addr)) => all.contains(addr),
        (Answers::Cname(is), AnswerSpec::Cname(target)) => *is == target.to_string(),
        (Answers::NoData, AnswerSpec::NoData)
        | (Answers::NxDomain, AnswerSpec::NxDomain)
        | (Answers::ServFail, AnswerSpec::ServFail) => true,
        _ => false,
    }
}

/// Whether an endpoint is of `item`.
fn covers(item: &AnswerSpec, q: &Question<'_>, e: EndpointId, steering: &Steering) -> bool {
    let endpoint = &steering.endpoints[e.index()];
    match item {
        AnswerSpec::Address(addr) => endpoint.address == Some(*addr) && endpoint.cname.is_none(),
        AnswerSpec::Cname(target) => endpoint.cname.as_ref() == Some(target),
        AnswerSpec::Thing(thing) => q.things[&text(thing)].binary_search(&e).is_ok(),
        AnswerSpec::NoData | AnswerSpec::NxDomain | AnswerSpec::ServFail => false,
    }
}

fn word(item: &AnswerSpec) -> String {
    match item {
        AnswerSpec::Address(addr) => addr.to_string(),
        AnswerSpec::Thing(thing) => text(thing),
        AnswerSpec::Cname(target) => format!("CNAME {target}"),
        AnswerSpec::NoData => "no data".to_owned(),
        AnswerSpec::NxDomain => "NXDOMAIN".to_owned(),
        AnswerSpec::ServFail => "SERVFAIL".to_owned(),
    }
}

fn listed(items: &[crate::config::Marked<AnswerSpec>]) -> String {
    let words: Vec<String> = items.iter().map(|a| word(&a.value)).collect();
    words.join(", ")
}

fn standing_word(standing: Standing) -> &'static str {
    match standing {
        // Nothing is kept in where everything is supposed.
        Standing::Normal | Standing::Held => "normal",
        Standing::Degraded => "degraded",
        Standing::LastResort => "last-resort",
    }
}

/// All that is expected, in words.
pub(super) fn wanted(e: &ExpectSpec) -> String {
    let mut parts = Vec::new();
    if !e.answer.is_empty() {
        parts.push(listed(&e.answer));
    }
    if !e.not.is_empty() {
        parts.push(format!("not {}", listed(&e.not)));
    }
    parts.extend(e.region.iter().map(|r| format!("only region {}", r.value)));
    for (thing, percent) in &e.shares {
        parts.push(format!("{} {percent}%", text(&thing.value)));
    }
    let ttl = e.ttl_max.iter();
    parts.extend(ttl.map(|t| format!("TTL at most {}", seconds(t.value))));
    parts.extend(e.standing.iter().map(|s| format!("standing {}", s.value)));
    parts.join("; ")
}

/// What may be answered, in words: `eu-1 50.0%, eu-2 50.0% (region eu; normal, TTL 30 s)`.
pub(super) fn got(prospect: &Prospect, steering: &Steering) -> String {
    let what = match &prospect.answers {
        Answers::Endpoints(shares) => {
            let pool = |e: EndpointId| &steering.pools[steering.endpoints[e.index()].pool.index()];
            let mut parts: Vec<String> = Vec::new();
            if shares.len() <= LISTED {
                for s in shares {
                    let name = &steering.endpoints[s.endpoint.index()].name;
                    parts.push(format!("{name} {:.1}%", s.percent));
                }
            } else {
                let mut pools: BTreeMap<&str, f64> = BTreeMap::new();
                for s in shares {
                    *pools.entry(&pool(s.endpoint).name).or_default() += s.percent;
                }
                let some = pools.iter().take(LISTED);
                parts.extend(some.map(|(name, percent)| format!("pool {name} {percent:.1}%")));
                if pools.len() > LISTED {
                    parts.push(format!("and {} more pools", pools.len() - LISTED));
                }
            }
            let mut regions: Vec<&str> = shares
                .iter()
                .map(|s| &*steering.regions[pool(s.endpoint).region.index()].name)
                .collect();
            regions.sort_unstable();
            regions.dedup();
            let plural = if regions.len() == 1 { "" } else { "s" };
            format!(
                "{} in region{plural} {}",
                parts.join(", "),
                regions.join(", ")
            )
        }
        Answers::Addresses(all) => {
            let all: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("{}, records of the zone", all.join(", "))
        }
        Answers::Records(n) => format!("{n} records of the zone"),
        Answers::Cname(target) => format!("CNAME {target}"),
        Answers::ServFail => "SERVFAIL".to_owned(),
        Answers::NoData => "no data".to_owned(),
        Answers::NxDomain => "NXDOMAIN".to_owned(),
        Answers::Delegated => "a referral to other servers".to_owned(),
        Answers::NotHere => "nothing: no zone here holds the name".to_owned(),
    };
    let ttl = prospect.ttl.map(|t| format!(", TTL {} s", t.secs()));
    let standing = match prospect.standing {
        Standing::Normal | Standing::Held => "",
        Standing::Degraded => ", degraded",
        Standing::LastResort => ", by the last resort",
    };
    format!("{what}{}{standing}", ttl.unwrap_or_default())
}
