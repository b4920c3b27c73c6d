//! Steering as a whole: properties over random worlds, and the cases the requirements name.

mod cases;
mod client;
mod clients;
mod health;
mod latency;
mod renew;
mod three;
mod trace;
mod world;
