//! What a route asks of a request beyond host and path.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use super::host::HostPattern;
use super::path::PathPattern;
use super::pattern::Pattern;
use crate::message::{Known, Method, Name, RequestHead};
use crate::net::Prefix;

/// A request as conditions see it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its head; the target's path is in the form of [`super::path::normalize`].
    pub head: &'a RequestHead,
    /// Its host, in the form of [`super::host::canonical`].
    pub host: &'a [u8],
    /// Its path.
    pub path: &'a [u8],
    /// Who sends it.
    pub client: IpAddr,
}

/// What a route asks of a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Condition {
    /// All of them.
    All(Vec<Condition>),
    /// At least one of them.
    Any(Vec<Condition>),
    /// That it does not hold.
    Not(Box<Condition>),
    /// One of these hosts.
    Host(Vec<HostPattern>),
    /// One of these paths.
    Path(Vec<PathPattern>),
    /// One of these methods. HEAD is not GET.
    Method(Vec<Method>),
    /// A header field of which some line passes.
    Header(Name, Test),
    /// A cookie of which some occurrence passes.
    Cookie(Box<[u8]>, Test),
    /// A query parameter of which some occurrence passes, name and value decoded.
    Query(Box<[u8]>, Test),
    /// One of these media types, in lower case, without parameters: `text/html`, `text/*`.
    ContentType(Vec<Box<[u8]>>),
    /// A client in one of these networks.
    Source(Vec<Prefix>),
}

/// What is asked of a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Test {
    /// That there is one.
    Present,
    /// That it is this one.
    Exact(Box<[u8]>),
    /// That it starts so.
    Prefix(Box<[u8]>),
    /// That the expression is found in it.
    Regex(Pattern),
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, asked: &Asked<'_>) -> bool {
        let head = asked.head;
        match self {
            Condition::All(all) => all.iter().all(|c| c.holds(asked)),
            Condition::Any(any) => any.iter().any(|c| c.holds(asked)),
            Condition::Not(not) => !not.holds(asked),
            Condition::Host(hosts) => hosts.iter().any(|h| h.matches(asked.host)),
            Condition::Path(paths) => paths.iter().any(|p| p.matches(asked.path)),
            Condition::Method(methods) => methods.contains(&head.method),
            Condition::Header(name, test) => {
                head.fields.all_named(name).any(|value| test.passes(value))
            }
            Condition::Cookie(name, test) => cookies(head, name).any(|value| test.passes(value)),
            Condition::Query(name, test) => {
                let mut values = parameters(head, name);
                values.any(|value| test.passes_decoded(value))
            }
            Condition::ContentType(types) => {
                let value = head.fields.get(Known::ContentType);
                value.is_some_and(|v| types.iter().any(|t| is_type(v, t)))
            }
            Condition::Source(networks) => networks.iter().any(|n| n.contains(asked.client)),
        }
    }

    /// Whether no sane request meets both. Of a field or parameter that occurs once the value is
    /// compared; one that occurs twice with both values can meet both.
    pub(super) fn excludes(&self, other: &Condition) -> bool {
        match (self, other) {
            (Condition::Method(a), Condition::Method(b)) => !a.iter().any(|m| b.contains(m)),
            (Condition::Source(a), Condition::Source(b)) => {
                let meet = |x: &Prefix, y: &Prefix| x.contains(y.addr()) || y.contains(x.addr());
                !a.iter().any(|x| b.iter().any(|y| meet(x, y)))
            }
            (Condition::ContentType(a), Condition::ContentType(b)) => {
                let meet = |x: &[u8], y: &[u8]| is_type(x, y) || is_type(y, x);
                !a.iter().any(|x| b.iter().any(|y| meet(x, y)))
            }
            (Condition::Header(a, s), Condition::Header(b, t)) => a == b && s.excludes(t),
            (Condition::Cookie(a, s), Condition::Cookie(b, t))
            | (Condition::Query(a, s), Condition::Query(b, t)) => a == b && s.excludes(t),
            (Condition::Not(a), b) | (b, Condition::Not(a)) => **a == *b,
            (Condition::All(all), other) | (other, Condition::All(all)) => {
                all.iter().any(|c| c.excludes(other))
            }
            _ => false,
        }
    }

    /// Conditions in it that look at the request.
    pub(super) fn count(&self) -> usize {
        match self {
            Condition::All(of) | Condition::Any(of) => of.iter().map(Condition::count).sum(),
            Condition::Not(of) => of.count(),
            _ => 1,
        }
    }
}

impl Test {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            Test::Present => true,
            Test::Exact(own) => **own == *value,
            Test::Prefix(own) => value.starts_with(own),
            Test::Regex(pattern) => pattern.is_match(value),
        }
    }

    /// As [`Test::passes`] for a value as it stands in a query. Only an expression over an encoded
    /// value needs memory.
    fn passes_decoded(&self, value: &[u8]) -> bool {
        match self {
            Test::Present => true,
            Test::Exact(own) => decoded(value).eq(own.iter().copied()),
            Test::Prefix(own) => decoded(value).take(own.len()).eq(own.iter().copied()),
            Test::Regex(pattern) => pattern.is_match(&decode(value)),
        }
    }

    fn excludes(&self, other: &Test) -> bool {
        match (self, other) {
            (Test::Exact(a), Test::Exact(b)) => a != b,
            (Test::Exact(a), Test::Prefix(b)) | (Test::Prefix(b), Test::Exact(a)) => {
                !a.starts_with(b)
            }
            (Test::Prefix(a), Test::Prefix(b)) => !a.starts_with(b) && !b.starts_with(a),
            (Test::Exact(a), Test::Regex(r)) | (Test::Regex(r), Test::Exact(a)) => !r.is_match(a),
            _ => false,
        }
    }
}

/// The values of all cookies of a name.
pub(super) fn cookies<'a>(head: &'a RequestHead, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let lines = head.fields.all(Known::Cookie);
    let pairs = lines.flat_map(|line| line.split(|b| *b == b';'));
    pairs.filter_map(move |pair| pair.trim_ascii().strip_prefix(name)?.strip_prefix(b"="))
}

/// The values of all query parameters of a name, which is compared decoded, as sent.
fn parameters<'a>(head: &'a RequestHead, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let query = head.query().unwrap_or_default();
    query.split(|b| *b == b'&').filter_map(move |pair| {
        let end = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let value = pair.get(end + 1..).unwrap_or_default();
        // `x` and `x=` are both there with an empty value; an empty pair is nothing.
        let is = !pair.is_empty() && decoded(&pair[..end]).eq(name.iter().copied());
        is.then_some(value)
    })
}

/// The octets of a query's name or value: `+` is a space, `%XX` an octet, a `%` without digits itself.
pub fn decoded(text: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (&b, after) = rest.split_first()?;
        rest = after;
        let digit = |b: Option<&u8>| char::from(*b?).to_digit(16);
        Some(match b {
            b'+' => b' ',
            b'%' => match (digit(rest.first()), digit(rest.get(1))) {
                (Some(high), Some(low)) => {
                    rest = &rest[2..];
                    (high * 16 + low) as u8
                }
                _ => b,
            },
            b => b,
        })
    })
}

/// The value of a query's parameter; memory is taken only when it is encoded.
pub fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if text.iter().any(|b| matches!(b, b'%' | b'+')) {
        Cow::Owned(decoded(text).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether the media type of a `content-type` is `wanted`, or one of its kind (`text/*`).
fn is_type(value: &[u8], wanted: &[u8]) -> bool {
    let end = value.iter().position(|b| *b == b';');
    let value = value[..end.unwrap_or(value.len())].trim_ascii();
    match wanted.strip_suffix(b"*") {
        Some(kind) => value
            .get(..kind.len())
            .is_some_and(|v| v.eq_ignore_ascii_case(kind)),
        None => value.eq_ignore_ascii_case(wanted),
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
        match self {
            Test::Present => f.write_str("is present"),
            Test::Exact(value) => write!(f, "is `{}`", text(value)),
            Test::Prefix(value) => write!(f, "starts with `{}`", text(value)),
            Test::Regex(pattern) => write!(f, "matches `{pattern}`"),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn several<T: fmt::Display>(
            f: &mut fmt::Formatter<'_>,
            of: &[T],
            between: &str,
        ) -> fmt::Result {
            for (i, c) in of.iter().enumerate() {
                write!(f, "{}{c}", if i > 0 { between } else { "" })?;
            }
            Ok(())
        }
        let text = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
        match self {
            Condition::All(of) => {
                f.write_str("all of (")?;
                several(f, of, "; ")?;
                f.write_str(")")
            }
            Condition::Any(of) => {
                f.write_str("any of (")?;
                several(f, of, "; ")?;
                f.write_str(")")
            }
            Condition::Not(of) => write!(f, "not ({of})"),
            Condition::Host(of) => {
                f.write_str("host ")?;
                several(f, of, " or ")
            }
            Condition::Path(of) => several(f, of, " or "),
            Condition::Method(of) => {
                f.write_str("method ")?;
                several(f, of, " or ")
            }
            Condition::Header(name, test) => write!(f, "header `{name}` {test}"),
            Condition::Cookie(name, test) => write!(f, "cookie `{}` {test}", text(name)),
            Condition::Query(name, test) => write!(f, "query parameter `{}` {test}", text(name)),
            Condition::ContentType(of) => {
                let of: Vec<String> = of.iter().map(|t| text(t)).collect();
                f.write_str("content type ")?;
                several(f, &of, " or ")
            }
            Condition::Source(of) => {
                f.write_str("source in ")?;
                several(f, of, " or ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str, fields: &[(&str, &str)]) -> RequestHead {
        RequestHead {
            authority: b"a.example".to_vec(),
            target: target.into(),
            fields: fields.iter().copied().collect(),
            ..RequestHead::default()
        }
    }

    fn holds(condition: &Condition, head: &RequestHead) -> bool {
        condition.holds(&Asked {
            head,
            host: head.host(),
            path: head.path(),
            client: [192, 0, 2, 7].into(),
        })
    }

    fn exact(text: &str) -> Test {
        Test::Exact(text.as_bytes().into())
    }

    #[test]
    fn each_kind_holds_and_fails() {
        let h = head(
            "/p?v=1&x=%32+3&v=2&flag",
            &[
                ("X-A", "one"),
                ("x-a", "two"),
                ("Cookie", "sid=9; t=1"),
                ("content-type", "Text/HTML; charset=utf-8"),
            ],
        );
        let name = |n: &str| Name::new(n.as_bytes());
        let regex = |p: &str| Test::Regex(Pattern::new(p).unwrap());
        let query = |n: &str, t: Test| Condition::Query(n.as_bytes().into(), t);
        let cookie = |n: &str, t: Test| Condition::Cookie(n.as_bytes().into(), t);
        for (condition, want) in [
            (Condition::Method(vec![Method::Get]), true),
            (Condition::Method(vec![Method::Post, Method::Head]), false),
            (Condition::Header(name("X-A"), Test::Present), true),
            (Condition::Header(name("X-B"), Test::Present), false),
            (Condition::Header(name("X-A"), exact("two")), true),
            (Condition::Header(name("X-A"), exact("TWO")), false),
            (Condition::Header(name("X-A"), regex("^on")), true),
            (
                Condition::Header(name("X-A"), Test::Prefix(b"tw"[..].into())),
                true,
            ),
            (cookie("sid", exact("9")), true),
            (cookie("si", Test::Present), false),
            (cookie("t", regex("[2-9]")), false),
            (query("v", exact("2")), true),
            (query("x", exact("2 3")), true),
            (query("x", Test::Prefix(b"2 "[..].into())), true),
            (query("x", Test::Prefix(b"2 34"[..].into())), false),
            (query("x", regex("^2 3$")), true),
            (query("flag", exact("")), true),
            (query("fla", Test::Present), false),
            (query("", Test::Present), false),
            (Condition::ContentType(vec![b"text/html"[..].into()]), true),
            (Condition::ContentType(vec![b"text/*"[..].into()]), true),
            (Condition::ContentType(vec![b"image/*"[..].into()]), false),
            (
                Condition::Source(vec!["192.0.2.0/24".parse().unwrap()]),
                true,
            ),
            (
                Condition::Source(vec!["192.0.3.0/24".parse().unwrap()]),
                false,
            ),
            (
                Condition::Host(vec![HostPattern::parse("*.example").unwrap()]),
                true,
            ),
            (
                Condition::Path(vec![PathPattern::Exact(b"/p"[..].into())]),
                true,
            ),
            (
                Condition::Path(vec![PathPattern::Prefix(b"/q"[..].into())]),
                false,
            ),
        ] {
            assert_eq!(holds(&condition, &h), want, "{condition}");
            assert_eq!(
                holds(&Condition::Not(Box::new(condition.clone())), &h),
                !want
            );
            let no = Condition::Method(vec![Method::Trace]);
            let both = vec![no, condition.clone()];
            assert_eq!(
                holds(&Condition::Any(both.clone()), &h),
                want,
                "{condition}"
            );
            assert!(!holds(&Condition::All(both), &h));
            assert!(!condition.excludes(&condition), "{condition}");
        }
    }

    #[test]
    fn what_excludes_what() {
        let header = |t: Test| Condition::Header(Name::new(b"x"), t);
        let source = |n: &str| Condition::Source(vec![n.parse().unwrap()]);
        let method = |m: Method| Condition::Method(vec![m]);
        let not = |c: Condition| Condition::Not(Box::new(c));
        for (a, b, want) in [
            (header(exact("1")), header(exact("2")), true),
            (header(exact("1")), header(Test::Present), false),
            (
                header(exact("1")),
                Condition::Header(Name::new(b"y"), exact("2")),
                false,
            ),
            (method(Method::Get), method(Method::Head), true),
            (source("10.0.0.0/8"), source("10.1.0.0/16"), false),
            (source("10.0.0.0/8"), source("11.0.0.0/8"), true),
            (not(header(exact("1"))), header(exact("1")), true),
            (not(header(exact("1"))), header(exact("2")), false),
        ] {
            assert_eq!(a.excludes(&b), want, "{a} {b}");
            assert_eq!(b.excludes(&a), want, "{b} {a}");
        }
    }
}
