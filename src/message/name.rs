//! Field names (RFC 9110 section 5.1), in lower case; the ones a proxy looks at are numbers.

use std::fmt;
use std::sync::Arc;

macro_rules! known {
    ($($variant:ident = $text:literal,)*) => {
        /// A field name that this proxy looks at.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each variant is the field of its name")]
        pub enum Known { $($variant,)* }

        impl Known {
            /// All of them.
            pub const ALL: &'static [Known] = &[$(Known::$variant,)*];

            /// The name, in lower case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Known::$variant => $text,)* }
            }

            /// The known name that `lower` spells, which must be in lower case.
            pub fn from_lower(lower: &[u8]) -> Option<Known> {
                // The length comes first: it settles most of them.
                match (lower.len(), lower) {
                    $((n, text) if n == $text.len() && text == $text.as_bytes() => Some(Known::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

known! {
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    AcceptRanges = "accept-ranges",
    Age = "age",
    AltSvc = "alt-svc",
    Authorization = "authorization",
    CacheControl = "cache-control",
    Connection = "connection",
    ContentEncoding = "content-encoding",
    ContentLength = "content-length",
    ContentRange = "content-range",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    ETag = "etag",
    Expect = "expect",
    Expires = "expires",
    Forwarded = "forwarded",
    GrpcMessage = "grpc-message",
    GrpcStatus = "grpc-status",
    Host = "host",
    Http2Settings = "http2-settings",
    IfMatch = "if-match",
    IfModifiedSince = "if-modified-since",
    IfNoneMatch = "if-none-match",
    IfRange = "if-range",
    IfUnmodifiedSince = "if-unmodified-since",
    KeepAlive = "keep-alive",
    LastModified = "last-modified",
    Location = "location",
    Origin = "origin",
    Pragma = "pragma",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Range = "range",
    Referer = "referer",
    RetryAfter = "retry-after",
    Server = "server",
    SetCookie = "set-cookie",
    StrictTransportSecurity = "strict-transport-security",
    Te = "te",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    WwwAuthenticate = "www-authenticate",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

impl Known {
    /// Its bit in a set of known names.
    pub(super) const fn bit(self) -> u64 {
        1 << (self as u8)
    }
}

/// A field name, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// One that this proxy looks at.
    Known(Known),
    /// Any other.
    Other(Arc<[u8]>),
}

impl Name {
    /// The name that `text` spells in any case.
    pub fn new(text: &[u8]) -> Name {
        let lower = text.to_ascii_lowercase();
        match Known::from_lower(&lower) {
            Some(known) => Name::Known(known),
            None => Name::Other(lower.into()),
        }
    }

    /// In lower case.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Name::Known(known) => known.as_str().as_bytes(),
            Name::Other(text) => text,
        }
    }
}

impl From<Known> for Name {
    fn from(known: Known) -> Name {
        Name::Known(known)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_is_found_whatever_its_case() {
        for known in Known::ALL {
            let text = known.as_str();
            assert_eq!(text, text.to_ascii_lowercase());
            assert_eq!(Known::from_lower(text.as_bytes()), Some(*known));
            assert_eq!(
                Name::new(text.to_uppercase().as_bytes()),
                Name::Known(*known)
            );
        }
        assert_eq!(Known::from_lower(b"hosts"), None);
        assert_eq!(Name::new(b"X-Own").as_bytes(), b"x-own");
    }

    #[test]
    fn they_fit_a_set_of_64() {
        assert!(Known::ALL.len() <= 64);
    }
}
