//! What `[health]` says.

use std::net::SocketAddr;

use crate::config::Marked;
use crate::health::council::{Brake, Quorum};

/// `[health]`
#[derive(Clone, PartialEq, Debug)]
pub struct HealthSpec {
    /// `quorum`, default majority.
    pub quorum: Marked<Quorum>,
    /// `brake`; `None`: off.
    pub brake: Option<Brake>,
    /// `discount-suspect-monitors`, default true.
    pub discount_suspects: bool,
    /// `reference-targets`
    pub references: Vec<Marked<SocketAddr>>,
}

impl Default for HealthSpec {
    fn default() -> Self {
        HealthSpec {
            quorum: Marked::new(Quorum::Majority, Default::default()),
            brake: Some(Brake::default()),
            discount_suspects: true,
            references: Vec::new(),
        }
    }
}
