//! A response out of a stored object (RFC 9111 section 4).

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::caching::range::{self, Wanted};
use crate::caching::status::Outcome;
use crate::caching::validation;
use crate::message::{Known, Method, Name, RequestHead, ResponseHead};
use crate::proxy::body::{Body, BodyError, Frame, Source};
use crate::proxy::message::Response;
use crate::time::{Moment, Wall};

use super::object::Object;

/// When an answer is made.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The time.
    pub at: Moment,
    /// The calendar.
    pub wall: Wall,
}

/// The answer of an object to `request`: the whole, a part, or that the client has it already.
pub fn answer(object: &Object, request: &RequestHead, now: Now, outcome: Outcome) -> Response {
    let mut response = head_only(object, request, now, outcome);
    if response.head.status == 304 || request.method == Method::Head {
        return response;
    }
    let whole = object.status != 200;
    let wanted = match whole {
        true => Wanted::Whole,
        false => range::wanted(&request.fields, &object.fields, object.length),
    };
    let fields = &mut response.head.fields;
    let content_range = Name::new(b"content-range");
    match wanted {
        Wanted::Whole => response.body = whole_body(object),
        Wanted::Part(part) => {
            response.head.status = 206;
            let told = range::content_range(&part, object.length);
            fields.set_named(&content_range, told.as_bytes());
            length(fields, part.end - part.start);
            response.body = body(object.slice(part.clone()), part.end - part.start);
        }
        Wanted::Unsatisfiable => {
            response.head.status = 416;
            let told = range::unsatisfied_range(object.length);
            fields.set_named(&content_range, told.as_bytes());
            length(fields, 0);
        }
    }
    response
}

/// The answer without its body: 304 when the client has it already.
pub fn head_only(object: &Object, request: &RequestHead, now: Now, outcome: Outcome) -> Response {
    let mut head = ResponseHead {
        status: object.status,
        fields: object.fields.clone(),
    };
    if object.status == 200 && validation::is_conditional(&request.fields) {
        let received = now.wall.unix(object.terms.received);
        if validation::is_unmodified(&request.fields, &object.fields, received) {
            head.status = 304;
            head.fields = validation::not_modified(&object.fields);
        }
    }
    if !matches!(head.status, 204 | 304) {
        length(&mut head.fields, object.length);
    }
    // Section 5.1: no Age of others is stored.
    let age = object.terms.age(now.at).as_secs();
    let mut digits = [0; 20];
    head.fields
        .push_known(Known::Age, decimal(age, &mut digits));
    mark(&mut head, outcome);
    Response::new(head, Body::Empty)
}

/// Says what the cache did.
pub fn mark(head: &mut ResponseHead, outcome: Outcome) {
    head.fields
        .push(b"cache-status", outcome.to_string().as_bytes());
}

fn length(fields: &mut crate::message::Fields, octets: u64) {
    let mut digits = [0; 20];
    fields.set(Known::ContentLength, decimal(octets, &mut digits));
}

/// A number in digits, without allocation.
fn decimal(mut n: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return &digits[at..];
        }
    }
}

fn whole_body(object: &Object) -> Body {
    match &object.body[..] {
        [] => Body::Empty,
        [one] => Body::Whole(one.clone()),
        many => body(many.to_vec(), object.length),
    }
}

fn body(mut chunks: Vec<Bytes>, length: u64) -> Body {
    match chunks.len() {
        0 => Body::Empty,
        1 => Body::Whole(chunks.remove(0)),
        _ => Body::stream(Some(length), Chunks(chunks.into())),
    }
}

/// Chunks that are all there.
struct Chunks(VecDeque<Bytes>);

impl Source for Chunks {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        Poll::Ready(self.0.pop_front().map(|c| Ok(Frame::Data(c))))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::caching::Terms;
    use crate::caching::status::Ttl;
    use crate::message::Fields;
    use crate::proxy::cache::object::Variant;

    const HIT: Outcome = Outcome::Hit { ttl: Ttl(50) };

    fn object() -> Object {
        let body = [Bytes::from_static(b"01234"), Bytes::from_static(b"56789")];
        Object {
            status: 200,
            fields: [("ETag", "\"a\""), ("Content-Type", "text/plain")]
                .into_iter()
                .collect(),
            terms: Terms::default(),
            variant: Variant::default(),
            tag: None,
            labels: Box::default(),
            length: 10,
            body: body.into(),
        }
    }

    fn asked(method: Method, fields: &[(&str, &str)]) -> (Response, String) {
        let request = RequestHead {
            method,
            fields: fields.iter().copied().collect(),
            ..RequestHead::default()
        };
        let now = Now {
            at: Moment::ZERO + Duration::from_secs(7),
            wall: Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600)),
        };
        let mut response = answer(&object(), &request, now, HIT);
        let mut text = String::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(Ok(Frame::Data(d)))) = response.body.poll_frame(&mut cx) {
            text.push_str(std::str::from_utf8(&d).unwrap());
        }
        (response, text)
    }

    fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
        let mut all = fields.iter().filter(|(n, _)| *n == name.as_bytes());
        all.next().map(|(_, v)| std::str::from_utf8(v).unwrap())
    }

    #[test]
    fn rfc9111_4_an_answer_tells_its_age_and_what_the_cache_did() {
        let (r, text) = asked(Method::Get, &[]);
        assert_eq!((r.head.status, text.as_str()), (200, "0123456789"));
        assert_eq!(value(&r.head.fields, "age"), Some("7"));
        assert_eq!(value(&r.head.fields, "content-length"), Some("10"));
        assert_eq!(
            value(&r.head.fields, "cache-status"),
            Some("tradewind; hit; ttl=50")
        );
    }

    #[test]
    fn rfc9110_14_parts_of_a_stored_200() {
        let (r, text) = asked(Method::Get, &[("Range", "bytes=3-6")]);
        assert_eq!((r.head.status, text.as_str()), (206, "3456"));
        assert_eq!(value(&r.head.fields, "content-range"), Some("bytes 3-6/10"));
        assert_eq!(value(&r.head.fields, "content-length"), Some("4"));
        let (r, text) = asked(Method::Get, &[("Range", "bytes=10-")]);
        assert_eq!((r.head.status, text.as_str()), (416, ""));
        assert_eq!(value(&r.head.fields, "content-range"), Some("bytes */10"));
    }

    #[test]
    fn rfc9111_4_3_2_a_client_that_has_it_gets_304() {
        let (r, text) = asked(Method::Get, &[("If-None-Match", "\"a\"")]);
        assert_eq!((r.head.status, text.as_str()), (304, ""));
        assert_eq!(value(&r.head.fields, "etag"), Some("\"a\""));
        assert_eq!(value(&r.head.fields, "content-length"), None);
        let (r, _) = asked(Method::Get, &[("If-None-Match", "\"b\"")]);
        assert_eq!(r.head.status, 200);
    }

    #[test]
    fn head_is_answered_from_what_get_stored() {
        let (r, text) = asked(Method::Head, &[("Range", "bytes=0-1")]);
        assert_eq!((r.head.status, text.as_str()), (200, ""));
        assert_eq!(value(&r.head.fields, "content-length"), Some("10"));
    }

    #[test]
    fn numbers_in_digits() {
        let mut digits = [0; 20];
        for n in [0, 7, 10, 12_345, u64::MAX] {
            assert_eq!(decimal(n, &mut digits), n.to_string().as_bytes());
        }
    }
}
