//! What share of the capacity a drill must leave, where nobody says it: measured by the traffic of the
//! regions.
//!
//! In this order: what was said; what proxies report, where those of every region do; the flows of DNS
//! answers; nothing, which is said.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Drills;
use super::world::Ground;
use crate::drill::Charter;
use crate::drill::demand::{By, ENOUGH, Load, Measured};
use crate::fleet::{Change, Key};
use crate::overrides::Reach;
use crate::snapshot::View;
use crate::time::Moment;

/// The load of a node's proxy is told under this.
const KEY: &str = "d/load";

/// How often.
const TELL: Duration = Duration::from_secs(10);

/// What was told longer ago is not looked at.
const STALE: Duration = Duration::from_secs(60);

/// Seconds that are counted together.
const STEP: u64 = 60;

/// Such steps that are traffic of now.
const NOW: usize = 5;

/// Steps of a day.
const DAY: usize = 1440;

/// What a proxy was asked for, minute by minute over a day.
#[derive(Debug, Default)]
pub(super) struct Day {
    /// The latest last.
    minutes: VecDeque<u64>,
    seconds: u64,
    sum: u64,
}

/// The load of a proxy, or of several.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Carried {
    /// Arrivals in a second, over the last five minutes.
    now: f64,
    /// The most, likewise over five minutes.
    most: f64,
    /// Arrivals that the first rests on.
    arrivals: u64,
}

impl Day {
    /// Takes note of what one second brought.
    pub(super) fn second(&mut self, arrivals: u64) {
        self.sum += arrivals;
        self.seconds += 1;
        if self.seconds == STEP {
            self.minutes.push_back(self.sum);
            if self.minutes.len() > DAY {
                self.minutes.pop_front();
            }
            (self.sum, self.seconds) = (0, 0);
        }
    }

    /// `None` before the first minute is over.
    fn carried(&self) -> Option<Carried> {
        let minutes: Vec<u64> = self.minutes.iter().copied().collect();
        let width = NOW.min(minutes.len());
        let rate =
            |part: &[u64]| part.iter().sum::<u64>() as f64 / (part.len() as f64 * STEP as f64);
        let last = minutes.windows(width.max(1)).next_back()?;
        let most = minutes.windows(width.max(1)).map(rate).fold(0.0, f64::max);
        Some(Carried {
            now: rate(last),
            most,
            arrivals: last.iter().sum(),
        })
    }
}

impl Carried {
    fn text(self) -> String {
        format!("1 {} {} {}", self.now, self.most, self.arrivals)
    }

    fn parse(text: &str) -> Option<Carried> {
        let mut words = text.split(' ');
        (words.next()? == "1").then_some(())?;
        let mut rate = || {
            let n: f64 = words.next()?.parse().ok()?;
            (n.is_finite() && (0.0..1e12).contains(&n)).then_some(n)
        };
        let (now, most) = (rate()?, rate()?);
        let arrivals = words.next()?.parse().ok()?;
        let fits = words.next().is_none();
        fits.then_some(Carried {
            now,
            most,
            arrivals,
        })
    }
}

impl Drills {
    /// Counts a second of this node's proxy, and tells its load from time to time.
    pub(super) fn tell_load(&self, arrivals: Option<u64>) {
        let Some(arrivals) = arrivals else { return };
        let now = self.tools.clock.now();
        let carried = {
            let mut known = self.known();
            known.day.second(arrivals);
            let due = known.load_told.is_none_or(|at| now.since(at) >= TELL);
            if !due {
                return;
            }
            known.load_told = Some(now);
            known.day.carried()
        };
        if let (Some(carried), Ok(key)) = (carried, Key::new(KEY))
            && let Err(e) = self.tools.bus.publish(&key, &carried.text())
        {
            tracing::error!("cannot tell the fleet of the load of the proxy: {e}");
        }
    }

    /// The charter with the demand that is measured, where none was said; and in words what was used.
    pub(super) fn demanding(
        &self,
        charter: Charter,
        ground: &Ground,
        view: &View,
    ) -> (Charter, String) {
        if let Some(said) = charter.demand {
            return (charter, format!("{said} % is demanded, as was said"));
        }
        if charter.drill.reach != Reach::Everybody {
            let said = "nothing is demanded: only a few clients move".to_owned();
            return (charter, said);
        }
        let weights = weights(ground, view);
        let by_proxies = self.by_proxies(&weights, self.tools.clock.now());
        let (measured, why_not) = match by_proxies {
            Ok(measured) => (Some(measured), String::new()),
            Err(no_proxies) => match self.by_flows(ground, &weights, view) {
                Ok(measured) => (Some(measured), String::new()),
                Err(no_flows) => (None, format!("{no_proxies}, and {no_flows}")),
            },
        };
        let Some(measured) = measured else {
            let said = format!("nothing is demanded: {why_not}");
            return (charter, said);
        };
        let said = format!(
            "{} % is demanded, as {} measure: {:.1} {}, at most {:.1} borne by a unit of weight \
             within a day, trusted with twice that",
            measured.percent(),
            measured.by.word(),
            measured.now,
            measured.by.unit(),
            measured.per_weight,
        );
        let charter = Charter {
            demand: Some(measured.percent()),
            measured: Some(measured),
            ..charter
        };
        (charter, said)
    }

    fn by_proxies(
        &self,
        weights: &BTreeMap<Box<str>, u64>,
        now: Moment,
    ) -> Result<Measured, String> {
        let carried = self.carried(now);
        let missing = weights.keys().find(|region| !carried.contains_key(*region));
        if let Some(region) = missing {
            return Err(format!("no proxy of region {region} reports"));
        }
        let mine = carried
            .iter()
            .filter(|(region, _)| weights.contains_key(*region));
        let arrivals: u64 = mine.map(|(_, c)| c.arrivals).sum();
        if (arrivals as f64) < ENOUGH {
            return Err(format!("proxies report {arrivals} of {ENOUGH} arrivals"));
        }
        let loads = weights.iter().map(|(region, weight)| {
            let of = carried.get(region).copied().unwrap_or_default();
            Load {
                now: of.now,
                most: of.most,
                weight: *weight,
            }
        });
        Measured::of(By::Proxies, loads).ok_or_else(|| "proxies report no traffic".to_owned())
    }

    /// What proxies report, by region.
    fn carried(&self, now: Moment) -> BTreeMap<Box<str>, Carried> {
        let view = self.tools.publisher.latest();
        let snapshot = &view.snapshot;
        let mut out: BTreeMap<Box<str>, Carried> = BTreeMap::new();
        let Ok(key) = Key::new(KEY) else { return out };
        for (node, owner) in &self.tools.bus.view().owners {
            let Some(value) = owner.keys.get(&key) else {
                continue;
            };
            let change = Change {
                owner: node.clone(),
                generation: owner.generation,
                key: key.clone(),
                value: value.clone(),
            };
            // What this node says is what it counts now, changed or not.
            let own = *node == self.tools.node;
            let stale = !own && now.since(owner.last_progress) > STALE;
            if stale || !self.tools.fleet.may_say(&change) {
                continue;
            }
            let mut nodes = snapshot.settings.nodes.iter();
            let known = nodes.find(|n| *n.name == **node);
            if let (Some(known), Some(one)) = (known, Carried::parse(value)) {
                let sum = out.entry(known.region.clone()).or_default();
                sum.now += one.now;
                sum.most += one.most;
                sum.arrivals += one.arrivals;
            }
        }
        out
    }

    fn by_flows(
        &self,
        ground: &Ground,
        weights: &BTreeMap<Box<str>, u64>,
        view: &View,
    ) -> Result<Measured, String> {
        let Some(flows) = &self.tools.flows else {
            return Err("queries are not sampled".to_owned());
        };
        let steering = &view.snapshot.steering;
        let owners = ground.names.iter();
        let owners: std::collections::HashSet<String> = owners
            .map(|n| steering.names[n.index()].owner.to_string())
            .collect();
        let (sampled, _) = flows.sampled(1);
        let samples: f64 = sampled
            .iter()
            .filter(|(name, _)| owners.contains(&***name))
            .map(|(_, s)| s.samples)
            .sum();
        if samples < ENOUGH {
            return Err(format!(
                "{samples:.0} of {ENOUGH} samples of queries within the hour"
            ));
        }
        let asked = flows.asked(&|name| owners.contains(name));
        let loads = weights.iter().map(|(region, weight)| {
            let of = asked.get(region).copied().unwrap_or_default();
            Load {
                now: of.now,
                most: of.most,
                weight: *weight,
            }
        });
        Measured::of(By::Flows, loads).ok_or_else(|| "no query was seen".to_owned())
    }
}

/// The weight of the enabled endpoints of the drill's names, by region.
fn weights(ground: &Ground, view: &View) -> BTreeMap<Box<str>, u64> {
    let steering = &view.snapshot.steering;
    let mut out: BTreeMap<Box<str>, u64> = BTreeMap::new();
    for e in ground.covered.iter().chain(&ground.takers) {
        let endpoint = &steering.endpoints[e.index()];
        if endpoint.enabled {
            let region = steering.pools[endpoint.pool.index()].region;
            let region = steering.regions[region.index()].name.clone();
            *out.entry(region).or_default() += u64::from(endpoint.weight.0.max(1));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_minutes_gives_what_is_now_and_the_most() {
        let mut day = Day::default();
        let mut minutes = |count: usize, a_second: u64| {
            for _ in 0..count * 60 {
                day.second(a_second);
            }
            day.carried()
        };
        assert_eq!(minutes(0, 0), None);
        let first = minutes(1, 7).unwrap();
        assert_eq!((first.now, first.most, first.arrivals), (7.0, 7.0, 420));
        minutes(10, 100);
        let later = minutes(20, 10).unwrap();
        assert_eq!((later.now, later.most, later.arrivals), (10.0, 100.0, 3000));
        assert_eq!(Carried::parse(&later.text()), Some(later));
        // A day later the peak is forgotten.
        assert_eq!(minutes(DAY, 10).unwrap().most, 10.0);
    }

    #[test]
    fn what_is_no_load_is_none() {
        for text in [
            "",
            "1",
            "1 1 1",
            "2 1 1 1",
            "1 -1 1 1",
            "1 NaN 1 1",
            "1 1 inf 1",
            "1 1 1 1 1",
        ] {
            assert_eq!(Carried::parse(text), None, "{text}");
        }
    }
}
