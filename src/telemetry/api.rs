//! What is counted of the admin API: requests by route and outcome, and how long they took.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::page::escape;
use super::{Metrics, Page};

/// Upper bounds of the histogram, in milliseconds.
const BOUNDS_MS: [u64; 9] = [1, 2, 5, 10, 25, 50, 100, 500, 2500];

/// Routes told apart at most; there are fewer, so this only bounds what a mistake could cost.
const ROUTES: usize = 128;

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// What is counted of one route.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    classes: [u64; CLASSES.len()],
    buckets: [u64; BOUNDS_MS.len() + 1],
    time: Duration,
}

/// Counters of the admin API; one for the process.
#[derive(Debug, Default)]
pub struct ApiStats(Mutex<Tallies>);

/// By route and method.
type Tallies = BTreeMap<(Box<str>, Box<str>), Tally>;

impl ApiStats {
    /// Counts an answer. `route` is the pattern that matched, such as `/v1/names/{name}`, never a path
    /// as somebody wrote it.
    pub fn count(&self, method: &str, route: &str, status: u16, took: Duration) {
        let mut tallies = self.tallies();
        let key = (Box::from(route), Box::from(method));
        let key = match tallies.contains_key(&key) || tallies.len() < ROUTES {
            true => key,
            false => (Box::from("other"), Box::from("other")),
        };
        let tally = tallies.entry(key).or_default();
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        tally.classes[class] += 1;
        let ms = took.as_millis();
        let bucket = BOUNDS_MS.iter().position(|b| ms < u128::from(*b));
        tally.buckets[bucket.unwrap_or(BOUNDS_MS.len())] += 1;
        tally.time += took;
    }

    fn tallies(&self) -> MutexGuard<'_, Tallies> {
        // Counters stay counters where a thread that held them panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics for ApiStats {
    fn render(&self, page: &mut Page) {
        // Copied, so that who is counted never waits for a page to be written.
        let tallies: Vec<(String, Tally)> = self
            .tallies()
            .iter()
            .map(|((route, method), tally)| {
                let labels = format!("route=\"{}\",method=\"{}\"", escape(route), escape(method));
                (labels, *tally)
            })
            .collect();
        let name = "tradewind_api_requests_total";
        page.family(
            name,
            "counter",
            "Requests of the admin API that were answered, by route, method and class of status.",
        );
        for (labels, tally) in &tallies {
            for (class, n) in CLASSES.iter().zip(tally.classes) {
                if n > 0 {
                    page.sample(name, &format!("{labels},class=\"{class}\""), n);
                }
            }
        }
        let name = "tradewind_api_request_duration_seconds";
        page.family(
            name,
            "histogram",
            "From a request of the admin API to the head of its answer.",
        );
        for (labels, tally) in &tallies {
            let mut all = 0;
            for (i, n) in tally.buckets.iter().enumerate() {
                all += n;
                let bound = match BOUNDS_MS.get(i) {
                    Some(ms) => (*ms as f64 / 1000.0).to_string(),
                    None => "+Inf".to_owned(),
                };
                let labels = format!("{labels},le=\"{bound}\"");
                page.sample(&format!("{name}_bucket"), &labels, all);
            }
            page.sample(&format!("{name}_sum"), labels, tally.time.as_secs_f64());
            page.sample(&format!("{name}_count"), labels, all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stats: &ApiStats) -> String {
        let mut page = Page::default();
        stats.render(&mut page);
        page.into_text()
    }

    #[test]
    fn answers_are_counted_by_class_and_time() {
        let stats = ApiStats::default();
        let ms = Duration::from_millis;
        stats.count("GET", "/v1/names", 200, ms(0));
        stats.count("GET", "/v1/names", 200, ms(30));
        stats.count("GET", "/v1/names", 404, ms(9000));
        let text = text(&stats);
        let of = "route=\"/v1/names\",method=\"GET\"";
        for line in [
            format!("tradewind_api_requests_total{{{of},class=\"2xx\"}} 2"),
            format!("tradewind_api_requests_total{{{of},class=\"4xx\"}} 1"),
            format!("tradewind_api_request_duration_seconds_bucket{{{of},le=\"0.001\"}} 1"),
            format!("tradewind_api_request_duration_seconds_bucket{{{of},le=\"0.05\"}} 2"),
            format!("tradewind_api_request_duration_seconds_bucket{{{of},le=\"+Inf\"}} 3"),
            format!("tradewind_api_request_duration_seconds_count{{{of}}} 3"),
            format!("tradewind_api_request_duration_seconds_sum{{{of}}} 9.03"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn s1_labels_are_bounded_whatever_is_asked() {
        let stats = ApiStats::default();
        for n in 0..10_000 {
            stats.count("GET", &format!("/{n}"), 200, Duration::ZERO);
        }
        let lines = text(&stats);
        let lines = lines.lines().filter(|l| l.contains("requests_total{"));
        assert_eq!(lines.clone().count(), ROUTES + 1);
        let other = format!(
            "tradewind_api_requests_total{{route=\"other\",method=\"other\",class=\"2xx\"}} {}",
            10_000 - ROUTES
        );
        assert!(lines.into_iter().any(|l| l == other));
    }
}
