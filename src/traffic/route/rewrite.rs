//! Paths that are sent on changed.

use super::path::{PathError, PathRules, has_prefix, normalize};
use super::pattern::Pattern;

/// How a path is changed before it is sent on; the query stays. The steps are taken in this order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rewrite {
    /// What the expression finds first is replaced; `$1` and `${name}` stand for its groups.
    pub regex: Option<(Pattern, Box<str>)>,
    /// Taken off the path, where it is a prefix of whole segments.
    pub strip_prefix: Option<Box<[u8]>>,
    /// Put before the path.
    pub prefix: Option<Box<[u8]>>,
}

impl Rewrite {
    /// Changes the path of `target`, which is in the form of [`normalize`], and brings it into that
    /// form again. What was text of a segment may have become a `..`, which is refused: it would climb
    /// out of where the rewrite leads.
    ///
    /// # Errors
    /// When what it would become is to be refused; `target` is then as it was, or half changed.
    pub fn apply(&self, target: &mut Vec<u8>, rules: &PathRules) -> Result<(), PathError> {
        if target.first() != Some(&b'/') {
            return Ok(());
        }
        let mark = target.iter().position(|b| *b == b'?');
        let query = target.split_off(mark.unwrap_or(target.len()));
        let mut path = std::mem::take(target);
        if let Some((pattern, with)) = &self.regex
            && let Some(found) = pattern.regex().captures(&path)
        {
            let whole = found.get_match();
            let mut out = path[..whole.start()].to_vec();
            found.expand(with.as_bytes(), &mut out);
            out.extend_from_slice(&path[whole.end()..]);
            path = out;
        }
        if let Some(prefix) = &self.strip_prefix
            && has_prefix(&path, prefix)
        {
            path.drain(..prefix.len());
        }
        if let Some(prefix) = &self.prefix {
            let slashes = prefix.ends_with(b"/") && path.starts_with(b"/");
            let prefix = if slashes {
                &prefix[..prefix.len() - 1]
            } else {
                prefix
            };
            path.splice(..0, prefix.iter().copied());
        }
        if path.first() != Some(&b'/') {
            path.insert(0, b'/');
        }
        if path.split(|b| *b == b'/').any(|s| s == b"." || s == b"..") {
            return Err(PathError::Beyond);
        }
        path.extend_from_slice(&query);
        *target = path;
        normalize(target, rules).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(rewrite: &Rewrite, path: &str) -> Result<String, PathError> {
        let mut target = path.as_bytes().to_vec();
        rewrite.apply(&mut target, &PathRules::default())?;
        Ok(String::from_utf8(target).unwrap())
    }

    fn regex(pattern: &str, to: &str) -> Rewrite {
        Rewrite {
            regex: Some((Pattern::new(pattern).unwrap(), to.into())),
            ..Rewrite::default()
        }
    }

    #[test]
    fn prefixes_are_stripped_replaced_and_added() {
        let strip = Rewrite {
            strip_prefix: Some(b"/v1"[..].into()),
            ..Rewrite::default()
        };
        let replace = Rewrite {
            prefix: Some(b"/new/"[..].into()),
            ..strip.clone()
        };
        let add = Rewrite {
            strip_prefix: None,
            ..replace.clone()
        };
        for (rewrite, path, want) in [
            (&strip, "/v1/a?x=/v1", "/a?x=/v1"),
            (&strip, "/v1", "/"),
            (&strip, "/v1?x", "/?x"),
            (&strip, "/v10", "/v10"),
            (&replace, "/v1/a", "/new/a"),
            (&replace, "/v1", "/new/"),
            (&add, "/a", "/new/a"),
            (&add, "*", "*"),
        ] {
            assert_eq!(rewritten(rewrite, path).as_deref(), Ok(want), "{path}");
        }
    }

    #[test]
    fn groups_of_an_expression() {
        let users = regex("^/u/(?<id>[0-9]+)/(.*)$", "/users/${id}/$2");
        assert_eq!(rewritten(&users, "/u/7/x?q").as_deref(), Ok("/users/7/x?q"));
        let users = regex("^/u/([0-9]+)", "/users/$1");
        assert_eq!(rewritten(&users, "/u/7/x?q").as_deref(), Ok("/users/7/x?q"));
        assert_eq!(rewritten(&users, "/v/7").as_deref(), Ok("/v/7"));
    }

    #[test]
    fn a_rewrite_does_not_climb() {
        let alias = regex("^/static(.*)$", "/files/$1");
        assert_eq!(rewritten(&alias, "/static/x").as_deref(), Ok("/files/x"));
        assert_eq!(
            rewritten(&alias, "/static../secret"),
            Err(PathError::Beyond)
        );
        assert_eq!(rewritten(&alias, "/static.?.."), Err(PathError::Beyond));
    }
}
