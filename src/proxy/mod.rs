//! The regional proxy: HTTP in, HTTP out, thread per core.
//!
//! A connection lives on the worker thread that accepted it, with everything it needs: deadlines,
//! connections to backends, memory. What the threads share is the [`tier::Tier`], published by one swap.

pub mod access_log;
pub mod actions;
pub mod answers;
pub mod backend;
pub mod body;
pub mod cache;
pub mod cached;
pub mod chooser;
pub mod compress;
pub mod connection;
pub mod dial;
pub mod door;
pub mod exchange;
pub mod features;
pub mod forward;
pub mod glance;
pub mod h1;
pub mod h2;
pub mod io;
pub mod keepsakes;
pub mod layer4;
pub mod local;
pub mod message;
pub mod metrics;
pub mod mirror;
pub mod pick;
pub mod proxy_protocol;
pub mod record;
pub mod replay;
pub mod run;
pub mod seat;
pub mod session;
pub mod sockets;
pub mod stats;
pub mod tally;
pub mod tcp;
pub mod tier;
pub mod tls;
pub mod trace;
pub mod tunnel;
pub mod udp;
pub mod upstream;
pub mod waf;
pub mod watch;
pub mod worker;
pub mod xdp;
