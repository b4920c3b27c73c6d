//! The head of a request and of a response.

use super::fields::Fields;
use super::method::Method;

/// The version a message came in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
}

impl Version {
    /// As log lines write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
        }
    }
}

/// How the client reached us.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Scheme {
    /// Without TLS.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// A request's head, whatever version carried it. The `host` field is not among the fields: it is
/// the authority.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RequestHead {
    /// What is asked for.
    pub method: Method,
    /// How the client reached us.
    pub scheme: Scheme,
    /// The version the client speaks.
    pub version: Version,
    /// Host, and port where one was given, in lower case: `Host`, `:authority`, or the authority of an
    /// absolute target. Empty when an HTTP/1.0 client gave none.
    pub authority: Vec<u8>,
    /// Path and query as sent, starting with `/`; or `*` (OPTIONS).
    pub target: Vec<u8>,
    /// Header fields.
    pub fields: Fields,
}

impl RequestHead {
    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        // All of them by name, so that none is forgotten: what stays would become the next client's.
        let RequestHead {
            method,
            scheme,
            version,
            authority,
            target,
            fields,
        } = self;
        *method = Method::default();
        *scheme = Scheme::default();
        *version = Version::default();
        authority.clear();
        target.clear();
        fields.clear();
    }

    /// The host, without port, in lower case; an IPv6 literal keeps its brackets.
    pub fn host(&self) -> &[u8] {
        let authority = &self.authority[..];
        if authority.first() == Some(&b'[') {
            let end = authority.iter().position(|b| *b == b']');
            return &authority[..end.map_or(authority.len(), |e| e + 1)];
        }
        let end = authority.iter().position(|b| *b == b':');
        &authority[..end.unwrap_or(authority.len())]
    }

    /// The path, without query.
    pub fn path(&self) -> &[u8] {
        let end = self.target.iter().position(|b| *b == b'?');
        &self.target[..end.unwrap_or(self.target.len())]
    }

    /// The query, without its `?`; `None` without one.
    pub fn query(&self) -> Option<&[u8]> {
        let start = self.target.iter().position(|b| *b == b'?')?;
        Some(&self.target[start + 1..])
    }

    /// The value of a cookie (RFC 6265 section 5.4): the first of its name.
    pub fn cookie(&self, name: &[u8]) -> Option<&[u8]> {
        self.fields
            .all(super::Known::Cookie)
            .flat_map(|line| line.split(|b| *b == b';'))
            .map(<[u8]>::trim_ascii)
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
    }

    /// The value of a query parameter as sent (not decoded): the first of its name.
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.query()?.split(|b| *b == b'&').find_map(|pair| {
            let rest = pair.strip_prefix(name)?;
            match rest.first() {
                None => Some(rest),
                Some(b'=') => Some(&rest[1..]),
                Some(_) => None,
            }
        })
    }
}

/// A response's head.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ResponseHead {
    /// Status code, 100 to 599.
    pub status: u16,
    /// Header fields.
    pub fields: Fields,
}

impl ResponseHead {
    /// A head without fields.
    pub fn new(status: u16) -> ResponseHead {
        ResponseHead {
            status,
            fields: Fields::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_head_tells_nothing_of_the_request_before() {
        let mut head = RequestHead {
            method: Method::Post,
            scheme: Scheme::Https,
            version: Version::Http2,
            authority: b"www.example".to_vec(),
            target: b"/a".to_vec(),
            fields: [("x", "1")].into_iter().collect(),
        };
        head.clear();
        assert_eq!(head, RequestHead::default());
    }

    #[test]
    fn the_parts_of_a_target() {
        let mut head = RequestHead {
            authority: b"www.example:8080".to_vec(),
            target: b"/a/b?x=1&flag&x=2".to_vec(),
            ..RequestHead::default()
        };
        assert_eq!(head.host(), b"www.example");
        assert_eq!(head.path(), b"/a/b");
        assert_eq!(head.parameter(b"x"), Some(&b"1"[..]));
        assert_eq!(head.parameter(b"flag"), Some(&b""[..]));
        assert_eq!(head.parameter(b"fla"), None);
        head.authority = b"[2001:db8::1]:443".to_vec();
        assert_eq!(head.host(), b"[2001:db8::1]");
        head.fields.push(b"Cookie", b"a=1; sid=x=y");
        head.fields.push(b"Cookie", b"b=2");
        assert_eq!(head.cookie(b"sid"), Some(&b"x=y"[..]));
        assert_eq!(head.cookie(b"b"), Some(&b"2"[..]));
        assert_eq!(head.cookie(b"c"), None);
    }
}
