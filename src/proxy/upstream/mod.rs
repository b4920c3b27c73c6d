//! Requests to backends.

pub mod connect;
pub mod h1;
pub mod h2;
pub mod lease;
pub mod pool;

pub use lease::Lease;

use super::body::Body;

/// Why a backend did not answer.
#[derive(Debug)]
pub struct NotAnswered {
    /// What went wrong.
    pub why: Why,
    /// Whether the backend may have begun to act on the request.
    pub sent: bool,
    /// The body, when nothing of it was used.
    pub body: Option<Body>,
}

/// What went wrong with a backend.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    /// It does not take the connection.
    #[error("it refused the connection")]
    Refused,
    /// It did not take the connection in time.
    #[error("it did not take the connection in time")]
    ConnectTimeout,
    /// This machine has no socket left for a connection to it: no fault of the backend.
    #[error("the proxy has no socket left for a connection to it")]
    NoSocket,
    /// An operator took it out, and its time to drain is over.
    #[error("an operator took it out, and its time to drain is over")]
    TakenOut,
    /// TLS with it failed.
    #[error("the TLS handshake with it failed")]
    Tls,
    /// It closed the connection before it answered.
    #[error("it closed the connection before it answered")]
    Closed,
    /// It did not begin to answer in time.
    #[error("it did not begin to answer in time")]
    Timeout,
    /// What it answered is no HTTP, or has two readings.
    #[error("its answer is malformed")]
    Malformed,
    /// The head of its answer is too long.
    #[error("the head of its answer is too long")]
    TooLong,
    /// The request's body ended early: it is the client that failed.
    #[error("the request's body ended early")]
    Body(super::body::BodyError),
}
