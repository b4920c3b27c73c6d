//! How the forwarder stands, for people and metrics.

use std::io;
use std::net::SocketAddr;

use super::kernel::Count;
use super::layout::{TCP, flag, show_mac};
use super::works::Works;

/// How the forwarder stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// By name.
    pub interfaces: Vec<InterfaceStatus>,
    /// By address.
    pub vips: Vec<VipStatus>,
    /// By name.
    pub upstreams: Vec<TableStatus>,
    /// Flows that are remembered at most.
    pub flows_max: u32,
    /// Flows that came from the process before.
    pub flows_taken_over: u64,
    /// What else is counted.
    pub events: Events,
}

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// `native`, `generic`, or `gone`.
    pub mode: &'static str,
}

/// A virtual address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VipStatus {
    /// The name of its listener.
    pub listener: String,
    /// The address.
    pub address: SocketAddr,
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The name of its upstream.
    pub upstream: String,
    /// What was forwarded.
    pub count: Count,
}

/// An upstream's table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableStatus {
    /// The upstream's name.
    pub name: String,
    /// Tables written.
    pub generation: u64,
    /// Slots that were given another backend.
    pub moved: u64,
    /// In the upstream's order.
    pub backends: Vec<MemberStatus>,
}

/// A backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// Its hardware address, once it is known.
    pub mac: Option<String>,
    /// `takes`: new flows too; `keeps`: those it has; `none`.
    pub gets: &'static str,
    /// What was forwarded to it.
    pub count: Count,
}

/// What is counted beside packets that are forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events {
    /// Flows that were written down.
    pub flows_made: u64,
    /// Flows that were erased, because their backend keeps none any more.
    pub flows_ended: u64,
    /// Flows that were not written down, because too many came in one second.
    pub flows_unwritten: u64,
    /// Packets left to the stack, because no backend takes them.
    pub no_backend: u64,
    /// First fragments that were dropped.
    pub fragments: u64,
    /// Packets that were dropped with their hop count used up.
    pub expired: u64,
    /// ICMP errors that went after their flow.
    pub icmp_errors: u64,
}

impl Status {
    /// Flows that are remembered; those that were driven out by others are counted until the table is
    /// full.
    pub fn flows(&self) -> u64 {
        let made = self.events.flows_made + self.flows_taken_over;
        made.saturating_sub(self.events.flows_ended)
            .min(u64::from(self.flows_max))
    }
}

/// How it stands.
pub(super) fn of(works: &Works) -> io::Result<Status> {
    let kernel = &works.kernel;
    let interfaces = works.ports.iter().map(|(name, port)| InterfaceStatus {
        name: name.to_string(),
        mode: port.how().map_or("gone", |how| how.word()),
    });
    let mut vips = Vec::new();
    for vip in works.vips.values() {
        vips.push(VipStatus {
            listener: vip.listener.to_string(),
            address: vip.address,
            protocol: if vip.protocol == TCP { "tcp" } else { "udp" },
            upstream: vip.upstream.to_string(),
            count: kernel.vip_count(vip.counter)?,
        });
    }
    let mut upstreams = Vec::new();
    for group in &works.groups {
        let running = works.tier.upstreams.iter();
        let running = running.into_iter().find(|t| t.state.name == group.name);
        let mut backends = Vec::new();
        for m in &group.members {
            let server = running.and_then(|t| t.servers.iter().find(|s| s.id == m.id));
            let Some(server) = server else {
                continue;
            };
            backends.push(MemberStatus {
                name: server.name.to_string(),
                mac: m.mac.map(show_mac),
                gets: match m.flags {
                    _ if m.mac.is_none() || m.place.is_none() => "none",
                    flags if flags & flag::TAKES != 0 => "takes",
                    0 => "none",
                    _ => "keeps",
                },
                count: match m.place {
                    Some(place) => kernel.backend_count(place)?,
                    None => Default::default(),
                },
            });
        }
        upstreams.push(TableStatus {
            name: group.name.to_string(),
            generation: group.generation,
            moved: group.moved,
            backends,
        });
    }
    upstreams.sort_by(|a, b| a.name.cmp(&b.name));
    let [made, ended, unwritten, no_backend, fragments, expired, icmp] = kernel.events()?;
    Ok(Status {
        interfaces: interfaces.collect(),
        vips,
        upstreams,
        flows_max: works.flows,
        flows_taken_over: works.flows_taken_over,
        events: Events {
            flows_made: made,
            flows_ended: ended,
            flows_unwritten: unwritten,
            no_backend,
            fragments,
            expired,
            icmp_errors: icmp,
        },
    })
}
