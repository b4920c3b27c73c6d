//! The chunked transfer coding (RFC 9112 section 7.1).

use std::ops::Range;

use httparse::Status;

use crate::message::{Fields, Known};

/// Octets of chunk extensions of one body; they are dropped, and nobody sends any.
const MAX_EXTENSIONS: usize = 16 << 10;
/// Octets of a trailer section.
const MAX_TRAILERS: usize = 8 << 10;
/// Fields of a trailer section.
const MAX_TRAILER_FIELDS: usize = 64;
/// Hexadecimal digits of a chunk's size: leading zeros are no way to send for ever.
const MAX_DIGITS: u8 = 16;

/// Why a body is no chunked body. Where the message ends is not known: the connection must be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadChunk {
    /// A chunk's size is missing, too large, or not hexadecimal.
    #[error("malformed chunk size")]
    Size,
    /// CR or LF alone, or something else where a line must end.
    #[error("no CRLF where a line of the chunked coding ends")]
    LineEnd,
    /// A control character in a chunk extension.
    #[error("control character in a chunk extension")]
    Extension,
    /// More chunk extensions than any sender has use for.
    #[error("more than 16 KiB of chunk extensions")]
    Extensions,
    /// A malformed trailer field.
    #[error("malformed trailer field")]
    Trailer,
    /// A trailer section that is too large.
    #[error("trailer section of more than 8 KiB or 64 fields")]
    Trailers,
}

/// What a decoder found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Octets of the body, at this place. Those up to the end of it are used; call again with the rest.
    Data(Range<usize>),
    /// All octets are used and the body is not over.
    NeedMore,
    /// The body is over, after this many octets.
    End(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Before the first digit.
    Start,
    /// In the size, behind this many digits.
    Size(u8),
    /// In white space before an extension.
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a line of the trailer section, in it, behind its CR.
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    Over,
}

/// Decodes one body, in whatever parts it comes.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    /// Octets of the current chunk that are still to come; while its size is read, the size so far.
    left: u64,
    extensions: usize,
    section: Vec<u8>,
    trailers: Option<Box<Fields>>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::new()
    }
}

impl Decoder {
    /// At the start of a body.
    pub fn new() -> Decoder {
        Decoder {
            state: State::Start,
            left: 0,
            extensions: 0,
            section: Vec::new(),
            trailers: None,
        }
    }

    /// Whether the body is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The trailer fields, without those that a trailer section must not hold; `None` without any.
    pub fn take_trailers(&mut self) -> Option<Box<Fields>> {
        self.trailers.take()
    }

    /// Decodes the next octets. Not called again after [`Step::End`] or an error.
    ///
    /// # Errors
    /// Why this is no chunked body.
    pub fn decode(&mut self, octets: &[u8]) -> Result<Step, BadChunk> {
        let mut at = 0;
        while at < octets.len() {
            if self.state == State::Data {
                let end = usize::try_from(self.left).unwrap_or(usize::MAX);
                let end = at.saturating_add(end).min(octets.len());
                self.left -= (end - at) as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Step::Data(at..end));
            }
            self.state = self.step(octets[at])?;
            at += 1;
            if self.state == State::Over {
                self.read_trailers()?;
                return Ok(Step::End(at));
            }
        }
        Ok(Step::NeedMore)
    }

    fn step(&mut self, b: u8) -> Result<State, BadChunk> {
        match self.state {
            State::Start => match hex(b) {
                Some(digit) => {
                    self.left = digit;
                    Ok(State::Size(1))
                }
                None => Err(BadChunk::Size),
            },
            State::Size(digits) => match (hex(b), b) {
                (Some(digit), _) => {
                    if digits == MAX_DIGITS || self.left >= 1 << 59 {
                        return Err(BadChunk::Size);
                    }
                    self.left = self.left << 4 | digit;
                    Ok(State::Size(digits + 1))
                }
                (None, b';') => Ok(State::Extension),
                (None, b' ' | b'\t') => self.extension(State::Blank),
                (None, b'\r') => Ok(State::SizeLf),
                (None, b'\n') => Err(BadChunk::LineEnd),
                _ => Err(BadChunk::Size),
            },
            // chunk-ext = *( BWS ";" BWS chunk-ext-name .. ): white space belongs to an extension.
            State::Blank => match b {
                b' ' | b'\t' => self.extension(State::Blank),
                b';' => Ok(State::Extension),
                b'\r' | b'\n' => Err(BadChunk::LineEnd),
                _ => Err(BadChunk::Size),
            },
            State::Extension => match b {
                b'\r' => Ok(State::SizeLf),
                b'\n' => Err(BadChunk::LineEnd),
                b'\t' | b' '..=b'~' | 0x80.. => self.extension(State::Extension),
                _ => Err(BadChunk::Extension),
            },
            State::SizeLf => match b {
                b'\n' if self.left == 0 => Ok(State::TrailerStart),
                b'\n' => Ok(State::Data),
                _ => Err(BadChunk::LineEnd),
            },
            // Decoded by the caller, many octets at a time.
            State::Data => Ok(State::Data),
            State::DataCr => end_of_line(b, b'\r', State::DataLf),
            State::DataLf => end_of_line(b, b'\n', State::Start),
            State::TrailerStart if b == b'\r' => Ok(State::LastLf),
            State::TrailerStart | State::Trailer => match b {
                b'\r' => self.trailer(b, State::TrailerLf),
                b'\n' => Err(BadChunk::LineEnd),
                _ => self.trailer(b, State::Trailer),
            },
            State::TrailerLf => {
                end_of_line(b, b'\n', State::TrailerStart)?;
                self.trailer(b, State::TrailerStart)
            }
            State::LastLf => end_of_line(b, b'\n', State::Over),
            State::Over => Ok(State::Over),
        }
    }

    fn extension(&mut self, next: State) -> Result<State, BadChunk> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            return Err(BadChunk::Extensions);
        }
        Ok(next)
    }

    fn trailer(&mut self, b: u8, next: State) -> Result<State, BadChunk> {
        if self.section.len() >= MAX_TRAILERS {
            return Err(BadChunk::Trailers);
        }
        self.section.push(b);
        Ok(next)
    }

    fn read_trailers(&mut self) -> Result<(), BadChunk> {
        if self.section.is_empty() {
            return Ok(());
        }
        let mut section = std::mem::take(&mut self.section);
        section.extend_from_slice(b"\r\n");
        let mut room = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
        let headers = match httparse::parse_headers(&section, &mut room) {
            Ok(Status::Complete((_, headers))) => headers,
            Err(httparse::Error::TooManyHeaders) => return Err(BadChunk::Trailers),
            Ok(Status::Partial) | Err(_) => return Err(BadChunk::Trailer),
        };
        let mut fields = Fields::new();
        for header in headers {
            fields.push(header.name.as_bytes(), header.value.trim_ascii());
        }
        keep_allowed_trailers(&mut fields);
        if !fields.is_empty() {
            self.trailers = Some(Box::new(fields));
        }
        Ok(())
    }
}

fn end_of_line(b: u8, expected: u8, next: State) -> Result<State, BadChunk> {
    (b == expected).then_some(next).ok_or(BadChunk::LineEnd)
}

fn hex(b: u8) -> Option<u64> {
    char::from(b).to_digit(16).map(u64::from)
}

/// Removes what a trailer section must not hold: fields of framing, routing, authentication, request
/// modifiers, caching and representation (RFC 9110 section 6.5.1). Of the fields that this proxy looks
/// at only those remain that are meant for trailers; of the others those remain that no rule names.
pub fn keep_allowed_trailers(fields: &mut Fields) {
    const NEVER: &[&[u8]] = &[
        b"max-forwards",
        b"warning",
        b"content-language",
        b"content-location",
        b"proxy-authentication-info",
        b"refresh",
    ];
    fields.retain(|name, _| match Known::from_lower(name) {
        Some(known) => matches!(known, Known::GrpcStatus | Known::GrpcMessage | Known::ETag),
        None => !NEVER.contains(&name) && !name.starts_with(b"x-forwarded-"),
    });
}

/// The line before a chunk's octets.
#[derive(Clone, Copy, Debug)]
pub struct ChunkHead {
    text: [u8; 18],
    from: u8,
}

impl ChunkHead {
    /// Of a chunk of `octets`, which must not be 0: that would end the body.
    pub fn new(octets: usize) -> ChunkHead {
        debug_assert_ne!(octets, 0);
        let mut text = [0; 18];
        text[16] = b'\r';
        text[17] = b'\n';
        let mut at = 16;
        let mut left = octets;
        loop {
            at -= 1;
            text[at] = b"0123456789abcdef"[left & 15];
            left >>= 4;
            if left == 0 {
                break;
            }
        }
        ChunkHead {
            text,
            from: at as u8,
        }
    }

    /// As it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[usize::from(self.from)..]
    }
}

/// What stands behind a chunk's octets.
pub const CHUNK_END: &[u8] = b"\r\n";
/// The end of a body without trailer fields.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Writes one whole chunk; nothing when there are no octets.
pub fn write_chunk(octets: &[u8], out: &mut Vec<u8>) {
    if !octets.is_empty() {
        out.extend_from_slice(ChunkHead::new(octets.len()).as_bytes());
        out.extend_from_slice(octets);
        out.extend_from_slice(CHUNK_END);
    }
}

/// Writes the end of a body, with trailer fields where there are any.
pub fn write_last(trailers: Option<&Fields>, out: &mut Vec<u8>) {
    let Some(trailers) = trailers else {
        out.extend_from_slice(LAST_CHUNK);
        return;
    };
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.iter() {
        super::write::field(name, value, out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
