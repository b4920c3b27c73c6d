//! Heads of answers of HTTP/1.1.

use tradewind::message::http1::{
    AnswerKind, BadAnswer, BodyFraming, HeadRules, Parsed, Persistence, ResponseFraming, response,
    write_response,
};
use tradewind::message::{Known, Method, ResponseHead};

const RULES: HeadRules = HeadRules {
    head: 64 << 10,
    fields: 100,
    target: 0,
};

type Outcome = Option<Result<(ResponseHead, ResponseFraming, usize), BadAnswer>>;

fn read(octets: &[u8]) -> Outcome {
    let mut head = ResponseHead::default();
    match response(octets, &RULES, &Method::Get, &mut head) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Whole { octets, framing }) => Some(Ok((head, framing, octets))),
        Err(bad) => Some(Err(bad)),
    }
}

/// What a backend sends.
pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(16 << 10)];
    let all = read(data);
    for part in 1..16 {
        let early = read(&data[..data.len() * part / 16]);
        assert!(early.is_none() || early == all, "{early:?} {all:?}");
    }
    let Some(Ok((mut head, framing, octets))) = all else {
        return;
    };
    assert!(octets <= data.len());
    assert!(framing.body != BodyFraming::UntilClose || !framing.keep_alive);
    if framing.kind != AnswerKind::Final || framing.body == BodyFraming::None {
        return;
    }
    let mut out = Vec::new();
    write_response(&head, framing.body, Persistence::Implied, &mut out);
    let Some(Ok((mut again, passed, used))) = read(&out) else {
        panic!("not read again: {}", out.escape_ascii());
    };
    assert_eq!((passed.body, used), (framing.body, out.len()));
    for fields in [&mut head.fields, &mut again.fields] {
        for known in [
            Known::Connection,
            Known::ContentLength,
            Known::TransferEncoding,
            Known::Host,
        ] {
            fields.remove(known);
        }
    }
    assert_eq!(again, head);
}
