//! Probe targets: what this node probes. Plain data; `probe` runs it, [`super::Judge`] judges it.

use std::net::IpAddr;

use crate::ids::{EndpointId, MonitorId};

/// One thing this node probes: endpoints with the same address, port and monitor share it (H7).
#[derive(Clone, PartialEq, Debug)]
pub struct ProbeTarget {
    /// Address.
    pub addr: IpAddr,
    /// Port.
    pub port: u16,
    /// How.
    pub monitor: MonitorId,
    /// The endpoints whose verdict it gives.
    pub endpoints: Vec<EndpointId>,
}
