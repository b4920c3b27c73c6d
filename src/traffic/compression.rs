//! Which responses are compressed, and with which coding (RFC 9110 sections 8.4 and 12.5.3).

use crate::message::{Fields, Known, ResponseHead};

/// A content coding that this proxy can apply.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Coding {
    /// Zstandard (RFC 8878).
    Zstd,
    /// Brotli (RFC 7932).
    Brotli,
    /// Gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// All of them.
    pub const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// As fields name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }

    /// What a field's word names; `x-gzip` is gzip.
    pub fn from_word(word: &[u8]) -> Option<Coding> {
        if word.eq_ignore_ascii_case(b"x-gzip") {
            return Some(Coding::Gzip);
        }
        let named = |c: &Coding| word.eq_ignore_ascii_case(c.as_str().as_bytes());
        Coding::ALL.into_iter().find(named)
    }
}

/// What of a route's responses is compressed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compression {
    /// The codings, the preferred one first; not empty.
    pub algorithms: Vec<Coding>,
    /// Media types; `text/*` stands for all of its kind. In lower case.
    pub types: Vec<Box<str>>,
    /// The shortest body that is compressed, where its length is known, in octets.
    pub min_size: u64,
    /// How hard it is tried, 1 to 9.
    pub level: u8,
}

impl Default for Compression {
    fn default() -> Compression {
        Compression {
            algorithms: Coding::ALL.to_vec(),
            types: DEFAULT_TYPES.iter().map(|t| (*t).into()).collect(),
            min_size: 1024,
            level: 4,
        }
    }
}

/// What is compressed when nothing is said: text of the web.
pub const DEFAULT_TYPES: &[&str] = &[
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/problem+json",
    "application/rss+xml",
    "application/wasm",
    "application/xhtml+xml",
    "application/xml",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/markdown",
    "text/plain",
    "text/xml",
];

impl Compression {
    /// The coding for a client: of those it takes with the largest weight the one that is preferred
    /// here. `None`: nothing is compressed for it.
    pub fn choose(&self, request: &Fields) -> Option<Coding> {
        if !request.has(Known::AcceptEncoding) {
            return None;
        }
        let weight = |coding: &str| quality(request, coding);
        // What is not named is taken as it is, unless something else is wanted more.
        let identity = weight("identity").unwrap_or(0);
        let mut best: Option<(Coding, u16)> = None;
        for coding in &self.algorithms {
            let own = weight(coding.as_str()).or_else(|| weight("*")).unwrap_or(0);
            if own > 0 && own >= identity && best.is_none_or(|(_, w)| own > w) {
                best = Some((*coding, own));
            }
        }
        best.map(|(coding, _)| coding)
    }

    /// Whether a response is one of those that are compressed for clients that take it: then
    /// `Vary: Accept-Encoding` is due, compressed or not.
    pub fn is_for(&self, response: &ResponseHead, length: Option<u64>) -> bool {
        let fields = &response.fields;
        let whole = !matches!(response.status, 100..=199 | 204 | 205 | 206 | 304);
        let as_it_is = fields.has(Known::ContentEncoding)
            || fields.has(Known::ContentRange)
            || fields
                .members(Known::CacheControl)
                .any(|m| m.eq_ignore_ascii_case(b"no-transform"));
        let long = length.is_none_or(|n| n >= self.min_size.max(1));
        whole && !as_it_is && long && self.takes_type(fields)
    }

    fn takes_type(&self, fields: &Fields) -> bool {
        let Some(value) = fields.get(Known::ContentType) else {
            return false;
        };
        let end = value.iter().position(|b| *b == b';');
        let media = value[..end.unwrap_or(value.len())].trim_ascii();
        self.types.iter().any(|t| match t.strip_suffix('*') {
            Some(start) => {
                let own = media.get(..start.len());
                own.is_some_and(|m| m.eq_ignore_ascii_case(start.as_bytes()))
            }
            None => media.eq_ignore_ascii_case(t.as_bytes()),
        })
    }
}

/// The weight of a coding in thousandths; `None` when it is not named.
fn quality(request: &Fields, coding: &str) -> Option<u16> {
    request.members(Known::AcceptEncoding).find_map(|member| {
        let mut parts = member.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let name = parts.next()?;
        let named = name.eq_ignore_ascii_case(coding.as_bytes())
            || (coding == "gzip" && name.eq_ignore_ascii_case(b"x-gzip"));
        named.then(|| parts.find_map(weight).unwrap_or(1000))
    })
}

/// `q=0.5` in thousandths (RFC 9110 section 12.4.2); what is no weight is 0, so that nothing is sent
/// that might not be wanted.
fn weight(parameter: &[u8]) -> Option<u16> {
    let [b'q' | b'Q', b'=', value @ ..] = parameter else {
        return None;
    };
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return Some(0),
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return Some(0),
    };
    for (digit, worth) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return Some(0);
        }
        thousandths += u16::from(digit - b'0') * worth;
    }
    Some(if thousandths > 1000 { 0 } else { thousandths })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(accept: &str) -> Option<Coding> {
        let request: Fields = [("Accept-Encoding", accept)].into_iter().collect();
        Compression::default().choose(&request)
    }

    #[test]
    fn rfc9110_12_5_3_the_largest_weight_then_our_order() {
        assert_eq!(chosen("gzip, deflate, br, zstd"), Some(Coding::Zstd));
        assert_eq!(chosen("gzip, deflate, br"), Some(Coding::Brotli));
        assert_eq!(chosen("br;q=0.5, gzip;q=0.8"), Some(Coding::Gzip));
        assert_eq!(chosen("GZIP"), Some(Coding::Gzip));
        assert_eq!(chosen("x-gzip"), Some(Coding::Gzip));
        assert_eq!(chosen("gzip;q=0"), None);
        assert_eq!(chosen("gzip;q=0, *"), Some(Coding::Zstd));
        assert_eq!(chosen("*;q=0"), None);
        assert_eq!(chosen("deflate"), None);
        assert_eq!(chosen(""), None);
        assert_eq!(chosen("identity, gzip;q=0.5"), None);
        assert_eq!(chosen("identity;q=0.5, gzip"), Some(Coding::Gzip));
        assert_eq!(Compression::default().choose(&Fields::new()), None);
    }

    #[test]
    fn a_weight_that_is_none_asks_for_nothing() {
        for wrong in ["2", "0.5x", "1.001", "-1", "0.1234", "", "1."] {
            let expected = (wrong == "1.").then_some(Coding::Gzip);
            assert_eq!(chosen(&format!("gzip;q={wrong}")), expected, "{wrong}");
        }
    }

    fn is_for(status: u16, fields: &[(&str, &str)], length: Option<u64>) -> bool {
        let response = ResponseHead {
            status,
            fields: fields.iter().copied().collect(),
        };
        Compression::default().is_for(&response, length)
    }

    #[test]
    fn what_is_compressed() {
        let html = ("Content-Type", "Text/HTML; charset=utf-8");
        assert!(is_for(200, &[html], Some(1024)));
        assert!(is_for(404, &[html], None));
        assert!(!is_for(200, &[html], Some(1023)));
        assert!(!is_for(206, &[html], None));
        assert!(!is_for(204, &[html], None));
        assert!(!is_for(200, &[("Content-Type", "image/png")], None));
        assert!(!is_for(200, &[("Content-Type", "text/event-stream")], None));
        assert!(!is_for(200, &[], None));
        for other in [
            ("Content-Encoding", "gzip"),
            ("Content-Range", "bytes 0-1/2"),
            ("Cache-Control", "max-age=1, No-Transform"),
        ] {
            assert!(!is_for(200, &[html, other], None), "{other:?}");
        }
    }

    #[test]
    fn a_star_stands_for_all_of_a_kind() {
        let all = Compression {
            types: vec!["text/*".into()],
            ..Compression::default()
        };
        let of = |media: &str| {
            let mut response = ResponseHead::new(200);
            response.fields.push(b"Content-Type", media.as_bytes());
            all.is_for(&response, None)
        };
        assert!(of("text/x-own") && !of("application/json") && !of("tex"));
    }

    proptest! {
        #[test]
        fn any_field_is_read_without_panic(accept in "[ -~]{0,60}") {
            let _ = chosen(&accept);
        }
    }
}
