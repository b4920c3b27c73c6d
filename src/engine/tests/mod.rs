//! Conformance of the whole engine, filed by what the tests are about.

mod bytes;
mod edns;
mod explained;
mod signed;
mod steered;
mod zones;
