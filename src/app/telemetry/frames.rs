//! Frame Streams, in which dnstap is carried: data frames and control frames, each with its length.
//!
//! The format is that of fstrm: every frame begins with its length in 32 bits, big-endian; length 0 is
//! an escape, behind which a control frame stands with a length of its own.

/// What the frames hold.
pub(super) const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

/// A control frame is never longer (fstrm's own limit).
pub(super) const LONGEST_CONTROL: usize = 512;

/// A field that names what frames hold.
const FIELD_CONTENT_TYPE: u32 = 1;

/// What a control frame says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    /// The reader takes this content.
    Accept = 1,
    /// Data follows.
    Start = 2,
    /// No data follows.
    Stop = 3,
    /// The writer offers this content.
    Ready = 4,
    /// The reader has read all.
    Finish = 5,
}

impl Control {
    /// The frame, with its escape. Those that name the content do so.
    pub(super) fn frame(self) -> Vec<u8> {
        let mut body = (self as u32).to_be_bytes().to_vec();
        if matches!(self, Control::Ready | Control::Accept | Control::Start) {
            body.extend(FIELD_CONTENT_TYPE.to_be_bytes());
            body.extend((CONTENT_TYPE.len() as u32).to_be_bytes());
            body.extend(CONTENT_TYPE);
        }
        let mut frame = 0_u32.to_be_bytes().to_vec();
        frame.extend((body.len() as u32).to_be_bytes());
        frame.extend(body);
        frame
    }

    /// Reads the body of a control frame: what it says, and whether it takes our content, which it does
    /// also where it names none.
    pub(super) fn read(body: &[u8]) -> Option<(Control, bool)> {
        let (kind, mut fields) = word(body)?;
        let control = match kind {
            1 => Control::Accept,
            2 => Control::Start,
            3 => Control::Stop,
            4 => Control::Ready,
            5 => Control::Finish,
            _ => return None,
        };
        let (mut named, mut ours) = (false, false);
        while !fields.is_empty() {
            let (field, rest) = word(fields)?;
            let (len, rest) = word(rest)?;
            let content = rest.get(..len as usize)?;
            fields = &rest[len as usize..];
            if field == FIELD_CONTENT_TYPE {
                named = true;
                ours |= content == CONTENT_TYPE;
            }
        }
        Some((control, ours || !named))
    }
}

fn word(octets: &[u8]) -> Option<(u32, &[u8])> {
    let (first, rest) = octets.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*first), rest))
}

/// Puts a data frame behind what is there.
pub(super) fn data(out: &mut Vec<u8>, payload: &[u8]) {
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read() {
        for control in [
            Control::Accept,
            Control::Start,
            Control::Stop,
            Control::Ready,
            Control::Finish,
        ] {
            let frame = control.frame();
            assert_eq!(&frame[..4], [0; 4]);
            assert_eq!(frame[4..8], ((frame.len() - 8) as u32).to_be_bytes());
            assert_eq!(Control::read(&frame[8..]), Some((control, true)));
        }
        // fstrm's own bytes of START with this content type.
        let start = Control::Start.frame();
        assert_eq!(
            start[..20],
            [0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 22]
        );
        let mut out = Vec::new();
        data(&mut out, b"abc");
        assert_eq!(out, [0, 0, 0, 3, b'a', b'b', b'c']);
    }

    #[test]
    fn another_content_is_not_ours() {
        let mut body = 1_u32.to_be_bytes().to_vec();
        body.extend([0, 0, 0, 1, 0, 0, 0, 1, b'x']);
        assert_eq!(Control::read(&body), Some((Control::Accept, false)));
    }

    proptest! {
        /// A collector may send anything.
        #[test]
        fn reading_never_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Control::read(&body);
        }
    }
}
