//! The life cycle of a zone's keys, as a state machine on virtual time.
//!
//! Each key has three records in the world: its DNSKEY (with its signature over the DNSKEY set),
//! the signatures it made over the zone's data, and its DS at the parent. Each record is hidden,
//! rumoured (published, but not yet in every cache), omnipresent (in every cache that has anything)
//! or unretentive (withdrawn, but some caches still have it), as in "Flexible and Robust Key
//! Rollover in DNSSEC" (Mekking, Schaeffer; 2012) and RFC 7583. A record may move only when every
//! validator, whatever its caches hold within their TTLs, can still validate. [`step`] knows these
//! rules and nothing else; all roll-overs (RFC 6781 section 4.1) come out of them:
//!
//! - ZSK: the new DNSKEY is published first, then the signatures change hands, then the old DNSKEY
//!   leaves (pre-publish, RFC 7583 section 3.2.1).
//! - KSK: both DNSKEYs are published and sign the DNSKEY set, then the DS changes, then the old
//!   DNSKEY leaves (double-KSK, RFC 7583 section 3.3.1).
//! - CSK: both at once, each part by its own rule.
//! - Algorithm: signatures of the new one come before its DNSKEYs and those of the old one go after
//!   its DNSKEYs (conservative approach, RFC 6781 section 4.1.4).
//! - First signing: the DS comes last, after unsigned data left all caches.
//! - Back to unsigned: the DS goes first (RFC 8078 section 4).

mod event;
mod forecast;
mod orders;
mod publish;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use event::{Change, Event};
pub use forecast::{Forecast, Upcoming, forecast};
pub use orders::{Refusal, ds_seen, ds_seen_as_asked, order_roll};
pub use publish::{awaits_parent, ds_wanted, zone_keys};
pub use state::{Ds, DsPhase, HighWater, KeyState, Phase, Record, ZoneState};
pub use step::{Outcome, Terms, step};
