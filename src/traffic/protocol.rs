//! What a listener carries.

use super::tcp::TcpRules;
use super::udp::UdpRules;

/// What a listener carries.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Protocol {
    /// HTTP: requests find their way by routes.
    #[default]
    Http,
    /// Connections, whatever is spoken on them.
    Tcp(Box<TcpRules>),
    /// Datagrams.
    Udp(Box<UdpRules>),
}

impl Protocol {
    /// As the configuration calls it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Tcp(_) => "tcp",
            Protocol::Udp(_) => "udp",
        }
    }

    /// Whether it comes as datagrams.
    pub const fn is_datagram(&self) -> bool {
        matches!(self, Protocol::Udp(_))
    }
}
