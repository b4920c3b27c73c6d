//! What the API needs of whoever runs the proxy's backends; `app` implements it.

use std::time::Duration;

use async_trait::async_trait;

use super::desk::Refusal;
use super::view::xdp::Xdp;
use crate::traffic::orders::{Given, Place, Presence, Wish, Word};

/// Knows the backends of this node's proxy and takes orders about them.
#[async_trait]
pub trait BackendDesk: Send + Sync + 'static {
    /// How all upstreams stand; `None` on a node without a proxy.
    fn status(&self) -> Option<Vec<UpstreamStatus>>;

    /// What is forwarded in the kernel; `None` where nothing is.
    fn xdp(&self) -> Option<Xdp>;

    /// Takes an order: in force when this returns, on the disk unless the answer says otherwise.
    async fn give(&self, place: Place, wish: Given<Wish>) -> Result<BackendTaken, Refusal>;
}

/// An order about a backend that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackendTaken {
    /// What it says.
    pub said: String,
    /// Requests under way to the backend.
    pub in_flight: u32,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// An upstream as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Which backends are used.
    pub mode: String,
    /// Since when that is so.
    pub mode_for: Duration,
    /// Its circuit, and since when it is so; `None` without one.
    pub circuit: Option<(String, Duration)>,
    /// Requests that wait for a backend, that waited so far, that found the queue full, that waited in
    /// vain.
    pub queue: [u64; 4],
    /// Retries that the budget refused.
    pub retries_refused: u64,
    /// Never more than so many percent are ejected.
    pub max_ejected: u32,
    /// With less than so many percent left all are used; 0: never.
    pub panic_threshold: u32,
    /// By name.
    pub backends: Vec<BackendStatus>,
}

/// A backend as it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct BackendStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: String,
    /// Its weight in force.
    pub weight: u32,
    /// Its share of that weight in thousandths: less while it comes back slowly.
    pub share: u32,
    /// `up`, `unknown`, `down` or `ejected`.
    pub state: String,
    /// What that rests on.
    pub cause: String,
    /// Since when.
    pub since: Duration,
    /// How long it lasts at most; of an ejection.
    pub left: Option<Duration>,
    /// Whether it gets requests of new clients.
    pub used: bool,
    /// The operators' orders.
    pub presence: Option<Given<Presence>>,
    /// Drained or disabled.
    pub word: Option<Given<Word>>,
    /// Another weight.
    pub ordered_weight: Option<Given<u32>>,
    /// Until its time to drain is over.
    pub drain_left: Option<Duration>,
    /// Requests under way.
    pub in_flight: u32,
    /// Most of them.
    pub max_connections: Option<u32>,
    /// Requests given to it so far.
    pub requests: u64,
    /// Of those, retries.
    pub retries: u64,
    /// Requests that failed: no connection, no answer in time, ended early, gateway errors, other 5xx.
    pub failed: [u64; 5],
    /// How often it was ejected.
    pub ejections: u64,
    /// Failed requests that count now.
    pub failures: u32,
    /// Since the last probe ended.
    pub last_probe: Option<Duration>,
    /// How the last failed probe failed.
    pub last_error: Option<String>,
}
