//! What the checks below HTTP ask, and what they want to hear. Plain data.

use crate::dns::name::WireName;
use crate::dns::rcode::Rcode;
use crate::dns::rtype::Rtype;

/// What an answer must have in it. With neither set every answer will do.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Expect {
    /// Octets that occur in it.
    pub contains: Option<Box<[u8]>>,
    /// Regular expression that it matches (checked at load).
    pub regex: Option<Box<str>>,
}

impl Expect {
    /// Whether anything is asked of the answer.
    pub fn is_some(&self) -> bool {
        self.contains.is_some() || self.regex.is_some()
    }
}

/// A TCP check: passes when the connection is established and, where asked for, the answer is right.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct TcpCheck {
    /// Sent once connected.
    pub send: Option<Box<[u8]>>,
    /// What the answer must have in it; nothing is read when nothing is asked.
    pub expect: Expect,
    /// Octets of the answer that are read at most.
    pub max_answer: usize,
}

/// A UDP check: passes when an answer comes, and is right where that is asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct UdpCheck {
    /// Sent in one datagram.
    pub send: Box<[u8]>,
    /// What the first answer must have in it.
    pub expect: Expect,
    /// Octets of the answer that are read at most.
    pub max_answer: usize,
}

/// What carries a DNS query.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Transport {
    /// UDP; an answer with TC set is asked for again over TCP (RFC 7766 section 5).
    #[default]
    Udp,
    /// TCP.
    Tcp,
}

/// A DNS check: passes when the answer has the wanted response code and, where asked for, a record.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DnsCheck {
    /// What is asked for.
    pub name: WireName,
    /// Of this type, in class IN.
    pub rtype: Rtype,
    /// Over this.
    pub transport: Transport,
    /// Whether recursion is desired (RFC 1035 section 4.1.1).
    pub recursion: bool,
    /// The response code that passes.
    pub rcode: Rcode,
    /// The data of a record among the answers, as zone files write it.
    pub answer: Option<Box<str>>,
}

/// An ICMP check: passes when an echo request is answered (RFC 792, RFC 4443 section 4).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct IcmpCheck {}

/// A check by a command: passes when it ends with code 0.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ExecCheck {
    /// The absolute path of the program, then its arguments. No shell sees them.
    pub command: Vec<Box<str>>,
    /// Octets of output allowed.
    pub max_output: usize,
}
