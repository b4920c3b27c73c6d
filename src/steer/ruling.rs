//! Which rule speaks of an endpoint or a pool on the way to an answer.

/// The rule that keeps an endpoint or a pool from being chosen, or that limits it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ruling {
    /// `enabled = false` in the configuration.
    Disabled,
    /// An operator's override.
    Override,
    /// It fails its checks.
    Down,
    /// It passes again and waits for its failback.
    Failback,
    /// Its first probe is awaited.
    FirstProbe,
    /// Automation keeps it in though it fails.
    KeptIn,
    /// It is let in by steps.
    Ramp,
    /// Its weight is 0.
    Weight,
    /// It is a backup.
    Backup,
    /// Fewer live endpoints than the pool needs.
    MinLive,
}

impl Ruling {
    /// One word for it.
    pub fn text(self) -> &'static str {
        match self {
            Ruling::Disabled => "disabled",
            Ruling::Override => "override",
            Ruling::Down => "health",
            Ruling::Failback => "failback",
            Ruling::FirstProbe => "first-probe",
            Ruling::KeptIn => "kept-in",
            Ruling::Ramp => "ramp",
            Ruling::Weight => "weight",
            Ruling::Backup => "backup",
            Ruling::MinLive => "min-live",
        }
    }

    /// Whether what it speaks of may be chosen all the same.
    pub fn lets_in(self) -> bool {
        matches!(self, Ruling::KeptIn | Ruling::Ramp)
    }
}
