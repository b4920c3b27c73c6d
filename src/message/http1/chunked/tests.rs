//! The chunked coding, both ways.

use proptest::prelude::*;

use super::*;

type Outcome = Result<(Vec<u8>, Option<Box<Fields>>, usize), BadChunk>;

/// Decodes octets that come in parts; `None` when the body is not over with them.
fn decode(parts: &[&[u8]]) -> Option<Outcome> {
    let mut decoder = Decoder::new();
    let (mut body, mut used) = (Vec::new(), 0);
    for part in parts {
        let mut at = 0;
        loop {
            match decoder.decode(&part[at..]) {
                Ok(Step::Data(range)) => {
                    assert!(!range.is_empty());
                    body.extend_from_slice(&part[at..][range.clone()]);
                    at += range.end;
                }
                Ok(Step::NeedMore) => break,
                Ok(Step::End(n)) => {
                    assert!(decoder.is_over());
                    return Some(Ok((body, decoder.take_trailers(), used + at + n)));
                }
                Err(bad) => return Some(Err(bad)),
            }
        }
        used += part.len();
    }
    None
}

fn bad(octets: &[u8]) -> BadChunk {
    match decode(&[octets]) {
        Some(Err(bad)) => bad,
        other => panic!("{}: {other:?}", octets.escape_ascii()),
    }
}

#[test]
fn a_body_with_extensions_and_trailers() {
    let octets = b"5;a=b\r\nhello\r\n0006 ; c=\"d;e\"\r\n world\r\n0\r\nX-Sum: 1 \r\nHost: b\r\ngrpc-status: 0\r\n\r\nnext";
    let (body, trailers, used) = decode(&[octets]).unwrap().unwrap();
    assert_eq!(body, b"hello world");
    assert_eq!(&octets[used..], b"next");
    let trailers = trailers.unwrap();
    let trailers: Vec<_> = trailers.iter().collect();
    assert_eq!(
        trailers,
        [(&b"x-sum"[..], &b"1"[..]), (b"grpc-status", b"0")]
    );
}

#[test]
fn p3_what_is_no_chunked_body() {
    for (octets, why) in [
        (&b"\r\n"[..], BadChunk::Size),
        (b"x\r\n", BadChunk::Size),
        (b"-1\r\n", BadChunk::Size),
        (b"+5\r\nhello", BadChunk::Size),
        (b"0x5\r\nhello", BadChunk::Size),
        (b" 5\r\nhello", BadChunk::Size),
        (b"5_0\r\n", BadChunk::Size),
        (b"5 \r\nhello\r\n", BadChunk::LineEnd),
        (b"5 x\r\n", BadChunk::Size),
        (b"5\nhello\r\n", BadChunk::LineEnd),
        (b"5\rhello", BadChunk::LineEnd),
        (b"5\r\nhelloX", BadChunk::LineEnd),
        (b"5\r\nhello\n", BadChunk::LineEnd),
        (b"5\r\nhello\rx", BadChunk::LineEnd),
        (b"5;a\nb\r\nhello\r\n", BadChunk::LineEnd),
        (b"5;a\0\r\n", BadChunk::Extension),
        (b"5;a\rb", BadChunk::LineEnd),
        (b"0\r\n\n", BadChunk::LineEnd),
        (b"0\r\n\rx", BadChunk::LineEnd),
        (b"0\r\nX: y\n\r\n", BadChunk::LineEnd),
        (b"0\r\nX: y\rz", BadChunk::LineEnd),
        (b"0\r\nX : y\r\n\r\n", BadChunk::Trailer),
        (b"0\r\n folded\r\n\r\n", BadChunk::Trailer),
        (b"0\r\nGET / HTTP/1.1\r\n\r\n", BadChunk::Trailer),
        (b"0\r\nX: \0\r\n\r\n", BadChunk::Trailer),
        (b"FFFFFFFFFFFFFFFF\r\n", BadChunk::Size),
        (b"10000000000000000\r\n", BadChunk::Size),
        (b"00000000000000001\r\n", BadChunk::Size),
    ] {
        assert_eq!(bad(octets), why, "{}", octets.escape_ascii());
    }
}

#[test]
fn p3_extensions_and_trailers_are_bounded() {
    let many =
        b"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(300);
    assert_eq!(bad(&many), BadChunk::Extensions);
    let long = [&b"0\r\nX: "[..], &b"a".repeat(9_000)].concat();
    assert_eq!(bad(&long), BadChunk::Trailers);
    let fields = [&b"0\r\n"[..], &b"X: y\r\n".repeat(65), b"\r\n"].concat();
    assert_eq!(bad(&fields), BadChunk::Trailers);
}

#[test]
fn p3_trailers_that_would_change_the_message_are_dropped() {
    let names = [
        "Transfer-Encoding",
        "Content-Length",
        "Host",
        "Connection",
        "Trailer",
        "TE",
        "Cookie",
        "Set-Cookie",
        "Authorization",
        "Content-Type",
        "Content-Encoding",
        "Content-Range",
        "Cache-Control",
        "Expect",
        "Max-Forwards",
        "Range",
        "If-Match",
        "Age",
        "Date",
        "Location",
        "Vary",
        "X-Forwarded-For",
        "X-Forwarded-Own",
        "Forwarded",
        "Upgrade",
        "Keep-Alive",
    ];
    let mut fields: Fields = names.iter().map(|n| (n, "x")).collect();
    keep_allowed_trailers(&mut fields);
    assert_eq!(fields, Fields::new());
}

#[test]
fn heads_of_chunks() {
    assert_eq!(ChunkHead::new(1).as_bytes(), b"1\r\n");
    assert_eq!(ChunkHead::new(255).as_bytes(), b"ff\r\n");
    assert_eq!(
        ChunkHead::new(usize::MAX).as_bytes(),
        b"ffffffffffffffff\r\n"
    );
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_whatever_the_split(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
        trailers in prop::collection::vec(("x-[a-z]{0,5}", "[a-z]{0,5}"), 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let trailers: Option<Fields> =
            (!trailers.is_empty()).then(|| trailers.iter().map(|(n, v)| (n, v)).collect());
        let mut octets = Vec::new();
        for chunk in &chunks {
            write_chunk(chunk, &mut octets);
        }
        write_last(trailers.as_ref(), &mut octets);
        let len = octets.len();
        octets.extend_from_slice(b"GET");
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(octets.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([octets.len()]);
        let mut from = 0;
        let parts: Vec<&[u8]> = ends
            .map(|end| &octets[std::mem::replace(&mut from, end)..end])
            .collect();
        let (body, found, used) = decode(&parts).unwrap().unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert_eq!(found.map(|f| *f), trailers);
        prop_assert_eq!(used, len);
    }

    #[test]
    fn p3_the_split_has_no_say_in_what_is_refused(
        pieces in prop::collection::vec(prop::sample::select(vec![
            &b"0"[..], b"3", b"abc", b"\r\n", b"\r", b"\n", b";x", b" ", b"0\r\n\r\n", b"X: y\r\n",
        ]), 0..12),
    ) {
        let octets = pieces.concat();
        let each: Vec<&[u8]> = octets.chunks(1).collect();
        prop_assert_eq!(decode(&[&octets]), decode(&each));
    }
}
