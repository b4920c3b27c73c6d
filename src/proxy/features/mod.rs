//! The steps of an exchange that listeners and routes may ask for, beside finding a backend: who the
//! client is ([`arrive`]), what it must pass ([`guard`], `auth`), what backends are told
//! ([`outgoing`]), and what becomes of the response ([`leave`]).
//!
//! One that is not asked for costs a look at a flag.

mod arrivals;
mod auth;
mod guards;
mod held;
mod leave;
mod paced;
mod visit;

pub use arrivals::Turned;
pub use auth::ask;
pub use guards::{Guards, Metered, Permit};
pub use leave::{Leaving, leave};
pub use visit::{Paper, Visit, arrive, guard, outgoing, secure};
