//! Hosts that a route names.

use std::fmt;

/// Hosts that a route names. Text is in lower case.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub enum HostPattern {
    /// Every host, and none.
    #[default]
    Any,
    /// This one: a domain name without its final dot, or an address as it stands in a URL.
    Exact(Box<[u8]>),
    /// `*.example.com`, held as `.example.com`: every host below, at any depth, and not the name
    /// itself.
    Below(Box<[u8]>),
}

/// Why a text is no host pattern; completes the sentence "`hosts` …".
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HostError {
    /// Nothing.
    #[error("is empty")]
    Empty,
    /// A port belongs to the listener.
    #[error("has a port; a route is for a host whatever the port")]
    Port,
    /// A `*` that is not all of the first label.
    #[error("has a `*` that is not its whole first label")]
    Star,
    /// An octet that no host has.
    #[error("has a character that a host cannot have; names outside ASCII are written in punycode")]
    Octet,
    /// Longer than a domain name can be.
    #[error("has more than 253 octets")]
    Long,
}

impl HostPattern {
    /// Reads `example.com`, `*.example.com`, `*`, `192.0.2.1` or `[2001:db8::1]`.
    ///
    /// # Errors
    /// Why it is none of them.
    pub fn parse(text: &str) -> Result<HostPattern, HostError> {
        if text == "*" {
            return Ok(HostPattern::Any);
        }
        let lower = text.to_ascii_lowercase();
        let whole = lower.strip_suffix('.').unwrap_or(&lower);
        if let Some(inner) = whole.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::Octet)?;
            let address: std::net::Ipv6Addr = inner.parse().map_err(|_| HostError::Octet)?;
            // Both sides in the form of RFC 5952.
            return Ok(HostPattern::Exact(
                format!("[{address}]").into_bytes().into(),
            ));
        }
        let (name, below) = match whole.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (whole, false),
        };
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.len() > 253 {
            return Err(HostError::Long);
        }
        for b in name.bytes() {
            match b {
                b'*' => return Err(HostError::Star),
                b':' => return Err(HostError::Port),
                b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.') => {}
                _ => return Err(HostError::Octet),
            }
        }
        if name.split('.').any(str::is_empty) {
            return Err(HostError::Empty);
        }
        Ok(match below {
            true => HostPattern::Below(whole.as_bytes()[1..].into()),
            false => HostPattern::Exact(name.as_bytes().into()),
        })
    }

    /// Whether it is for `host`, which is in the form that [`canonical`] gives.
    pub fn matches(&self, host: &[u8]) -> bool {
        match self {
            HostPattern::Any => true,
            HostPattern::Exact(name) => **name == *host,
            HostPattern::Below(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        }
    }

    /// Whether every host of `other` is one of these.
    pub fn covers(&self, other: &HostPattern) -> bool {
        match (self, other) {
            (HostPattern::Any, _) => true,
            (_, HostPattern::Any) => false,
            (_, HostPattern::Exact(name)) => self.matches(name),
            (HostPattern::Exact(_), _) => false,
            (HostPattern::Below(own), HostPattern::Below(its)) => its.ends_with(own),
        }
    }

    /// How specific it is; more is preferred.
    pub(super) fn specificity(&self) -> (u8, usize) {
        match self {
            HostPattern::Any => (0, 0),
            HostPattern::Below(suffix) => (1, suffix.len()),
            HostPattern::Exact(_) => (2, 0),
        }
    }
}

/// The host as patterns want it: without the final dot of a fully qualified name.
pub fn canonical(host: &[u8]) -> &[u8] {
    match host {
        [name @ .., b'.'] if !name.is_empty() => name,
        _ => host,
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Any => f.write_str("*"),
            HostPattern::Exact(name) => f.write_str(&String::from_utf8_lossy(name)),
            HostPattern::Below(suffix) => write!(f, "*{}", String::from_utf8_lossy(suffix)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostPattern {
        HostPattern::parse(text).unwrap()
    }

    #[test]
    fn hosts_are_read_and_shown() {
        for (text, shown) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("*.Example.com", "*.example.com"),
            ("*", "*"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(host(text).to_string(), shown);
        }
        for (text, error) in [
            ("", HostError::Empty),
            ("a..b", HostError::Empty),
            ("a:80", HostError::Port),
            ("a.*.b", HostError::Star),
            ("*a.b", HostError::Star),
            ("a/b", HostError::Octet),
            ("münchen.example", HostError::Octet),
            ("[::1", HostError::Octet),
        ] {
            assert_eq!(HostPattern::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_wildcard_is_for_what_is_below_and_not_the_name_itself() {
        let below = host("*.example.com");
        assert!(below.matches(b"a.example.com") && below.matches(b"a.b.example.com"));
        assert!(!below.matches(b"example.com") && !below.matches(b"badexample.com"));
        assert!(!below.matches(b".example.com"[1..].as_ref()));
        assert_eq!(canonical(b"example.com."), b"example.com");
        assert_eq!(canonical(b"."), b".");
    }

    #[test]
    fn what_covers_what() {
        assert!(host("*").covers(&host("*.a")));
        assert!(host("*.a").covers(&host("*.b.a")));
        assert!(host("*.a").covers(&host("b.a")));
        assert!(!host("*.b.a").covers(&host("*.a")));
        assert!(!host("*.a").covers(&host("a")));
        assert!(!host("b.a").covers(&host("*.b.a")));
        assert!(host("b.a").covers(&host("b.a")));
    }
}
