//! `[clients]`

use std::time::Duration;

use crate::health::clients::ClientPace;

/// `[clients]`: how fast what clients' connections measured comes to count, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientsSpec {
    /// `dwell`
    pub dwell: Duration,
    /// `expire`
    pub expire: Duration,
}

impl ClientsSpec {
    /// Both.
    pub fn pace(&self) -> ClientPace {
        ClientPace {
            dwell: self.dwell,
            expire: self.expire,
        }
    }
}

impl Default for ClientsSpec {
    fn default() -> ClientsSpec {
        let ClientPace { dwell, expire } = ClientPace::default();
        ClientsSpec { dwell, expire }
    }
}
