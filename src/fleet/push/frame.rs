//! What travels in the bodies of the request and its response: frames of a length (32 bits, big-endian,
//! of what follows), a kind (8 bits) and its fields. Pure.

use crate::fleet::bus::{Key, MAX_VALUE, Value};

/// Version of this format, in [`Frame::Hello`].
pub const VERSION: u8 = 1;

/// Longest frame in octets, its length field left out.
pub const MAX_FRAME: usize = MAX_VALUE + 512;

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// First of the request: which format, and which life of the node.
    Hello {
        /// Version of the format.
        version: u8,
        /// Which life; grows with each start.
        generation: u64,
    },
    /// A key of the node took this value; the empty one retires it.
    Put {
        /// Counts the changes of one life; grows from frame to frame.
        seq: u64,
        /// Which key.
        key: Key,
        /// Its value.
        value: Value,
    },
    /// All keys of the node have been sent on this connection; what was not among them is no more.
    Complete {
        /// The last change.
        seq: u64,
    },
    /// Nothing new.
    Beat {
        /// The last change.
        seq: u64,
    },
    /// Back: a key of another node.
    Told {
        /// Whose.
        owner: Value,
        /// Which life of it.
        generation: u64,
        /// Which key.
        key: Key,
        /// Its value.
        value: Value,
    },
    /// Back: something was not accepted, in words for the log.
    Notice {
        /// What and why.
        text: Value,
    },
}

/// Why octets are no frame.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// Too long.
    #[error("a frame of {0} octets; it may have {MAX_FRAME}")]
    TooLong(usize),
    /// No such kind.
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    /// Fields are missing, too long or of the wrong form.
    #[error("a frame whose fields are not right: {0}")]
    Fields(&'static str),
}

const HELLO: u8 = 1;
const PUT: u8 = 2;
const COMPLETE: u8 = 3;
const BEAT: u8 = 4;
const TOLD: u8 = 5;
const NOTICE: u8 = 6;

impl Frame {
    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([0; 4]);
        match self {
            Frame::Hello {
                version,
                generation,
            } => {
                out.extend([HELLO, *version]);
                out.extend(generation.to_be_bytes());
            }
            Frame::Put { seq, key, value } => {
                out.push(PUT);
                out.extend(seq.to_be_bytes());
                short(out, key.as_str());
                out.extend(value.as_bytes());
            }
            Frame::Complete { seq } => {
                out.push(COMPLETE);
                out.extend(seq.to_be_bytes());
            }
            Frame::Beat { seq } => {
                out.push(BEAT);
                out.extend(seq.to_be_bytes());
            }
            Frame::Told {
                owner,
                generation,
                key,
                value,
            } => {
                out.push(TOLD);
                out.extend(generation.to_be_bytes());
                short(out, owner);
                short(out, key.as_str());
                out.extend(value.as_bytes());
            }
            Frame::Notice { text } => {
                out.push(NOTICE);
                out.extend(text.as_bytes());
            }
        }
        let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// Reads what follows the length.
    fn read(body: &[u8]) -> Result<Frame, FrameError> {
        let mut rest = Rest(body);
        let frame = match rest.octet()? {
            HELLO => Frame::Hello {
                version: rest.octet()?,
                generation: rest.number()?,
            },
            PUT => Frame::Put {
                seq: rest.number()?,
                key: rest.key()?,
                value: rest.all(MAX_VALUE)?,
            },
            COMPLETE => Frame::Complete {
                seq: rest.number()?,
            },
            BEAT => Frame::Beat {
                seq: rest.number()?,
            },
            TOLD => Frame::Told {
                generation: rest.number()?,
                owner: rest.short()?.into(),
                key: rest.key()?,
                value: rest.all(MAX_VALUE)?,
            },
            NOTICE => Frame::Notice {
                text: rest.all(MAX_FRAME)?,
            },
            kind => return Err(FrameError::Kind(kind)),
        };
        match rest.0 {
            [] => Ok(frame),
            _ => Err(FrameError::Fields("octets are left over")),
        }
    }
}

/// Text with its length before it in one octet; keys and names are shorter than that holds.
fn short(out: &mut Vec<u8>, text: &str) {
    let text = text.as_bytes();
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend(&text[..usize::from(length)]);
}

/// What is left of a frame.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self
            .0
            .split_at_checked(n)
            .ok_or(FrameError::Fields("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn octet(&mut self) -> Result<u8, FrameError> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64, FrameError> {
        let mut octets = [0; 8];
        octets.copy_from_slice(self.take(8)?);
        Ok(u64::from_be_bytes(octets))
    }

    fn short(&mut self) -> Result<&'a str, FrameError> {
        let length = self.octet()?;
        text(self.take(usize::from(length))?)
    }

    fn key(&mut self) -> Result<Key, FrameError> {
        Key::new(self.short()?).map_err(|_| FrameError::Fields("a key has other characters"))
    }

    fn all(&mut self, most: usize) -> Result<Value, FrameError> {
        let all = self.take(self.0.len())?;
        if all.len() > most {
            return Err(FrameError::Fields("a value is too long"));
        }
        Ok(text(all)?.into())
    }
}

fn text(octets: &[u8]) -> Result<&str, FrameError> {
    std::str::from_utf8(octets).map_err(|_| FrameError::Fields("text is no UTF-8"))
}

/// Takes octets as they come and gives whole frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Octets of the buffer that have been read.
    read: usize,
}

impl Decoder {
    /// Takes octets.
    pub fn feed(&mut self, octets: &[u8]) {
        if self.read > 0 {
            self.buffer.drain(..self.read);
            self.read = 0;
        }
        self.buffer.extend(octets);
    }

    /// The next whole frame, if there is one. After an error nothing that follows can be read.
    ///
    /// # Errors
    /// When the octets are no frame; one that is too long is known by its length alone.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let rest = &self.buffer[self.read..];
        let Some((length, rest)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else {
            return Ok(None);
        };
        let frame = Frame::read(body)?;
        self.read += 4 + length;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> impl Strategy<Value = Frame> {
        let key = || "[!-~]{1,200}".prop_map(|k| Key::new(&k).unwrap());
        let value = || "\\PC{0,100}".prop_map(|v| Value::from(v.as_str()));
        prop_oneof![
            (any::<u8>(), any::<u64>()).prop_map(|(version, generation)| Frame::Hello {
                version,
                generation
            }),
            (any::<u64>(), key(), value()).prop_map(|(seq, key, value)| Frame::Put {
                seq,
                key,
                value
            }),
            any::<u64>().prop_map(|seq| Frame::Complete { seq }),
            any::<u64>().prop_map(|seq| Frame::Beat { seq }),
            ("[a-z]{1,63}", any::<u64>(), key(), value()).prop_map(
                |(owner, generation, key, value)| Frame::Told {
                    owner: owner.as_str().into(),
                    generation,
                    key,
                    value,
                }
            ),
            value().prop_map(|text| Frame::Notice { text }),
        ]
    }

    fn all(decoder: &mut Decoder) -> Result<Vec<Frame>, FrameError> {
        let mut found = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            found.push(frame);
        }
        Ok(found)
    }

    proptest! {
        #[test]
        fn frames_read_back_however_they_are_cut(
            sent in prop::collection::vec(frames(), 1..8), cut in 1usize..50
        ) {
            let mut octets = Vec::new();
            sent.iter().for_each(|f| f.write(&mut octets));
            let mut decoder = Decoder::default();
            let mut found = Vec::new();
            for part in octets.chunks(cut) {
                decoder.feed(part);
                found.extend(all(&mut decoder).unwrap());
            }
            prop_assert_eq!(found, sent);
            prop_assert_eq!(decoder.read, decoder.buffer.len());
        }

        #[test]
        fn any_octets_are_frames_or_an_error(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::default();
            decoder.feed(&octets);
            let _ = all(&mut decoder);
        }
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_there() {
        let mut decoder = Decoder::default();
        decoder.feed(&u32::MAX.to_be_bytes());
        assert_eq!(
            decoder.next_frame(),
            Err(FrameError::TooLong(u32::MAX as usize))
        );
        let read = |octets: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.feed(octets);
            decoder.next_frame()
        };
        // A value of the longest length passes, one octet more does not.
        let put = |n: usize| {
            let mut out = Vec::new();
            let value = "x".repeat(n).into();
            let key = Key::new("v/1").unwrap();
            Frame::Put { seq: 1, key, value }.write(&mut out);
            out
        };
        assert!(matches!(read(&put(MAX_VALUE)), Ok(Some(_))));
        assert_eq!(
            read(&put(MAX_VALUE + 1)),
            Err(FrameError::Fields("a value is too long"))
        );
        assert_eq!(read(&[0, 0, 0, 1, 99]), Err(FrameError::Kind(99)));
        assert!(read(&[0, 0, 0, 0]).is_err());
        // A key of other characters.
        let mut bad = put(1);
        bad[14] = b' ';
        assert!(matches!(read(&bad), Err(FrameError::Fields(_))));
    }
}
