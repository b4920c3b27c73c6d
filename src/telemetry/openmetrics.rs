//! A page in OpenMetrics text format (version 1.0.0), made of one in Prometheus text format: the same
//! series with the same values.
//!
//! What differs is how metrics are told: a counter's family has its name without `_total`, a gauge that
//! is always 1 and there for its labels is an `info`, units stand on lines of their own, bounds of
//! buckets are always written as fractions, and the page says where it ends.

/// Units that names end with.
const UNITS: [&str; 4] = ["seconds", "bytes", "octets", "packets"];

/// The page in OpenMetrics text format.
pub fn from_text(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + page.len() / 64 + 16);
    let (mut help, mut buckets) = ("", false);
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            if let Some((name, kind)) = rest.split_once(' ') {
                buckets = kind == "histogram";
                family(&mut out, name, kind, help);
            }
        } else if !line.starts_with('#') && !line.is_empty() {
            sample(&mut out, line, buckets);
        }
    }
    out.push_str("# EOF\n");
    out
}

/// The unit that a family's name ends with; `None` where it counts things.
pub fn unit(family: &str) -> Option<&'static str> {
    let (_, last) = family.rsplit_once('_')?;
    UNITS.into_iter().find(|unit| *unit == last)
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let (name, kind) = match kind {
        "counter" => match name.strip_suffix("_total") {
            Some(name) => (name, kind),
            // OpenMetrics has no counters of other names.
            None => (name, "unknown"),
        },
        "gauge" => match name.strip_suffix("_info") {
            Some(name) => (name, "info"),
            None => (name, kind),
        },
        _ => (name, kind),
    };
    for part in ["# TYPE ", name, " ", kind, "\n"] {
        out.push_str(part);
    }
    if let Some(unit) = unit(name) {
        for part in ["# UNIT ", name, " ", unit, "\n"] {
            out.push_str(part);
        }
    }
    for part in ["# HELP ", name, " "] {
        out.push_str(part);
    }
    for (i, part) in help.split('"').enumerate() {
        // Here quotes are escaped in this place, too.
        out.push_str(if i > 0 { "\\\"" } else { "" });
        out.push_str(part);
    }
    out.push('\n');
}

fn sample(out: &mut String, line: &str, buckets: bool) {
    const LE: &str = "le=\"";
    let Some((series, value)) = line.rsplit_once(' ') else {
        return;
    };
    // The bound of a bucket is the last of its labels.
    let bound = series.rfind(LE).filter(|_| buckets).and_then(|at| {
        let (before, rest) = series.split_at(at + LE.len());
        let (bound, after) = rest.split_once('"')?;
        let whole = !bound.is_empty() && bound.bytes().all(|b| b.is_ascii_digit());
        whole.then_some((before, bound, after))
    });
    match bound {
        Some((before, bound, after)) => {
            for part in [before, bound, ".0\"", after] {
                out.push_str(part);
            }
        }
        None => out.push_str(series),
    }
    out.push(' ');
    out.push_str(match value {
        "inf" => "+Inf",
        "-inf" => "-Inf",
        value => value,
    });
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::telemetry::Page;
    use crate::telemetry::families::families;
    use crate::telemetry::page::escape;

    #[test]
    fn o_a_page_is_told_as_openmetrics_has_it() {
        let mut page = Page::default();
        page.family("q_total", "counter", "Queries that say \"why\".");
        page.sample("q_total", "a=\"b c\"", 7);
        page.family("cpu_seconds_total", "counter", "Time.");
        page.sample("cpu_seconds_total", "", 1.5);
        page.family("mem_bytes", "gauge", "Memory.");
        page.sample("mem_bytes", "", 3);
        page.family("build_info", "gauge", "Version.");
        page.sample("build_info", "version=\"1\"", 1);
        page.family("t_seconds", "histogram", "Durations.");
        for le in ["0.5", "1", "+Inf"] {
            page.sample("t_seconds_bucket", &format!("x=\"le=\",le=\"{le}\""), 2);
        }
        page.sample("t_seconds_sum", "x=\"le=\"", 0.5);
        page.sample("t_seconds_count", "x=\"le=\"", 2);
        let told = from_text(&page.into_text());
        let want = r#"# TYPE q counter
# HELP q Queries that say \"why\".
q_total{a="b c"} 7
# TYPE cpu_seconds counter
# UNIT cpu_seconds seconds
# HELP cpu_seconds Time.
cpu_seconds_total 1.5
# TYPE mem_bytes gauge
# UNIT mem_bytes bytes
# HELP mem_bytes Memory.
mem_bytes 3
# TYPE build info
# HELP build Version.
build_info{version="1"} 1
# TYPE t_seconds histogram
# UNIT t_seconds seconds
# HELP t_seconds Durations.
t_seconds_bucket{x="le=",le="0.5"} 2
t_seconds_bucket{x="le=",le="1.0"} 2
t_seconds_bucket{x="le=",le="+Inf"} 2
t_seconds_sum{x="le="} 0.5
t_seconds_count{x="le="} 2
# EOF
"#;
        assert_eq!(told, want);
        assert_eq!(from_text(""), "# EOF\n");
    }

    proptest! {
        /// Whatever labels say, each series stands in both forms with the same value.
        #[test]
        fn the_same_series_have_the_same_values(
            labels in prop::collection::vec(any::<String>(), 1..5),
            values in prop::collection::vec(0u64.., 5),
        ) {
            // Other ends of lines than \n are the page's reader's, not ours, to mind.
            prop_assume!(labels.iter().all(|l| !l.contains('\r')));
            let mut page = Page::default();
            page.family("a_total", "counter", "A.");
            page.family("g", "gauge", "G.");
            for (label, value) in labels.iter().zip(&values) {
                page.sample("g", &format!("x=\"{}\"", escape(label)), value);
            }
            let page = page.into_text();
            let told = from_text(&page);
            let samples = |text: &str| {
                families(text).into_iter().flat_map(|f| f.samples).collect::<Vec<_>>()
            };
            // Both are read by the same reader: it wants HELP before TYPE, and knows no `# EOF`.
            let turned: String = told.lines().filter(|l| !l.starts_with("# TYPE")).map(|l| format!("{l}\n")).collect();
            prop_assert_eq!(samples(&page), samples(&turned));
            prop_assert!(told.ends_with("\n# EOF\n"));
        }
    }
}
