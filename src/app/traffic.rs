//! The admin API's access to the proxy's listeners and to what it knows of clients.

use crate::admin::traffic::{
    BackendFacts, ClientsFacts, ClientsWanted, FlowFacts, ListenerFacts, TrafficDesk, TrafficFacts,
};
use crate::proxy::layer4::FlowSums;
use crate::telemetry::Before;
use crate::traffic::{Protocol, Target};

use super::proxy::Carrier;

mod before;

impl TrafficDesk for Carrier {
    fn listeners(&self) -> TrafficFacts {
        self.listeners_since(&Before::default())
    }

    fn listeners_since(&self, before: &Before) -> TrafficFacts {
        let proxy = self.proxy();
        let tier = proxy.tier();
        let open = proxy.open();
        let listeners = tier.plan.listeners.iter().enumerate();
        let listeners = listeners.map(|(at, listener)| {
            let here = open.iter().filter(|(name, ..)| *name == listener.name);
            let upstream = match &listener.protocol {
                Protocol::Http => None,
                Protocol::Tcp(rules) => match rules.target {
                    Target::Upstream(id) => Some(id),
                    Target::Listener(_) | Target::Close => None,
                },
                Protocol::Udp(rules) => Some(rules.upstream),
            };
            let is_http = listener.protocol == Protocol::Http;
            let tally = tier.listener_tallies.get(at).filter(|_| is_http);
            let flows = tier.flow_tallies.get(at).filter(|_| !is_http);
            let open: u64 = here.clone().map(|(_, _, open)| u64::from(*open)).sum();
            let flows = flows.map(|t| {
                let mut flows = facts(&t.sums().unwrap_or_default());
                if listener.protocol.is_datagram() {
                    // Sessions are counted when they end.
                    flows.total += open;
                    flows.open = open;
                }
                flows
            });
            ListenerFacts {
                name: listener.name.to_string(),
                protocol: listener.protocol.as_str(),
                addresses: here
                    .clone()
                    .filter_map(|(_, address, _)| *address)
                    .collect(),
                forward: upstream.map(|id| tier.plan.upstreams[id.index()].name.to_string()),
                open,
                requests: tally.map(|t| t.sums().requests()),
                flows,
            }
        });
        let upstreams = tier.plan.upstreams.iter().zip(&tier.upstreams);
        let backends = upstreams.flat_map(|(upstream, group)| {
            group.servers.iter().filter_map(|server| {
                let sums = server.flows.sums();
                if sums.is_none() && !before::has_backend(before, &upstream.name, &server.name) {
                    return None;
                }
                let sums = sums.unwrap_or_default();
                Some(BackendFacts {
                    upstream: upstream.name.to_string(),
                    backend: server.name.to_string(),
                    flows: facts(&sums),
                    connects: sums.connects.iter().sum(),
                    connect_us: sums.connect_us,
                })
            })
        });
        let mut facts = TrafficFacts {
            listeners: listeners.collect(),
            backends: backends.collect(),
        };
        before::add(&mut facts, before);
        facts
    }

    fn clients(&self, wanted: &ClientsWanted) -> Option<ClientsFacts> {
        let tier = self.proxy().tier();
        let table = tier.clients.as_ref()?;
        let (clients, matching) = table.first(wanted.order, wanted.within.as_ref(), wanted.limit);
        Some(ClientsFacts {
            known: table.len(),
            capacity: table.capacity(),
            samples: table.samples(),
            displaced: table.displaced(),
            matching,
            clients,
        })
    }
}

fn facts(sums: &FlowSums) -> FlowFacts {
    FlowFacts {
        total: sums.opened,
        open: sums.open,
        octets_in: sums.octets_in,
        octets_out: sums.octets_out,
        refused: sums.refusals().map(|(why, n)| (why.word(), n)).collect(),
        ended: sums.ends().map(|(why, n)| (why.word(), n)).collect(),
        lasted_us: sums.lasted_us,
    }
}
