//! Heads of HTTP/1.1 requests.

use tradewind::message::http1::{
    HeadRules, Parsed, Persistence, Refusal, RequestFraming, request, write_request,
};
use tradewind::message::{Known, Method, RequestHead};

const RULES: HeadRules = HeadRules {
    head: 64 << 10,
    fields: 100,
    target: 32 << 10,
};

type Outcome = Option<Result<(RequestHead, RequestFraming, usize), Refusal>>;

fn read(octets: &[u8]) -> Outcome {
    let mut head = RequestHead::default();
    match request(octets, &RULES, &mut head) {
        Ok(Parsed::Partial) => None,
        Ok(Parsed::Whole { octets, framing }) => Some(Ok((head, framing, octets))),
        Err(refusal) => Some(Err(refusal)),
    }
}

/// What a client sends.
pub fn check(data: &[u8]) {
    let data = &data[..data.len().min(16 << 10)];
    let all = read(data);
    // How the octets are split has no say.
    for part in 1..16 {
        let early = read(&data[..data.len() * part / 16]);
        assert!(early.is_none() || early == all, "{early:?} {all:?}");
    }
    let Some(Ok((mut head, framing, octets))) = all else {
        return;
    };
    assert!(octets <= data.len());
    for (name, value) in head.fields.iter() {
        assert!(!name.is_empty() && !name.iter().any(u8::is_ascii_uppercase));
        assert!(!value.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)));
    }
    assert!(!head.fields.has(Known::Host));
    if head.method == Method::Connect || head.authority.is_empty() {
        return;
    }
    // What is passed on is read by the next one as it was read here.
    let mut out = Vec::new();
    write_request(&head, framing.body, Persistence::Implied, &mut out);
    let Some(Ok((mut again, passed, used))) = read(&out) else {
        panic!("not read again: {}", out.escape_ascii());
    };
    assert_eq!((passed.body, used), (framing.body, out.len()));
    for fields in [&mut head.fields, &mut again.fields] {
        for known in [
            Known::Connection,
            Known::ContentLength,
            Known::TransferEncoding,
        ] {
            fields.remove(known);
        }
    }
    assert_eq!(
        (again.method, again.authority, again.target, again.fields),
        (head.method, head.authority, head.target, head.fields)
    );
}
