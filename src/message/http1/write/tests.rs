//! Heads as they are sent.

use super::*;
use crate::message::Method;

#[test]
fn a_request_has_one_framing_and_one_connection() {
    let mut head = RequestHead {
        method: Method::Post,
        authority: b"a:80".to_vec(),
        target: b"/x".to_vec(),
        ..RequestHead::default()
    };
    for (name, value) in [
        ("Content-Length", "7"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "x"),
        ("TE", "trailers"),
        ("Accept", "*/*"),
    ] {
        head.fields.push(name.as_bytes(), value.as_bytes());
    }
    let mut out = Vec::new();
    write_request(
        &head,
        BodyFraming::Length(5),
        Persistence::Implied,
        &mut out,
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "POST /x HTTP/1.1\r\nhost: a:80\r\nte: trailers\r\naccept: */*\r\ncontent-length: 5\r\n\
         connection: te\r\n\r\n"
    );
}

fn response(status: u16, framing: BodyFraming, persistence: Persistence) -> String {
    let mut head = ResponseHead::new(status);
    head.fields.push_known(Known::ContentLength, b"9");
    head.fields.push_known(Known::ETag, b"\"e\"");
    let mut out = Vec::new();
    write_response(&head, framing, persistence, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn answers_say_where_they_end() {
    assert_eq!(
        response(200, BodyFraming::Chunked, Persistence::Implied),
        "HTTP/1.1 200 OK\r\netag: \"e\"\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(
        response(404, BodyFraming::Length(0), Persistence::KeepAlive),
        "HTTP/1.1 404 Not Found\r\netag: \"e\"\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n"
    );
    assert_eq!(
        response(200, BodyFraming::UntilClose, Persistence::Implied),
        "HTTP/1.1 200 OK\r\netag: \"e\"\r\nconnection: close\r\n\r\n"
    );
    // To HEAD, and 304: the length of what is not sent.
    assert_eq!(
        response(304, BodyFraming::None, Persistence::Implied),
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\netag: \"e\"\r\n\r\n"
    );
    assert_eq!(
        response(204, BodyFraming::Length(0), Persistence::Close),
        "HTTP/1.1 204 No Content\r\netag: \"e\"\r\nconnection: close\r\n\r\n"
    );
    assert_eq!(
        response(101, BodyFraming::None, Persistence::Upgrade),
        "HTTP/1.1 101 Switching Protocols\r\netag: \"e\"\r\nconnection: upgrade\r\n\r\n"
    );
    assert!(
        response(599, BodyFraming::None, Persistence::Implied).starts_with("HTTP/1.1 599 \r\n")
    );
}

#[test]
fn numbers() {
    for n in [0, 7, 10, 4_096, u64::MAX] {
        let mut out = Vec::new();
        decimal(n, &mut out);
        assert_eq!(out, n.to_string().as_bytes());
    }
}
