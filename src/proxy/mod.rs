//! The regional proxy: HTTP in, HTTP out, thread per core.
//!
//! A connection lives on the worker thread that accepted it, with everything it needs: deadlines,
//! connections to backends, memory. What the threads share is the [`tier::Tier`], published by one swap.

pub mod answers;
pub mod body;
pub mod connection;
pub mod exchange;
pub mod h1;
pub mod h2;
pub mod io;
pub mod local;
pub mod message;
pub mod record;
pub mod run;
pub mod stats;
pub mod tier;
pub mod tunnel;
pub mod upstream;
pub mod watch;
pub mod worker;
