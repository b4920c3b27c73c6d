//! The seam for questions: one node asks another, and gets one answer or none.
//!
//! What all must know is told over the [`StateBus`](super::StateBus). What is large, or wanted seldom, is
//! asked for instead: the audit record, the table of flows. Nobody waits for an answer longer than they
//! like, and a node that gives none stops nothing.

use std::sync::Arc;

use async_trait::async_trait;

use super::credentials::Peer;

/// Longest question in octets.
pub const MAX_QUESTION: usize = 1024;

/// Longest answer in octets.
pub const MAX_ANSWER: usize = 2 * 1024 * 1024;

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nothing was ever heard of the node.
    #[error("it was never heard of")]
    NeverHeard,
    /// No connection, or one to another node.
    #[error("it cannot be reached")]
    Unreachable,
    /// It has nothing to say to this.
    #[error("it does not answer this")]
    Silent,
}

/// Asks other nodes.
#[async_trait]
pub trait Asking: Send + Sync + 'static {
    /// Asks one node. Waits as long as the caller does: dropping it gives the question up.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn ask(&self, node: &str, question: &str) -> Result<Vec<u8>, Unanswered>;

    /// From now on others are answered by `answers`.
    fn answer_with(&self, answers: Arc<dyn Answers>);
}

/// Answers other nodes.
pub trait Answers: Send + Sync + 'static {
    /// The answer to a question of a member, of at most [`MAX_ANSWER`] octets; `None` to one that is not
    /// understood. Called on a thread that may take its time.
    fn answer(&self, asker: &Peer, question: &str) -> Option<Vec<u8>>;
}

/// Of a node that can ask nobody: one that is alone, or that pushes.
#[derive(Clone, Copy, Debug)]
pub struct AsksNobody;

#[async_trait]
impl Asking for AsksNobody {
    async fn ask(&self, _: &str, _: &str) -> Result<Vec<u8>, Unanswered> {
        Err(Unanswered::Unreachable)
    }

    fn answer_with(&self, _: Arc<dyn Answers>) {}
}
