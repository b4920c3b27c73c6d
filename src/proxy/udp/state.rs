//! What the workers share of a UDP listener, kept over reloads by its name.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashMap;

use crate::balance::mix::mix;
use crate::traffic::udp::connection_ids::ConnectionIds;
use crate::traffic::udp::{Affinity, UdpRules};
use crate::traffic::{Plan, Protocol};

use super::counters::Counters;

/// QUIC connection ids per session: a client changes its id now and then, and so does a NAT its client.
const IDS_PER_SESSION: usize = 2;

/// What the workers share of a listener.
#[derive(Debug, Default)]
pub struct UdpState {
    /// By worker.
    counters: Arc<[Counters]>,
    /// With [`Affinity::Quic`].
    ids: Option<Arc<ConnectionIds>>,
    /// How many ids were asked for.
    asked: usize,
    /// Sessions that could not be passed between two processes.
    lost: Arc<AtomicU64>,
}

impl UdpState {
    /// So many sessions could not be passed between two processes: their clients' next datagrams begin
    /// others.
    pub fn lose(&self, sessions: usize) {
        self.lost.fetch_add(sessions as u64, Ordering::Relaxed);
    }

    /// How many sessions could not be passed between two processes.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// What a worker counts.
    pub fn counters(&self, worker: usize) -> Option<&Counters> {
        self.counters.get(worker)
    }

    /// What each worker counts.
    pub fn all(&self) -> &[Counters] {
        &self.counters
    }

    /// Connection ids and their backends; `None` where nobody looks at them.
    pub fn ids(&self) -> Option<&ConnectionIds> {
        self.ids.as_deref()
    }
}

/// The states of all listeners so far.
#[derive(Debug, Default)]
pub struct States(HashMap<Box<str>, Arc<UdpState>>);

impl States {
    /// Those of a plan, by [`crate::ids::ListenerId`]; what there was before is kept. `seed` is random.
    pub fn adopt(&mut self, plan: &Plan, workers: usize, seed: u64) -> Vec<Option<Arc<UdpState>>> {
        let mut kept = HashMap::new();
        let of = plan.listeners.iter().map(|listener| {
            let Protocol::Udp(rules) = &listener.protocol else {
                return None;
            };
            let old = self.0.get(&listener.name);
            let asked = wanted_ids(rules);
            let state = match old {
                Some(old) if old.asked == asked => old.clone(),
                _ => {
                    let fresh = || (0..workers.max(1)).map(|_| Counters::default()).collect();
                    let ids = (asked > 0)
                        .then(|| Arc::new(ConnectionIds::new(asked, [mix(seed), mix(seed ^ 1)])));
                    Arc::new(UdpState {
                        counters: old.map_or_else(fresh, |old| old.counters.clone()),
                        lost: old.map(|old| old.lost.clone()).unwrap_or_default(),
                        ids,
                        asked,
                    })
                }
            };
            kept.insert(listener.name.clone(), state.clone());
            Some(state)
        });
        let of = of.collect();
        self.0 = kept;
        of
    }
}

/// How many connection ids a listener remembers.
fn wanted_ids(rules: &UdpRules) -> usize {
    match rules.affinity {
        Affinity::Tuple => 0,
        Affinity::Quic => rules.max_sessions as usize * IDS_PER_SESSION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UpstreamId;
    use crate::time::Moment;
    use crate::traffic::Listener;
    use crate::traffic::udp::quic::Header;

    fn plan(sessions: &[(u32, Affinity)]) -> Plan {
        let listener = |(i, (max_sessions, affinity)): (usize, &(u32, Affinity))| Listener {
            name: format!("l{i}").into(),
            protocol: Protocol::Udp(Box::new(UdpRules {
                max_sessions: *max_sessions,
                affinity: *affinity,
                ..UdpRules::to(UpstreamId::default())
            })),
            ..http()
        };
        let mut listeners: Vec<Listener> = sessions.iter().enumerate().map(listener).collect();
        listeners.push(http());
        Plan {
            listeners,
            ..Plan::default()
        }
    }

    fn http() -> Listener {
        Listener {
            name: "web".into(),
            bind: Vec::new(),
            protocol: Protocol::Http,
            http2: true,
            limits: crate::traffic::HttpLimits::default(),
            timeouts: crate::traffic::HttpTimeouts::default(),
            compression: None,
            upgrades: Vec::new(),
            access_log: None,
            tls: None,
            proxy_protocol: None,
            xdp: None,
            features: crate::traffic::ListenerFeatures::default(),
        }
    }

    #[test]
    fn p2_a_reload_keeps_what_was_counted_and_learned() {
        let mut states = States::default();
        let first = states.adopt(
            &plan(&[(100, Affinity::Quic), (100, Affinity::Tuple)]),
            2,
            7,
        );
        assert!(first[1].as_ref().unwrap().ids().is_none());
        assert!(first[2].is_none(), "it carries HTTP");
        let state = first[0].as_ref().unwrap();
        state.counters(1).unwrap().traffic.came(1, 10);
        assert!(state.counters(2).is_none());
        let issued = Header::Long {
            version: 1,
            destination: &[],
            source: b"12345678",
        };
        state.ids().unwrap().learn(&issued, 5, Moment::ZERO);
        let ask = Header::Short { rest: b"12345678" };
        let again = states.adopt(&plan(&[(100, Affinity::Quic)]), 2, 7);
        let ids = again[0].as_ref().unwrap().ids().unwrap();
        assert_eq!(ids.find(&ask, Moment::ZERO), Some(5));
        // Another size is another table; the counters go on.
        let other = states.adopt(&plan(&[(5000, Affinity::Quic)]), 2, 7);
        let state = other[0].as_ref().unwrap();
        assert_eq!(state.ids().unwrap().find(&ask, Moment::ZERO), None);
        assert!(state.ids().unwrap().room() >= 10_000);
        let came = &state.all()[1].traffic.datagrams_in;
        assert_eq!(came.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
