//! HTTP/2 as its client sees it (RFC 9113): requests without bodies, answers of a known length.

use std::time::Instant;

use crate::Error;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// The largest window (section 6.9.1), and what a connection has from the start.
const WINDOW: u32 = (1 << 31) - 1;
const FIRST_WINDOW: u32 = 65_535;

/// Octets received after which the connection's window is opened again.
const REFILL: u32 = 1 << 29;

/// `:status: 200` in the static table (RFC 7541 appendix A), which every server uses.
const STATUS_200: u8 = 0x88;

pub(crate) struct Session {
    /// What is to be sent.
    pub(crate) out: Vec<u8>,
    /// A frame that has not come whole.
    part: Vec<u8>,
    next: u32,
    /// Whether the fields of a request stand in the dynamic table.
    taught: bool,
    received: u32,
    /// Requests under way: stream, start, octets of the body so far.
    pub(crate) flying: Vec<(u32, Instant, u64)>,
    /// Whether the server takes no more.
    pub(crate) last: bool,
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// A field that goes into the dynamic table, its name by index (RFC 7541 section 6.2.1).
fn literal(out: &mut Vec<u8>, name: u8, value: &[u8]) {
    out.extend_from_slice(&[0x40 | name, value.len() as u8]);
    out.extend_from_slice(value);
}

impl Session {
    pub(crate) fn new() -> Session {
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // SETTINGS_ENABLE_PUSH 0, SETTINGS_INITIAL_WINDOW_SIZE.
        let mut settings = vec![0, 2, 0, 0, 0, 0, 0, 4];
        settings.extend_from_slice(&WINDOW.to_be_bytes());
        frame(&mut out, SETTINGS, 0, 0, &settings);
        let more = (WINDOW - FIRST_WINDOW).to_be_bytes();
        frame(&mut out, WINDOW_UPDATE, 0, 0, &more);
        Session {
            out,
            part: Vec::new(),
            next: 1,
            taught: false,
            received: 0,
            flying: Vec::new(),
            last: false,
        }
    }

    /// One more request; the first one fills the dynamic table, as any client's does.
    pub(crate) fn ask(&mut self, now: Instant) {
        // `:method: GET`, `:scheme: https`.
        let mut block = vec![0x82, 0x87];
        if self.taught {
            block.extend_from_slice(&[0x80 | 65, 0x80 | 64, 0x80 | 63, 0x80 | 62]);
        } else {
            self.taught = true;
            // `:path` other than the two of the static table, `:authority`, `user-agent`, `accept`.
            literal(&mut block, 4, b"/small");
            literal(&mut block, 1, b"www.bench.example");
            literal(&mut block, 58, b"proxy_load");
            literal(&mut block, 19, b"*/*");
        }
        let flags = END_STREAM | END_HEADERS;
        frame(&mut self.out, HEADERS, flags, self.next, &block);
        self.flying.push((self.next, now, 0));
        self.next += 2;
    }

    /// Takes what came; `done` is told the start of each request that is complete.
    pub(crate) fn take(
        &mut self,
        octets: &[u8],
        length: u64,
        mut done: impl FnMut(Instant),
    ) -> Result<(), Error> {
        let mut joined = std::mem::take(&mut self.part);
        let mut rest = if joined.is_empty() {
            octets
        } else {
            joined.extend_from_slice(octets);
            &joined[..]
        };
        while let Some((head, more)) = rest.split_first_chunk::<9>() {
            let [a, b, c, kind, flags, stream @ ..] = *head;
            let size = u32::from_be_bytes([0, a, b, c]) as usize;
            if more.len() < size {
                break;
            }
            let (payload, more) = more.split_at(size);
            rest = more;
            self.one(
                kind,
                flags,
                u32::from_be_bytes(stream),
                payload,
                length,
                &mut done,
            )?;
        }
        self.part = rest.to_vec();
        Ok(())
    }

    fn one(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
        length: u64,
        done: &mut impl FnMut(Instant),
    ) -> Result<(), Error> {
        match kind {
            SETTINGS if flags & ACK == 0 => frame(&mut self.out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(&mut self.out, PING, ACK, 0, payload),
            GOAWAY => self.last = true,
            RST_STREAM => return Err(format!("stream {stream} was reset").into()),
            DATA | HEADERS => {
                let at = self.flying.iter().position(|(id, ..)| *id == stream);
                let at = at.ok_or_else(|| format!("stream {stream} is not open"))?;
                if kind == DATA {
                    self.flying[at].2 += payload.len() as u64;
                    self.received += payload.len() as u32;
                } else {
                    // Changes of the table's size come first (RFC 7541 section 6.3).
                    let status = payload.iter().find(|octet| **octet & 0xe0 != 0x20);
                    if status != Some(&STATUS_200) {
                        return Err(format!("fields begin with {status:?}, not status 200").into());
                    }
                }
                if flags & END_STREAM != 0 {
                    let (_, start, octets) = self.flying.swap_remove(at);
                    if octets != length {
                        return Err(format!("a body of {octets} octets").into());
                    }
                    done(start);
                }
            }
            _ => {}
        }
        if self.received > REFILL {
            let more = self.received.to_be_bytes();
            frame(&mut self.out, WINDOW_UPDATE, 0, 0, &more);
            self.received = 0;
        }
        Ok(())
    }
}
