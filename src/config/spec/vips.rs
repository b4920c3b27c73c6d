//! `[vips]`.

use std::time::Duration;

use crate::config::Marked;
use crate::net::HostAddress;

/// `[vips.NAME]`
#[derive(Clone, PartialEq, Debug)]
pub struct VipSpec {
    /// Table key.
    pub name: Marked<String>,
    /// `address`, not empty.
    pub addresses: Vec<Marked<HostAddress>>,
    /// `interface`
    pub interface: Option<Marked<String>>,
    /// `interfaces`: by node, where it is another one.
    pub interfaces: Vec<(Marked<String>, String)>,
    /// `nodes`, not empty, the preferred one first.
    pub nodes: Vec<Marked<String>>,
    /// `router-id`, 1 to 255.
    pub router_id: Marked<u8>,
    /// `advert-interval`, whole centiseconds.
    pub advert_interval: Duration,
    /// `preempt` and `preempt-delay`; `None` without `preempt`.
    pub preempt: Option<Duration>,
    /// `track`
    pub track: Vec<Marked<String>>,
    /// `peers`: whether it is `unicast`.
    pub unicast: Marked<bool>,
    /// Whether all of it was read.
    pub complete: bool,
}
