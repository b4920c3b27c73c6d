//! Which VIPs a proxy has said it serves (requirement P7). Pure.
//!
//! A VIP that a new configuration brings is held back from answers until one of its proxies says that it
//! listens there: DNS often has the configuration first. Once said, it stays said: that a proxy fails later
//! is for monitors to find, with all their guards. A VIP none of whose proxies was heard of at all is held
//! for a bounded time only: a node that cannot hear the fleet goes by its own probes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::ids::EndpointId;

/// More words than this are not kept; a fleet has as many VIPs times proxies at most.
const MOST_WORDS: usize = 16_384;

/// An endpoint whose address is a VIP, on proxies that can be heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VipEndpoint {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Where it is; port 0: any port.
    pub at: SocketAddr,
    /// The proxies that may have it.
    pub nodes: Arc<[Box<str>]>,
}

/// What a proxy says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServedWord {
    /// Who says it.
    pub node: Box<str>,
    /// A VIP and the ports it listens on there; `None`: no more than that it speaks of VIPs at all.
    pub vip: Option<(IpAddr, Vec<u16>)>,
}

/// What the proxies have said so far.
#[derive(Clone, Debug, Default)]
pub struct Served {
    vips: Arc<[VipEndpoint]>,
    /// By node and address: the ports.
    words: HashMap<(Box<str>, IpAddr), Vec<u16>>,
    /// Who has said anything.
    heard: HashSet<Box<str>>,
    /// What was served once.
    known: HashSet<SocketAddr>,
    /// What nobody said anything about in time.
    excused: HashSet<SocketAddr>,
}

impl Served {
    /// Goes over to the endpoints of another configuration; what was said stays.
    pub fn adopt(&mut self, vips: Arc<[VipEndpoint]>) {
        self.vips = vips;
        let vips = self.vips.clone();
        let is_used = |at: &SocketAddr| vips.iter().any(|v| v.at == *at);
        self.known.retain(is_used);
        self.excused.retain(is_used);
        self.learn();
    }

    /// Takes in what proxies say.
    pub fn hear(&mut self, words: Vec<ServedWord>) {
        for ServedWord { node, vip } in words {
            if self.heard.len() < MOST_WORDS {
                self.heard.insert(node.clone());
            }
            let Some((address, ports)) = vip else {
                continue;
            };
            let key = (node, address);
            if self.words.len() < MOST_WORDS || self.words.contains_key(&key) {
                self.words.insert(key, ports);
            }
        }
        self.learn();
    }

    fn learn(&mut self) {
        for vip in self.vips.iter() {
            let says = |node: &str| {
                let ports = self.words.get(&(Box::from(node), vip.at.ip()));
                let any = vip.at.port() == 0;
                ports.is_some_and(|p| p.contains(&vip.at.port()) || any && !p.is_empty())
            };
            if vip.nodes.iter().any(|node| says(node)) {
                self.known.insert(vip.at);
            }
        }
    }

    /// Whether of every VIP it is known if it is served, or that it is not.
    pub fn knows_all(&self) -> bool {
        self.vips.iter().all(|v| !self.is_open(v))
    }

    /// Of those that nobody has said anything about, the probes alone decide from now on.
    pub fn give_up_waiting(&mut self) {
        let vips = self.vips.clone();
        let open = vips.iter().filter(|v| self.is_open(v)).map(|v| v.at);
        let open: Vec<SocketAddr> = open.collect();
        self.excused.extend(open);
    }

    /// The endpoints that are held back.
    pub fn held(&self) -> HashSet<EndpointId> {
        let held = self.vips.iter().filter(|v| {
            let nobody = !self.is_heard(v);
            !(self.known.contains(&v.at) || nobody && self.excused.contains(&v.at))
        });
        held.map(|v| v.endpoint).collect()
    }

    fn is_open(&self, vip: &VipEndpoint) -> bool {
        !self.known.contains(&vip.at) && !self.excused.contains(&vip.at) && !self.is_heard(vip)
    }

    fn is_heard(&self, vip: &VipEndpoint) -> bool {
        vip.nodes.iter().any(|n| self.heard.contains(n))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

    fn vips(ports: &[u16]) -> Arc<[VipEndpoint]> {
        let vip = |(i, port): (usize, &u16)| VipEndpoint {
            endpoint: EndpointId::from_index(i),
            at: SocketAddr::new(VIP, *port),
            nodes: ["fra1".into(), "fra2".into()].into(),
        };
        ports.iter().enumerate().map(vip).collect()
    }

    fn held(served: &Served) -> Vec<usize> {
        let mut held: Vec<usize> = served.held().into_iter().map(|e| e.index()).collect();
        held.sort_unstable();
        held
    }

    fn says(served: &mut Served, node: &str, ports: &[u16]) {
        let vip = Some((VIP, ports.to_vec()));
        let node = node.into();
        served.hear(vec![ServedWord { node, vip }]);
    }

    #[test]
    fn p7_a_vip_is_held_back_until_one_of_its_proxies_listens_there() {
        let mut served = Served::default();
        served.adopt(vips(&[443, 80]));
        assert!(!served.knows_all());
        assert_eq!(held(&served), [0, 1]);
        says(&mut served, "ams1", &[443, 80]);
        assert_eq!(held(&served), [0, 1], "not one of its proxies");
        says(&mut served, "fra2", &[443]);
        assert_eq!(held(&served), [1]);
        assert!(
            served.knows_all(),
            "of the other it is known that nobody serves it"
        );
        // A further port, by a reload of DNS first and of the proxy later.
        served.adopt(vips(&[443, 80, 8443]));
        assert_eq!(held(&served), [1, 2]);
        says(&mut served, "fra1", &[443, 80, 8443]);
        assert_eq!(held(&served), [] as [usize; 0]);
        // Said once, it stays: that it goes away is for monitors to find.
        says(&mut served, "fra1", &[]);
        says(&mut served, "fra2", &[]);
        assert_eq!(held(&served), [] as [usize; 0]);
    }

    #[test]
    fn p7_who_hears_nobody_goes_by_probes_after_a_while() {
        let mut served = Served::default();
        served.adopt(vips(&[443]));
        served.give_up_waiting();
        assert!(served.knows_all());
        assert_eq!(held(&served), [] as [usize; 0]);
        // The next configuration does not begin anew with what is the same.
        served.adopt(vips(&[443]));
        assert_eq!(held(&served), [] as [usize; 0]);
        // Who is heard is believed: it does not serve it, be it only that it speaks of no VIP.
        let node = "fra1".into();
        served.hear(vec![ServedWord { node, vip: None }]);
        assert_eq!(held(&served), [0]);
    }

    #[test]
    fn an_endpoint_without_a_port_is_served_by_any() {
        let mut served = Served::default();
        served.adopt(vips(&[0]));
        says(&mut served, "fra1", &[]);
        assert_eq!(held(&served), [0]);
        says(&mut served, "fra1", &[25]);
        assert_eq!(held(&served), [] as [usize; 0]);
    }
}
