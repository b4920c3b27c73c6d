//! Answers read back.

use hickory_proto::op::Message;

/// An EDNS option: code and data.
type Opt = (u16, Vec<u8>);

/// An answer, as bytes and as another library reads it.
#[derive(Debug)]
pub(in crate::engine) struct Got {
    pub bytes: Vec<u8>,
    pub message: Message,
}

impl Got {
    pub(in crate::engine) fn new(bytes: Vec<u8>) -> Got {
        Got {
            message: Message::from_vec(&bytes).unwrap(),
            bytes,
        }
    }

    /// Response code, with its upper bits.
    pub(in crate::engine) fn rcode(&self) -> String {
        format!("{:?}", self.message.metadata.response_code)
    }

    pub(in crate::engine) fn flag(&self, bit: u16) -> bool {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]]) & bit != 0
    }

    /// `owner ttl TYPE data` of each record, sorted.
    fn text(records: &[hickory_proto::rr::Record]) -> Vec<String> {
        let mut all: Vec<String> = records
            .iter()
            .map(|r| format!("{} {} {} {}", r.name, r.ttl, r.record_type(), r.data))
            .collect();
        all.sort();
        all
    }

    pub(in crate::engine) fn answers(&self) -> Vec<String> {
        Got::text(&self.message.answers)
    }

    pub(in crate::engine) fn authorities(&self) -> Vec<String> {
        Got::text(&self.message.authorities)
    }

    pub(in crate::engine) fn additionals(&self) -> Vec<String> {
        Got::text(&self.message.additionals)
    }

    /// The data of the answers, without owner and TTL.
    pub(in crate::engine) fn data(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .message
            .answers
            .iter()
            .map(|r| r.data.to_string())
            .collect();
        all.sort();
        all
    }

    /// Class and TTL of the OPT record and its options, read here once more by hand.
    pub(in crate::engine) fn opt(&self) -> Option<(u16, u32, Vec<Opt>)> {
        let b = &self.bytes;
        let word = |at: usize| usize::from(u16::from_be_bytes([b[at], b[at + 1]]));
        let skip = |mut at: usize| loop {
            match b[at] {
                0 => return at + 1,
                l if l >= 0xC0 => return at + 2,
                l => at += 1 + usize::from(l),
            }
        };
        let mut at = 12;
        for _ in 0..word(4) {
            at = skip(at) + 4;
        }
        let mut found = None;
        for _ in 0..word(6) + word(8) + word(10) {
            let f = skip(at);
            let end = f + 10 + word(f + 8);
            if word(f) == 41 {
                assert!(found.is_none(), "two OPT records");
                let ttl = u32::from_be_bytes([b[f + 4], b[f + 5], b[f + 6], b[f + 7]]);
                let mut options = Vec::new();
                let mut o = f + 10;
                while o < end {
                    let next = o + 4 + word(o + 2);
                    options.push((word(o) as u16, b[o + 4..next].to_vec()));
                    o = next;
                }
                found = Some((word(f + 2) as u16, ttl, options));
            }
            at = end;
        }
        assert_eq!(at, b.len(), "bytes after the last record");
        found
    }

    pub(in crate::engine) fn option(&self, code: u16) -> Option<Vec<u8>> {
        let (_, _, options) = self.opt()?;
        options.into_iter().find(|(c, _)| *c == code).map(|o| o.1)
    }

    /// The ECS scope.
    pub(in crate::engine) fn scope(&self) -> Option<u8> {
        self.option(8).map(|o| o[3])
    }

    /// Code and text of the extended error.
    pub(in crate::engine) fn ede(&self) -> Option<(u16, String)> {
        self.option(15).map(|o| {
            (
                u16::from_be_bytes([o[0], o[1]]),
                String::from_utf8(o[2..].to_vec()).unwrap(),
            )
        })
    }
}
