//! What a line of the access log says of a connection or session of layer 4.

use std::net::IpAddr;
use std::time::Duration;

use super::line::{number, seconds, text};

/// What is known at the end of a connection or session.
#[derive(Clone, Debug)]
pub struct FlowLine<'a> {
    /// Milliseconds since 1970 of its beginning.
    pub unix_ms: u64,
    /// The listener where it came in.
    pub listener: &'a str,
    /// `tcp` or `udp`.
    pub protocol: &'a str,
    /// Who came.
    pub client: IpAddr,
    /// From which port.
    pub port: u16,
    /// The server name that its TLS asks for, where it was looked at.
    pub sni: Option<&'a str>,
    /// Where it went, or was to go.
    pub upstream: Option<&'a str>,
    /// See `upstream`.
    pub backend: Option<&'a str>,
    /// Backends that were tried.
    pub tries: u32,
    /// Until a place at a backend was had.
    pub queue: Option<Duration>,
    /// For the connection to the backend that took it.
    pub connect: Option<Duration>,
    /// All of it.
    pub total: Duration,
    /// Octets from the client.
    pub octets_in: u64,
    /// Octets to the client.
    pub octets_out: u64,
    /// Why it ended, in one word.
    pub end: &'a str,
    /// What the kernel knew of the way to the client, where it was asked.
    pub path: Option<PathFacts>,
}

/// What the kernel knew of the way to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathFacts {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// The lowest round-trip time of the last minutes.
    pub min_rtt: Option<Duration>,
    /// Segments that were sent again.
    pub retransmits: u32,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl FlowLine<'_> {
    /// The line, a JSON object.
    pub fn json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.push(b'{');
        let time = format!("{}.{:03}Z", seconds(self.unix_ms), self.unix_ms % 1000);
        text(&mut out, "time", time.as_bytes());
        text(&mut out, "listener", self.listener.as_bytes());
        text(&mut out, "protocol", self.protocol.as_bytes());
        text(&mut out, "client", self.client.to_string().as_bytes());
        number(&mut out, "port", u64::from(self.port));
        for (key, value) in [
            ("sni", self.sni),
            ("upstream", self.upstream),
            ("backend", self.backend),
            ("end", Some(self.end)),
        ] {
            if let Some(value) = value {
                text(&mut out, key, value.as_bytes());
            }
        }
        number(&mut out, "bytes-in", self.octets_in);
        number(&mut out, "bytes-out", self.octets_out);
        if self.tries > 1 {
            number(&mut out, "tries", u64::from(self.tries));
        }
        for (key, time) in [
            ("queue-us", self.queue),
            ("connect-us", self.connect),
            ("total-us", Some(self.total)),
            ("rtt-us", self.path.map(|p| p.rtt)),
            ("min-rtt-us", self.path.and_then(|p| p.min_rtt)),
        ] {
            if let Some(time) = time {
                number(&mut out, key, micros(time));
            }
        }
        if let Some(path) = self.path {
            number(&mut out, "retransmits", u64::from(path.retransmits));
        }
        // The comma behind the last pair.
        out.pop();
        out.extend_from_slice(b"}\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> FlowLine<'static> {
        FlowLine {
            unix_ms: 1_795_284_000_123,
            listener: "mail",
            protocol: "tcp",
            client: "192.0.2.1".parse().unwrap(),
            port: 4000,
            sni: Some("a\"b\u{1}"),
            upstream: Some("mail"),
            backend: None,
            tries: 3,
            queue: Some(Duration::from_micros(7)),
            connect: None,
            total: Duration::from_millis(2),
            octets_in: 5,
            octets_out: 6,
            end: "connect-failed",
            path: None,
        }
    }

    #[test]
    fn p1_a_line_is_json_whatever_a_client_sends_and_names_the_reason() {
        let value: serde_json::Value = serde_json::from_slice(&line().json()).unwrap();
        assert_eq!(value["time"], "2026-11-21T18:00:00.123Z");
        assert_eq!(value["sni"], "a\"b\u{1}");
        assert_eq!(value["end"], "connect-failed");
        assert_eq!(
            (&value["tries"], &value["queue-us"]),
            (&3.into(), &7.into())
        );
        assert_eq!(
            (&value["bytes-in"], &value["bytes-out"]),
            (&5.into(), &6.into())
        );
        for absent in ["backend", "connect-us", "rtt-us", "retransmits"] {
            assert!(value.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn what_the_kernel_knew_is_told() {
        let line = FlowLine {
            path: Some(PathFacts {
                rtt: Duration::from_millis(20),
                min_rtt: Some(Duration::from_millis(18)),
                retransmits: 2,
            }),
            ..line()
        };
        let value: serde_json::Value = serde_json::from_slice(&line.json()).unwrap();
        assert_eq!(value["rtt-us"], 20_000);
        assert_eq!(value["min-rtt-us"], 18_000);
        assert_eq!(value["retransmits"], 2);
    }
}
