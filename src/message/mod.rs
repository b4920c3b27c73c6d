//! HTTP messages (RFC 9110): heads and fields, whatever version of HTTP carried them.

pub mod fields;
pub mod head;
pub mod http1;
pub mod method;
pub mod name;

pub use fields::Fields;
pub use head::{RequestHead, ResponseHead, Scheme, Version};
pub use method::Method;
pub use name::{Known, Name};
