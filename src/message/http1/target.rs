//! Targets of requests (RFC 9112 section 3.2) and authorities (RFC 3986 section 3.2).

/// What a target is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form<'a> {
    /// Path and query.
    Origin(&'a [u8]),
    /// `http://authority/path?query`: the authority, and path with query, which may be empty.
    Absolute {
        authority: &'a [u8],
        default_port: &'static [u8],
        rest: &'a [u8],
    },
    /// `host:port` of CONNECT.
    Authority(&'a [u8]),
    /// `*` of OPTIONS.
    Asterisk,
}

const PATH: u8 = 1;
const QUERY: u8 = 2;
const HOST: u8 = 4;

/// What each octet may be part of.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        class[i] = match b {
            // unreserved and sub-delims
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                PATH | QUERY | HOST
            }
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                PATH | QUERY | HOST
            }
            b':' | b'@' | b'/' => PATH | QUERY,
            b'?' | b'%' => QUERY,
            // Not in RFC 3986, but browsers send them as they are (WHATWG URL, percent-encode sets).
            b'[' | b']' | b'|' | b'^' => PATH | QUERY,
            b'\\' | b'`' | b'{' | b'}' => QUERY,
            _ => 0,
        };
        i += 1;
    }
    class
};

/// Takes a target apart; `None` when it is none.
pub(super) fn form<'a>(target: &'a [u8], connect: bool, options: bool) -> Option<Form<'a>> {
    if connect {
        return Some(Form::Authority(target));
    }
    if target.first() == Some(&b'/') {
        return is_path_and_query(target).then_some(Form::Origin(target));
    }
    if target == b"*" {
        return options.then_some(Form::Asterisk);
    }
    let (scheme, rest) = target.split_at(target.iter().position(|b| *b == b':')?);
    let rest = rest.strip_prefix(b"://")?;
    let default_port: &[u8] = match scheme {
        s if s.eq_ignore_ascii_case(b"http") => b":80",
        s if s.eq_ignore_ascii_case(b"https") => b":443",
        _ => return None,
    };
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?'));
    let (authority, rest) = rest.split_at(end.unwrap_or(rest.len()));
    is_path_and_query(rest).then_some(Form::Absolute {
        authority,
        default_port,
        rest,
    })
}

/// Whether this is a path with or without a query. Escapes of the path must be whole, and must not
/// spell NUL, which ends strings elsewhere; in queries a lone `%` is common.
pub fn is_path_and_query(text: &[u8]) -> bool {
    let mut i = 0;
    while let Some(b) = text.get(i) {
        if CLASS[usize::from(*b)] & PATH != 0 {
            i += 1;
        } else if *b == b'%' {
            match text.get(i + 1..i + 3) {
                Some([b'0', b'0']) => return false,
                Some([a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => i += 3,
                _ => return false,
            }
        } else if *b == b'?' {
            let allowed = |all, b: &u8| all & (CLASS[usize::from(*b)] & QUERY != 0);
            return text[i..].iter().fold(true, allowed);
        } else {
            return false;
        }
    }
    true
}

/// An authority without user information: host, and port where one is given. `None` when it is none.
/// A colon without a port is left out.
pub fn authority(text: &[u8]) -> Option<&[u8]> {
    let host_end = if text.first() == Some(&b'[') {
        let end = text.iter().position(|b| *b == b']')?;
        let inner = std::str::from_utf8(&text[1..end]).ok()?;
        inner.parse::<std::net::Ipv6Addr>().ok()?;
        end + 1
    } else {
        let end = text.iter().position(|b| *b == b':').unwrap_or(text.len());
        let host = &text[..end];
        let allowed = |all, b: &u8| all & (CLASS[usize::from(*b)] & HOST != 0);
        if host.is_empty() || !host.iter().fold(true, allowed) {
            return None;
        }
        end
    };
    match &text[host_end..] {
        [] | [b':'] => Some(&text[..host_end]),
        [b':', port @ ..] => is_port(port).then_some(text),
        _ => None,
    }
}

fn is_port(port: &[u8]) -> bool {
    let digits = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    digits
        && port
            .iter()
            .fold(0u32, |n, b| n * 10 + u32::from(b - b'0'))
            .le(&65_535)
}

/// Whether two authorities of one scheme name the same place; without a port it is the default one.
pub(super) fn same(a: &[u8], b: &[u8], default_port: &[u8]) -> bool {
    let short = |text: &'_ [u8]| {
        text.len()
            - if text.ends_with(default_port) {
                default_port.len()
            } else {
                0
            }
    };
    a[..short(a)].eq_ignore_ascii_case(&b[..short(b)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_origin(text: &[u8]) -> bool {
        form(text, false, false) == Some(Form::Origin(text))
    }

    #[test]
    fn paths_and_queries() {
        for good in [
            &b"/"[..],
            b"/a/b?x=1&y=%zz&100%",
            b"/%41%fF",
            b"//a/../b;c=d",
            b"/a[1]|b?{x}",
            b"/?",
            b"/a?b?c",
        ] {
            assert!(is_origin(good), "{}", good.escape_ascii());
        }
        for bad in [
            &b""[..],
            b"a",
            b"/%",
            b"/%4",
            b"/%zz",
            b"/%00",
            b"/a#b",
            b"/a?b#c",
            b"/a b",
            b"/\xc3\xa9",
            b"/?\xff",
            b"/\x7f",
            b"/<",
            b"/\\",
            b"*",
            b"?x",
        ] {
            assert!(!is_origin(bad), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn absolute_targets_have_an_authority_and_a_rest() {
        assert_eq!(
            form(b"HTTP://a:81/x?y", false, false),
            Some(Form::Absolute {
                authority: b"a:81",
                default_port: b":80",
                rest: b"/x?y"
            })
        );
        assert_eq!(
            form(b"https://a?y", false, false),
            Some(Form::Absolute {
                authority: b"a",
                default_port: b":443",
                rest: b"?y"
            })
        );
        assert_eq!(form(b"ftp://a/", false, false), None);
        assert_eq!(form(b"http:/a", false, false), None);
        assert_eq!(form(b"*", false, true), Some(Form::Asterisk));
    }

    #[test]
    fn authorities() {
        for (good, kept) in [
            ("a", "a"),
            ("a:80", "a:80"),
            ("a:", "a"),
            ("[2001:db8::1]", "[2001:db8::1]"),
            ("[::1]:65535", "[::1]:65535"),
            ("_x.example", "_x.example"),
        ] {
            assert_eq!(authority(good.as_bytes()), Some(kept.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a:65536", "a:8x", "a:80:80", "u@a", "a b", "a/b", "[::1", "[x]", "[::1]x",
            "a%00b", "a\u{e9}", "a\"", "a:+80", "a:000080", "::1",
        ] {
            assert_eq!(authority(bad.as_bytes()), None, "{bad}");
        }
        assert!(same(b"A:80", b"a", b":80"));
        assert!(!same(b"a:81", b"a", b":80"));
        assert!(!same(b"a:443", b"a", b":80"));
    }
}
