//! What the kernel is to do, kept in step with the tier: interfaces, virtual addresses, upstreams.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashSet;

use crate::health::backend::Standing;
use crate::ids::UpstreamId;
use crate::proxy::sockets::{Inherited, Place};
use crate::proxy::tier::Tier;
use crate::sys::xdp_link;
use crate::time::Moment;
use crate::traffic::xdp::XdpRules;
use crate::traffic::{Algorithm, HashKey, Listener, Plan, Protocol, Target};

use super::flows::{Copied, Theirs, backends_name, flows_name};
use super::group::Group;
use super::kernel::{Attached, Attachment, Kernel};
use super::layout::{BY_SOURCE, Mac, TABLES, TCP, UDP, VIPS, VipKey, flag, vip_key};
use super::netlink::{Neighbours, Netlink};
use super::places::Places;
use super::unable::{self, XdpError};

/// How often interfaces and neighbours are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// How long the program of the process before goes on forwarding, by its last table, until all backends
/// were probed.
const FIRST_PROBES: Duration = Duration::from_secs(10);

/// A part of a second in which all CPUs together may write down new flows: this part of all that are
/// remembered. A flood of new flows then takes so many seconds to drive out those that live.
const TURNOVER: u64 = 4;

/// An interface.
pub(super) struct Port {
    /// Its number, as it was last seen.
    index: u32,
    mac: Mac,
    /// `None`: the interface is gone.
    attached: Option<Attached>,
    /// The link came from the process before, whose program it still holds.
    is_theirs: bool,
}

impl Port {
    /// How the program stands before its stack.
    pub(super) fn how(&self) -> Option<Attachment> {
        self.attached.as_ref().map(|a| a.how)
    }
}

/// A virtual address.
pub(super) struct Vip {
    /// The name of its listener.
    pub(super) listener: Box<str>,
    /// The address.
    pub(super) address: SocketAddr,
    /// [`TCP`] or [`UDP`].
    pub(super) protocol: u8,
    /// Its place among the counters.
    pub(super) counter: u16,
    /// The name of its upstream.
    pub(super) upstream: Box<str>,
}

/// All of it.
pub(super) struct Works {
    pub(super) kernel: Kernel,
    pub(super) places: Places,
    /// By name.
    pub(super) ports: BTreeMap<Box<str>, Port>,
    pub(super) vips: BTreeMap<VipKey, Vip>,
    pub(super) groups: Vec<Group>,
    pub(super) tier: Arc<Tier>,
    /// Flows that are remembered.
    pub(super) flows: u32,
    netlink: Option<Netlink>,
    neighbours: Neighbours,
    looked: Option<Moment>,
    /// Since when the process before has been waiting to be replaced.
    takes_over: Option<Moment>,
    /// Its maps.
    theirs: Option<Theirs>,
    /// Flows that were copied out of them.
    pub(super) flows_taken_over: u64,
}

/// The listeners of a plan that are served by the kernel, with what they say of it.
pub(super) fn listeners(plan: &Plan) -> impl Iterator<Item = (&Listener, &XdpRules)> {
    let all = plan.listeners.iter();
    all.filter_map(|l| Some((l, l.xdp.as_deref()?)))
}

/// Where the packets of a listener go, and as what they come.
fn target(listener: &Listener) -> Option<(UpstreamId, u8)> {
    match &listener.protocol {
        Protocol::Tcp(rules) => match rules.target {
            Target::Upstream(id) => Some((id, TCP)),
            _ => None,
        },
        Protocol::Udp(rules) => Some((rules.upstream, UDP)),
        Protocol::Http => None,
    }
}

/// What the link of a listener's interface is called between processes.
fn places(listener: &Listener) -> impl Iterator<Item = Place> {
    listener.bind.iter().map(|address| Place {
        listener: listener.name.clone(),
        address: *address,
        is_datagram: listener.protocol.is_datagram(),
    })
}

/// Flows that are remembered under a plan.
pub(super) fn flows(plan: &Plan) -> u32 {
    let all = listeners(plan).map(|(_, rules)| rules.flows);
    all.fold(0, u32::saturating_add)
}

impl Works {
    /// Loads the program for the listeners of a plan, and attaches it. Nothing is forwarded yet.
    pub(super) fn load(
        plan: &Plan,
        inherited: &mut Inherited<'_>,
    ) -> Result<Option<Works>, XdpError> {
        let Some((first, rules)) = listeners(plan).next() else {
            return Ok(None);
        };
        unable::check(&first.name, &rules.interface)?;
        let flows = flows(plan);
        let cpus = std::thread::available_parallelism().map_or(1, |c| c.get() as u64);
        let pace = (u64::from(flows) / TURNOVER / cpus).max(1);
        let kernel = Kernel::load(flows, pace).map_err(|e| {
            let doing = "the program cannot be loaded into the kernel";
            XdpError::refused(&first.name, &rules.interface, doing, &e)
        })?;
        let mut works = Works {
            kernel,
            places: Places::default(),
            ports: BTreeMap::new(),
            vips: BTreeMap::new(),
            groups: Vec::new(),
            tier: Arc::default(),
            flows,
            netlink: None,
            neighbours: Neighbours::new(),
            looked: None,
            takes_over: None,
            theirs: None,
            flows_taken_over: 0,
        };
        works.prepare(plan, inherited)?;
        Ok(Some(works))
    }

    /// Attaches the program to the interfaces of a plan that it is not attached to. A link that is
    /// inherited is kept as it is until [`Works::take_over`].
    pub(super) fn prepare(
        &mut self,
        plan: &Plan,
        inherited: &mut Inherited<'_>,
    ) -> Result<(), XdpError> {
        for (listener, rules) in listeners(plan) {
            let name = &rules.interface;
            let came: Vec<OwnedFd> = places(listener).flat_map(|p| inherited(&p)).collect();
            if self.ports.contains_key(name) {
                continue;
            }
            let refused = |doing, e| XdpError::refused(&listener.name, name, doing, &e);
            let link = |works: &mut Works, name: &str| works.netlink()?.link(name);
            link(self, &rules.neighbours)
                .map_err(|e| refused("the interface of the neighbours is not there", e))?;
            let found = link(self, name).map_err(|e| refused("the interface is not there", e))?;
            let own = |link: &OwnedFd| {
                xdp_link::interface(link.as_fd()).is_ok_and(|index| index == found.index)
            };
            let theirs = came.into_iter().find(own).zip(found.program);
            let is_theirs = theirs.is_some();
            let attached = match theirs {
                Some((link, how)) => Attached { link, how },
                None => {
                    let attached = self.kernel.attach(found.index);
                    attached.map_err(|e| refused("the program cannot be attached", e))?
                }
            };
            self.kernel
                .set_link(found.index, Some(found.mac))
                .map_err(|e| refused("the map of interfaces cannot be written", e))?;
            say_attached(name, attached.how);
            let port = Port {
                index: found.index,
                mac: found.mac,
                attached: Some(attached),
                is_theirs,
            };
            self.ports.insert(name.clone(), port);
        }
        Ok(())
    }

    /// Has the own program take the place of that of the process before, once it is known how all
    /// backends are: a table without those that were not probed yet would move their connections.
    pub(super) fn take_over(&mut self, now: Moment) -> io::Result<()> {
        self.takes_over = self.ports.values().any(|p| p.is_theirs).then_some(now);
        if self.takes_over.is_none() {
            // Nobody is replaced, so nobody's flows come here.
            self.theirs = None;
        }
        self.step(now)
    }

    /// Whether a backend has a monitor and was not probed yet.
    fn is_unproven(&self, now: Moment) -> bool {
        let running = self.tier.upstreams.iter();
        let own = running.filter(|t| self.groups.iter().any(|g| g.name == t.state.name));
        own.flat_map(|t| t.state.report(now).backends)
            .any(|b| b.condition.standing == Standing::Unknown)
    }

    fn replace_theirs(&mut self) -> io::Result<()> {
        let theirs = self.theirs.take();
        let mut copied = self.copy_flows(theirs.as_ref());
        for (name, port) in self.ports.iter_mut().filter(|(_, p)| p.is_theirs) {
            if let Some(attached) = &port.attached {
                self.kernel.take_over(&attached.link)?;
            }
            port.is_theirs = false;
            tracing::info!(interface = %name, "packets are forwarded by this process from now on");
        }
        self.takes_over = None;
        // Those that were written down meanwhile.
        copied.flows += self.copy_flows(theirs.as_ref()).flows;
        if theirs.is_some() {
            let Copied { flows, nobodys } = copied;
            tracing::info!(
                flows,
                nobodys,
                "flows go on that the process before remembered"
            );
        }
        self.flows_taken_over += u64::from(copied.flows);
        Ok(())
    }

    fn copy_flows(&mut self, theirs: Option<&Theirs>) -> Copied {
        let Some(theirs) = theirs else {
            return Copied::default();
        };
        let (vips, groups) = (&self.vips, &self.groups);
        let place = |key: &VipKey, mac: Mac| {
            let vip = vips.get(key)?;
            let group = groups.iter().find(|g| g.name == vip.upstream)?;
            let member = group.members.iter().find(|m| m.mac == Some(mac))?;
            member.place
        };
        let copied = theirs.copy(&mut self.kernel, self.flows, place);
        copied.unwrap_or_else(|error| {
            tracing::warn!(
                %error,
                "flows that the process before remembered are not all taken over: they go by the table"
            );
            Copied::default()
        })
    }

    /// Has flows go on that the process before remembered, once this one takes its place. `came`: its maps
    /// with their names.
    pub(super) fn inherit(&mut self, came: Vec<(Box<str>, OwnedFd)>) {
        match Theirs::of(came) {
            Ok(theirs) => self.theirs = Some(theirs),
            Err(error) => tracing::warn!(
                %error,
                "flows that the process before remembers are not taken over: they go by the table, as \
                 new ones do"
            ),
        }
    }

    /// Further descriptors of the maps that the process after this one copies flows out of, with their
    /// names.
    pub(super) fn maps(&self) -> io::Result<Vec<(Box<str>, OwnedFd)>> {
        let [flows, backends] = self.kernel.maps()?;
        Ok(vec![
            (flows_name().into(), flows),
            (backends_name().into(), backends),
        ])
    }

    /// Further descriptors of the links, for the process that comes after this one.
    pub(super) fn links(&self) -> io::Result<Vec<(Place, OwnedFd)>> {
        let mut all = Vec::new();
        for (listener, rules) in listeners(&self.tier.plan) {
            let port = self.ports.get(&rules.interface);
            if let Some(attached) = port.and_then(|p| p.attached.as_ref()) {
                for place in places(listener) {
                    all.push((place, attached.link.try_clone()?));
                }
            }
        }
        Ok(all)
    }

    fn netlink(&mut self) -> io::Result<&mut Netlink> {
        match &mut self.netlink {
            Some(open) => Ok(open),
            none => Ok(none.insert(Netlink::open()?)),
        }
    }

    /// Goes over to another tier. Interfaces must have been [prepared](Works::prepare).
    pub(super) fn follow(&mut self, tier: Arc<Tier>, now: Moment) -> io::Result<()> {
        let plan = tier.plan.clone();
        if flows(&plan) != self.flows && flows(&plan) != 0 {
            tracing::warn!(
                remembered = self.flows,
                configured = flows(&plan),
                "how many flows are remembered changes with the next start"
            );
        }
        self.tier = tier;
        self.set_groups(&plan);
        self.step(now)?;
        self.set_vips(&plan)?;
        self.drop_old(&plan, now)
    }

    /// Has a group for each upstream that packets go to.
    fn set_groups(&mut self, plan: &Plan) {
        for (listener, _) in listeners(plan) {
            let Some((id, _)) = target(listener) else {
                continue;
            };
            let upstream = &plan.upstreams[id.index()];
            if self.groups.iter().any(|g| g.name == upstream.name) {
                continue;
            }
            let free = (0..TABLES as u16).find(|t| self.groups.iter().all(|g| g.table != *t));
            match free {
                Some(table) => self.groups.push(Group::new(&upstream.name, table)),
                // As many as there may be are configured at once; this is one beside those that leave.
                None => tracing::error!(
                    upstream = %upstream.name, "the kernel has no table left for the upstream"
                ),
            }
        }
    }

    /// Has the kernel take what comes for the virtual addresses of a plan, and nothing else.
    fn set_vips(&mut self, plan: &Plan) -> io::Result<()> {
        let mut wanted = HashSet::new();
        for (listener, _) in listeners(plan) {
            let Some((id, protocol)) = target(listener) else {
                continue;
            };
            let upstream = &plan.upstreams[id.index()];
            let Some(group) = self.groups.iter().find(|g| g.name == upstream.name) else {
                continue;
            };
            let by_source = matches!(&upstream.algorithm,
                Algorithm::Hash(h) if h.on == HashKey::Source);
            let flags = if by_source { BY_SOURCE } else { 0 };
            for address in &listener.bind {
                let key = vip_key(*address, protocol);
                wanted.insert(key);
                let counter = match self.vips.get(&key) {
                    Some(known) => known.counter,
                    None => {
                        let free = (0..VIPS as u16)
                            .find(|c| self.vips.values().all(|v| v.counter != *c))
                            .ok_or_else(|| io::Error::other("too many virtual addresses"))?;
                        self.kernel.clear_vip_count(free)?;
                        free
                    }
                };
                self.kernel.set_vip(&key, group.table, counter, flags)?;
                let vip = Vip {
                    listener: listener.name.clone(),
                    address: *address,
                    protocol,
                    counter,
                    upstream: upstream.name.clone(),
                };
                self.vips.insert(key, vip);
            }
        }
        let gone: Vec<VipKey> = self.vips.keys().copied().collect();
        for key in gone.iter().filter(|k| !wanted.contains(*k)) {
            self.kernel.remove_vip(key)?;
            self.vips.remove(key);
        }
        Ok(())
    }

    /// Lets go of what the plan does not name any more. Backends keep their flows for as long as their
    /// upstream lets who is drained.
    fn drop_old(&mut self, plan: &Plan, now: Moment) -> io::Result<()> {
        let used: HashSet<&str> = self.vips.values().map(|v| &*v.upstream).collect();
        let mut left = std::mem::take(&mut self.groups);
        let configured: HashSet<u64> = left
            .iter()
            .filter(|g| used.contains(&*g.name))
            .filter_map(|g| self.tier.upstreams.iter().find(|t| t.state.name == g.name))
            .flat_map(|t| t.servers.iter().map(|s| s.id))
            .collect();
        left.retain(|g| used.contains(&*g.name));
        self.groups = left;
        let longest = plan.upstreams.iter().map(|u| u.resilience.drain_timeout);
        let until = now + longest.max().unwrap_or_default();
        let leaving = self.places.leave(|id| configured.contains(&id), |_| until);
        for place in leaving {
            self.kernel
                .limit_backend(place, flag::KEEPS_TCP | flag::KEEPS_UDP)?;
        }
        let interfaces: HashSet<&str> = listeners(plan).map(|(_, r)| &*r.interface).collect();
        let kernel = &mut self.kernel;
        self.ports.retain(|name, port| {
            let stays = interfaces.contains(&**name);
            if !stays {
                tracing::info!(interface = %name, "packets are not forwarded there any more");
                drop(kernel.set_link(port.index, None));
            }
            stays
        });
        Ok(())
    }

    /// Does what time and the health of backends have made due.
    pub(super) fn step(&mut self, now: Moment) -> io::Result<()> {
        if self.looked.is_none_or(|at| now.since(at) >= LOOK) {
            self.look(now);
        }
        // Asked before the tables are written: they must have what it rests on.
        let waits = |since: Moment| now.since(since) < FIRST_PROBES && self.is_unproven(now);
        let replaces = self.takes_over.is_some_and(|since| !waits(since));
        for place in self.places.settle(now) {
            self.kernel.set_backend(place, Mac::default(), 0)?;
        }
        for group in &mut self.groups {
            let known = self.tier.upstreams.iter();
            let Some(running) = known.into_iter().find(|t| t.state.name == group.name) else {
                continue;
            };
            group.update(
                &mut self.kernel,
                &mut self.places,
                &self.neighbours,
                running,
                now,
            )?;
        }
        if replaces {
            self.replace_theirs()?;
        }
        Ok(())
    }

    /// Whether a backend that would get flows has no hardware address yet.
    pub(super) fn waits_for_neighbours(&self) -> bool {
        let mut members = self.groups.iter().flat_map(|g| &g.members);
        members.any(|m| m.mac.is_none())
    }

    /// Looks at interfaces and neighbours again with the next step.
    pub(super) fn look_again(&mut self) {
        self.looked = None;
    }

    /// Looks at interfaces and neighbours.
    fn look(&mut self, now: Moment) {
        self.looked = Some(now);
        self.look_at_ports();
        if let Err(error) = self.look_at_neighbours() {
            tracing::warn!(%error, "the neighbours cannot be asked for; what was known stays");
            // What is left in its buffer answers nothing that will be asked.
            self.netlink = None;
        }
    }

    fn look_at_ports(&mut self) {
        let names: Vec<Box<str>> = self.ports.keys().cloned().collect();
        for name in names {
            let found = self.netlink().and_then(|n| n.link(&name));
            let Some(port) = self.ports.get_mut(&name) else {
                continue;
            };
            let link = match found {
                Ok(link) => link,
                Err(error) => {
                    if port.attached.take().is_some() {
                        tracing::error!(interface = %name, %error, "the interface is gone");
                        drop(self.kernel.set_link(port.index, None));
                    }
                    self.netlink = None;
                    continue;
                }
            };
            if port.attached.is_some() && (link.index, link.mac) == (port.index, port.mac) {
                continue;
            }
            let mut again = || -> io::Result<()> {
                if link.index != port.index || port.attached.is_none() {
                    port.attached = None;
                    let attached = self.kernel.attach(link.index)?;
                    say_attached(&name, attached.how);
                    port.attached = Some(attached);
                }
                (port.index, port.mac) = (link.index, link.mac);
                self.kernel.set_link(link.index, Some(link.mac))
            };
            if let Err(error) = again() {
                tracing::error!(interface = %name, %error, "the interface cannot be used again");
            }
        }
    }

    fn look_at_neighbours(&mut self) -> io::Result<()> {
        let plan = self.tier.plan.clone();
        let mut found = Neighbours::new();
        for (listener, rules) in listeners(&plan) {
            let Some((id, _)) = target(listener) else {
                continue;
            };
            let Ok(link) = self.netlink()?.link(&rules.neighbours) else {
                continue; // said of the interface itself
            };
            let upstream = &plan.upstreams[id.index()];
            if let Some(group) = self.groups.iter_mut().find(|g| g.name == upstream.name) {
                group.link = link.index;
            }
            for backend in &upstream.backends {
                let key = (link.index, backend.address.ip());
                if let Some(mac) = self.netlink()?.neighbour(key.0, key.1)? {
                    found.insert(key, mac);
                }
            }
        }
        self.neighbours = found;
        Ok(())
    }
}

fn say_attached(interface: &str, how: Attachment) {
    match how {
        Attachment::Native => {
            tracing::info!(
                interface,
                "packets are forwarded in the driver (native XDP)"
            );
        }
        Attachment::Generic => tracing::warn!(
            interface,
            "the driver knows no XDP: packets are forwarded after it (generic XDP), which is slower"
        ),
    }
}
