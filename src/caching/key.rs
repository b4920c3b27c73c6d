//! The key under which a response is kept (RFC 9111 section 2): its URL, and what of the request the
//! operator wants told apart beside it.

use crate::message::{Name, RequestHead};

/// What of a request tells responses apart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KeyParts {
    /// Which query parameters count.
    pub query: Query,
    /// Request fields that count for every response, whatever `Vary` says.
    pub fields: Vec<Name>,
}

/// Which query parameters count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Query {
    /// All, in their order.
    #[default]
    All,
    /// All but these. A `*` at a name's end stands for any rest.
    Without(Vec<Box<[u8]>>),
    /// These alone.
    Only(Vec<Box<[u8]>>),
    /// None.
    Ignored,
}

impl KeyParts {
    /// Writes the URL as far as it counts: authority, path, and the parameters that count, in their
    /// order. No two URLs that differ in what counts are written alike.
    pub fn url(&self, authority: &[u8], target: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(authority);
        let Some(mark) = target.iter().position(|b| *b == b'?') else {
            out.extend_from_slice(target);
            return;
        };
        let (path, query) = (&target[..mark], &target[mark + 1..]);
        match &self.query {
            Query::All => out.extend_from_slice(target),
            Query::Ignored => out.extend_from_slice(path),
            Query::Without(names) => filtered(path, query, |n| !is_among(names, n), out),
            Query::Only(names) => filtered(path, query, |n| is_among(names, n), out),
        }
    }

    /// Writes what tells responses of one URL apart from the start: who stores them (the route), how
    /// the client came (scheme), and the fields that count: `KeyParts::fields`, and those `of_client`
    /// in which an authorisation said who the client is.
    pub fn partition(
        &self,
        route: &str,
        of_client: &[Name],
        request: &RequestHead,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.extend_from_slice(route.as_bytes());
        out.push(0);
        out.extend_from_slice(request.scheme.as_str().as_bytes());
        for name in self.fields.iter().chain(of_client) {
            // No value has a NUL in it.
            out.push(0);
            for value in request.fields.all_named(name) {
                out.extend_from_slice(value);
                out.push(b',');
            }
        }
    }
}

fn filtered(path: &[u8], query: &[u8], counts: impl Fn(&[u8]) -> bool, out: &mut Vec<u8>) {
    out.extend_from_slice(path);
    let mut separator = b'?';
    for pair in query.split(|b| *b == b'&') {
        let end = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        if counts(&pair[..end]) {
            out.push(separator);
            out.extend_from_slice(pair);
            separator = b'&';
        }
    }
}

fn is_among(names: &[Box<[u8]>], name: &[u8]) -> bool {
    names.iter().any(|n| match n.strip_suffix(b"*") {
        Some(start) => name.starts_with(start),
        None => &**n == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(query: Query, target: &str) -> String {
        let parts = KeyParts {
            query,
            fields: Vec::new(),
        };
        let mut out = b"before".to_vec();
        parts.url(b"www.example", target.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn names(all: &[&str]) -> Vec<Box<[u8]>> {
        all.iter().map(|n| n.as_bytes().into()).collect()
    }

    #[test]
    fn parameters_count_as_the_operator_says() {
        let target = "/a?x=1&utm_source=b&y&x=2";
        assert_eq!(url(Query::All, target), format!("www.example{target}"));
        assert_eq!(url(Query::Ignored, target), "www.example/a");
        let without = Query::Without(names(&["utm_*", "y"]));
        assert_eq!(url(without, target), "www.example/a?x=1&x=2");
        let only = Query::Only(names(&["y"]));
        assert_eq!(url(only.clone(), target), "www.example/a?y");
        assert_eq!(url(only, "/a?z=1"), "www.example/a");
        assert_eq!(url(Query::Ignored, "/a"), "www.example/a");
    }

    #[test]
    fn scheme_route_and_fields_part_responses_of_one_url() {
        let parts = KeyParts {
            query: Query::All,
            fields: vec![Name::new(b"X-A"), Name::new(b"X-B")],
        };
        let of = |route: &str, fields: &[(&str, &str)]| {
            let request = RequestHead {
                fields: fields.iter().copied().collect(),
                ..RequestHead::default()
            };
            let mut out = Vec::new();
            parts.partition(route, &[Name::new(b"X-User")], &request, &mut out);
            out
        };
        let one = of("r", &[("X-A", "1")]);
        assert_eq!(one, of("r", &[("x-a", "1"), ("X-C", "2")]));
        for other in [
            of("q", &[("X-A", "1")]),
            of("r", &[("X-B", "1")]),
            of("r", &[("X-A", "2")]),
            of("r", &[("X-A", "1"), ("X-User", "ann")]),
            of("r", &[]),
        ] {
            assert_ne!(one, other);
        }
    }
}
