//! Monitors.

use crate::config::Spec;
use crate::health::{Monitor, MonitorKind};

use super::Problems;

/// All monitors, in the order of the file.
pub(super) fn monitors(spec: &Spec, p: &mut Problems) -> Vec<Monitor> {
    for m in &spec.monitors {
        if let MonitorKind::Http(http) = &m.monitor.kind
            && let Some(regex) = &http.expect_body_regex
            && let Err(e) = regex::bytes::Regex::new(regex)
        {
            let message = format!(
                "`expect-body-regex` of monitor `{}` is not a regular expression: {e}",
                m.name.value
            );
            p.error(m.regex_span.unwrap_or(m.name.span), message);
        }
        if m.monitor.rise < m.monitor.fall {
            p.warning(
                m.name.span,
                format!(
                    "monitor `{}` brings endpoints up after {} passes but down only after {} failures",
                    m.name.value, m.monitor.rise, m.monitor.fall
                ),
            )
            .help = Some(
                "recovery should be slower than failure, or a flapping endpoint stays in: \
                 raise `rise` to at least `fall`"
                    .to_owned(),
            );
        }
    }
    spec.monitors.iter().map(|m| m.monitor.clone()).collect()
}
