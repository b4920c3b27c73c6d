//! Health as pure logic on virtual time: observe → judge → council → board.

pub mod backend;
pub mod board;
pub mod checks;
pub mod clients;
pub mod composite;
pub mod council;
pub mod grpc_check;
pub mod judge;
pub mod latency;
pub mod monitor;
pub mod observation;
pub mod overrides;
pub mod rise_fall;
pub mod rtt;
pub mod served;
mod suppose;
pub mod target;
pub mod testimony;
pub mod tls_check;
pub mod vote;
pub mod worst_case;

#[cfg(test)]
mod tests;

pub use board::{Board, Cause, Guard, State, VantageNow, Verdict};
pub use checks::{DnsCheck, ExecCheck, Expect, IcmpCheck, TcpCheck, Transport, UdpCheck};
pub use composite::{CompositeCheck, Need};
pub use council::Council;
pub use grpc_check::GrpcCheck;
pub use judge::Judge;
pub use latency::{LatencyMatrix, SiteTime, SiteTimes, Sites};
pub use monitor::{HttpCheck, HttpVersion, Monitor, MonitorKind};
pub use observation::{Failure, Observation, Outcome};
pub use overrides::{Override, OverrideKind, Overrides, Scope};
pub use rise_fall::RiseFall;
pub use rtt::SmoothedRtt;
pub use served::{Served, ServedWord, VipEndpoint};
pub use target::ProbeTarget;
pub use testimony::{OwnWord, Says, Testimony};
pub use tls_check::{TlsCheck, TlsTrust};
pub use vote::{CheckKey, Opinion, Vote, Weakness};
pub use worst_case::worst_case_detection;
