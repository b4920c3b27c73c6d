//! Bodies in the chunked coding.

use tradewind::message::Fields;
use tradewind::message::http1::chunked::{BadChunk, Decoder, Step, write_chunk, write_last};

type Outcome = Option<Result<(Vec<u8>, Option<Fields>, usize), BadChunk>>;

fn decode<'a>(parts: impl Iterator<Item = &'a [u8]>) -> Outcome {
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
                    let trailers = decoder.take_trailers().map(|t| *t);
                    return Some(Ok((body, trailers, used + at + n)));
                }
                Err(bad) => return Some(Err(bad)),
            }
        }
        used += part.len();
    }
    None
}

/// A body, and what follows it.
pub fn check(data: &[u8]) {
    let all = decode(std::iter::once(data));
    for size in [1, 3, 7] {
        assert_eq!(decode(data.chunks(size)), all);
    }
    let Some(Ok((body, trailers, used))) = all else {
        return;
    };
    assert!(used <= data.len());
    let mut out = Vec::new();
    for chunk in body.chunks(11) {
        write_chunk(chunk, &mut out);
    }
    write_last(trailers.as_ref(), &mut out);
    let len = out.len();
    assert_eq!(
        decode(std::iter::once(&out[..])),
        Some(Ok((body, trailers, len)))
    );
}
