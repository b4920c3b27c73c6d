//! What a proxy remembers of the way to its clients.

/// How much is remembered, and how often connections are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientRules {
    /// Client prefixes at most; 0: nothing is remembered.
    pub prefixes: u32,
    /// Looks at connections, per second and worker.
    pub samples: u32,
    /// Prefixes of which the fleet is told, those with most connections first.
    pub tell: u32,
}

impl ClientRules {
    /// Looks at connections per second and worker: none where nothing is remembered.
    pub fn looks(&self) -> u32 {
        if self.prefixes == 0 { 0 } else { self.samples }
    }
}

impl Default for ClientRules {
    fn default() -> ClientRules {
        ClientRules {
            prefixes: 65_536,
            samples: 1000,
            tell: 1024,
        }
    }
}
