//! Cookies in messages (RFC 6265): one of ours, and those of the application that are changed on their way.

use super::{InsertedCookie, SameSite};
use crate::message::{Fields, Known, ResponseHead};

/// What stands between the name of a backend and the value of the application.
pub const DELIMITER: u8 = b'~';

/// What becomes of a cookie.
pub enum Edit {
    /// It stays.
    Keep,
    /// It is removed.
    Remove,
    /// It gets another value.
    Replace(Vec<u8>),
}

/// Goes through the cookies called `name` of a request.
pub fn edit_request(fields: &mut Fields, name: &[u8], mut edit: impl FnMut(&[u8]) -> Edit) {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut changed = false;
    for line in fields.all(Known::Cookie) {
        let mut kept: Vec<u8> = Vec::with_capacity(line.len());
        for pair in line.split(|b| *b == b';').map(<[u8]>::trim_ascii) {
            let verdict = match value_of(pair, name) {
                Some(value) => edit(value),
                None => Edit::Keep,
            };
            if matches!(verdict, Edit::Remove) || pair.is_empty() {
                changed |= !pair.is_empty();
                continue;
            }
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            match verdict {
                Edit::Replace(value) => {
                    changed = true;
                    kept.extend_from_slice(name);
                    kept.push(b'=');
                    kept.extend_from_slice(&value);
                }
                Edit::Keep | Edit::Remove => kept.extend_from_slice(pair),
            }
        }
        lines.push(kept);
    }
    if !changed {
        return;
    }
    fields.remove(Known::Cookie);
    for line in lines.iter().filter(|l| !l.is_empty()) {
        fields.push_known(Known::Cookie, line);
    }
}

/// The value of the last cookie called `name` that a response sets, which is the one a browser keeps.
pub fn set_by<'a>(fields: &'a Fields, name: &'a [u8]) -> Option<&'a [u8]> {
    fields
        .all(Known::SetCookie)
        .filter_map(|line| value_of(first_part(line), name))
        .last()
}

/// Writes `token` before the value of the cookies called `name` that a response sets. One that is
/// emptied stays empty: it is being deleted.
pub fn prefix_response(fields: &mut Fields, name: &[u8], token: &[u8]) {
    let has = |line: &[u8]| value_of(first_part(line), name).is_some_and(|v| !v.is_empty());
    if !fields.all(Known::SetCookie).any(has) {
        return;
    }
    let lines: Vec<Vec<u8>> = fields
        .all(Known::SetCookie)
        .map(|line| match has(line) {
            true => {
                let at = line.iter().position(|b| *b == b'=').map_or(0, |at| at + 1);
                let (before, after) = line.split_at(at);
                [before, token, &[DELIMITER], after.trim_ascii_start()].concat()
            }
            false => line.to_vec(),
        })
        .collect();
    fields.remove(Known::SetCookie);
    for line in &lines {
        fields.push_known(Known::SetCookie, line);
    }
}

/// Has a response set our cookie to `token`; one of the same name that the backend sets is removed.
/// `is_secure`: the client speaks TLS.
pub fn insert(head: &mut ResponseHead, cookie: &InsertedCookie, token: &[u8], is_secure: bool) {
    let name = cookie.name.as_bytes();
    if set_by(&head.fields, name).is_some() {
        head.fields.retain(|field, line| {
            field != b"set-cookie" || value_of(first_part(line), name).is_none()
        });
    }
    let value = written(cookie, token, is_secure);
    head.fields.push_known(Known::SetCookie, &value);
    if cookie.no_cache {
        let hidden = |m: &[u8]| {
            [&b"private"[..], b"no-store"]
                .iter()
                .any(|word| m.eq_ignore_ascii_case(word))
        };
        if !head.fields.members(Known::CacheControl).any(hidden) {
            head.fields.push_known(Known::CacheControl, b"private");
        }
    }
}

fn written(cookie: &InsertedCookie, token: &[u8], is_secure: bool) -> Vec<u8> {
    let mut value = Vec::with_capacity(128);
    let mut add = |parts: &[&[u8]]| parts.iter().for_each(|p| value.extend_from_slice(p));
    add(&[cookie.name.as_bytes(), b"=", token]);
    add(&[b"; Path=", cookie.path.as_bytes()]);
    if let Some(domain) = &cookie.domain {
        add(&[b"; Domain=", domain.as_bytes()]);
    }
    if let Some(age) = cookie.max_age {
        add(&[b"; Max-Age=", age.as_secs().to_string().as_bytes()]);
    }
    if cookie.secure.unwrap_or(is_secure) {
        add(&[b"; Secure"]);
    }
    if cookie.http_only {
        add(&[b"; HttpOnly"]);
    }
    add(&[match cookie.same_site {
        SameSite::Lax => b"; SameSite=Lax".as_slice(),
        SameSite::Strict => b"; SameSite=Strict",
        SameSite::None => b"; SameSite=None",
    }]);
    value
}

/// The pair of a `Set-Cookie` line, without its attributes.
fn first_part(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|b| *b == b';');
    &line[..end.unwrap_or(line.len())]
}

/// The value of `NAME=VALUE`.
fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = pair.iter().position(|b| *b == b'=')?;
    (pair[..at].trim_ascii() == name).then(|| pair[at + 1..].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn fields(lines: &[(&str, &str)]) -> Fields {
        lines.iter().copied().collect()
    }

    fn shown(fields: &Fields) -> Vec<String> {
        let line = |(n, v): (&[u8], &[u8])| {
            format!(
                "{}: {}",
                String::from_utf8_lossy(n),
                String::from_utf8_lossy(v)
            )
        };
        fields.iter().map(line).collect()
    }

    fn cookie() -> InsertedCookie {
        InsertedCookie {
            name: "SRV".into(),
            path: "/".into(),
            domain: None,
            secure: None,
            http_only: true,
            same_site: SameSite::Lax,
            max_age: None,
            indirect: true,
            no_cache: true,
        }
    }

    #[test]
    fn cookies_of_a_request_are_removed_and_replaced() {
        let mut f = fields(&[
            ("cookie", "a=1; SRV=x;SRV2=y ; SRV=z"),
            ("cookie", "SRV=q"),
            ("x", "1"),
        ]);
        edit_request(&mut f, b"SRV", |_| Edit::Remove);
        assert_eq!(shown(&f), ["x: 1", "cookie: a=1; SRV2=y"]);
        edit_request(&mut f, b"a", |v| Edit::Replace([v, b"0"].concat()));
        assert_eq!(shown(&f), ["x: 1", "cookie: a=10; SRV2=y"]);
        // What has none is not touched.
        let mut f = fields(&[("cookie", "a=1;b=2"), ("x", "1")]);
        edit_request(&mut f, b"SRV", |_| Edit::Remove);
        assert_eq!(shown(&f), ["cookie: a=1;b=2", "x: 1"]);
    }

    #[test]
    fn values_that_a_response_sets() {
        let f = fields(&[
            ("set-cookie", "sid=one; Path=/"),
            ("set-cookie", "sidx=no"),
            ("set-cookie", "sid=two;HttpOnly"),
        ]);
        assert_eq!(set_by(&f, b"sid"), Some(&b"two"[..]));
        assert_eq!(set_by(&f, b"other"), None);
    }

    #[test]
    fn the_cookie_of_the_application_gets_its_prefix() {
        let mut f = fields(&[
            ("set-cookie", "sid=one; Path=/"),
            ("set-cookie", "other=1"),
            ("set-cookie", "sid=; Max-Age=0"),
        ]);
        prefix_response(&mut f, b"sid", b"TOKEN");
        assert_eq!(
            shown(&f),
            [
                "set-cookie: sid=TOKEN~one; Path=/",
                "set-cookie: other=1",
                "set-cookie: sid=; Max-Age=0"
            ]
        );
    }

    #[test]
    fn our_cookie_has_the_attributes_that_are_configured() {
        let mut head = ResponseHead::new(200);
        head.fields.push(b"Set-Cookie", b"SRV=theirs");
        head.fields.push(b"Set-Cookie", b"sid=1");
        insert(&mut head, &cookie(), b"T", false);
        assert_eq!(
            shown(&head.fields),
            [
                "set-cookie: sid=1",
                "set-cookie: SRV=T; Path=/; HttpOnly; SameSite=Lax",
                "cache-control: private"
            ]
        );
        let all = InsertedCookie {
            path: "/app".into(),
            domain: Some("example.com".into()),
            http_only: false,
            same_site: SameSite::None,
            max_age: Some(Duration::from_secs(3600)),
            no_cache: false,
            ..cookie()
        };
        let mut head = ResponseHead::new(200);
        insert(&mut head, &all, b"T", true);
        assert_eq!(
            shown(&head.fields),
            [
                "set-cookie: SRV=T; Path=/app; Domain=example.com; Max-Age=3600; Secure; SameSite=None"
            ]
        );
        // What is private already is not said twice.
        let mut head = ResponseHead::new(200);
        head.fields.push(b"Cache-Control", b"no-cache, Private");
        insert(&mut head, &cookie(), b"T", false);
        assert_eq!(head.fields.all(Known::CacheControl).count(), 1);
    }
}
