//! `[dns.access]`, `[dns.rate-limit]`, `[dns.cookies]` and `[dns.chaos]`.

use std::time::Duration;

use crate::config::Marked;
use crate::limit::Secret;
use crate::net::Prefix;

/// `[dns.access]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AccessSpec {
    /// `allow`: who may ask; empty: everybody.
    pub allow: Vec<Marked<Prefix>>,
    /// `deny`: who may not.
    pub deny: Vec<Marked<Prefix>>,
    /// `denied = "drop"`: no answer instead of REFUSED.
    pub drop: bool,
}

/// `[dns.rate-limit]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RateLimitSpec {
    /// `responses-per-second`; 0: no limit.
    pub responses_per_second: u32,
    /// `queries-per-second`; 0: no limit.
    pub queries_per_second: u32,
    /// `slip`
    pub slip: u8,
    /// `prefix4`, bits.
    pub prefix4: u8,
    /// `prefix6`, bits.
    pub prefix6: u8,
    /// `table-size`, octets.
    pub table_size: usize,
    /// `exempt`
    pub exempt: Vec<Marked<Prefix>>,
}

/// `[dns.cookies]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CookiesSpec {
    /// `enforce = "always"`
    pub enforce: bool,
    /// `secrets`: the first makes cookies, all verify them.
    pub secrets: Vec<Marked<Secret>>,
    /// `rotate`: how long a secret that the process drew itself makes cookies.
    pub rotate: Duration,
}

/// `[dns.chaos]`
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChaosSpec {
    /// `version`; empty: not told.
    pub version: String,
    /// `id`; empty: not told; `None`: the node's name.
    pub id: Option<String>,
}
