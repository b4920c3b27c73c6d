//! What is forwarded in the kernel, as shown.

use serde::Serialize;
use utoipa::ToSchema;

/// The XDP data path.
#[derive(Debug, Serialize, ToSchema)]
pub struct Xdp {
    /// By name.
    pub interfaces: Vec<Interface>,
    /// By address.
    pub vips: Vec<Vip>,
    /// By name.
    pub tables: Vec<Table>,
    /// Flows that are remembered.
    pub flows: u64,
    /// The most that can be.
    pub flows_max: u32,
    /// Flows that were written down.
    pub flows_made: u64,
    /// Flows that were not, because too many came in one second.
    pub flows_unwritten: u64,
    /// Packets left to the stack, because no backend takes them.
    pub no_backend: u64,
    /// Fragments that were dropped.
    pub fragments: u64,
}

/// An interface.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = XdpInterface)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `native`, `generic`, or `gone`.
    pub mode: &'static str,
}

/// A virtual address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = XdpVip)]
pub struct Vip {
    /// The name of its listener.
    pub listener: String,
    /// The address.
    pub address: String,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The name of its upstream.
    pub upstream: String,
    /// Packets that were forwarded.
    pub packets: u64,
    /// Their octets, with the Ethernet heads.
    pub octets: u64,
}

/// The table of an upstream.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = XdpTable)]
pub struct Table {
    /// The upstream's name.
    pub upstream: String,
    /// Tables written so far.
    pub generation: u64,
    /// Slots that were given another backend so far.
    pub slots_moved: u64,
    /// In the upstream's order.
    pub backends: Vec<Member>,
}

/// A backend.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = XdpMember)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its hardware address; absent while no neighbour has its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// `takes`: new flows too; `keeps`: those it has; `none`.
    pub gets: &'static str,
    /// Packets that were forwarded to it.
    pub packets: u64,
    /// Their octets, with the Ethernet heads.
    pub octets: u64,
}
