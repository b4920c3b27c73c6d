//! EDNS(0): the OPT record (RFC 6891) and its options, one per file.

pub mod cookie;
pub mod ecs;
pub mod ede;
pub mod keepalive;
pub mod nsid;
pub mod padding;

use std::fmt;

pub use cookie::{Cookie, CookieFault, FullCookie};
pub use ecs::{Ecs, EcsFault};
pub use ede::Ede;
pub use keepalive::Keepalive;

/// The largest UDP answer sent: what passes nearly every path unfragmented (requirement A5).
pub const UDP_PAYLOAD: u16 = 1232;

/// The UDP size without EDNS, and the least that an EDNS client is taken to accept (RFC 6891
/// section 6.2.3).
pub const UDP_PLAIN: u16 = 512;

/// The DO bit in the lower half of the OPT record's TTL (RFC 3225).
pub const DO: u32 = 0x8000;

/// The CO bit beside it: compact answers may carry their response code (RFC 9824 section 5.1).
pub const CO: u32 = 0x4000;

/// Octets of an OPT record without options.
pub const OPT_FIXED: usize = 11;

/// What a query's OPT record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edns<'p> {
    /// The UDP payload size the client accepts, as sent.
    pub payload: u16,
    /// The EDNS version; the options below are read only for version 0.
    pub version: u8,
    /// The client wants DNSSEC records.
    pub dnssec_ok: bool,
    /// The client takes NXDOMAIN in compact denials.
    pub compact_ok: bool,
    /// The client's network.
    pub ecs: Option<Ecs<'p>>,
    /// The client wants to know which server answers.
    pub nsid: bool,
    /// The client asks how long its connection may idle.
    pub keepalive: Keepalive,
    /// The client padded its query.
    pub padding: bool,
    /// The client's cookie, and the one it was given earlier.
    pub cookie: Option<Cookie<'p>>,
}

/// Why options are malformed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OptFault {
    /// An option runs over the record's end.
    Length,
    /// More than one client subnet option: which of them should count?
    TwoEcs,
    /// The client subnet option.
    Ecs(EcsFault),
    /// The cookie option.
    Cookie(CookieFault),
}

impl fmt::Display for OptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptFault::Length => f.write_str("an EDNS option runs over the end of its record"),
            OptFault::TwoEcs => f.write_str("more than one client subnet option"),
            OptFault::Ecs(fault) => fault.fmt(f),
            OptFault::Cookie(fault) => fault.fmt(f),
        }
    }
}

/// Reads an OPT record from its class, TTL and RDATA. With a fault what was read so far counts, so
/// that the answer can carry an OPT record.
pub fn read(class: u16, ttl: u32, rdata: &[u8]) -> (Edns<'_>, Option<OptFault>) {
    let mut edns = Edns {
        payload: class,
        version: (ttl >> 16) as u8,
        dnssec_ok: ttl & DO != 0,
        compact_ok: ttl & CO != 0,
        ecs: None,
        nsid: false,
        keepalive: Keepalive::Absent,
        padding: false,
        cookie: None,
    };
    // RFC 6891 section 6.1.3: what the options of another version mean is not known.
    let fault = if edns.version == 0 {
        options(rdata, &mut edns).err()
    } else {
        None
    };
    (edns, fault)
}

fn options<'p>(mut rdata: &'p [u8], edns: &mut Edns<'p>) -> Result<(), OptFault> {
    while !rdata.is_empty() {
        let (head, rest) = rdata.split_first_chunk::<4>().ok_or(OptFault::Length)?;
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (data, rest) = rest.split_at_checked(len).ok_or(OptFault::Length)?;
        rdata = rest;
        match u16::from_be_bytes([head[0], head[1]]) {
            ecs::CODE if edns.ecs.is_some() => return Err(OptFault::TwoEcs),
            ecs::CODE => edns.ecs = Some(Ecs::read(data).map_err(OptFault::Ecs)?),
            nsid::CODE => edns.nsid = true,
            // RFC 7828 section 3.3.1: over UDP the option is ignored, so whether it is well-formed is
            // asked where the transport is known.
            keepalive::CODE => edns.keepalive = Keepalive::read(data),
            padding::CODE => edns.padding = true,
            // RFC 7873 section 5.2: of several, "only the first … is considered".
            cookie::CODE if edns.cookie.is_some() => {}
            cookie::CODE => edns.cookie = Some(Cookie::read(data).map_err(OptFault::Cookie)?),
            // RFC 6891 section 6.1.2: "any OPTION-CODE values not understood … MUST be ignored".
            _ => {}
        }
    }
    Ok(())
}
