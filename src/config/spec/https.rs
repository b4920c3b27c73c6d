//! `https` of a name.

use crate::config::Marked;

/// `[names."NAME".https]`
#[derive(Clone, PartialEq, Debug)]
pub struct HttpsSpec {
    /// `priority`
    pub priority: u16,
    /// `alpn`, in order; `None` where it is not said.
    pub alpn: Option<Vec<Marked<String>>>,
    /// Whether HTTP/1.1 is spoken beside: not `no-default-alpn`.
    pub default_alpn: bool,
    /// `port`; `None`: 443.
    pub port: Option<u16>,
}
