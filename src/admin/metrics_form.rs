//! In which form `/metrics` is told.

use axum::http::{HeaderMap, header};

use crate::telemetry::openmetrics;

/// A form of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Prometheus text format 0.0.4: what everybody gets who does not ask for something else.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Form {
    /// The form that a request asks for (RFC 9110 section 12.5.1): OpenMetrics where its `Accept` names
    /// that, and likes nothing else better. There is an answer for everybody.
    pub fn wanted(headers: &HeaderMap) -> Form {
        let values = headers.get_all(header::ACCEPT).iter();
        let ranges: Vec<Range<'_>> = values
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .map(Range::read)
            .collect();
        let likes = |media: &str, version: &str| {
            let named = |r: &&Range<'_>| r.media.eq_ignore_ascii_case(media);
            let fits = |r: &&Range<'_>| r.version.is_none_or(|v| v == version);
            let named = ranges.iter().filter(named).filter(fits);
            named.map(|r| r.thousandths).max()
        };
        let anything = || likes("text/*", "").or_else(|| likes("*/*", ""));
        let text = likes("text/plain", "0.0.4").or_else(anything).unwrap_or(0);
        match likes("application/openmetrics-text", "1.0.0") {
            Some(best) if best > 0 && best >= text => Form::OpenMetrics,
            _ => Form::Text,
        }
    }

    /// As `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Form::Text => "text/plain; version=0.0.4; charset=utf-8",
            Form::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// A page of Prometheus text format in this form.
    pub fn told(self, page: String) -> String {
        match self {
            Form::Text => page,
            Form::OpenMetrics => openmetrics::from_text(&page),
        }
    }
}

/// A media range with what is said of it.
struct Range<'a> {
    media: &'a str,
    version: Option<&'a str>,
    /// How much it is liked: 0 not at all, 1000 most.
    thousandths: u16,
}

impl Range<'_> {
    fn read(text: &str) -> Range<'_> {
        let mut parts = text.split(';').map(str::trim);
        let mut range = Range {
            media: parts.next().unwrap_or_default(),
            version: None,
            thousandths: 1000,
        };
        for (key, value) in parts.filter_map(|p| p.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim() {
                "version" => range.version = Some(value),
                "q" | "Q" => {
                    let weight: f32 = value.parse().unwrap_or(0.0);
                    // What is no number is no liking.
                    range.thousandths = (weight.clamp(0.0, 1.0) * 1000.0).round() as u16;
                }
                _ => {}
            }
        }
        range
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &[&str]) -> Form {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        Form::wanted(&headers)
    }

    #[test]
    fn o_openmetrics_is_for_those_who_ask_for_it() {
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,\
            text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for accept in [
            prometheus_2,
            prometheus_3,
            "application/openmetrics-text; version=1.0.0",
            "Application/OpenMetrics-Text; version=\"1.0.0\"; charset=utf-8",
            "application/openmetrics-text",
            "text/plain;q=0.3, application/openmetrics-text;q=0.4",
            "application/openmetrics-text, text/plain",
        ] {
            assert_eq!(wanted(&[accept]), Form::OpenMetrics, "{accept}");
        }
        let split = ["text/plain;q=0.1", "application/openmetrics-text"];
        assert_eq!(wanted(&split), Form::OpenMetrics);
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/plain;version=0.0.4",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/json",
            "application/*",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=nonsense",
            "application/openmetrics-text;q=NaN",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0.2, text/plain",
            "application/openmetrics-text;q=0.2, */*;q=0.5",
            "application/openmetrics-text;q=0.2, text/*;q=0.5",
        ] {
            assert_eq!(wanted(&[accept]), Form::Text, "{accept}");
        }
        assert_eq!(wanted(&[]), Form::Text);
    }
}
