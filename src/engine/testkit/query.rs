//! Queries as bytes.

use std::net::IpAddr;

use crate::net::Prefix;

/// A query in the making.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Ask {
    pub head: [u8; 12],
    pub question: Vec<u8>,
    pub opt: Option<(u16, u32, Vec<u8>)>,
}

/// Asks for a name in the case given.
pub(in crate::engine) fn ask(text: &str, qtype: u16) -> Ask {
    let mut question = Vec::new();
    for label in text.trim_end_matches('.').split('.') {
        if !label.is_empty() {
            question.push(label.len() as u8);
            question.extend_from_slice(label.as_bytes());
        }
    }
    question.push(0);
    question.extend_from_slice(&qtype.to_be_bytes());
    question.extend_from_slice(&[0, 1]);
    Ask {
        head: [0xAB, 0xCD, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        question,
        opt: None,
    }
}

impl Ask {
    pub(in crate::engine) fn edns(mut self, payload: u16) -> Ask {
        self.opt = Some((payload, 0, Vec::new()));
        self
    }

    /// With the DO bit.
    pub(in crate::engine) fn dnssec(mut self) -> Ask {
        self.opt.get_or_insert((1232, 0, Vec::new())).1 |= 0x8000;
        self
    }

    /// With the CO bit.
    pub(in crate::engine) fn compact(mut self) -> Ask {
        self.opt.get_or_insert((1232, 0, Vec::new())).1 |= 0x4000;
        self
    }

    pub(in crate::engine) fn option(mut self, code: u16, data: &[u8]) -> Ask {
        let opt = self.opt.get_or_insert((1232, 0, Vec::new()));
        opt.2.extend_from_slice(&code.to_be_bytes());
        opt.2.extend_from_slice(&(data.len() as u16).to_be_bytes());
        opt.2.extend_from_slice(data);
        self
    }

    pub(in crate::engine) fn ecs(self, prefix: &str) -> Ask {
        self.option(8, &ecs_data(prefix.parse().unwrap()))
    }

    pub(in crate::engine) fn bytes(&self) -> Vec<u8> {
        let mut all = self.head.to_vec();
        all.extend_from_slice(&self.question);
        if let Some((payload, ttl, options)) = &self.opt {
            all[11] += 1;
            all.extend_from_slice(&[0, 0, 41]);
            all.extend_from_slice(&payload.to_be_bytes());
            all.extend_from_slice(&ttl.to_be_bytes());
            all.extend_from_slice(&(options.len() as u16).to_be_bytes());
            all.extend_from_slice(options);
        }
        all
    }
}

pub(in crate::engine) fn ecs_data(prefix: Prefix) -> Vec<u8> {
    let octets = match prefix.addr() {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    };
    let mut data = vec![0, if octets.len() == 4 { 1 } else { 2 }, prefix.len(), 0];
    data.extend_from_slice(&octets[..usize::from(prefix.len()).div_ceil(8)]);
    data
}
