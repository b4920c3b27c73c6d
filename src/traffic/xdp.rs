//! Listeners whose packets are forwarded in the kernel, by an XDP program, to backends that answer their
//! clients directly.

/// What the XDP data path of a listener needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct XdpRules {
    /// The interface that packets come in on and go out of.
    pub interface: Box<str>,
    /// The interface whose neighbours the backends are; another one where frames carry VLAN tags.
    pub neighbours: Box<str>,
    /// Flows that are remembered, so that a change of the backends does not move them.
    pub flows: u32,
}

/// Upstreams that packets are forwarded to at most: each takes 256 KiB of the kernel's memory.
pub const UPSTREAMS: usize = 32;

/// Virtual addresses at most, counted with port and protocol.
pub const VIPS: usize = 512;

/// Backends of all these upstreams at most, with those that were removed and still finish.
pub const BACKENDS: usize = 4096;

/// Interfaces at most.
pub const INTERFACES: usize = 16;

/// Flows that are remembered where nothing else is said.
pub const FLOWS: u32 = 131_072;
