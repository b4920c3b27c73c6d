//! What the configuration says about judging: who the vantages are and when their votes decide.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::ids::{SiteId, VantageId};

use super::circles::Circles;

/// The rules of the council, the same on every node but for `own`.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// By [`VantageId`]: every node that probes.
    pub vantages: Vec<Vantage>,
    /// By [`SiteId`]: their failure domains.
    pub sites: Vec<Site>,
    /// This node among the vantages; `None` when it does not probe.
    pub own: Option<VantageId>,
    /// How many sites must say "down".
    pub quorum: Quorum,
    /// What a vantage connects to, to find out whether it sees anything at all.
    pub references: Vec<SocketAddr>,
    /// How much automation may take out at a time; `None`: no limit.
    pub brake: Option<Brake>,
    /// Whether a monitor that fails on all endpoints of a name at once is suspect (requirement H5).
    pub discount_suspects: bool,
    /// Which endpoints stand together behind names, and how they come back.
    pub circles: Circles,
}

impl Default for Rules {
    /// This node's own word decides.
    fn default() -> Self {
        Rules {
            vantages: Vec::new(),
            sites: Vec::new(),
            own: None,
            quorum: Quorum::Majority,
            references: Vec::new(),
            brake: None,
            discount_suspects: false,
            circles: Circles::default(),
        }
    }
}

impl Rules {
    /// Whether nobody but this node probes: then its own word is the verdict.
    pub fn alone(&self) -> bool {
        self.vantages.is_empty() || (self.vantages.len() == 1 && self.own.is_some())
    }

    /// Whether endpoints that fail may be kept in.
    pub(super) fn guards(&self) -> bool {
        self.brake.is_some() || self.discount_suspects
    }

    /// The time over which removals add up.
    pub(super) fn window(&self) -> Duration {
        self.brake.unwrap_or_default().window
    }

    /// Whether this node probes.
    pub fn probes_here(&self) -> bool {
        self.vantages.is_empty() || self.own.is_some()
    }

    /// The vantage called `name`.
    pub fn vantage(&self, name: &str) -> Option<VantageId> {
        let found = self.vantages.iter().position(|v| &*v.name == name);
        found.map(VantageId::from_index)
    }
}

/// A node that probes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vantage {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Where it stands.
    pub site: SiteId,
}

/// A failure domain of vantages: what stands in one region and one network fails together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Region, by name.
    pub region: Box<str>,
    /// Autonomous system; `None` where the configuration does not say, which is a site of its own.
    pub asn: Option<u32>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.region)?;
        match self.asn {
            Some(asn) => write!(f, " AS{asn}"),
            None => Ok(()),
        }
    }
}

/// How many of the sites that vote must say "down" (requirement H3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Quorum {
    /// More than half; at least two where two or more vote. At a tie what was believed stays.
    Majority,
    /// So many percent of them, 1 to 100, rounded up; at least two where two or more vote.
    Share(u8),
    /// So many, at least 1. Where fewer vote, none goes down.
    Number(u32),
}

impl Quorum {
    /// How many of `voting` sites must say "down", at least 1.
    pub fn needed(self, voting: u32) -> u32 {
        // One site alone can be cut off or lie (requirement H3); where there is another, it is asked.
        let least = voting.clamp(1, 2);
        match self {
            Quorum::Majority => (voting / 2 + 1).max(least),
            Quorum::Share(percent) => (voting * u32::from(percent)).div_ceil(100).max(least),
            Quorum::Number(n) => n.max(1),
        }
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quorum::Majority => f.write_str("majority"),
            Quorum::Share(p) => write!(f, "{p}%"),
            Quorum::Number(n) => write!(f, "{n}"),
        }
    }
}

/// What the seconds of testimony are worth (facts of the control law: a heartbeat every two seconds).
pub const FRESH: Duration = Duration::from_secs(10);
/// After this without a sign of life a vantage has no vote at all; before it, only its "up" counts.
pub const EXPIRED: Duration = Duration::from_secs(30);

/// How much automation may take out at a time (requirement F4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Brake {
    /// Percent of a name's capacity that may go within `window`, 1 to 100.
    pub max_removal: u8,
    /// The time over which removals add up.
    pub window: Duration,
}

impl Default for Brake {
    fn default() -> Self {
        Brake {
            max_removal: 70,
            window: Duration::from_secs(60),
        }
    }
}

/// How an endpoint that was down comes back once it passes again (requirement F9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Failback {
    /// At once.
    #[default]
    Auto,
    /// After it has passed for so long.
    Hold(Duration),
    /// When an operator says so.
    Manual,
    /// With 5, 25, 50 and 100 percent of its clients, in equal steps of this time.
    Ramp(Duration),
}
