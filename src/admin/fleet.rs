//! What the API tells of the fleet; `app` gathers it.

/// The fleet as this node sees it now.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FleetStatus {
    /// The fleet's name; `None` where this node is alone.
    pub cluster: Option<String>,
    /// This node.
    pub node: String,
    /// What this node runs.
    pub config: String,
    /// All nodes of the configuration, by name.
    pub members: Vec<MemberStatus>,
    /// Counts of the fleet in the form of metrics: name, labels, value; those of one name together.
    pub counts: Vec<(&'static str, String, u64)>,
}

/// One node.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct MemberStatus {
    /// Its name.
    pub node: String,
    /// Its region.
    pub region: String,
    /// What it does, as the configuration says.
    pub roles: Vec<&'static str>,
    /// How it is.
    pub life: Life,
    /// Seconds since its heartbeat last moved here.
    pub heard_seconds_ago: Option<f64>,
    /// It says that its prober does not trust what it sees.
    pub blind: bool,
    /// The digest of what it runs, once it said so.
    pub config: Option<String>,
    /// The view it serves, as it last said.
    pub generation: Option<u64>,
    /// Checks it votes on.
    pub votes: usize,
}

/// How a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Life {
    /// This node itself.
    Own,
    /// Heard of lately.
    Alive,
    /// Silent for longer than it may be.
    Silent,
    /// It stopped on purpose.
    Left,
    /// Not heard of since this node started.
    #[default]
    NeverHeard,
}

impl Life {
    /// The word for it.
    pub fn text(self) -> &'static str {
        match self {
            Life::Own => "this node",
            Life::Alive => "alive",
            Life::Silent => "silent",
            Life::Left => "left",
            Life::NeverHeard => "never heard",
        }
    }
}
