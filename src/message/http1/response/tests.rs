//! Heads of answers.

use proptest::prelude::*;

use super::super::write::{Persistence, write_interim, write_response};
use super::*;

const RULES: HeadRules = HeadRules {
    head: 4_096,
    fields: 16,
    target: 0,
};

type Outcome = Result<(ResponseHead, ResponseFraming, usize), BadAnswer>;

fn read(octets: &[u8], method: &Method) -> Option<Outcome> {
    let mut head = ResponseHead::default();
    match response(octets, &RULES, method, &mut head) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Whole { octets, framing }) => Some(Ok((head, framing, octets))),
        Err(bad) => Some(Err(bad)),
    }
}

fn taken(octets: &[u8], method: &Method) -> (ResponseHead, ResponseFraming) {
    match read(octets, method) {
        Some(Ok((head, framing, n))) => {
            assert_eq!(n, octets.len());
            (head, framing)
        }
        other => panic!("{}: {other:?}", octets.escape_ascii()),
    }
}

fn framing(text: &str) -> ResponseFraming {
    taken(format!("HTTP/1.{text}\r\n\r\n").as_bytes(), &Method::Get).1
}

#[test]
fn where_answers_end() {
    let chunked = "Transfer-Encoding: Chunked";
    for (text, body, keep_alive) in [
        (
            "1 200 OK\r\nContent-Length: 5",
            BodyFraming::Length(5),
            true,
        ),
        ("1 200\r\nContent-Length: 5", BodyFraming::Length(5), true),
        ("1 200 \r\nContent-Length: 5", BodyFraming::Length(5), true),
        (
            "1 200 OK\r\nContent-Length: 5\r\nConnection: close",
            BodyFraming::Length(5),
            false,
        ),
        (
            "0 200 OK\r\nContent-Length: 5",
            BodyFraming::Length(5),
            false,
        ),
        (
            "0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive",
            BodyFraming::Length(5),
            true,
        ),
        (
            &format!("1 200 OK\r\n{chunked}"),
            BodyFraming::Chunked,
            true,
        ),
        ("1 200 OK", BodyFraming::UntilClose, false),
        ("1 204 No Content", BodyFraming::None, true),
        (
            "1 204 No Content\r\nContent-Length: 0",
            BodyFraming::None,
            true,
        ),
        (
            "1 204 No Content\r\nContent-Length: 9",
            BodyFraming::None,
            false,
        ),
        (&format!("1 204 x\r\n{chunked}"), BodyFraming::None, false),
        ("1 304 x\r\nContent-Length: 9", BodyFraming::None, true),
    ] {
        let found = framing(text);
        assert_eq!((found.body, found.keep_alive), (body, keep_alive), "{text}");
        assert_eq!(found.kind, AnswerKind::Final);
    }
    let to_head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let (head, found) = taken(to_head, &Method::Head);
    assert_eq!(found.body, BodyFraming::None);
    assert!(found.keep_alive);
    assert_eq!(head.fields.get(Known::ContentLength), Some(&b"9"[..]));
}

#[test]
fn interim_answers_are_told_apart() {
    assert_eq!(framing("1 100 Continue").kind, AnswerKind::Interim);
    assert_eq!(
        framing("1 103 Early Hints\r\nLink: </a>").kind,
        AnswerKind::Interim
    );
    let switching = framing("1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade");
    assert_eq!(switching.kind, AnswerKind::Switching);
    assert_eq!(switching.body, BodyFraming::None);
}

#[test]
fn p3_answers_with_two_readings_are_no_answers() {
    for (octets, bad) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            BadAnswer::BothLengths,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            BadAnswer::ContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\n",
            BadAnswer::ContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            BadAnswer::ContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            BadAnswer::TransferEncoding,
        ),
        (
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            BadAnswer::TransferEncoding,
        ),
        ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", BadAnswer::LineEnd),
        (
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            BadAnswer::FieldName,
        ),
        ("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", BadAnswer::FieldName),
        ("HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n", BadAnswer::FieldValue),
        ("HTTP/1.1 099 x\r\n\r\n", BadAnswer::StatusLine),
        ("HTTP/1.1 600 x\r\n\r\n", BadAnswer::StatusLine),
        ("HTTP/1.1 20 x\r\n\r\n", BadAnswer::StatusLine),
        ("HTTP/2.0 200 x\r\n\r\n", BadAnswer::StatusLine),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", BadAnswer::StatusLine),
        ("garbage", BadAnswer::StatusLine),
        ("ICY 200 OK\r\n\r\n", BadAnswer::StatusLine),
    ] {
        assert_eq!(
            read(octets.as_bytes(), &Method::Get),
            Some(Err(bad)),
            "{octets:?}"
        );
    }
}

#[test]
fn p3_bounds_of_answers() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(4_096));
    assert_eq!(
        read(head.as_bytes(), &Method::Get),
        Some(Err(BadAnswer::HeadTooLarge))
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(17));
    assert_eq!(
        read(many.as_bytes(), &Method::Get),
        Some(Err(BadAnswer::TooManyFields))
    );
}

#[test]
fn interim_answers_are_written_without_framing() {
    let mut head = ResponseHead::new(103);
    head.fields.push(b"Link", b"</a>");
    head.fields.push_known(Known::ContentLength, b"5");
    let mut out = Vec::new();
    write_interim(&head, &mut out);
    assert_eq!(out, b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
}

fn looks_like_an_answer() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"HTTP/1.1 200 OK\r\n"[..],
        b"HTTP/1.0 204\r\n",
        b"HTTP/1.1 101 x\r\n",
        b"HTTP/",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X: y\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b"\0",
        b"\xff",
    ]);
    prop::collection::vec(piece, 0..8).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn p3_any_split_gives_the_same(octets in looks_like_an_answer()) {
        let all = read(&octets, &Method::Get);
        for end in 0..octets.len() {
            if let Some(early) = read(&octets[..end], &Method::Get) {
                prop_assert_eq!(Some(early), all);
                return Ok(());
            }
        }
    }

    #[test]
    fn what_is_written_is_read(
        status in 200u16..600,
        fields in prop::collection::vec(("x-[a-z0-9-]{0,8}", "([!-~]([ -~\t]{0,10}[!-~])?)?"), 0..10),
        body in prop_oneof![
            any::<u32>().prop_map(|n| BodyFraming::Length(n.into())),
            Just(BodyFraming::Chunked),
            Just(BodyFraming::UntilClose),
        ],
        close in any::<bool>(),
    ) {
        prop_assume!(!matches!(status, 204 | 304));
        let head = ResponseHead {
            status,
            fields: fields.iter().map(|(n, v)| (n, v)).collect(),
        };
        let persistence = if close { Persistence::Close } else { Persistence::Implied };
        let mut octets = Vec::new();
        write_response(&head, body, persistence, &mut octets);
        let (mut again, framing) = taken(&octets, &Method::Get);
        prop_assert_eq!(framing.body, body);
        prop_assert_eq!(framing.keep_alive, !close && body != BodyFraming::UntilClose);
        for written in [Known::Connection, Known::ContentLength, Known::TransferEncoding] {
            again.fields.remove(written);
        }
        prop_assert_eq!(again, head);
    }
}
