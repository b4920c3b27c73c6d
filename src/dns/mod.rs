//! DNS on the wire: names, message parsing and building, EDNS options. Pure; bytes in, bytes out.

pub mod edns;
pub mod message;
pub mod name;
pub mod rcode;
pub mod rtype;
pub mod svcb;
pub mod tsig;

pub use edns::{Ecs, Ede, Edns};
pub use message::{MessageWriter, NameBuf, Owner, Query, Section};
pub use rcode::Rcode;
pub use rtype::Rtype;
