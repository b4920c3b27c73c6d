//! What steering is told of the way to clients: for each prefix how far it is from every region that
//! measured it.

use std::sync::Arc;
use std::time::Duration;

use crate::ids::RegionId;
use crate::net::Prefix;
use crate::time::Moment;

/// How fast what clients measured comes to count, and how long it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientPace {
    /// A first value stands for so long before it counts, and answers are told beforehand by their TTL.
    pub dwell: Duration,
    /// What no connection confirmed for so long does not count.
    pub expire: Duration,
}

impl Default for ClientPace {
    fn default() -> ClientPace {
        ClientPace {
            dwell: Duration::from_secs(60),
            expire: Duration::from_secs(3600),
        }
    }
}

/// How far the clients of a prefix are from a region, by the word of their own connections.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ClientTime {
    /// The region whose proxies measured it.
    pub region: RegionId,
    /// What counts: it changes only after a dwell. `None` while a first value waits for that.
    pub rtt: Option<Duration>,
    /// The newest value, shown only.
    pub latest: Duration,
    /// Connections behind it, of all proxies of the region.
    pub connections: u64,
    /// How long before [`ClientTimes::at`] the newest sample came.
    pub age: Duration,
    /// Whether `rtt` may change, come or go within a dwell.
    pub moving: bool,
}

impl ClientTime {
    /// Whether `other` steers as this does.
    pub fn steers_as(&self, other: &ClientTime) -> bool {
        (self.region, self.rtt, self.moving) == (other.region, other.rtt, other.moving)
    }
}

/// The times of one prefix.
#[derive(Clone, PartialEq, Debug)]
pub struct ClientsOf {
    /// /24 or /48.
    pub prefix: Prefix,
    /// By region, ascending.
    pub times: Box<[ClientTime]>,
}

/// The times of all prefixes that are known well enough.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ClientTimes {
    /// Another number than before: something that steers is otherwise.
    pub revision: u64,
    /// When this was told.
    pub at: Moment,
    /// How fast they come and go.
    pub pace: ClientPace,
    /// By prefix, ascending.
    pub rows: Arc<[ClientsOf]>,
    /// Paths that nodes told and that are held, by prefix and node.
    pub held: usize,
    /// Paths that were dropped because nothing confirmed them.
    pub expired: u64,
    /// Paths that were dropped because there was no room.
    pub displaced: u64,
}

impl ClientTimes {
    /// The times of the prefix that holds `client`.
    pub fn of(&self, client: std::net::IpAddr) -> Option<&ClientsOf> {
        let prefix = super::prefix_of(client);
        let at = self.rows.binary_search_by(|row| row.prefix.cmp(&prefix));
        at.ok().map(|at| &self.rows[at])
    }
}
