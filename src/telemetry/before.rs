//! Counters that go on where another process left off: requirement O5.
//!
//! A node that is upgraded is two processes for a while. Readers of metrics know one node, whose
//! counters never fall. So the page of the new process has, in every counter and histogram, what the
//! old one counted last: this is the one place where it is added, for every family that there is or
//! will be. The old process goes on counting while it drains, and tells the new one.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Samples kept at most: of what the configuration no longer has, none beyond this.
const MOST: usize = 200_000;

/// A sample's value.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Value {
    Whole(u64),
    Real(f64),
}

impl Value {
    fn read(text: &str) -> Option<Value> {
        match text.parse() {
            Ok(whole) => Some(Value::Whole(whole)),
            Err(_) => {
                let real: f64 = text.parse().ok()?;
                real.is_finite().then_some(Value::Real(real))
            }
        }
    }

    fn plus(self, other: Value) -> Value {
        match (self, other) {
            (Value::Whole(a), Value::Whole(b)) => Value::Whole(a.saturating_add(b)),
            (a, b) => Value::Real(a.real() + b.real()),
        }
    }

    fn real(self) -> f64 {
        match self {
            Value::Whole(whole) => whole as f64,
            Value::Real(real) => real,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Whole(whole) => write!(f, "{whole}"),
            Value::Real(real) => write!(f, "{real}"),
        }
    }
}

/// Labels that name something of the configuration. What was counted of something that is gone is not shown
/// any more.
const THINGS: [&str; 8] = [
    "listener", "address", "upstream", "backend", "route", "pool", "endpoint", "cache",
];

/// Families with a label of such a name that is of the program: the routes of the admin API.
const OF_THE_PROGRAM: &str = "tradewind_api_";

/// What was counted of one sample, and its place among all that were handed on: buckets stay in their order.
#[derive(Clone, Copy, Debug)]
struct Counted {
    place: usize,
    value: Value,
}

/// What earlier processes of this node counted, by name and labels.
#[derive(Debug, Default)]
pub struct Before(Mutex<HashMap<Box<str>, Counted>>);

impl Before {
    /// Takes over what the old process counted, as it was handed on; replaces what was known of it.
    /// Lines that are no samples are left out.
    pub fn take(&self, counts: &str) {
        let samples = counts.lines().filter_map(sample);
        let samples = samples.take(MOST).enumerate();
        let counts = samples.map(|(place, (key, value))| (key.into(), Counted { place, value }));
        *self.counts() = counts.collect();
    }

    /// The page with what was counted before in every counter and histogram. A sample that this process does
    /// not show, because it has not counted anything there yet, is shown as it was, at the end of its family;
    /// unless the configuration has no more what it is of.
    pub fn add_to(&self, page: String) -> String {
        let before = self.counts();
        if before.is_empty() {
            return page;
        }
        let mut hidden = hidden(&before, &page);
        let mut whole = String::with_capacity(page.len() + 1024);
        let mut family = None;
        for (line, counts) in lines(&page) {
            if let Some(next) = begun(line) {
                end(&mut whole, family.replace(next), &mut hidden);
            }
            let known = || {
                let (key, value) = sample(line)?;
                Some((key, value.plus(before.get(key)?.value)))
            };
            // Writing to a String cannot fail.
            let _ = match counts.then(known).flatten() {
                Some((key, sum)) => writeln!(whole, "{key} {sum}"),
                None => writeln!(whole, "{line}"),
            };
        }
        end(&mut whole, family, &mut hidden);
        whole
    }

    /// What was counted of one sample, by its name with its labels as they stand on the page; `None` where
    /// nothing was.
    pub fn of(&self, sample: &str) -> Option<f64> {
        self.counts().get(sample).map(|c| c.value.real())
    }

    /// As [`Before::of`], of a sample of whole numbers; 0 where nothing was counted.
    pub fn whole(&self, sample: &str) -> u64 {
        match self.counts().get(sample).map(|c| c.value) {
            Some(Value::Whole(whole)) => whole,
            _ => 0,
        }
    }

    /// What the next process is told: the counters of a page to which [`Before::add_to`] has added, and
    /// those that the page does not show now but may show again.
    pub fn hand_on(&self, page: &str) -> String {
        let mut told = HashMap::new();
        let mut text = String::new();
        let counted = lines(page).filter(|(_, counts)| *counts);
        for (key, value) in counted.filter_map(|(line, _)| sample(line)).take(MOST) {
            let _ = writeln!(text, "{key} {value}");
            told.insert(key, ());
        }
        let before = self.counts();
        let hidden = before.iter().filter(|(key, _)| !told.contains_key(&***key));
        let mut hidden: Vec<_> = hidden.collect();
        hidden.sort_unstable_by_key(|(_, counted)| counted.place);
        for (key, counted) in hidden.into_iter().take(MOST.saturating_sub(told.len())) {
            let _ = writeln!(text, "{key} {}", counted.value);
        }
        text
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Box<str>, Counted>> {
        // Replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Samples of a family that a page does not show.
type Hidden<'a> = HashMap<&'a str, Vec<(&'a str, Counted)>>;

/// What was counted before and is not on the page, by family, of what the configuration still has.
fn hidden<'a>(before: &'a HashMap<Box<str>, Counted>, page: &'a str) -> Hidden<'a> {
    let families: HashMap<&str, bool> = page.lines().filter_map(family).collect();
    let (mut shown, mut things) = (HashSet::new(), HashSet::new());
    for (key, _) in page.lines().filter_map(sample) {
        shown.insert(key);
        things.extend(labels(key).filter(|label| is_thing(label)));
    }
    let mut hidden = Hidden::new();
    for (key, counted) in before.iter().filter(|(key, _)| !shown.contains(&***key)) {
        let name = key.split('{').next().unwrap_or_default();
        let of_histogram = || {
            let suffixes = ["_bucket", "_sum", "_count"];
            let name = suffixes.iter().find_map(|end| name.strip_suffix(end))?;
            families
                .get(name)
                .is_some_and(|is_histogram| *is_histogram)
                .then_some(name)
        };
        let of_counter = families.contains_key(name).then_some(name);
        let Some(family) = of_counter.or_else(of_histogram) else {
            continue;
        };
        let there = |label| !is_thing(label) || things.contains(label);
        if family.starts_with(OF_THE_PROGRAM) || labels(key).all(there) {
            hidden.entry(family).or_default().push((key, *counted));
        }
    }
    hidden
}

/// Writes what is hidden of a family that ends here.
fn end(whole: &mut String, family: Option<&str>, hidden: &mut Hidden<'_>) {
    let Some(mut samples) = family.and_then(|family| hidden.remove(family)) else {
        return;
    };
    samples.sort_unstable_by_key(|(_, counted)| counted.place);
    for (key, counted) in samples {
        let _ = writeln!(whole, "{key} {}", counted.value);
    }
}

/// The family that begins with this line.
fn begun(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# HELP ")?;
    rest.split(' ').next()
}

/// A family that counts, and whether it is a histogram.
fn family(line: &str) -> Option<(&str, bool)> {
    let (name, kind) = line.strip_prefix("# TYPE ")?.rsplit_once(' ')?;
    matches!(kind, "counter" | "histogram").then_some((name, kind == "histogram"))
}

/// The labels of a sample, each as it is written: `listener="mail"`.
fn labels(key: &str) -> impl Iterator<Item = &str> {
    let inner = key
        .split_once('{')
        .and_then(|(_, rest)| rest.strip_suffix('}'));
    let mut rest = inner.unwrap_or_default();
    std::iter::from_fn(move || {
        let start = rest.find("=\"")? + 2;
        let mut escaped = false;
        let len = rest[start..].find(|c: char| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        let (label, more) = rest.split_at(start + len + 1);
        rest = more.strip_prefix(',').unwrap_or(more);
        Some(label)
    })
}

fn is_thing(label: &str) -> bool {
    let name = label.split('=').next().unwrap_or_default();
    THINGS.contains(&name)
}

/// The lines of a page, each with whether it is a sample of a counter or a histogram.
fn lines(page: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut counts = false;
    page.lines().map(move |line| {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            counts = matches!(kind.rsplit(' ').next(), Some("counter" | "histogram"));
        }
        (line, counts && !line.starts_with('#'))
    })
}

/// Name and labels, and the value.
fn sample(line: &str) -> Option<(&str, Value)> {
    let (key, value) = line.rsplit_once(' ')?;
    Some((key, Value::read(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Page;
    use proptest::prelude::*;

    /// A page of a process that has counted so much.
    fn page(queries: u64, seconds: f64, open: u64, extra: Option<u64>) -> String {
        let mut page = Page::default();
        page.family("q_total", "counter", "Queries.");
        page.sample("q_total", "path=\"/a b\"", queries);
        page.sample("q_total", "path=\"/c\"", 2 * queries);
        if let Some(extra) = extra {
            page.family(
                "x_total",
                "counter",
                "Appears when there is something to tell.",
            );
            page.sample("x_total", "", extra);
        }
        page.family("t_seconds", "histogram", "Durations.");
        page.sample("t_seconds_bucket", "le=\"+Inf\"", queries);
        page.sample("t_seconds_sum", "", seconds);
        page.sample("t_seconds_count", "", queries);
        page.family("open", "gauge", "Open connections.");
        page.sample("open", "", open);
        page.into_text()
    }

    fn value(page: &str, key: &str) -> Option<f64> {
        let mut samples = page.lines().filter_map(sample);
        samples.find_map(|(k, value)| (k == key).then(|| value.real()))
    }

    #[test]
    fn o5_counters_and_histograms_go_on_and_gauges_do_not() {
        let before = Before::default();
        let old = page(10, 1.5, 7, None);
        assert_eq!(before.add_to(old.clone()), old, "nothing was before");
        let after = Before::default();
        after.take(&before.hand_on(&old));
        let sum = after.add_to(page(3, 0.25, 2, None));
        assert_eq!(value(&sum, "q_total{path=\"/a b\"}"), Some(13.0));
        assert_eq!(value(&sum, "q_total{path=\"/c\"}"), Some(26.0));
        assert_eq!(value(&sum, "t_seconds_bucket{le=\"+Inf\"}"), Some(13.0));
        assert_eq!(value(&sum, "t_seconds_sum"), Some(1.75));
        assert_eq!(after.whole("q_total{path=\"/c\"}"), 20);
        assert_eq!(after.of("t_seconds_sum"), Some(1.5));
        assert_eq!((after.whole("open"), after.of("open")), (0, None));
        assert_eq!(value(&sum, "open"), Some(2.0));
        assert!(sum.contains("# TYPE q_total counter\n"));
        assert!(
            sum.contains("\nq_total{path=\"/c\"} 26\n"),
            "stays a whole number"
        );
    }

    #[test]
    fn what_the_old_process_counts_while_it_drains_arrives() {
        let after = Before::default();
        for queries in [10, 11, 12] {
            after.take(&Before::default().hand_on(&page(queries, 0.0, 0, None)));
        }
        let sum = after.add_to(page(1, 0.0, 0, None));
        assert_eq!(value(&sum, "q_total{path=\"/a b\"}"), Some(13.0));
    }

    #[test]
    fn o5_what_was_counted_before_and_not_yet_here_is_still_shown() {
        let one = |reasons: &[(&str, &str, u64)], buckets: bool| {
            let mut page = Page::default();
            page.family("flows_total", "counter", "Flows.");
            for listener in ["mail", "web \\\"x\\\", y"] {
                page.sample("flows_total", &format!("listener=\"{listener}\""), 1);
            }
            page.family("ended_total", "counter", "Ends, by reason.");
            for (listener, reason, n) in reasons {
                let labels = format!("listener=\"{listener}\",reason=\"{reason}\"");
                page.sample("ended_total", &labels, n);
            }
            page.family("lasted", "histogram", "Durations.");
            for le in ["0.1", "10", "+Inf"].iter().filter(|_| buckets) {
                page.sample(
                    "lasted_bucket",
                    &format!("listener=\"mail\",le=\"{le}\""),
                    4,
                );
            }
            page.family("open", "gauge", "Open.");
            page.sample("open", "listener=\"mail\"", 1);
            page.into_text()
        };
        let old = [
            ("mail", "closed", 5),
            ("mail", "reset", 2),
            ("web \\\"x\\\", y", "closed", 3),
            ("gone", "closed", 9),
        ];
        let after = Before::default();
        after.take(&Before::default().hand_on(&one(&old, true)));
        let sum = after.add_to(one(&[("mail", "reset", 1)], false));
        let ended: Vec<&str> = sum
            .lines()
            .filter(|l| l.starts_with("ended_total"))
            .collect();
        assert_eq!(
            ended,
            [
                "ended_total{listener=\"mail\",reason=\"reset\"} 3",
                "ended_total{listener=\"mail\",reason=\"closed\"} 5",
                "ended_total{listener=\"web \\\"x\\\", y\",reason=\"closed\"} 3",
            ]
        );
        let (_, lasted) = sum.split_once("# TYPE lasted histogram\n").unwrap();
        let lasted: Vec<&str> = lasted.lines().take(4).collect();
        assert_eq!(
            lasted,
            [
                "lasted_bucket{listener=\"mail\",le=\"0.1\"} 4",
                "lasted_bucket{listener=\"mail\",le=\"10\"} 4",
                "lasted_bucket{listener=\"mail\",le=\"+Inf\"} 4",
                "# HELP open Open.",
            ]
        );
        // What is of something that is gone is kept for the case that it comes back.
        assert!(
            after
                .hand_on(&sum)
                .contains("listener=\"gone\",reason=\"closed\"} 9")
        );
    }

    #[test]
    fn o5_routes_of_the_api_are_not_those_of_the_configuration() {
        let old = "# HELP tradewind_api_requests_total Requests.\n\
                   # TYPE tradewind_api_requests_total counter\n\
                   tradewind_api_requests_total{route=\"/metrics\"} 4\n\
                   # HELP proxied_total Requests.\n\
                   # TYPE proxied_total counter\n\
                   proxied_total{route=\"/metrics\"} 4\n";
        let after = Before::default();
        after.take(&Before::default().hand_on(old));
        let empty: Vec<&str> = old.lines().filter(|l| l.starts_with('#')).collect();
        let sum = after.add_to(empty.join("\n"));
        let api_sample = "tradewind_api_requests_total{route=\"/metrics\"}";
        assert_eq!(value(&sum, api_sample), Some(4.0), "{sum}");
        assert_eq!(value(&sum, "proxied_total{route=\"/metrics\"}"), None);
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let after = Before::default();
        after.take("q_total{path=\"/c\"} 5\nnothing\nt_seconds_sum NaN\n\u{0}\nt_seconds_count -x");
        let sum = after.add_to(page(1, 0.0, 0, None));
        assert_eq!(value(&sum, "q_total{path=\"/c\"}"), Some(7.0));
        assert_eq!(value(&sum, "t_seconds_count"), Some(1.0));
    }

    proptest! {
        /// A series of scrapes over several processes, each counting on, never falls: also of a
        /// counter that a process shows only when it has counted something.
        #[test]
        fn o5_a_series_over_several_takeovers_never_falls(
            lives in prop::collection::vec(
                prop::collection::vec((0u64..100, 0u32..50, 0u64..9), 1..5), 1..6
            )
        ) {
            let mut before = Before::default();
            let mut last: HashMap<String, f64> = HashMap::new();
            for life in lives {
                let (mut queries, mut seconds, mut extra) = (0, 0.0, 0);
                let mut text = page(0, 0.0, 0, None);
                for (more, halves, rare) in life {
                    queries += more;
                    seconds += f64::from(halves) / 2.0;
                    extra += rare;
                    text = page(queries, seconds, more, (extra > 0).then_some(extra));
                    text = before.add_to(text);
                    for (line, counts) in lines(&text) {
                        let Some((key, value)) = sample(line).filter(|_| counts) else {
                            continue;
                        };
                        let was = last.insert(key.to_owned(), value.real());
                        prop_assert!(was.is_none_or(|was| was <= value.real()), "{key}");
                    }
                }
                let next = Before::default();
                next.take(&before.hand_on(&text));
                before = next;
            }
        }
    }
}
