//! The two messages of `grpc.health.v1`, in the wire format of protocol buffers.
//!
//! `message HealthCheckRequest { string service = 1; }` and
//! `message HealthCheckResponse { ServingStatus status = 1; }`, each behind gRPC's prefix: a byte that
//! says whether it is compressed, and its length in four.

use std::borrow::Cow;

/// What a service says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Status {
    Unknown,
    Serving,
    NotServing,
    ServiceUnknown,
    /// A number that the protocol does not have yet.
    Other(u64),
}

impl Status {
    pub(super) fn name(self) -> Cow<'static, str> {
        match self {
            Status::Unknown => "UNKNOWN".into(),
            Status::Serving => "SERVING".into(),
            Status::NotServing => "NOT_SERVING".into(),
            Status::ServiceUnknown => "SERVICE_UNKNOWN".into(),
            Status::Other(number) => format!("status {number}").into(),
        }
    }
}

/// Field 1, a length and that many bytes.
const SERVICE: u8 = 1 << 3 | LENGTH as u8;
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED32: u64 = 5;

/// A request for `service`, with its prefix.
pub(super) fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(service.len() + 4);
    // An empty string is the default and is left out.
    if !service.is_empty() {
        message.push(SERVICE);
        put_varint(&mut message, service.len() as u64);
        message.extend_from_slice(service.as_bytes());
    }
    let mut out = vec![0];
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.extend_from_slice(&message);
    out
}

/// What a response, with its prefix, says.
pub(super) fn response(bytes: &[u8]) -> Result<Status, &'static str> {
    const SHORT: &str = "the gRPC answer is cut short";
    let (prefix, message) = bytes.split_at_checked(5).ok_or(SHORT)?;
    if prefix[0] != 0 {
        return Err("the gRPC answer is compressed, which was not offered");
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
    let mut rest = message.get(..length).ok_or(SHORT)?;
    let mut status = 0;
    while !rest.is_empty() {
        let tag = varint(&mut rest).ok_or(SHORT)?;
        let value = match tag & 7 {
            VARINT => varint(&mut rest).ok_or(SHORT)?,
            FIXED64 => skip(&mut rest, 8).ok_or(SHORT)?,
            LENGTH => {
                let length = varint(&mut rest).ok_or(SHORT)?;
                skip(&mut rest, length).ok_or(SHORT)?
            }
            FIXED32 => skip(&mut rest, 4).ok_or(SHORT)?,
            _ => return Err("the gRPC answer is no message of protocol buffers"),
        };
        // The last of a field that comes twice counts.
        if tag == 1 << 3 | VARINT {
            status = value;
        }
    }
    Ok(match status {
        0 => Status::Unknown,
        1 => Status::Serving,
        2 => Status::NotServing,
        3 => Status::ServiceUnknown,
        number => Status::Other(number),
    })
}

/// The name of a status of a call, as gRPC lists them.
pub(super) fn status_name(number: &str) -> Cow<'_, str> {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let known = number.parse::<usize>().ok().and_then(|n| NAMES.get(n));
    known.map_or(number.into(), |name| (*name).into())
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Leaves out so many bytes; its value is never looked at.
fn skip(rest: &mut &[u8], length: u64) -> Option<u64> {
    *rest = rest.get(usize::try_from(length).ok()?..)?;
    Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_what_protocol_buffers_say() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = request(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
        assert_eq!(long.len(), 8 + 300);
    }

    #[test]
    fn a_response_is_read_whatever_else_is_in_it() {
        let framed = |message: &[u8]| {
            let mut bytes = vec![0];
            bytes.extend_from_slice(&(message.len() as u32).to_be_bytes());
            bytes.extend_from_slice(message);
            bytes
        };
        let table: [(&[u8], Status); 6] = [
            (&[], Status::Unknown),
            (&[8, 1], Status::Serving),
            (&[8, 2], Status::NotServing),
            (&[8, 3], Status::ServiceUnknown),
            (&[8, 0x80, 1], Status::Other(128)),
            // Fields 2, 3, 4 of other kinds around it.
            (
                &[
                    0x12, 1, b'x', 0x1d, 1, 2, 3, 4, 8, 1, 0x21, 1, 2, 3, 4, 5, 6, 7, 8,
                ],
                Status::Serving,
            ),
        ];
        for (message, want) in table {
            assert_eq!(response(&framed(message)), Ok(want), "{message:?}");
        }
        assert!(response(&[0, 0, 0, 0]).is_err());
        assert!(response(&[0, 0, 0, 0, 2, 8]).is_err());
        assert!(response(&[1, 0, 0, 0, 0]).is_err());
        assert!(response(&framed(&[0x0f])).is_err());
        assert!(response(&framed(&[8, 0x80])).is_err());
        assert!(response(&framed(&[0x12, 200, 1])).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = response(&bytes);
        }
    }
}
