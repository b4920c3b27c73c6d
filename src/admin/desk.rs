//! What the API needs of whoever takes operators' orders; `app` implements it.

use std::time::Duration;

use async_trait::async_trait;

use crate::overrides::{Class, Kind, Mark, Quarantined, ScopeKind, Standing};

/// Takes orders and knows those that were given.
#[async_trait]
pub trait OrderDesk: Send + Sync + 'static {
    /// Takes an order: all of it or nothing. Returns when every node that can be reached has it, or
    /// after a few seconds.
    async fn give(&self, wanted: WantedOrder) -> Result<Taken, Refusal>;

    /// What there is.
    fn list(&self) -> Listing;

    /// The order that a request with this key made within the last `within`, here or on another node.
    fn made_with(&self, key: &[u8; 16], within: Duration) -> Option<Made>;
}

/// What is asked for one scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// Kind of the scope.
    pub scope: ScopeKind,
    /// Name as it was given.
    pub name: String,
    /// What is wanted.
    pub what: Asked,
}

/// What is wanted of a scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// An order.
    Set(Kind),
    /// No order about state, weight or failback any more, or about none of them.
    Clear(Option<Class>),
}

/// When an order ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// So long after it was given.
    After(Duration),
    /// At a time, in milliseconds since 1970-01-01T00:00:00Z.
    At(u64),
}

/// An order as somebody gives it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WantedOrder {
    /// What is wanted; all of it or nothing.
    pub wishes: Vec<Wish>,
    /// Who.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// Until when; `None`: until it is cleared, of a failback an hour.
    pub ends: Option<Ends>,
    /// The share of each name's capacity that must go on serving, in percent.
    pub demand: Option<u8>,
    /// Why rules may be broken.
    pub break_glass: Option<String>,
    /// The request that gives it, where that bears a key of its own.
    pub mark: Option<Mark>,
}

/// An order that a request with some key made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// The request.
    pub mark: Mark,
    /// The node that took it.
    pub node: String,
    /// How long ago, by the calendars of both nodes.
    pub ago: Duration,
}

/// Why an order was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Something in it is not as it must be.
    Invalid {
        /// Which part.
        parameter: &'static str,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// It is about something that is not there.
    Unknown(String),
    /// It breaks rules; each with both numbers.
    Breaks(Vec<String>),
    /// It could not be tried.
    Failed(String),
}

/// An order that was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Its stamp.
    pub stamp: String,
    /// What it says of each subject: `drain of region eu`.
    pub said: Vec<String>,
    /// When it ends, in milliseconds since 1970-01-01T00:00:00Z.
    pub expires: Option<u64>,
    /// The view of this node that has it first.
    pub generation: u64,
    /// Nodes where it is in force.
    pub applied: usize,
    /// Nodes where it must come into force.
    pub of: usize,
    /// Those where it is not yet, each with why.
    pub missing: Vec<(String, String)>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// All orders at one time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// This time, in milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: u64,
    /// In force.
    pub standing: Standing,
    /// Kept but not in force.
    pub quarantined: Vec<Quarantined>,
    /// Whether orders outlive this process here.
    pub durable: bool,
}

/// A line of the audit record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditLine {
    /// When it was written here, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// What happened, in one word.
    pub event: String,
    /// Who gave the order.
    pub owner: String,
    /// The node that took it.
    pub node: String,
    /// What exactly.
    pub text: String,
}
