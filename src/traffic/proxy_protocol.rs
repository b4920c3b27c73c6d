//! The PROXY protocol: who may say, and who is told, whom a connection is for.

use std::net::IpAddr;
use std::time::Duration;

use crate::net::Prefix;

/// How long a proxy may take for its header, where nothing else is said: it sends it at once.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// What a listener expects at the start of connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProxyProtocol {
    /// Proxies: every connection from here must begin with a header.
    pub from: Vec<Prefix>,
    /// Whether connections from elsewhere are refused.
    pub refuse_others: bool,
    /// For the whole header.
    pub timeout: Duration,
}

/// What is done at the start of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// A header is read; without a sound one the connection ends.
    Header,
    /// It is taken as it is: whatever a header in it says is not believed.
    Plain,
    /// It ends at once.
    Refused,
}

impl ProxyProtocol {
    /// What is done with a connection from `source`.
    pub fn of(&self, source: IpAddr) -> Beginning {
        let source = source.to_canonical();
        if self.from.iter().any(|p| p.contains(source)) {
            Beginning::Header
        } else if self.refuse_others {
            Beginning::Refused
        } else {
            Beginning::Plain
        }
    }
}

/// The version in which backends are told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProxyVersion {
    /// Text: addresses and ports.
    V1,
    /// Binary: also the host that the client asked for, and what its TLS was like.
    V2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_configured_sources_are_believed() {
        let mut p = ProxyProtocol {
            from: vec!["192.0.2.0/24".parse().unwrap()],
            refuse_others: false,
            timeout: TIMEOUT,
        };
        let ip = |t: &str| t.parse::<IpAddr>().unwrap();
        assert_eq!(p.of(ip("192.0.2.7")), Beginning::Header);
        assert_eq!(p.of(ip("::ffff:192.0.2.7")), Beginning::Header);
        assert_eq!(p.of(ip("198.51.100.1")), Beginning::Plain);
        p.refuse_others = true;
        assert_eq!(p.of(ip("198.51.100.1")), Beginning::Refused);
    }
}
