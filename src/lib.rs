//! Tradewind: a DNS-based global server load balancer (GSLB) with its own probes and regional proxy.

pub mod ids;
pub mod net;
pub mod telemetry;
pub mod time;
pub mod units;

pub mod dns;

pub mod balance;
pub mod geo;
pub mod health;
pub mod zone;

pub mod steer;

pub mod snapshot;

pub mod config;
pub mod engine;

pub mod compile;

pub mod admin;
pub mod probe;
pub mod server;

pub mod app;
pub mod cli;
