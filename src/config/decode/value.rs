//! One TOML value read as one option's type: the row's [`Kind`] says what is allowed.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::octets::octets;
use crate::config::options::Kind;
use crate::config::quantity::{
    parse_distance, parse_duration, parse_percent, parse_size, show_distance, show_duration,
    show_size,
};
use crate::config::tree::Value;
use crate::dns::name::WireName;
use crate::dns::rtype::{Rtype, UnknownType};
use crate::geo::location::Code;
use crate::health::council::Quorum;
use crate::limit::Secret;
use crate::net::Prefix;
use crate::net::host_address::{HostAddress, HostAddressError};

/// Why a value is refused: completes the sentence "`interval` of monitor `web` …".
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) text: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(text: impl Into<String>) -> Fault {
        Fault {
            text: text.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Fault {
        self.help = Some(help.into());
        self
    }
}

/// A checked value, before it takes the type of its field.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Datum {
    Bool(bool),
    Integer(i64),
    Number(f64),
    Duration(Duration),
    Text(String),
    Ip(IpAddr),
    Socket(SocketAddr),
    Network(Prefix),
    HostAddress(HostAddress),
    Domain(WireName),
    Codes(Code, Option<Code>),
    Status(u16, u16),
    Secret(Secret),
    Quorum(Quorum),
    Octets(Box<[u8]>),
    Rtype(Rtype),
}

/// A field type that a [`Datum`] turns into. `None` only when row and field disagree, which the
/// test that loads the reference example would show.
pub(super) trait FromDatum: Sized {
    fn from_datum(datum: Datum) -> Option<Self>;
}

macro_rules! from_datum {
    ($($type:ty: $pattern:pat => $value:expr;)*) => {
        $(impl FromDatum for $type {
            fn from_datum(datum: Datum) -> Option<Self> {
                match datum {
                    $pattern => $value,
                    _ => None,
                }
            }
        })*
    };
}

from_datum! {
    bool: Datum::Bool(b) => Some(b);
    u8: Datum::Integer(n) => n.try_into().ok();
    u16: Datum::Integer(n) => n.try_into().ok();
    u32: Datum::Integer(n) => n.try_into().ok();
    u64: Datum::Integer(n) => n.try_into().ok();
    i32: Datum::Integer(n) => n.try_into().ok();
    usize: Datum::Integer(n) => n.try_into().ok();
    f64: Datum::Number(n) => Some(n);
    Duration: Datum::Duration(d) => Some(d);
    String: Datum::Text(t) => Some(t);
    PathBuf: Datum::Text(t) => Some(t.into());
    IpAddr: Datum::Ip(a) => Some(a);
    SocketAddr: Datum::Socket(a) => Some(a);
    Prefix: Datum::Network(n) => Some(n);
    HostAddress: Datum::HostAddress(a) => Some(a);
    Secret: Datum::Secret(s) => Some(s);
    Quorum: Datum::Quorum(q) => Some(q);
    Box<[u8]>: Datum::Octets(o) => Some(o);
    Rtype: Datum::Rtype(t) => Some(t);
    WireName: Datum::Domain(n) => Some(n);
    Code: Datum::Codes(a, None) => Some(a);
    (Code, Code): Datum::Codes(a, Some(b)) => Some((a, b));
    (u16, u16): Datum::Status(a, b) => Some((a, b));
}

/// Reads `value` as `kind`.
pub(super) fn read(value: &Value, kind: &Kind) -> Result<Datum, Fault> {
    match (kind, value) {
        (Kind::Bool, Value::Boolean(b)) => Ok(Datum::Bool(*b)),
        // The number that does not fit was reported when the tree was made.
        (Kind::Integer(..) | Kind::Quorum, Value::Integer(None)) => Err(Fault::new("")),
        (Kind::Integer(min, max), Value::Integer(Some(n))) => {
            in_range(*n, *min, *max, |n| n.to_string()).map(Datum::Integer)
        }
        (Kind::Quorum, Value::Integer(Some(n))) => in_range(*n, 1, 1000, |n| n.to_string())
            .map(|n| Datum::Quorum(Quorum::Number(u32::try_from(n).unwrap_or(1)))),
        (Kind::Number(min, max, unit), Value::Integer(Some(n))) => {
            number(*n as f64, *min, *max, unit)
        }
        (Kind::Number(min, max, unit), Value::Float(n)) => number(*n, *min, *max, unit),
        (_, Value::String(text)) => read_text(text, kind),
        (_, other) => Err(wrong_type(kind, other)),
    }
}

fn wrong_type(kind: &Kind, found: &Value) -> Fault {
    let fault = Fault::new(format!(
        "must be {}, but it is {}",
        noun(kind),
        found.kind()
    ));
    match (kind, found) {
        (Kind::Duration(..), Value::Integer(Some(n))) => {
            fault.help(format!("add a unit: `\"{n}s\"` or `\"{n}ms\"`"))
        }
        (Kind::Distance(..), Value::Integer(Some(n))) => {
            fault.help(format!("add a unit: `\"{n}km\"` or `\"{n}mi\"`"))
        }
        (Kind::Size(..), Value::Integer(Some(n))) => {
            fault.help(format!("add a unit: `\"{n}B\"` or `\"{n}KiB\"`"))
        }
        (Kind::Percent(..), Value::Integer(Some(n))) => fault.help(format!("write `\"{n}%\"`")),
        (Kind::Status, Value::Integer(Some(n))) => fault.help(format!("write `\"{n}\"`")),
        _ => fault,
    }
}

/// What the value should be, with an article and an example.
pub(super) fn noun(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Integer(..) => "a whole number".to_owned(),
        Kind::Number(_, _, unit) => format!("a number ({unit})"),
        Kind::Duration(..) => "a duration such as \"5s\"".to_owned(),
        Kind::Distance(..) => "a distance such as \"100km\"".to_owned(),
        Kind::Size(..) => "a size such as \"64KiB\"".to_owned(),
        Kind::Percent(..) => "a percentage such as \"10%\"".to_owned(),
        Kind::Quorum => "\"majority\", a percentage or a whole number".to_owned(),
        Kind::Status => "a status such as \"200\" or \"200-299\"".to_owned(),
        Kind::List(..) | Kind::Array(..) => "an array".to_owned(),
        Kind::Tables(_) => "an array of tables".to_owned(),
        Kind::Table => "a table".to_owned(),
        _ => "a string".to_owned(),
    }
}

fn in_range<T: PartialOrd + Copy>(
    value: T,
    min: T,
    max: T,
    show: impl Fn(T) -> String,
) -> Result<T, Fault> {
    let range = format!("(range {} to {})", show(min), show(max));
    if value < min {
        let (value, min) = (show(value), show(min));
        Err(Fault::new(format!(
            "is {value}; the smallest allowed is {min} {range}"
        )))
    } else if value > max {
        let (value, max) = (show(value), show(max));
        Err(Fault::new(format!(
            "is {value}; the largest allowed is {max} {range}"
        )))
    } else {
        Ok(value)
    }
}

fn number(n: f64, min: f64, max: f64, unit: &str) -> Result<Datum, Fault> {
    if n.is_nan() {
        return Err(Fault::new(format!(
            "must be a number ({unit}), but it is nan"
        )));
    }
    in_range(n, min, max, |n| n.to_string()).map(Datum::Number)
}

fn read_text(text: &str, kind: &Kind) -> Result<Datum, Fault> {
    let not = |what: &str| Fault::new(format!("is `{text}`, which is not {what}"));
    let plain = |ok: bool, what: &str| {
        if ok {
            Ok(Datum::Text(text.to_owned()))
        } else {
            Err(not(what))
        }
    };
    match kind {
        Kind::Duration(min, max, whole) => {
            let d = parse_duration(text).ok_or_else(|| {
                not("a duration").help("write a number and ms, s, m, h or d, such as \"5s\"")
            })?;
            if *whole && d.subsec_millis() != 0 {
                return Err(not("a whole number of seconds"));
            }
            in_range(d, *min, *max, show_duration).map(Datum::Duration)
        }
        Kind::Distance(min, max) => {
            let km = parse_distance(text).ok_or_else(|| {
                not("a distance").help("write a number and km or mi, such as \"100km\"")
            })?;
            in_range(km, *min, *max, show_distance).map(Datum::Number)
        }
        Kind::Size(min, max) => {
            let bytes = parse_size(text).ok_or_else(|| {
                not("a size").help("write a number and B, KiB, MiB or GiB, such as \"64KiB\"")
            })?;
            let bytes = in_range(bytes, *min, *max, show_size)?;
            Ok(Datum::Integer(i64::try_from(bytes).unwrap_or(i64::MAX)))
        }
        Kind::Percent(min, max) => {
            let percent = parse_percent(text)
                .ok_or_else(|| not("a percentage").help("write whole percent, such as \"10%\""))?;
            let percent = in_range(percent, *min, *max, |p| format!("{p}%"))?;
            Ok(Datum::Integer(percent.into()))
        }
        Kind::Text | Kind::Path | Kind::Ref(_) if text.is_empty() => Err(Fault::new("is empty")),
        Kind::Text | Kind::Path | Kind::Ref(_) => Ok(Datum::Text(text.to_owned())),
        Kind::Phrase(most) if text.len() > *most => Err(Fault::new(format!(
            "has {} octets; the largest allowed number is {most}",
            text.len()
        ))),
        Kind::Phrase(_) => Ok(Datum::Text(text.to_owned())),
        Kind::Octets(most) => octets(text, *most).map(Datum::Octets),
        Kind::Rtype => text
            .parse()
            .map(Datum::Rtype)
            .map_err(|e: UnknownType| Fault::new(format!("is no record type: {e}"))),
        // A secret with a typing mistake is still not to be shown.
        Kind::Secret => text.parse().map(Datum::Secret).map_err(|_| {
            Fault::new(format!(
                "has a secret that is not 32 hexadecimal digits; it has {} characters",
                text.chars().count()
            ))
            .help("make one with `openssl rand -hex 16`")
        }),
        Kind::UrlPath => plain(
            text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()),
            "a path: it starts with `/` and has neither spaces nor control characters",
        ),
        Kind::Token => plain(is_token(text), "an HTTP token"),
        Kind::NewName => plain(is_name(text), NAME_RULE),
        Kind::Choice(choices) => choices
            .iter()
            .find(|c| **c == text)
            .map(|c| Datum::Text((*c).to_owned()))
            .ok_or_else(|| {
                let fault = Fault::new(format!(
                    "is `{text}`; it must be one of {}",
                    quoted(choices.iter().copied())
                ));
                match nearest(text, choices.iter().copied()) {
                    Some(near) => fault.help(format!("did you mean `{near}`?")),
                    None => fault,
                }
            }),
        Kind::Address => {
            let addr: IpAddr = text.parse().map_err(|_| not("an IPv4 or IPv6 address"))?;
            if addr.is_unspecified() || addr.is_multicast() || addr == IpAddr::from([255; 4]) {
                return Err(not("an address that a client can be sent to"));
            }
            Ok(Datum::Ip(addr))
        }
        Kind::Socket => text.parse().map(Datum::Socket).map_err(|_| {
            not("ADDRESS:PORT").help("write \"192.0.2.1:53\", or \"[2001:db8::1]:53\" for IPv6")
        }),
        Kind::HostAddress => text
            .parse()
            .map(Datum::HostAddress)
            .map_err(|e: HostAddressError| {
                let fault = Fault::new(format!("is no address with its prefix length: {e}"));
                fault.help("write \"192.0.2.10/24\", or \"2001:db8::10/64\" for IPv6")
            }),
        Kind::LinkName => plain(
            is_link_name(text),
            "the name of a network interface: at most 15 letters, digits, `.`, `-` and `_`",
        ),
        Kind::Network => text
            .parse()
            .map(Datum::Network)
            .map_err(|e| Fault::new(format!("is no network: {e}"))),
        Kind::Domain => text
            .parse()
            .map(Datum::Domain)
            .map_err(|e| Fault::new(format!("is no domain name: {e}"))),
        Kind::Country => country(text)
            .map(|c| Datum::Codes(c, None))
            .ok_or_else(|| not("a two-letter country code such as `DE`")),
        Kind::Subdivision => text
            .split_once('-')
            .and_then(|(c, s)| Some((country(c)?, Code::new(s).filter(|_| s.len() <= 3)?)))
            .map(|(c, s)| Datum::Codes(c, Some(s)))
            .ok_or_else(|| not("a country and a subdivision such as `US-CA`")),
        Kind::Quorum if text == "majority" => Ok(Datum::Quorum(Quorum::Majority)),
        Kind::Quorum => {
            let share = parse_percent(text).ok_or_else(|| {
                not("a quorum").help("write \"majority\", a share such as \"30%\", or a number")
            })?;
            let share = in_range(share, 1, 100, |p| format!("{p}%"))?;
            Ok(Datum::Quorum(Quorum::Share(
                u8::try_from(share).unwrap_or(100),
            )))
        }
        Kind::Status => status(text)
            .ok_or_else(|| not("a status code (100 to 599) or a rising range such as `200-299`")),
        Kind::Bool
        | Kind::Integer(..)
        | Kind::Number(..)
        | Kind::List(..)
        | Kind::Array(..)
        | Kind::Table
        | Kind::Tables(_) => {
            let fault = wrong_type(kind, &Value::String(String::new()));
            let bare = text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok();
            Err(if bare {
                fault.help(format!("write {text} without quotes"))
            } else {
                fault
            })
        }
    }
}

fn country(text: &str) -> Option<Code> {
    let letters = text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic());
    letters.then(|| Code::new(text)).flatten()
}

fn status(text: &str) -> Option<Datum> {
    let code = |t: &str| {
        let digits = t.len() == 3 && t.bytes().all(|b| b.is_ascii_digit());
        let n: u16 = digits.then(|| t.parse().ok()).flatten()?;
        (100..=599).contains(&n).then_some(n)
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (code(from)?, code(to)?);
    (from <= to).then_some(Datum::Status(from, to))
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// What [`is_name`] wants.
pub(super) const NAME_RULE: &str = "a name of letters, digits, `-` and `_` (at most 63)";

/// Whether `text` can name an object.
pub(super) fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether `text` can name an HTTP header.
pub(super) fn is_header(text: &str) -> bool {
    is_token(text)
}

/// Whether `text` can name a network interface. The kernel allows more; these need no quotes anywhere.
fn is_link_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
        && text.bytes().any(|b| b != b'.')
}

/// `a`, `b`, `c`.
pub(super) fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|w| format!("`{w}`")).collect();
    words.join(", ")
}

/// The candidate most like `text`, if one is like it at all.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = text.to_lowercase();
    let length = lower.chars().count();
    candidates
        .into_iter()
        .filter_map(|c| {
            // A third of the letters may differ, and one always: `euu` is near `eu`, `db` is not.
            let count = c.chars().count();
            let allowed = (count.max(length) / 3).max(1);
            if count.abs_diff(length) > allowed {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&lower, &c.to_lowercase());
            (distance <= allowed).then_some((distance, c))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::parse_value;

    fn fault(toml: &str, kind: Kind) -> String {
        read(&parse_value(toml).unwrap().value, &kind)
            .unwrap_err()
            .text
    }

    #[test]
    fn o4_range_errors_give_both_numbers() {
        let s = Duration::from_secs;
        let kind = Kind::Duration(Duration::from_millis(100), s(3600), false);
        assert_eq!(
            fault("\"50ms\"", kind),
            "is 50ms; the smallest allowed is 100ms (range 100ms to 1h)"
        );
        assert_eq!(
            fault("0", Kind::Integer(1, 32)),
            "is 0; the smallest allowed is 1 (range 1 to 32)"
        );
        assert_eq!(
            fault("5", kind),
            "must be a duration such as \"5s\", but it is an integer"
        );
        assert!(fault("nan", Kind::Number(0.0, 1.0, "x")).contains("nan"));
    }

    #[test]
    fn statuses_and_codes() {
        let ok = |text: &str, kind: Kind| read_text(text, &kind).is_ok();
        for (text, want) in [
            ("200", true),
            ("200-299", true),
            ("299-200", false),
            ("99", false),
            ("600", false),
            ("+20", false),
            ("2xx", false),
        ] {
            assert_eq!(ok(text, Kind::Status), want, "{text}");
        }
        assert!(ok("DE", Kind::Country) && !ok("DEU", Kind::Country) && !ok("1A", Kind::Country));
        assert!(ok("US-CA", Kind::Subdivision) && !ok("USCA", Kind::Subdivision));
        assert!(!ok("0.0.0.0", Kind::Address) && !ok("224.0.0.1", Kind::Address));
    }

    #[test]
    fn o4_nearest_name() {
        assert_eq!(
            nearest("intervall", ["interval", "timeout"]),
            Some("interval")
        );
        assert_eq!(nearest("euu", ["eu", "us"]), Some("eu"));
        assert_eq!(nearest("zzz", ["eu", "us"]), None);
        assert_eq!(nearest("", ["eu"]), None);
    }
}
