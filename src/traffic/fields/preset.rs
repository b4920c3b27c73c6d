//! Fields of responses that many sites want: security headers and HSTS.

use std::time::Duration;

use crate::message::Name;

use super::{FieldChanges, Template};

/// Fields that tell a browser to be careful, where the backend does not say otherwise. The ones that
/// need knowledge of the site (`Content-Security-Policy`) are the operator's to add.
const SECURITY: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "SAMEORIGIN"),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("cross-origin-opener-policy", "same-origin-allow-popups"),
    // The filter that old browsers had made holes of its own.
    ("x-xss-protection", "0"),
];

/// Fields that tell strangers what runs behind the proxy.
const TELLTALE: [&str; 4] = [
    "x-powered-by",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-runtime",
];

/// The preset `security-headers = true`.
pub fn security_headers() -> FieldChanges {
    FieldChanges {
        remove: TELLTALE.map(|name| Name::new(name.as_bytes())).into(),
        default: SECURITY
            .iter()
            .filter_map(|(name, value)| {
                let template = Template::field(value).ok()?;
                Some((Name::new(name.as_bytes()), template))
            })
            .collect(),
        ..FieldChanges::default()
    }
}

/// `Strict-Transport-Security` (RFC 6797): the client shall come over TLS for so long.
///
/// It is sent over TLS only (section 7.2): without TLS anybody could have written it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hsts {
    value: Box<[u8]>,
}

impl Hsts {
    /// For so long (whole seconds); 0 ends what was promised.
    pub fn new(max_age: Duration, subdomains: bool, preload: bool) -> Hsts {
        let mut value = format!("max-age={}", max_age.as_secs());
        if subdomains {
            value.push_str("; includeSubDomains");
        }
        if preload {
            value.push_str("; preload");
        }
        Hsts {
            value: value.into_bytes().into(),
        }
    }

    /// The field's value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }
}
