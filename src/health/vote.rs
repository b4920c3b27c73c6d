//! Votes: what one vantage believes of one check, small enough to be told to the whole fleet.

use std::hash::Hasher as _;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use super::monitor::Monitor;
use super::observation::Failure;

/// Which check a vote is about, the same on every node: an address, a port and what the monitor asks.
///
/// Nodes that run different configurations share the votes of those checks that are the same in both,
/// and no others. 48 bits: among 30,000 checks two share a key once in half a million configurations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CheckKey(pub u64);

impl CheckKey {
    /// The key of a target's check.
    pub fn of(addr: IpAddr, port: u16, monitor: &Monitor) -> CheckKey {
        // SipHash with fixed keys gives the same number on every machine; the text names every field.
        let mut hasher = SipHasher24::new();
        hasher.write(format!("{addr} {port} {monitor:?}").as_bytes());
        CheckKey(hasher.finish() >> 16)
    }
}

/// What a vantage believes of a check after its own rise and fall.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Opinion {
    /// It passes.
    Up,
    /// It fails.
    Down(Weakness),
    /// It has seen nothing yet, or nothing lately.
    None,
}

/// Why a check fails, by kind: the words stay with the vantage, so that a vote has one size whatever
/// fails (requirement F7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Weakness {
    /// No connection.
    Connect,
    /// No answer in time.
    Timeout,
    /// TLS.
    Tls,
    /// The protocol above.
    Protocol,
    /// An answer, but not the expected one.
    Unexpected,
}

impl Weakness {
    /// The kind of a failure.
    pub fn of(failure: &Failure) -> Weakness {
        match failure {
            Failure::Connect(_) => Weakness::Connect,
            Failure::Timeout(_) => Weakness::Timeout,
            Failure::Tls(_) => Weakness::Tls,
            Failure::Http(_) => Weakness::Protocol,
            // A probe that could not be run never makes a check fail, so nobody votes with this one.
            Failure::Unexpected(_) | Failure::Unable(_) => Weakness::Unexpected,
        }
    }

    /// The kind in words.
    pub fn text(self) -> &'static str {
        match self {
            Weakness::Connect => "connect failed",
            Weakness::Timeout => "no answer in time",
            Weakness::Tls => "TLS failed",
            Weakness::Protocol => "protocol error",
            Weakness::Unexpected => "unexpected answer",
        }
    }
}

/// One vantage's word on one check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Vote {
    /// What it believes.
    pub opinion: Opinion,
    /// Failures counted so far, at most 255.
    pub failures: u8,
}
