//! The seam between what the fleet says and how it is carried.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::time::Moment;

/// Longest value in octets. Far below 65,535, beyond which chitchat silently stops replicating all
/// later keys of the same owner.
pub const MAX_VALUE: usize = 8 * 1024;

/// Longest key in octets.
pub const MAX_KEY: usize = 200;

/// Lives are numbered by the milliseconds of 1970 at their start; no honest clock is beyond the year 2248,
/// and who says so would keep a node from ever being believed again.
pub const LAST_LIFE: u64 = 1 << 43;

/// A key in a node's own space: printable ASCII without spaces, 1 to [`MAX_KEY`] octets, such as
/// `v/3` or `ov/region/eu/drain`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key(Arc<str>);

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    /// When it is empty, too long, or has other characters: chitchat panics on some of them.
    pub fn new(text: &str) -> Result<Key, BusError> {
        let fine = |b: u8| b.is_ascii_graphic();
        if text.is_empty() || text.len() > MAX_KEY || !text.bytes().all(fine) {
            return Err(BusError::Key(text.chars().take(80).collect()));
        }
        Ok(Key(text.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Maps by key are asked with plain text; both order alike.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A value: text, at most [`MAX_VALUE`] octets. The empty one says that the key is retired.
pub type Value = Arc<str>;

/// Why something cannot be told.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BusError {
    /// The key is not one.
    #[error("`{0}` is no key: it must be 1 to {MAX_KEY} printable ASCII characters without spaces")]
    Key(String),
    /// The value is too long.
    #[error("the value of `{key}` has {octets} octets; it may have {MAX_VALUE}")]
    TooLong {
        /// Whose value.
        key: String,
        /// How long it is.
        octets: usize,
    },
    /// The key or the value is too long for a node that pushes.
    #[error(
        "`{key}` with {octets} octets cannot be pushed: a value may have {most} octets, and the key \
         {MAX_KEY} with the node's name before it",
        most = super::push::MAX_PUSHED
    )]
    TooLongToPush {
        /// Which key.
        key: String,
        /// How long the value is.
        octets: usize,
    },
}

/// Whether a value is short enough to be told.
///
/// # Errors
/// When it is longer than [`MAX_VALUE`].
pub(super) fn check_length(key: &Key, value: &str) -> Result<(), BusError> {
    if value.len() > MAX_VALUE {
        return Err(BusError::TooLong {
            key: key.as_str().to_owned(),
            octets: value.len(),
        });
    }
    Ok(())
}

/// One key of one node took another value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The node that wrote it.
    pub owner: Arc<str>,
    /// Which life of that node: grows with each start.
    pub generation: u64,
    /// The key.
    pub key: Key,
    /// The value; empty when retired.
    pub value: Value,
}

/// What one node said last, in the life that is believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Which life.
    pub generation: u64,
    /// Its keys, retired ones left out.
    pub keys: BTreeMap<Key, Value>,
    /// When a key of it last changed here, on this node's monotonic clock.
    pub last_progress: Moment,
}

/// What everybody said last. Last known values stay when a node dies or is cut off: a key that is
/// missing is never a state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BusView {
    /// By node name, this node among them.
    pub owners: BTreeMap<Arc<str>, Arc<Owner>>,
}

/// A node as the failure detector sees it: a hint for people, never a verdict on endpoints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name.
    pub node: Arc<str>,
    /// Which life.
    pub generation: u64,
    /// Whether it was heard of lately.
    pub alive: bool,
    /// This node itself.
    pub own: bool,
}

/// Carries what nodes tell each other.
pub trait StateBus: Send + Sync + 'static {
    /// Tells the fleet a value of this node; the same value again costs nothing.
    ///
    /// # Errors
    /// When the value is too long; nothing is told then, and later keys still flow.
    fn publish(&self, key: &Key, value: &str) -> Result<(), BusError>;

    /// Says that the key of this node is no more: an explicit empty value, since deletions are told to
    /// nobody.
    fn retire(&self, key: &Key);

    /// Every change of a key that starts with `prefix`, by any node, this one included; first all that
    /// is known already. A reader that falls behind holds up nobody: the bus keeps what it has not
    /// taken, newest value per key.
    fn subscribe(&self, prefix: &str) -> mpsc::UnboundedReceiver<Change>;

    /// Everything at this moment.
    fn view(&self) -> Arc<BusView>;

    /// Who is there.
    fn members(&self) -> Arc<[Member]>;
}
