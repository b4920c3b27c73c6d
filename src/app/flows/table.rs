//! How often which clients were sent where, by hour over the last day, in bounded memory.
//!
//! An hour knows the client networks of most queries. When there are too many, those seldom seen are
//! added up by country; each such sum keeps the network seen first as an example.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::geo::Code;
use crate::net::Prefix;

/// Hours that are kept, the one under way among them: a whole day is always there.
pub const HOURS: u64 = 25;

/// Entries of client networks that an hour knows at most, and of countries.
const MOST: usize = 8192;

/// Where a query was sent, and for whom.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Flow {
    /// The steered name.
    pub name: Arc<str>,
    /// The client network; of a sum by country, one of several.
    pub network: Prefix,
    /// The region; empty: the answer had no endpoint.
    pub region: Arc<str>,
    /// The pool; empty: the answer had no endpoint.
    pub pool: Arc<str>,
}

/// In words with a space between, as files and answers to other nodes have it. Names, regions and pools hold no
/// white space: spaces in names are written as `\032`.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.network)?;
        [&self.region, &self.pool].iter().try_for_each(|text| {
            let word = if text.is_empty() { "-" } else { text };
            write!(f, " {word}")
        })
    }
}

/// A sum of the networks that are seldom seen.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Rest {
    name: Arc<str>,
    country: Option<Code>,
    region: Arc<str>,
    pool: Arc<str>,
}

/// One hour.
#[derive(Debug, Default)]
struct Hour {
    /// Hours since 1970-01-01T00:00:00Z.
    number: u64,
    flows: HashMap<Flow, f64>,
    rest: HashMap<Rest, (Prefix, f64)>,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    /// The oldest first.
    hours: Vec<Hour>,
    texts: HashSet<Arc<str>>,
    most: usize,
    /// Queries that found no room even by country.
    lost: f64,
}

impl Default for Table {
    fn default() -> Self {
        Table::with_room(MOST)
    }
}

impl Table {
    /// A table whose hours know so many networks, and so many countries.
    pub fn with_room(most: usize) -> Table {
        Table {
            hours: Vec::new(),
            texts: HashSet::new(),
            most: most.max(2),
            lost: 0.0,
        }
    }

    /// One copy of a text for all that say it.
    pub fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone());
        new
    }

    /// Adds queries of `hour`; `country` says where a network is, and is asked when the hour is full.
    /// Hours before the day that is kept are left out.
    pub fn add(
        &mut self,
        hour: u64,
        flow: Flow,
        queries: f64,
        country: &dyn Fn(Prefix) -> Option<Code>,
    ) {
        let most = self.most;
        let Some(at) = self.hour(hour) else {
            return;
        };
        let hour = &mut self.hours[at];
        if hour.flows.len() >= most && !hour.flows.contains_key(&flow) {
            self.lost += hour.make_room(most, country);
        }
        *self.hours[at].flows.entry(flow).or_default() += queries;
    }

    /// Forgets what is older than a day before `hour`, and what is later than the next one: a calendar
    /// that was ahead must not keep out what is seen now.
    pub fn turn_to(&mut self, hour: u64) {
        let before = self.hours.len();
        let kept = |h: &Hour| h.number + HOURS > hour && h.number <= hour + 1;
        self.hours.retain(kept);
        if self.hours.len() < before {
            // Names and regions that no configuration has any more.
            self.texts.retain(|t| Arc::strong_count(t) > 1);
        }
    }

    fn hour(&mut self, number: u64) -> Option<usize> {
        let newest = self.hours.last().map_or(0, |h| h.number);
        if number + HOURS <= newest {
            return None;
        }
        Some(
            match self.hours.binary_search_by_key(&number, |h| h.number) {
                Ok(at) => at,
                Err(at) => {
                    let hour = Hour {
                        number,
                        ..Hour::default()
                    };
                    self.hours.insert(at, hour);
                    if self.hours.len() as u64 > HOURS {
                        self.hours.remove(0);
                        at - 1
                    } else {
                        at
                    }
                }
            },
        )
    }

    /// What was seen within the last `hours` before a moment in `hour`, of which the part `gone` (0 to
    /// 1) has passed. Of the hour that lies half within, the part counts.
    pub fn window(&self, hours: u64, hour: u64, gone: f64) -> Vec<(Flow, f64)> {
        let mut sums: HashMap<Flow, f64> = HashMap::new();
        let first = hour.saturating_sub(hours);
        for h in self
            .hours
            .iter()
            .filter(|h| (first..=hour).contains(&h.number))
        {
            let part = if h.number == first { 1.0 - gone } else { 1.0 };
            for (flow, queries) in &h.flows {
                *sums.entry(flow.clone()).or_default() += queries * part;
            }
            for (rest, (network, queries)) in &h.rest {
                let flow = Flow {
                    name: rest.name.clone(),
                    network: *network,
                    region: rest.region.clone(),
                    pool: rest.pool.clone(),
                };
                *sums.entry(flow).or_default() += queries * part;
            }
        }
        let mut all: Vec<(Flow, f64)> = sums.into_iter().filter(|(_, q)| *q > 0.0).collect();
        sort(&mut all);
        all
    }

    /// Every entry with its hour, those by country among them; for keeping.
    pub fn entries(&self) -> impl Iterator<Item = (u64, Flow, f64)> + '_ {
        self.hours.iter().flat_map(|h| {
            let flows = h.flows.iter().map(|(f, q)| (h.number, f.clone(), *q));
            let rest = h.rest.iter().map(|(r, (network, q))| {
                let flow = Flow {
                    name: r.name.clone(),
                    network: *network,
                    region: r.region.clone(),
                    pool: r.pool.clone(),
                };
                (h.number, flow, *q)
            });
            flows.chain(rest)
        })
    }

    /// Entries of all hours.
    pub fn size(&self) -> usize {
        self.hours
            .iter()
            .map(|h| h.flows.len() + h.rest.len())
            .sum()
    }

    /// Queries that found no room.
    pub fn lost(&self) -> f64 {
        self.lost
    }
}

/// The flows with the most queries first, in the same order on every node.
pub fn sort(flows: &mut [(Flow, f64)]) {
    fn place(f: &Flow) -> (&str, Prefix, &str, &str) {
        (&f.name, f.network, &f.region, &f.pool)
    }
    flows.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| place(a).cmp(&place(b))));
}

/// At most `most` flows of a sorted table as they are, and at most as many sums of the others by country,
/// each under the network that has the most: no query is lost as long as there are not too many countries.
pub fn condense(
    mut flows: Vec<(Flow, f64)>,
    most: usize,
    country: &dyn Fn(Prefix) -> Option<Code>,
) -> Vec<(Flow, f64)> {
    let others = flows.split_off(most.min(flows.len()));
    let mut sums: HashMap<Rest, (Flow, f64)> = HashMap::new();
    for (flow, queries) in others {
        let rest = Rest {
            name: flow.name.clone(),
            country: country(flow.network),
            region: flow.region.clone(),
            pool: flow.pool.clone(),
        };
        sums.entry(rest).or_insert((flow, 0.0)).1 += queries;
    }
    let mut sums: Vec<(Flow, f64)> = sums.into_values().collect();
    sort(&mut sums);
    sums.truncate(most);
    flows.extend(sums);
    sort(&mut flows);
    flows
}

impl Hour {
    /// Adds the half that is seldom seen to the sums by country; what has no room there is lost.
    fn make_room(&mut self, most: usize, country: &dyn Fn(Prefix) -> Option<Code>) -> f64 {
        let mut counts: Vec<f64> = self.flows.values().copied().collect();
        let middle = counts.len() / 2;
        let (_, bar, _) = counts.select_nth_unstable_by(middle, f64::total_cmp);
        let bar = *bar;
        // Where all are alike, those at the bar go until half are gone.
        let mut spare = counts.iter().filter(|c| **c < bar).count();
        let (flows, rest) = (&mut self.flows, &mut self.rest);
        let mut lost = 0.0;
        let gone = flows.extract_if(|_, queries| {
            let at_bar = *queries == bar && spare <= middle;
            spare += usize::from(at_bar);
            *queries < bar || at_bar
        });
        for (flow, queries) in gone {
            let key = Rest {
                country: country(flow.network),
                name: flow.name,
                region: flow.region,
                pool: flow.pool,
            };
            if rest.len() >= most && !rest.contains_key(&key) {
                lost += queries;
                continue;
            }
            rest.entry(key).or_insert((flow.network, 0.0)).1 += queries;
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(table: &mut Table, network: &str, region: &str) -> Flow {
        Flow {
            name: table.text("www.example."),
            network: network.parse().unwrap(),
            region: table.text(region),
            pool: table.text("p"),
        }
    }

    fn nowhere(_: Prefix) -> Option<Code> {
        None
    }

    #[test]
    fn a_window_counts_its_hours_and_part_of_the_first() {
        let mut t = Table::default();
        let f = flow(&mut t, "192.0.2.0/24", "eu");
        for hour in 100..130 {
            t.add(hour, f.clone(), 10.0, &nowhere);
        }
        let sum = |w: Vec<(Flow, f64)>| w.iter().map(|(_, q)| q).sum::<f64>();
        assert_eq!(sum(t.window(1, 129, 0.5)), 15.0);
        assert_eq!(sum(t.window(24, 129, 0.0)), 250.0);
        assert_eq!(sum(t.window(24, 129, 1.0)), 240.0);
        assert_eq!(t.size(), 25);
        // Too old for anybody.
        t.add(90, f, 1.0, &nowhere);
        assert_eq!(t.size(), 25);
        t.turn_to(200);
        // Nobody speaks of its name any more.
        assert_eq!((t.size(), t.texts.len()), (0, 0));
    }

    #[test]
    fn a_calendar_that_was_ahead_keeps_nothing_out() {
        let mut t = Table::default();
        let f = flow(&mut t, "192.0.2.0/24", "eu");
        t.add(900, f.clone(), 10.0, &nowhere);
        t.turn_to(100);
        t.add(100, f.clone(), 3.0, &nowhere);
        assert_eq!(t.window(24, 100, 0.0), [(f.clone(), 3.0)]);
        // The hour that begins now may be another thread's already.
        t.add(101, f, 1.0, &nowhere);
        t.turn_to(100);
        assert_eq!(t.size(), 2);
    }

    #[test]
    fn what_others_are_told_is_bounded_and_loses_no_query() {
        let mut t = Table::default();
        let country = |p: Prefix| match p.addr() {
            std::net::IpAddr::V4(a) if a.octets()[1] == 0 => Code::new("DE"),
            std::net::IpAddr::V4(a) if a.octets()[1] == 1 => Code::new("FR"),
            _ => None,
        };
        for i in 0..1000u32 {
            let a = std::net::Ipv4Addr::from(0x0a00_0000 + (i << 8));
            let flow = flow(&mut t, &format!("{a}/24"), "eu");
            t.add(7, flow, f64::from(1 + i % 7), &country);
        }
        let all = t.window(1, 7, 0.0);
        let sum = |f: &[(Flow, f64)]| f.iter().map(|(_, q)| q).sum::<f64>();
        assert_eq!(condense(all.clone(), 2000, &country), all);
        let told = condense(all.clone(), 50, &country);
        // The rest is of two countries and of those that nobody knows.
        assert!((52..=53).contains(&told.len()), "{}", told.len());
        assert_eq!(sum(&told), sum(&all));
        assert!(all[..50].iter().all(|f| told.contains(f)));
        assert!(told.windows(2).all(|w| w[0].1 >= w[1].1));
        assert_eq!(condense(all, 1, &country).len(), 2);
    }

    #[test]
    fn memory_is_bounded_and_what_is_often_seen_stays() {
        let mut t = Table::with_room(64);
        let country = |p: Prefix| match p.addr() {
            std::net::IpAddr::V4(a) if a.octets()[3] == 0 => Code::new("DE"),
            _ => None,
        };
        let often = flow(&mut t, "203.0.113.0/24", "us");
        for i in 0..10_000u32 {
            t.add(7, often.clone(), 1.0, &country);
            let a = std::net::Ipv4Addr::from(0x0a00_0000 + (i << 8));
            let seldom = flow(&mut t, &format!("{a}/24"), "eu");
            t.add(7, seldom, 1.0, &country);
            assert!(t.size() <= 64 + 2);
        }
        let window = t.window(1, 7, 0.5);
        assert_eq!(window[0], (often, 10_000.0));
        let all: f64 = window.iter().map(|(_, q)| q).sum();
        assert_eq!((all, t.lost()), (20_000.0, 0.0));
    }
}
