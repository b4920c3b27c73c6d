//! Metrics and spans in the JSON of OpenTelemetry's protocol (OTLP 1.x; proto3 JSON: names in
//! lowerCamelCase, 64-bit integers as text, identifiers in hex).

use serde_json::{Value, json};

use crate::telemetry::families::{Family, Sample};
use crate::telemetry::openmetrics;
use crate::telemetry::spans::{Kind, Span, Value as Attribute};

/// `AGGREGATION_TEMPORALITY_CUMULATIVE`
const CUMULATIVE: u8 = 2;
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
    match openmetrics::unit(name.strip_suffix("_total").unwrap_or(name)) {
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

/// The body for `/v1/traces`.
pub(super) fn traces(resource: &Resource, spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans.iter().map(span).collect();
    json!({ "resourceSpans": [{
        "resource": resource.json(),
        "scopeSpans": [{ "scope": { "name": "tradewind" }, "spans": spans }],
    }] })
}

fn span(span: &Span) -> Value {
    let took = u64::try_from(span.took.as_nanos()).unwrap_or(u64::MAX);
    let attributes: Vec<Value> = span
        .attributes
        .iter()
        .map(|(key, value)| match value {
            Attribute::Text(value) => text(key, value),
            Attribute::Number(n) => json!({ "key": key, "value": { "intValue": n.to_string() } }),
        })
        .collect();
    let mut json = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": match span.kind {
            // `SPAN_KIND_SERVER`, `SPAN_KIND_CLIENT`
            Kind::Server => 2,
            Kind::Client => 3,
        },
        "startTimeUnixNano": span.began_ns.to_string(),
        "endTimeUnixNano": span.began_ns.saturating_add(took).to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = format!("{parent:016x}").into();
    }
    if !span.state.is_empty() {
        json["traceState"] = (*span.state).into();
    }
    if span.failed {
        json["status"] = json!({ "code": ERROR });
    }
    json
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Page;
    use crate::telemetry::families::families;

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
    fn a_span_is_told_in_the_protocol_s_words() {
        let one = Span {
            trace: 0xab << 120,
            id: 0xcd,
            parent: None,
            state: Box::default(),
            name: "GET all".to_owned(),
            kind: Kind::Server,
            began_ns: 1_000_000_007,
            took: Duration::from_micros(1500),
            attributes: vec![("a", "b".into()), ("n", 7_u64.into())],
            failed: false,
        };
        let other = Span {
            parent: Some(0xcd),
            state: "x=1".into(),
            kind: Kind::Client,
            failed: true,
            ..one.clone()
        };
        let body = traces(&resource(), &[one, other]);
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["traceId"], format!("ab{}", "0".repeat(30)));
        assert_eq!(spans[0]["spanId"], "00000000000000cd");
        assert_eq!(
            (&spans[0]["kind"], &spans[1]["kind"]),
            (&json!(2), &json!(3))
        );
        assert_eq!(spans[0]["startTimeUnixNano"], "1000000007");
        assert_eq!(spans[0]["endTimeUnixNano"], "1001500007");
        let attributes = json!([
            { "key": "a", "value": { "stringValue": "b" } },
            { "key": "n", "value": { "intValue": "7" } },
        ]);
        assert_eq!(spans[0]["attributes"], attributes);
        for absent in ["status", "parentSpanId", "traceState"] {
            assert!(spans[0].get(absent).is_none(), "{absent}");
        }
        assert_eq!(spans[1]["parentSpanId"], "00000000000000cd");
        assert_eq!(spans[1]["traceState"], "x=1");
        assert_eq!(spans[1]["status"]["code"], 2);
    }
}
