//! Conformance of the whole engine, filed by what the tests are about.

mod additional;
mod aliases;
mod bytes;
mod dname;
mod drilled;
mod edns;
mod explained;
mod explained_in_full;
mod guard;
mod https;
mod sampled;
mod signed;
mod signed_types;
mod steered;
mod transports;
mod zones;
