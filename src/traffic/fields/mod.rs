//! What is done to the fields of requests and responses.
//!
//! A [`Template`] is text with variables, compiled once; [`FieldChanges`] are the operations that an
//! operator writes: set, add, default, remove. A value rendered from a request can never end a field
//! early: whatever a variable holds, control characters become spaces.

mod change;
mod facts;
mod preset;
mod template;
mod variable;

pub use change::{FieldChanges, Rendered, is_framing};
pub use facts::{Facts, TlsView};
pub use preset::{Hsts, security_headers};
pub use template::{Escape, Template, TemplateError};
pub use variable::{Variable, write_ip, write_number};

#[cfg(test)]
mod tests;
