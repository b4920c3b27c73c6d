//! Metrics and spans in the JSON of OpenTelemetry's protocol (OTLP 1.x; proto3 JSON: names in
//! lowerCamelCase, 64-bit integers as text, identifiers in hex).

use serde_json::{Value, json};

use crate::telemetry::families::{Family, Sample};
use crate::telemetry::spans::Span;

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u8 = 2;
/// `SPAN_KIND_SERVER`
const SERVER: u8 = 2;
/// `STATUS_CODE_ERROR`
const ERROR: u8 = 2;

/// Who speaks.
#[derive(Clone, Debug)]
pub(super) struct Resource {
    /// The node.
    pub(super) node: String,
    /// Its region.
    pub(super) region: String,
}

impl Resource {
    fn json(&self) -> Value {
        json!({ "attributes": [
            text("service.name", "tradewind"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", &self.node),
            text("tradewind.region", &self.region),
        ] })
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Times of an export, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When counting began.
    pub(super) start: u64,
    /// Now.
    pub(super) now: u64,
}

/// The body for `/v1/metrics`, with at most `most` data points; and how many were left out.
pub(super) fn metrics(
    resource: &Resource,
    families: &[Family],
    times: Times,
    most: usize,
) -> (Value, u64) {
    let (mut points, mut left_out) = (0, 0);
    let mut metrics = Vec::new();
    for family in families {
        let here = match family.kind.as_str() {
            "histogram" => histograms(family, times),
            _ => family.samples.iter().map(|s| number(s, times)).collect(),
        };
        if here.is_empty() {
            continue;
        }
        if points + here.len() > most {
            left_out += here.len() as u64;
            continue;
        }
        points += here.len();
        let mut metric = json!({
            "name": family.name,
            "description": family.help,
            "unit": unit(&family.name),
        });
        let (key, data) = match family.kind.as_str() {
            "counter" => (
                "sum",
                json!({ "dataPoints": here, "aggregationTemporality": CUMULATIVE, "isMonotonic": true }),
            ),
            "histogram" => (
                "histogram",
                json!({ "dataPoints": here, "aggregationTemporality": CUMULATIVE }),
            ),
            _ => ("gauge", json!({ "dataPoints": here })),
        };
        metric[key] = data;
        metrics.push(metric);
    }
    let body = json!({ "resourceMetrics": [{
        "resource": resource.json(),
        "scopeMetrics": [{ "scope": { "name": "tradewind" }, "metrics": metrics }],
    }] });
    (body, left_out)
}

/// The unit in UCUM, as the name says it.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes" | "octets") => "By",
        _ => "1",
    }
}

fn attributes<'l>(labels: impl IntoIterator<Item = &'l (String, String)>) -> Vec<Value> {
    let labels = labels.into_iter();
    labels.map(|(key, value)| text(key, value)).collect()
}

fn number(sample: &Sample, times: Times) -> Value {
    json!({
        "attributes": attributes(&sample.labels),
        "startTimeUnixNano": times.start.to_string(),
        "timeUnixNano": times.now.to_string(),
        "asDouble": sample.value,
    })
}

/// One data point for each set of labels but `le`. Buckets of the page count all that are smaller, too;
/// those of OpenTelemetry do not.
fn histograms(family: &Family, times: Times) -> Vec<Value> {
    #[derive(Default)]
    struct Point<'s> {
        labels: Vec<&'s (String, String)>,
        bounds: Vec<f64>,
        counts: Vec<u64>,
        sum: f64,
        count: u64,
    }
    let mut points: Vec<Point<'_>> = Vec::new();
    for sample in &family.samples {
        let labels: Vec<_> = sample.labels.iter().filter(|(k, _)| k != "le").collect();
        if points.last().is_none_or(|p| p.labels != labels) {
            points.push(Point {
                labels,
                ..Point::default()
            });
        }
        let Some(point) = points.last_mut() else {
            continue;
        };
        match sample.suffix.as_str() {
            "_sum" => point.sum = sample.value,
            "_count" => point.count = sample.value as u64,
            _ => {
                let before: u64 = point.counts.iter().sum();
                point
                    .counts
                    .push((sample.value as u64).saturating_sub(before));
                let bound = sample.labels.iter().find(|(k, _)| k == "le");
                let bound = bound.and_then(|(_, v)| v.parse::<f64>().ok());
                point.bounds.extend(bound.filter(|b| b.is_finite()));
            }
        }
    }
    let points = points.iter().map(|p| {
        let counts: Vec<String> = p.counts.iter().map(u64::to_string).collect();
        json!({
            "attributes": attributes(p.labels.iter().copied()),
            "startTimeUnixNano": times.start.to_string(),
            "timeUnixNano": times.now.to_string(),
            "count": p.count.to_string(),
            "sum": p.sum,
            "bucketCounts": counts,
            "explicitBounds": p.bounds,
        })
    });
    points.collect()
}

/// The body for `/v1/traces`. `random` gives the octets of identifiers.
pub(super) fn traces(
    resource: &Resource,
    spans: &[Span],
    mut random: impl FnMut(&mut [u8]),
) -> Value {
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            let (mut trace, mut id) = ([0; 16], [0; 8]);
            random(&mut trace);
            random(&mut id);
            let start = span.began_ms * 1_000_000;
            let end = start + u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX / 2);
            let mut json = json!({
                "traceId": hex(&span.parent.map_or(trace, |p| p.trace)),
                "spanId": hex(&id),
                "name": format!("{} {}", span.method, span.route),
                "kind": SERVER,
                "startTimeUnixNano": start.to_string(),
                "endTimeUnixNano": end.to_string(),
                "attributes": [
                    text("http.request.method", &span.method),
                    text("http.route", &span.route),
                    { "key": "http.response.status_code",
                      "value": { "intValue": span.status.to_string() } },
                ],
            });
            if let Some(parent) = span.parent {
                json["parentSpanId"] = hex(&parent.span).into();
            }
            if span.status >= 500 {
                json["status"] = json!({ "code": ERROR });
            }
            json
        })
        .collect();
    json!({ "resourceSpans": [{
        "resource": resource.json(),
        "scopeSpans": [{ "scope": { "name": "tradewind" }, "spans": spans }],
    }] })
}

fn hex(octets: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(octets)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Page;
    use crate::telemetry::families::families;
    use crate::telemetry::spans::TraceParent;

    fn resource() -> Resource {
        Resource {
            node: "ns1".to_owned(),
            region: "eu".to_owned(),
        }
    }

    const TIMES: Times = Times { start: 5, now: 9 };

    #[test]
    fn each_kind_becomes_what_opentelemetry_calls_it() {
        let mut page = Page::default();
        page.family("q_total", "counter", "Queries.");
        page.sample("q_total", "a=\"b\"", 7);
        page.family("mem_bytes", "gauge", "Memory.");
        page.sample("mem_bytes", "", 1.5);
        page.family("t_seconds", "histogram", "Durations.");
        for (labels, value) in [("x=\"1\",le=\"0.1\"", 2), ("x=\"1\",le=\"+Inf\"", 5)] {
            page.sample("t_seconds_bucket", labels, value);
        }
        page.sample("t_seconds_sum", "x=\"1\"", 2.5);
        page.sample("t_seconds_count", "x=\"1\"", 5);
        page.family("none", "gauge", "No samples.");
        let (body, left) = metrics(&resource(), &families(&page.into_text()), TIMES, 100);
        assert_eq!(left, 0);
        let metrics = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        assert_eq!(metrics.as_array().unwrap().len(), 3);
        let sum = &metrics[0]["sum"];
        assert_eq!(
            (&sum["isMonotonic"], &sum["aggregationTemporality"]),
            (&json!(true), &json!(2))
        );
        assert_eq!(sum["dataPoints"][0]["asDouble"], 7.0);
        assert_eq!(sum["dataPoints"][0]["startTimeUnixNano"], "5");
        assert_eq!(metrics[1]["unit"], "By");
        let point = &metrics[2]["histogram"]["dataPoints"][0];
        assert_eq!(point["bucketCounts"], json!(["2", "3"]), "not those below");
        assert_eq!(point["explicitBounds"], json!([0.1]));
        assert_eq!((&point["count"], &point["sum"]), (&json!("5"), &json!(2.5)));
        assert_eq!(point["attributes"].as_array().unwrap().len(), 1, "no `le`");
        let who = &body["resourceMetrics"][0]["resource"]["attributes"];
        assert_eq!(who[2]["value"]["stringValue"], "ns1");
    }

    #[test]
    fn an_export_is_bounded_and_says_what_it_leaves_out() {
        let mut page = Page::default();
        for (name, samples) in [("a", 3), ("b", 5), ("c", 1)] {
            page.family(name, "gauge", "Many.");
            (0..samples).for_each(|n| page.sample(name, &format!("n=\"{n}\""), n));
        }
        let (body, left) = metrics(&resource(), &families(&page.into_text()), TIMES, 4);
        assert_eq!(left, 5, "b as a whole");
        let metrics = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].clone();
        assert_eq!(metrics.as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_span_stays_in_the_trace_of_who_asked() {
        let span = |status, parent| Span {
            method: "GET".into(),
            route: "/v1/names/{name}".into(),
            status,
            began_ms: 1000,
            took: Duration::from_micros(1500),
            parent,
        };
        let parent = TraceParent {
            trace: [0xab; 16],
            span: [0xcd; 8],
            sampled: true,
        };
        let spans = [span(200, Some(parent)), span(503, None)];
        let body = traces(&resource(), &spans, |octets| octets.fill(7));
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["traceId"], "ab".repeat(16));
        assert_eq!(spans[0]["parentSpanId"], "cd".repeat(8));
        assert_eq!(spans[0]["name"], "GET /v1/names/{name}");
        assert_eq!(spans[0]["endTimeUnixNano"], "1001500000");
        assert!(spans[0].get("status").is_none());
        assert_eq!(spans[1]["traceId"], "07".repeat(16));
        assert_eq!(spans[1]["status"]["code"], 2);
        assert!(spans[1].get("parentSpanId").is_none());
    }
}
