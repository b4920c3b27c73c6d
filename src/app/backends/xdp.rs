//! What is forwarded in the kernel, for the admin API.

use crate::admin::view::xdp::{Interface, Member, Table, Vip, Xdp};
use crate::proxy::xdp::Status;

/// As shown.
pub(super) fn view(status: Status) -> Xdp {
    let flows = status.flows();
    let events = status.events;
    let interface = |i: crate::proxy::xdp::status::InterfaceStatus| Interface {
        name: i.name,
        mode: i.mode,
    };
    let vip = |v: crate::proxy::xdp::status::VipStatus| Vip {
        listener: v.listener,
        address: v.address.to_string(),
        protocol: v.protocol,
        upstream: v.upstream,
        packets: v.count.packets,
        octets: v.count.octets,
    };
    let member = |m: crate::proxy::xdp::status::MemberStatus| Member {
        name: m.name,
        mac: m.mac,
        gets: m.gets,
        packets: m.count.packets,
        octets: m.count.octets,
    };
    let table = |t: crate::proxy::xdp::status::TableStatus| Table {
        upstream: t.name,
        generation: t.generation,
        slots_moved: t.moved,
        backends: t.backends.into_iter().map(member).collect(),
    };
    Xdp {
        interfaces: status.interfaces.into_iter().map(interface).collect(),
        vips: status.vips.into_iter().map(vip).collect(),
        tables: status.upstreams.into_iter().map(table).collect(),
        flows,
        flows_max: status.flows_max,
        flows_made: events.flows_made,
        flows_unwritten: events.flows_unwritten,
        no_backend: events.no_backend,
        fragments: events.fragments,
    }
}
