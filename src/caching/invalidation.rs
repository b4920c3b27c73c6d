//! What a request that changes something makes of what is stored (RFC 9111 section 4.4).

use crate::message::{Known, RequestHead, ResponseHead};

/// Whether the response to `request` ends the life of what is stored under its URL: the method is not
/// safe and nothing went wrong.
pub fn invalidates(request: &RequestHead, response: &ResponseHead) -> bool {
    !request.method.is_safe() && (200..400).contains(&response.status)
}

/// The targets (path and query) whose stored responses end: of the request, and of `Location` and
/// `Content-Location` when they are of the same origin.
pub fn targets(request: &RequestHead, response: &ResponseHead) -> Vec<Vec<u8>> {
    let mut all = vec![request.target.clone()];
    let content_location = response
        .fields
        .iter()
        .filter(|(name, _)| *name == b"content-location");
    let named = response
        .fields
        .get(Known::Location)
        .into_iter()
        .chain(content_location.map(|(_, value)| value));
    for reference in named {
        if let Some(target) = resolve(request, reference)
            && !all.contains(&target)
        {
            all.push(target);
        }
    }
    all
}

/// Path and query of a reference, seen from the request; `None` when it is of another origin or no
/// reference at all.
fn resolve(request: &RequestHead, reference: &[u8]) -> Option<Vec<u8>> {
    let mut base = format!("{}://", request.scheme.as_str());
    base.push_str(std::str::from_utf8(&request.authority).ok()?);
    base.push_str(std::str::from_utf8(&request.target).ok()?);
    let base = url::Url::parse(&base).ok()?;
    let found = base.join(std::str::from_utf8(reference).ok()?).ok()?;
    if found.origin() != base.origin() {
        return None;
    }
    let mut target = found.path().as_bytes().to_vec();
    if let Some(query) = found.query() {
        target.push(b'?');
        target.extend_from_slice(query.as_bytes());
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;

    fn post(fields: &[(&str, &str)]) -> Vec<String> {
        let request = RequestHead {
            method: Method::Post,
            authority: b"www.example".to_vec(),
            target: b"/dir/form?x=1".to_vec(),
            ..RequestHead::default()
        };
        let response = ResponseHead {
            status: 201,
            fields: fields.iter().copied().collect(),
        };
        assert!(invalidates(&request, &response));
        let text = |t: Vec<u8>| String::from_utf8(t).unwrap();
        targets(&request, &response).into_iter().map(text).collect()
    }

    #[test]
    fn rfc9111_4_4_unsafe_methods_that_succeed() {
        for (method, status, ends) in [
            (Method::Post, 200, true),
            (Method::Put, 204, true),
            (Method::Delete, 302, true),
            (Method::new(b"M-SEARCH"), 200, true),
            (Method::Post, 404, false),
            (Method::Post, 500, false),
            (Method::Get, 200, false),
            (Method::Options, 200, false),
        ] {
            let request = RequestHead {
                method: method.clone(),
                ..RequestHead::default()
            };
            let said = invalidates(&request, &ResponseHead::new(status));
            assert_eq!(said, ends, "{method} {status}");
        }
    }

    #[test]
    fn rfc9111_4_4_locations_of_the_same_origin() {
        assert_eq!(post(&[]), ["/dir/form?x=1"]);
        assert_eq!(
            post(&[("Location", "other"), ("Content-Location", "/abs?y=2")]),
            ["/dir/form?x=1", "/dir/other", "/abs?y=2"]
        );
        assert_eq!(
            post(&[("Location", "http://WWW.example:80/a")]),
            ["/dir/form?x=1", "/a"]
        );
        for foreign in [
            "http://other.example/a",
            "https://www.example/a",
            "http://www.example:8080/a",
        ] {
            assert_eq!(
                post(&[("Location", foreign)]),
                ["/dir/form?x=1"],
                "{foreign}"
            );
        }
    }
}
