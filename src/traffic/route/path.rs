//! Paths: the one form in which they are matched, and what routes say of them.
//!
//! A path can be spelt in many ways (`/a/../b`, `//b`, `/%62`), and a rule that knows one of them is
//! bypassed by another. So every request's path is brought into one form first (RFC 3986 sections
//! 6.2.2 and 6.2.3), the routes are matched with that, and that is what is sent on; what cannot be
//! brought into it is refused.

use std::fmt;

use super::pattern::Pattern;

/// What is done with a path that has more than one reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PathRules {
    /// `%2F` and `%5C`: a slash to some servers, a character of a name to others.
    pub encoded_slashes: EncodedSlashes,
    /// Whether `..` at the root is dropped, as RFC 3986 says; otherwise the request is refused.
    pub clamp: bool,
    /// Whether several slashes in a row count as one.
    pub merge_slashes: bool,
    /// Whether the path is sent on as it came; otherwise in the form in which it was matched.
    pub as_sent: bool,
}

impl Default for PathRules {
    fn default() -> PathRules {
        PathRules {
            encoded_slashes: EncodedSlashes::Keep,
            clamp: false,
            merge_slashes: true,
            as_sent: false,
        }
    }
}

/// What `%2F` and `%5C` in a path are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EncodedSlashes {
    /// Characters of a segment: they stay encoded and end none (RFC 3986 section 2.2). One beside
    /// `.` or `..` is refused all the same: a server that decodes it would climb.
    #[default]
    Keep,
    /// Slashes.
    Decode,
    /// A reason to refuse the request.
    Refuse,
}

/// Why a path is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PathError {
    /// A `%` without two hexadecimal digits.
    #[error("`%` is not followed by two hexadecimal digits")]
    Percent,
    /// `%00`.
    #[error("an encoded NUL")]
    Nul,
    /// A control character, a space or `#`.
    #[error("a character that no path has")]
    Octet,
    /// `%2F` or `%5C`, which the configuration refuses.
    #[error("an encoded slash")]
    Slash,
    /// `..` above the root, or one with parameters (`..;x`), which servers read differently.
    #[error("`..` leads out of the root")]
    Beyond,
}

/// Brings the path of `target` (path and query) into the form in which it is matched: unreserved
/// characters decoded, other escapes in upper case, octets outside ASCII and `\` encoded, no `.` and
/// `..`, no empty segments. The query is left alone, and so is a target that is no path (`*`). Says
/// whether anything changed.
///
/// # Errors
/// When the path is to be refused; `target` is then as it was.
pub fn normalize(target: &mut Vec<u8>, rules: &PathRules) -> Result<bool, PathError> {
    if target.first() != Some(&b'/') {
        return Ok(false);
    }
    let Some(end) = plain_until_query(target) else {
        let mark = target.iter().position(|b| *b == b'?');
        let end = mark.unwrap_or(target.len());
        let mut out = Vec::with_capacity(target.len() + 16);
        resolve(&target[..end], rules, &mut out)?;
        let changed = out[..] != target[..end];
        if changed {
            out.extend_from_slice(&target[end..]);
            *target = out;
        }
        return Ok(changed);
    };
    debug_assert!(end <= target.len());
    Ok(false)
}

/// Where the path ends, when it is in the wanted form beyond doubt.
fn plain_until_query(target: &[u8]) -> Option<usize> {
    let mut after_slash = false;
    for (i, b) in target.iter().enumerate() {
        match b {
            b'?' => return Some(i),
            b'/' if after_slash => return None,
            b'.' if after_slash => return None,
            b'%' | b'\\' | b'#' | 0x7f.. | ..=b' ' => return None,
            _ => {}
        }
        after_slash = *b == b'/';
    }
    Some(target.len())
}

/// Writes the path in the wanted form.
fn resolve(path: &[u8], rules: &PathRules, out: &mut Vec<u8>) -> Result<(), PathError> {
    let mut rest = path;
    while let Some((&b, after)) = rest.split_first() {
        rest = after;
        match b {
            b'%' => {
                let (code, after) = escape(rest)?;
                rest = after;
                match code {
                    0 => return Err(PathError::Nul),
                    b'/' | b'\\' if rules.encoded_slashes == EncodedSlashes::Refuse => {
                        return Err(PathError::Slash);
                    }
                    b'/' | b'\\' if rules.encoded_slashes == EncodedSlashes::Decode => {
                        slash(rules, out)?;
                    }
                    c if is_unreserved(c) => out.push(c),
                    c => encode(c, out),
                }
            }
            b'/' => slash(rules, out)?,
            b'\\' | 0x80.. => encode(b, out),
            b'#' | 0x7f | ..=b' ' => return Err(PathError::Octet),
            _ => out.push(b),
        }
    }
    // The last segment is closed like the others; its slash is only there for the dots.
    let dots = matches!(last_segment(out), b"." | b"..");
    close(rules, out)?;
    if !dots && out.len() > 1 {
        out.pop();
    }
    Ok(())
}

/// A slash: ends the segment before it.
fn slash(rules: &PathRules, out: &mut Vec<u8>) -> Result<(), PathError> {
    if out.is_empty() {
        out.push(b'/');
        return Ok(());
    }
    if rules.merge_slashes && out.last() == Some(&b'/') {
        return Ok(());
    }
    close(rules, out)
}

/// Ends the last segment of `out`, so that `out` ends in a slash.
fn close(rules: &PathRules, out: &mut Vec<u8>) -> Result<(), PathError> {
    let segment = last_segment(out);
    let start = out.len() - segment.len();
    match segment {
        b"." => out.truncate(start),
        b".." => {
            // Without the slash before the dots: what is left ends with the segment to remove.
            out.truncate(start - 1);
            match out.iter().rposition(|b| *b == b'/') {
                Some(slash) => out.truncate(slash + 1),
                None if rules.clamp => out.push(b'/'),
                None => return Err(PathError::Beyond),
            }
        }
        dots if hides_dots(dots) => return Err(PathError::Beyond),
        // Servers that take parameters off before they resolve dots climb here.
        [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(PathError::Beyond),
        _ => out.push(b'/'),
    }
    Ok(())
}

/// Whether `.` or `..` stands between encoded slashes, which are in upper case here.
fn hides_dots(segment: &[u8]) -> bool {
    let mut rest = segment;
    let mut encoded = false;
    while let Some(at) = rest.windows(3).position(|w| w == b"%2F" || w == b"%5C") {
        if matches!(rest[..at], [b'.'] | [b'.', b'.']) {
            return true;
        }
        encoded = true;
        rest = &rest[at + 3..];
    }
    encoded && matches!(rest, b"." | b"..")
}

fn last_segment(out: &[u8]) -> &[u8] {
    let slash = out.iter().rposition(|b| *b == b'/');
    &out[slash.map_or(0, |s| s + 1)..]
}

/// The octet that the two digits at the start of `rest` stand for, and what follows.
fn escape(rest: &[u8]) -> Result<(u8, &[u8]), PathError> {
    let [high, low, after @ ..] = rest else {
        return Err(PathError::Percent);
    };
    let digit = |b: u8| char::from(b).to_digit(16).ok_or(PathError::Percent);
    let code = digit(*high)? * 16 + digit(*low)?;
    Ok((code as u8, after))
}

fn encode(code: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([
        b'%',
        DIGITS[usize::from(code >> 4)],
        DIGITS[usize::from(code & 15)],
    ]);
}

/// RFC 3986 section 2.3.
fn is_unreserved(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~')
}

/// Whether `text` holds only characters that a path, or the replacement of a part of one, can have.
pub fn is_path_text(text: &[u8]) -> bool {
    text.iter()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'\\'))
}

/// Paths that a route names, in the form of [`normalize`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum PathPattern {
    /// Every path, and every target that is no path.
    #[default]
    Any,
    /// `/v1`: that path and what lies below it (`/v1/x`), but not `/v10`. `/v1/`: only what lies
    /// below, `/v1/` among it.
    Prefix(Box<[u8]>),
    /// Paths in which the expression is found.
    Regex(Pattern),
    /// This one.
    Exact(Box<[u8]>),
}

impl PathPattern {
    /// Whether it is for `path`, which is in the form of [`normalize`].
    pub fn matches(&self, path: &[u8]) -> bool {
        match self {
            PathPattern::Any => true,
            PathPattern::Exact(own) => **own == *path,
            PathPattern::Prefix(own) => has_prefix(path, own),
            PathPattern::Regex(pattern) => path.first() == Some(&b'/') && pattern.is_match(path),
        }
    }

    /// Whether every path of `other` is surely one of these.
    pub fn covers(&self, other: &PathPattern) -> bool {
        match (self, other) {
            (PathPattern::Any, _) => true,
            (_, PathPattern::Any) => false,
            (_, PathPattern::Exact(path)) => self.matches(path),
            (PathPattern::Exact(_), _) => false,
            (PathPattern::Prefix(own), PathPattern::Prefix(its)) => has_prefix(its, own),
            (PathPattern::Prefix(own), PathPattern::Regex(its)) => has_prefix(directory(its), own),
            (PathPattern::Regex(own), PathPattern::Regex(its)) => own == its,
            (PathPattern::Regex(_), PathPattern::Prefix(_)) => false,
        }
    }

    /// How specific it is; more is preferred.
    pub(super) fn specificity(&self) -> (u8, usize, usize) {
        match self {
            PathPattern::Any => (0, 0, 0),
            PathPattern::Prefix(prefix) => (1, prefix.len(), 0),
            PathPattern::Regex(p) => (2, p.head().len(), p.as_str().len()),
            PathPattern::Exact(_) => (3, 0, 0),
        }
    }
}

/// The directory in which all paths of an expression lie: `/a/` for `^/a/b[0-9]`.
pub(super) fn directory(pattern: &Pattern) -> &[u8] {
    let head = pattern.head();
    match head.iter().rposition(|b| *b == b'/') {
        Some(slash) if head[0] == b'/' => &head[..=slash],
        _ => b"/",
    }
}

/// Whether `path` is `prefix`, or lies below it.
pub(super) fn has_prefix(path: &[u8], prefix: &[u8]) -> bool {
    let Some(rest) = path.strip_prefix(prefix) else {
        return false;
    };
    prefix.ends_with(b"/") || rest.is_empty() || rest[0] == b'/'
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |t: &[u8]| String::from_utf8_lossy(t).into_owned();
        match self {
            PathPattern::Any => f.write_str("any path"),
            PathPattern::Exact(path) => write!(f, "path {}", text(path)),
            PathPattern::Prefix(path) => write!(f, "path prefix {}", text(path)),
            PathPattern::Regex(pattern) => write!(f, "path regex {pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(text: &str, rules: &PathRules) -> Result<String, PathError> {
        let mut target = text.as_bytes().to_vec();
        let changed = normalize(&mut target, rules)?;
        assert_eq!(changed, target != text.as_bytes(), "{text}");
        Ok(String::from_utf8(target).unwrap())
    }

    #[test]
    fn one_form_for_all_spellings_of_a_path() {
        let rules = PathRules::default();
        for (text, want) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("/%61dmin", "/admin"),
            ("/%41%2d%7e%5F", "/A-~_"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/é\\x", "/%C3%A9%5Cx"),
            ("//admin", "/admin"),
            ("/a///b//", "/a/b/"),
            ("/./a/./b/.", "/a/b/"),
            ("/x/../admin", "/admin"),
            ("/x/%2e%2E/admin", "/admin"),
            ("/x/y/../../admin/", "/admin/"),
            ("/x/y/..", "/x/"),
            ("/x//../y", "/y"),
            ("/.well-known/x", "/.well-known/x"),
            ("/..a/...", "/..a/..."),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2f..b%2fc", "/a%2F..b%2Fc"),
            ("/%252e%252e/", "/%252e%252e/"),
            ("/a/../b?x=/../%00", "/b?x=/../%00"),
            ("/a?//", "/a?//"),
            ("*", "*"),
            ("", ""),
        ] {
            assert_eq!(normal(text, &rules).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_has_no_safe_reading_is_refused() {
        let rules = PathRules::default();
        for (text, error) in [
            ("/%00", PathError::Nul),
            ("/%", PathError::Percent),
            ("/%4", PathError::Percent),
            ("/%zz", PathError::Percent),
            ("/a%+1", PathError::Percent),
            ("/a#b", PathError::Octet),
            ("/a b", PathError::Octet),
            ("/..", PathError::Beyond),
            ("/../a", PathError::Beyond),
            ("/a/%2e%2e/../b", PathError::Beyond),
            ("/a/..;x=1/b", PathError::Beyond),
            ("/a/..;", PathError::Beyond),
            ("/.;/a", PathError::Beyond),
            // A server that decodes slashes would climb.
            ("/a%2F..%2Fadmin", PathError::Beyond),
            ("/a%5c..", PathError::Beyond),
            ("/..%2Fadmin", PathError::Beyond),
            ("/a/%2e%2e%2fadmin", PathError::Beyond),
        ] {
            assert_eq!(normal(text, &rules), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_ambiguous_follows_the_configuration() {
        let decode = PathRules {
            encoded_slashes: EncodedSlashes::Decode,
            ..PathRules::default()
        };
        assert_eq!(normal("/x%2F..%5cadmin", &decode).as_deref(), Ok("/admin"));
        assert_eq!(normal("/x%2F%2F", &decode).as_deref(), Ok("/x/"));
        let refuse = PathRules {
            encoded_slashes: EncodedSlashes::Refuse,
            ..PathRules::default()
        };
        assert_eq!(normal("/a%2Fb", &refuse), Err(PathError::Slash));
        assert_eq!(normal("/a%5Cb", &refuse), Err(PathError::Slash));
        let clamp = PathRules {
            clamp: true,
            merge_slashes: false,
            ..PathRules::default()
        };
        assert_eq!(normal("/../../a", &clamp).as_deref(), Ok("/a"));
        assert_eq!(normal("/..", &clamp).as_deref(), Ok("/"));
        assert_eq!(normal("/a//b", &clamp).as_deref(), Ok("/a//b"));
        assert_eq!(normal("/a//../b", &clamp).as_deref(), Ok("/a/b"));
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let prefix = |p: &str| PathPattern::Prefix(p.as_bytes().into());
        for (pattern, path, want) in [
            ("/v1", "/v1", true),
            ("/v1", "/v1/", true),
            ("/v1", "/v1/x", true),
            ("/v1", "/v10", false),
            ("/v1/", "/v1", false),
            ("/v1/", "/v1/", true),
            ("/v1/", "/v1/x", true),
            ("/", "/", true),
            ("/", "/x", true),
            ("/", "*", false),
        ] {
            assert_eq!(
                prefix(pattern).matches(path.as_bytes()),
                want,
                "{pattern} {path}"
            );
        }
        let regex = |p: &str| PathPattern::Regex(Pattern::new(p).unwrap());
        assert!(prefix("/a").covers(&regex("^/a/b[0-9]")));
        assert!(!prefix("/a").covers(&regex("^/ab[0-9]")));
        assert!(!prefix("/a").covers(&regex("/a/b")));
        assert!(prefix("/").covers(&regex("/a/b")));
        assert!(regex("^/a").covers(&PathPattern::Exact(b"/ab".as_slice().into())));
        assert!(!PathPattern::Exact(b"/a".as_slice().into()).covers(&prefix("/a")));
    }

    proptest! {
        /// Nothing that comes out can be read in another way, and it stays as it is.
        #[test]
        fn s4_the_form_is_final(
            text in "[/.%2eE5cCfF0a;?]{0,24}",
            clamp: bool, merge_slashes: bool, slashes in 0..3,
        ) {
            let encoded_slashes = match slashes {
                0 => EncodedSlashes::Keep,
                1 => EncodedSlashes::Decode,
                _ => EncodedSlashes::Refuse,
            };
            let rules = PathRules { encoded_slashes, clamp, merge_slashes, as_sent: false };
            let mut target = format!("/{text}").into_bytes();
            if normalize(&mut target, &rules).is_ok() {
                let once = target.clone();
                prop_assert_eq!(normalize(&mut target, &rules), Ok(false));
                prop_assert_eq!(&target, &once);
                let end = once.iter().position(|b| *b == b'?').unwrap_or(once.len());
                let path = &once[..end];
                prop_assert!(path.starts_with(b"/"));
                for segment in path.split(|b| *b == b'/') {
                    prop_assert!(segment != b"." && segment != b"..");
                }
                prop_assert!(!merge_slashes || !path.windows(2).any(|w| w == b"//"));
            }
        }
    }
}
