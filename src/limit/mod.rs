//! Who may ask, how often, and how often one is answered.
//!
//! For the proxy: rates per key ([`keyed`]), connections per source ([`connections`]), octets per second
//! of a stream ([`bandwidth`]).
//!
//! For DNS: access lists ([`access`]), DNS cookies ([`cookies`]) and rates per client prefix ([`rate`]); what
//! of it the configuration wants is [`rules`]. Pure: time, secrets and chance are arguments.

pub mod access;
pub mod bandwidth;
pub mod connections;
pub mod cookies;
pub mod keyed;
pub mod rate;
pub mod rules;

pub use access::{AccessLists, Networks, Standing};
pub use bandwidth::Pace;
pub use connections::{Connections, Counted};
pub use cookies::{Checked, Secret, Secrets};
pub use keyed::{Algorithm, KeyedRates, Rate, Taken};
pub use rate::{Account, Limit, RateTable};
pub use rules::{CookieRules, Prefixes, Rules};
