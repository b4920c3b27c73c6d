//! The fleet with real parts: nodes, probes and their targets as processes on hosts of their own,
//! with cables that can be cut, clocks that jump and disks that fill up. `dig` is the client.

mod client;
mod cluster;
mod drills;
pub mod host;
pub mod lab;
mod process;
mod push;
mod skew;
mod world;

mod admission;
mod full_disk;
mod half_open;
mod health;
mod one_node;
mod orders;
mod partition;
mod paths;
mod vip;
mod vips;
mod xdp;
