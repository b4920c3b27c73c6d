//! What a line of the access log says.

use std::net::IpAddr;
use std::time::Duration;

use crate::message::{Known, RequestHead};
use crate::proxy::message::Peer;
use crate::time::utc;
use crate::traffic::access_log::LogFormat;

/// A line in the making: what is known when the request has come.
#[derive(Debug)]
pub struct Entry {
    format: LogFormat,
    source: IpAddr,
    /// For JSON the beginning of the object, for the combined format the request line.
    begun: Vec<u8>,
    referer: Vec<u8>,
    agent: Vec<u8>,
}

/// What is known when the answer is over.
#[derive(Clone, Debug, Default)]
pub struct Ending<'a> {
    /// Who asked, when a trusted proxy said so.
    pub client: Option<IpAddr>,
    /// Milliseconds since 1970 of the request.
    pub unix_ms: u64,
    /// Names of what handled it.
    pub route: Option<&'a str>,
    /// See `route`.
    pub upstream: Option<&'a str>,
    /// See `route`.
    pub backend: Option<&'a str>,
    /// The status that the client got.
    pub status: u16,
    /// Octets of the request's body.
    pub octets_in: u64,
    /// Octets of the answer's body.
    pub octets_out: u64,
    /// Times that backends were asked.
    pub tries: u32,
    /// Until a backend was chosen: rules, limits, queue.
    pub queue: Option<Duration>,
    /// For a new connection to the backend.
    pub connect: Option<Duration>,
    /// From the choice of the backend to the first octet of its answer.
    pub first_byte: Option<Duration>,
    /// All of it.
    pub total: Duration,
    /// What became of it in the cache.
    pub cache: Option<&'a str>,
    /// The request's id.
    pub request_id: Option<&'a [u8]>,
    /// Why the proxy answered itself.
    pub failure: Option<&'a str>,
    /// How the answer broke off.
    pub end: Option<&'a str>,
}

impl Entry {
    /// Takes down what is gone by the time the answer is over.
    pub fn new(format: LogFormat, listener: &str, peer: &Peer, head: &RequestHead) -> Entry {
        let mut begun = Vec::with_capacity(256);
        let get = |known| head.fields.get(known).unwrap_or_default();
        match format {
            LogFormat::Json => {
                text(&mut begun, "listener", listener.as_bytes());
                text(&mut begun, "method", head.method.as_bytes());
                text(&mut begun, "host", &head.authority);
                text(&mut begun, "target", &head.target);
                text(&mut begun, "version", head.version.as_str().as_bytes());
                text(&mut begun, "scheme", head.scheme.as_str().as_bytes());
                if let Some(tls) = &peer.tls {
                    text(&mut begun, "tls", tls.version.as_bytes());
                }
                text(&mut begun, "user-agent", get(Known::UserAgent));
            }
            LogFormat::Combined => {
                begun.extend_from_slice(head.method.as_bytes());
                begun.push(b' ');
                quoted(&mut begun, &head.target);
                begun.push(b' ');
                begun.extend_from_slice(head.version.as_str().as_bytes());
            }
        }
        let combined = format == LogFormat::Combined;
        let kept = |known| {
            if combined {
                get(known).to_vec()
            } else {
                Vec::new()
            }
        };
        Entry {
            format,
            source: peer.ip(),
            begun,
            referer: kept(Known::Referer),
            agent: kept(Known::UserAgent),
        }
    }

    /// The whole line.
    pub fn end(&self, e: &Ending<'_>) -> Vec<u8> {
        match self.format {
            LogFormat::Json => self.json(e),
            LogFormat::Combined => self.combined(e),
        }
    }

    fn json(&self, e: &Ending<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.begun.len() + 384);
        out.push(b'{');
        let time = format!("{}.{:03}Z", seconds(e.unix_ms), e.unix_ms % 1000);
        text(&mut out, "time", time.as_bytes());
        let client = e.client.unwrap_or(self.source).to_string();
        text(&mut out, "client", client.as_bytes());
        if e.client.is_some_and(|c| c != self.source) {
            text(&mut out, "source", self.source.to_string().as_bytes());
        }
        out.extend_from_slice(&self.begun);
        for (key, value) in [
            ("route", e.route),
            ("upstream", e.upstream),
            ("backend", e.backend),
            ("cache", e.cache),
            ("failure", e.failure),
            ("end", e.end),
        ] {
            if let Some(value) = value {
                text(&mut out, key, value.as_bytes());
            }
        }
        if let Some(id) = e.request_id {
            text(&mut out, "request-id", id);
        }
        number(&mut out, "status", u64::from(e.status));
        number(&mut out, "bytes-in", e.octets_in);
        number(&mut out, "bytes-out", e.octets_out);
        if e.tries > 1 {
            number(&mut out, "tries", u64::from(e.tries));
        }
        for (key, time) in [
            ("queue-us", e.queue),
            ("connect-us", e.connect),
            ("first-byte-us", e.first_byte),
            ("total-us", Some(e.total)),
        ] {
            if let Some(time) = time {
                number(
                    &mut out,
                    key,
                    u64::try_from(time.as_micros()).unwrap_or(u64::MAX),
                );
            }
        }
        // The comma behind the last pair.
        out.pop();
        out.extend_from_slice(b"}\n");
        out
    }

    fn combined(&self, e: &Ending<'_>) -> Vec<u8> {
        let client = e.client.unwrap_or(self.source);
        let mut out = format!("{client} - - [{}] \"", apache(e.unix_ms)).into_bytes();
        out.extend_from_slice(&self.begun);
        out.extend_from_slice(format!("\" {} {} \"", e.status, e.octets_out).as_bytes());
        let or_dash = |text: &'_ [u8], out: &mut Vec<u8>| match text {
            [] => out.push(b'-'),
            text => quoted(out, text),
        };
        or_dash(&self.referer, &mut out);
        out.extend_from_slice(b"\" \"");
        or_dash(&self.agent, &mut out);
        out.extend_from_slice(b"\"\n");
        out
    }
}

/// `2026-11-21T18:00:00`
pub(super) fn seconds(unix_ms: u64) -> String {
    let mut text = utc::show(unix_ms / 1000);
    text.truncate(19);
    text
}

/// `21/Nov/2026:18:00:00 +0000`
fn apache(unix_ms: u64) -> String {
    let text = seconds(unix_ms);
    let month = text.get(5..7).and_then(|m| m.parse::<usize>().ok());
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = month
        .and_then(|m| months.get(m.wrapping_sub(1)))
        .unwrap_or(&"Jan");
    let part = |range| text.get(range).unwrap_or_default();
    format!(
        "{}/{month}/{}:{} +0000",
        part(8..10),
        part(0..4),
        part(11..19)
    )
}

/// `"key":"value",`, with what JSON has no place for escaped.
pub(super) fn text(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":\"");
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                c if c < ' ' || c == '\u{7f}' => {
                    out.extend_from_slice(format!("\\u{:04x}", c as u32).as_bytes());
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        // Octets that are no UTF-8, as Latin-1 has them.
        for octet in chunk.invalid() {
            out.extend_from_slice(format!("\\u{octet:04x}").as_bytes());
        }
    }
    out.extend_from_slice(b"\",");
}

/// `"key":1,`
pub(super) fn number(out: &mut Vec<u8>, key: &str, value: u64) {
    out.extend_from_slice(format!("\"{key}\":{value},").as_bytes());
}

/// What may stand between quotes on one line.
fn quoted(out: &mut Vec<u8>, value: &[u8]) {
    for octet in value {
        match octet {
            b'"' | b'\\' | 0..=0x1f | 0x7f..=0xff => {
                out.extend_from_slice(format!("\\x{octet:02X}").as_bytes());
            }
            octet => out.push(*octet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ListenerId;

    fn entry(format: LogFormat) -> Entry {
        let peer = Peer {
            number: 1,
            listener: ListenerId(0),
            source: "192.0.2.1:4000".parse().unwrap(),
            local: "192.0.2.2:80".parse().unwrap(),
            tls: None,
        };
        let mut head = RequestHead {
            authority: b"www.example".to_vec(),
            target: b"/a\"b".to_vec(),
            ..RequestHead::default()
        };
        head.fields.push(b"User-Agent", b"x\xff\"\x01");
        Entry::new(format, "web", &peer, &head)
    }

    fn ending() -> Ending<'static> {
        Ending {
            unix_ms: 1_795_284_000_123,
            status: 200,
            octets_out: 5,
            total: Duration::from_micros(1500),
            route: Some("all"),
            ..Ending::default()
        }
    }

    #[test]
    fn a_json_line_is_json_whatever_a_client_sends() {
        let line = entry(LogFormat::Json).end(&ending());
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["client"], "192.0.2.1");
        assert_eq!(value["target"], "/a\"b");
        assert_eq!(value["user-agent"], "x\u{ff}\"\u{1}");
        assert_eq!(value["total-us"], 1500);
        assert_eq!(value["route"], "all");
        assert_eq!(value["time"], "2026-11-21T18:00:00.123Z");
    }

    #[test]
    fn a_combined_line_cannot_be_forged() {
        let line = entry(LogFormat::Combined).end(&ending());
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "192.0.2.1 - - [21/Nov/2026:18:00:00 +0000] \"GET /a\\x22b HTTP/1.1\" 200 5 \"-\" \
             \"x\\xFF\\x22\\x01\"\n"
        );
    }
}
