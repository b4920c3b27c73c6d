//! Who vouches for a record: gossip relays what others wrote, so an order carries its author's
//! signature.

use std::sync::Arc;

/// A signature with what is needed to check it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The author's certificate, DER.
    pub certificate: Arc<[u8]>,
    /// Ed25519 over the record's bytes.
    pub signature: Arc<[u8]>,
}

/// Why a signature is not believed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct VouchError(pub String);

/// Signs and checks records. The fleet's identity does it with the node's certificate.
pub trait Vouch: Send + Sync + 'static {
    /// Signs as this node. `None` where the node has no identity, because it is alone.
    fn sign(&self, bytes: &[u8]) -> Option<Signed>;

    /// Checks that `author` signed `bytes` at `unix_ms`, with a certificate of this fleet that was
    /// valid then and whose role may give orders.
    ///
    /// # Errors
    /// Says what is wrong with it.
    fn check(
        &self,
        author: &str,
        bytes: &[u8],
        signed: Option<&Signed>,
        unix_ms: u64,
    ) -> Result<(), VouchError>;
}

/// A node that is alone: it signs nothing, and believes what has no signature and is its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alone {
    /// The node.
    pub node: Arc<str>,
}

impl Vouch for Alone {
    fn sign(&self, _bytes: &[u8]) -> Option<Signed> {
        None
    }

    fn check(
        &self,
        author: &str,
        _bytes: &[u8],
        _signed: Option<&Signed>,
        _unix_ms: u64,
    ) -> Result<(), VouchError> {
        if author == &*self.node {
            return Ok(());
        }
        Err(VouchError(format!(
            "node `{}` is in no fleet and takes no orders from `{author}`",
            self.node
        )))
    }
}
