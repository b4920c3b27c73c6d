//! What is done with the datagrams of a listener.

pub mod connection_ids;
pub mod quic;
pub mod table;

use std::time::Duration;

use crate::ids::UpstreamId;

/// Sessions at once, where nothing is said.
pub const MAX_SESSIONS: u32 = 16_384;

/// What is done with the datagrams of a listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpRules {
    /// Where they go.
    pub upstream: UpstreamId,
    /// How long a session lasts without a datagram in either direction.
    pub idle: Duration,
    /// Sessions at once, of all workers together.
    pub max_sessions: u32,
    /// Answers to one datagram of a client: a session whose answers have all come is over. 0: there are
    /// none, and no sessions either. `None`: nobody knows.
    pub responses: Option<u32>,
    /// After so many datagrams of a client the next one begins a new session; `None`: never.
    pub requests: Option<u32>,
    /// What keeps a client with its backend.
    pub affinity: Affinity,
}

/// What keeps a client with its backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Affinity {
    /// Its address and port, and the address that it sends to.
    #[default]
    Tuple,
    /// Also the QUIC connection id that its backend gave it, for when its address changes.
    Quic,
}

impl UdpRules {
    /// To an upstream, with the defaults.
    pub fn to(upstream: UpstreamId) -> UdpRules {
        UdpRules {
            upstream,
            idle: Duration::from_secs(30),
            max_sessions: MAX_SESSIONS,
            responses: None,
            requests: None,
            affinity: Affinity::default(),
        }
    }

    /// Whether datagrams only go one way: nothing is kept of their clients.
    pub fn is_one_way(&self) -> bool {
        self.responses == Some(0)
    }

    /// Whether a session with so many datagrams and answers is over.
    pub fn is_complete(&self, requests: u64, answers: u64) -> bool {
        self.responses
            .is_some_and(|each| answers >= requests.saturating_mul(u64::from(each)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_complete_when_every_datagram_has_its_answers() {
        let mut rules = UdpRules::to(UpstreamId::default());
        assert!(!rules.is_complete(1, 1_000_000), "nobody knows");
        assert!(!rules.is_one_way());
        rules.responses = Some(1);
        assert!(rules.is_complete(1, 1));
        assert!(!rules.is_complete(2, 1), "two queries from one port");
        rules.responses = Some(2);
        assert!(!rules.is_complete(1, 1));
        assert!(rules.is_complete(1, 2));
        rules.responses = Some(0);
        assert!(rules.is_one_way());
    }
}
