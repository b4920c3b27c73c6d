//! Who may ask, how often, and how often one is answered.
//!
//! Access lists ([`access`]), DNS cookies ([`cookies`]) and rates per client prefix ([`rate`]); what
//! of it the configuration wants is [`rules`]. Pure: time, secrets and chance are arguments.

pub mod access;
pub mod cookies;
pub mod rate;
pub mod rules;

pub use access::{AccessLists, Networks, Standing};
pub use cookies::{Checked, Secret, Secrets};
pub use rate::{Account, Limit, RateTable};
pub use rules::{CookieRules, Prefixes, Rules};
