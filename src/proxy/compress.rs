//! Compressing responses on their way out.
//!
//! A body that has come whole is compressed at once; a stream part by part. What the coder holds back
//! is flushed when the stream pauses, so that a slow producer's words are not kept from the client.

use std::io::{self, Write};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::caching::validation;
use crate::message::Known;
use crate::traffic::compression::{Coding, Compression};

use super::body::{Body, BodyError, Frame, Source};
use super::message::Response;

/// Octets that the coder may gather before they are passed on.
const GATHER: usize = 16 << 10;

/// What was done with a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// It is not of those that are compressed: every client gets it as it is.
    AsItIs,
    /// It is compressed for those that take it; this client gets it so.
    For(Option<Coding>),
}

/// Compresses a response with `coding`, if it is one of those that are compressed. `is_head`: it answers
/// HEAD.
pub fn apply(
    rules: &Compression,
    is_head: bool,
    coding: Option<Coding>,
    response: &mut Response,
) -> Done {
    if response.upgrade.is_some() || !rules.is_for(&response.head, length(is_head, response)) {
        return Done::AsItIs;
    }
    vary(response);
    let Some(coding) = coding else {
        return Done::For(None);
    };
    let body = match &mut response.body {
        // What HEAD is told is what GET would get.
        Body::Empty if is_head => Body::Empty,
        Body::Empty => return Done::For(None),
        Body::Whole(whole) => match compressed(whole, coding, rules.level) {
            Ok(short) => Body::Whole(short),
            Err(_) => return Done::For(None),
        },
        stream @ Body::Stream { .. } => match Coder::new(coding, rules.level) {
            Ok(coder) => Body::stream(
                None,
                Compressing {
                    source: std::mem::take(stream),
                    coder: Some(coder),
                    held: false,
                    last: None,
                },
            ),
            Err(_) => return Done::For(None),
        },
    };
    response.body = body;
    let fields = &mut response.head.fields;
    fields.remove(Known::ContentLength);
    fields.remove(Known::AcceptRanges);
    fields.set(Known::ContentEncoding, coding.as_str().as_bytes());
    validation::weaken(fields);
    Done::For(Some(coding))
}

/// How long the body is, or would be for GET.
fn length(is_head: bool, response: &Response) -> Option<u64> {
    if is_head {
        let told = response.head.fields.get(Known::ContentLength)?;
        return std::str::from_utf8(told).ok()?.parse().ok();
    }
    response.body.length()
}

/// The response depends on what the client takes.
fn vary(response: &mut Response) {
    let fields = &mut response.head.fields;
    let told = fields
        .members(Known::Vary)
        .any(|m| m == b"*" || m.eq_ignore_ascii_case(b"accept-encoding"));
    if !told {
        fields.push_known(Known::Vary, b"accept-encoding");
    }
}

/// All of `octets` at once.
fn compressed(octets: &[u8], coding: Coding, level: u8) -> io::Result<Bytes> {
    let mut coder = Coder::new(coding, level)?;
    coder.write(octets)?;
    coder.finish()
}

/// A coder, which writes into memory.
enum Coder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Coder {
    /// `level`: 1 to 9, as gzip counts. The others are asked for about the same effort: brotli up to 8,
    /// Zstandard up to 12.
    fn new(coding: Coding, level: u8) -> io::Result<Coder> {
        let level = u32::from(level.clamp(1, 9));
        Ok(match coding {
            Coding::Gzip => Coder::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::new(level),
            )),
            // A window of 256 KiB: what one response costs in memory stays small.
            Coding::Brotli => Coder::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                GATHER,
                level - 1,
                18,
            ))),
            Coding::Zstd => {
                let level = [1, 2, 3, 3, 4, 6, 8, 10, 12][level as usize - 1];
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level)?;
                // RFC 9659: no client needs to keep more than 8 MiB; 512 KiB is enough for us.
                encoder.window_log(19)?;
                Coder::Zstd(encoder)
            }
        })
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Coder::Gzip(e) => e.write_all(octets),
            Coder::Brotli(e) => e.write_all(octets),
            Coder::Zstd(e) => e.write_all(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Coder::Gzip(e) => e.flush(),
            Coder::Brotli(e) => e.flush(),
            Coder::Zstd(e) => e.flush(),
        }
    }

    /// What has come out so far.
    fn out(&mut self) -> &mut Vec<u8> {
        match self {
            Coder::Gzip(e) => e.get_mut(),
            Coder::Brotli(e) => e.get_mut(),
            Coder::Zstd(e) => e.get_mut(),
        }
    }

    /// The rest.
    fn finish(self) -> io::Result<Bytes> {
        Ok(match self {
            Coder::Gzip(e) => e.finish()?,
            Coder::Brotli(e) => e.into_inner(),
            Coder::Zstd(e) => e.finish()?,
        }
        .into())
    }
}

/// A body that is compressed as it flows.
struct Compressing {
    source: Body,
    /// `None` when it is over.
    coder: Option<Coder>,
    /// Whether the coder holds something back.
    held: bool,
    /// What comes after the coder's last octets.
    last: Option<Frame>,
}

impl Compressing {
    /// What has come out, when it is enough or `all` is wanted.
    fn take(&mut self, all: bool) -> Option<Frame> {
        let out = self.coder.as_mut()?.out();
        let enough = if all { 1 } else { GATHER };
        (out.len() >= enough).then(|| Frame::Data(std::mem::take(out).into()))
    }

    /// The stream is over.
    fn finish(&mut self, last: Option<Frame>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(coder) = self.coder.take() else {
            return Poll::Ready(last.map(Ok));
        };
        self.last = last;
        match coder.finish() {
            Ok(rest) if rest.is_empty() => Poll::Ready(self.last.take().map(Ok)),
            Ok(rest) => Poll::Ready(Some(Ok(Frame::Data(rest)))),
            // Writing into memory does not fail.
            Err(_) => Poll::Ready(Some(Err(BodyError::Malformed))),
        }
    }
}

impl Source for Compressing {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        loop {
            let Some(coder) = &mut self.coder else {
                return Poll::Ready(self.last.take().map(Ok));
            };
            match self.source.poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    if coder.write(&data).is_err() {
                        return Poll::Ready(Some(Err(BodyError::Malformed)));
                    }
                    self.held = true;
                    if let Some(frame) = self.take(false) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Ok(trailers))) => return self.finish(Some(trailers)),
                Poll::Ready(None) => return self.finish(None),
                Poll::Ready(Some(Err(e))) => return Poll::Ready(Some(Err(e))),
                Poll::Pending if self.held => {
                    self.held = false;
                    if coder.flush().is_err() {
                        return Poll::Ready(Some(Err(BodyError::Malformed)));
                    }
                    return match self.take(true) {
                        Some(frame) => Poll::Ready(Some(Ok(frame))),
                        None => Poll::Pending,
                    };
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::Read;
    use std::task::Waker;

    use super::*;
    use crate::message::{Fields, ResponseHead};

    /// Parts as they come; `None` is a pause.
    struct Parts(VecDeque<Option<Frame>>);

    impl Source for Parts {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
            match self.0.pop_front() {
                Some(Some(frame)) => Poll::Ready(Some(Ok(frame))),
                Some(None) => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    fn text(parts: &[&'static str]) -> Body {
        let parts = parts.iter().map(|p| match *p {
            "" => None,
            text => Some(Frame::Data(Bytes::from_static(text.as_bytes()))),
        });
        Body::stream(None, Parts(parts.collect()))
    }

    fn response(body: Body) -> Response {
        let mut head = ResponseHead::new(200);
        head.fields = [
            ("Content-Type", "text/plain"),
            ("ETag", "\"a\""),
            ("Content-Length", "5"),
            ("Accept-Ranges", "bytes"),
        ]
        .into_iter()
        .collect();
        Response::new(head, body)
    }

    fn rules() -> Compression {
        Compression {
            min_size: 1,
            ..Compression::default()
        }
    }

    fn plain(coding: Coding, octets: &[u8]) -> String {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::MultiGzDecoder::new(octets).read_to_end(&mut out),
            Coding::Brotli => brotli::Decompressor::new(octets, 4096).read_to_end(&mut out),
            Coding::Zstd => zstd::stream::read::Decoder::new(octets)
                .unwrap()
                .read_to_end(&mut out),
        }
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    /// All frames until the end or a pause that yields nothing.
    fn drain(body: &mut Body) -> (Vec<u8>, Option<Fields>, bool) {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut all, mut trailers) = (Vec::new(), None);
        loop {
            match body.poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(Frame::Data(d)))) => {
                    assert!(!d.is_empty());
                    all.extend_from_slice(&d);
                }
                Poll::Ready(Some(Ok(Frame::Trailers(t)))) => trailers = Some(*t),
                Poll::Ready(Some(Err(e))) => panic!("{e}"),
                Poll::Ready(None) => return (all, trailers, true),
                Poll::Pending => return (all, trailers, false),
            }
        }
    }

    #[test]
    fn a_whole_body_is_compressed_at_once() {
        for coding in Coding::ALL {
            let mut r = response(Body::Whole(Bytes::from_static(b"hello")));
            let done = apply(&rules(), false, Some(coding), &mut r);
            assert_eq!(done, Done::For(Some(coding)));
            let fields = &r.head.fields;
            assert_eq!(
                fields.get(Known::ContentEncoding),
                Some(coding.as_str().as_bytes())
            );
            assert_eq!(fields.get(Known::ETag), Some(&b"W/\"a\""[..]));
            assert_eq!(fields.get(Known::Vary), Some(&b"accept-encoding"[..]));
            assert!(!fields.has(Known::ContentLength) && !fields.has(Known::AcceptRanges));
            let (all, _, ended) = drain(&mut r.body);
            assert!(ended);
            assert_eq!(plain(coding, &all), "hello");
        }
    }

    #[test]
    fn a_stream_is_flushed_when_it_pauses() {
        for coding in Coding::ALL {
            // The first poll of a pause flushes, the second finds nothing more.
            let mut r = response(text(&["hello ", "", "", "world", "", "", "!"]));
            apply(&rules(), false, Some(coding), &mut r);
            let (mut all, _, ended) = drain(&mut r.body);
            assert!(
                !ended && !all.is_empty(),
                "{coding:?}: nothing at the first pause"
            );
            loop {
                let (more, _, ended) = drain(&mut r.body);
                all.extend(more);
                if ended {
                    break;
                }
            }
            assert_eq!(plain(coding, &all), "hello world!");
        }
    }

    #[test]
    fn trailers_come_after_the_last_octets() {
        let trailers: Fields = [("x-sum", "1")].into_iter().collect();
        let parts = [
            Some(Frame::Data(Bytes::from_static(b"abc"))),
            Some(Frame::Trailers(Box::new(trailers.clone()))),
        ];
        let mut r = response(Body::stream(None, Parts(parts.into_iter().collect())));
        apply(&rules(), false, Some(Coding::Gzip), &mut r);
        let (all, last, ended) = drain(&mut r.body);
        assert!(ended);
        assert_eq!(
            (plain(Coding::Gzip, &all), last),
            ("abc".to_owned(), Some(trailers))
        );
    }

    #[test]
    fn a_client_that_takes_none_gets_it_as_it_is_with_vary() {
        let mut r = response(Body::Whole(Bytes::from_static(b"hello")));
        let done = apply(&rules(), false, None, &mut r);
        assert_eq!(done, Done::For(None));
        assert!(r.head.fields.has(Known::Vary) && !r.head.fields.has(Known::ContentEncoding));
        let mut png = response(Body::Whole(Bytes::from_static(b"hello")));
        png.head.fields.set(Known::ContentType, b"image/png");
        let done = apply(&rules(), false, Some(Coding::Gzip), &mut png);
        assert_eq!(done, Done::AsItIs);
        assert!(!png.head.fields.has(Known::Vary));
    }

    #[test]
    fn head_is_told_what_get_would_get() {
        let mut r = response(Body::Empty);
        let done = apply(&rules(), true, Some(Coding::Gzip), &mut r);
        assert_eq!(done, Done::For(Some(Coding::Gzip)));
        assert_eq!(
            r.head.fields.get(Known::ContentEncoding),
            Some(&b"gzip"[..])
        );
        assert!(!r.head.fields.has(Known::ContentLength));
    }

    #[test]
    fn a_large_stream_comes_in_parts_and_is_whole() {
        let part = "0123456789abcdef".repeat(4096);
        let parts = (0..40).map(|i| {
            let text = format!("{i}{part}");
            Some(Frame::Data(text.into()))
        });
        let whole: String = (0..40).map(|i| format!("{i}{part}")).collect();
        for coding in Coding::ALL {
            let parts = parts.clone().collect();
            let mut r = response(Body::stream(None, Parts(parts)));
            apply(&rules(), false, Some(coding), &mut r);
            let (all, _, _) = drain(&mut r.body);
            assert!(all.len() < whole.len() / 10);
            assert_eq!(plain(coding, &all), whole);
        }
    }
}
