//! The fleet as one node sees it: who is in it, and how they reach each other.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use hashbrown::HashMap;

use crate::config::spec::{NodeFleetSpec, NodeSpec, Role};
use crate::config::{Marked, Spec};

use super::Problems;

/// More members than this and gossip slows down for all.
const MANY_MEMBERS: usize = 80;

/// A node's place in the fleet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetNode {
    /// Name of the cluster.
    pub cluster: String,
    /// Time between two rounds of gossip.
    pub gossip_interval: Duration,
    /// Where members reach it (UDP); `None` where it pushes. Port 0 picks a free one.
    pub listen: Option<SocketAddr>,
    /// What others connect to; `None`: what `listen` has got.
    pub advertise: Option<SocketAddr>,
    /// The node's certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// CA certificates of the fleet, PEM.
    pub ca: PathBuf,
    /// Where it takes pushes (TCP).
    pub ingest: Option<SocketAddr>,
    /// Where it pushes; empty for a member. Not this node itself.
    pub push_to: Vec<PushTarget>,
    /// All nodes of the fleet, this one included, in the order of the configuration.
    pub members: Vec<FleetMember>,
}

/// A node that takes pushes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PushTarget {
    /// Its name.
    pub name: String,
    /// Its address, TCP.
    pub address: SocketAddr,
}

/// A node of the fleet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetMember {
    /// Its name.
    pub name: String,
    /// What others connect to (UDP); `None` where it pushes, or has a port chosen at start.
    pub advertise: Option<SocketAddr>,
    /// What it does.
    pub roles: Vec<Role>,
    /// Whether it pushes instead of being a member.
    pub pushes: bool,
}

impl FleetNode {
    /// The options in which `self`, as loaded anew, differs from what runs and which a reload cannot
    /// change; each is prefixed with `nodes.NAME.` where it is the node's own.
    pub(super) fn needs_restart(&self, running: &FleetNode, own: &str) -> Vec<String> {
        [
            ("fleet.name".to_owned(), self.cluster != running.cluster),
            (
                "fleet.gossip-interval".to_owned(),
                self.gossip_interval != running.gossip_interval,
            ),
            ("fleet.ca".to_owned(), self.ca != running.ca),
            (format!("{own}.fleet.listen"), self.listen != running.listen),
            (
                format!("{own}.fleet.advertise"),
                self.advertise != running.advertise,
            ),
            (
                format!("{own}.fleet.certificate"),
                self.certificate != running.certificate,
            ),
            (format!("{own}.fleet.key"), self.key != running.key),
            (format!("{own}.fleet.ingest"), self.ingest != running.ingest),
            (
                format!("{own}.fleet.push-to"),
                self.push_to != running.push_to,
            ),
        ]
        .into_iter()
        .filter_map(|(option, differs)| differs.then_some(option))
        .collect()
    }
}

/// Checks the fleet as a whole.
pub(super) fn check(spec: &Spec, p: &mut Problems) {
    let with = || {
        let nodes = spec.nodes.iter();
        nodes.filter_map(|n| n.fleet.as_ref().map(|f| (n, f)))
    };
    let first = with().next();
    if first.is_some() {
        for node in &spec.nodes {
            alone_among_others(node, p);
        }
    }
    if let (Some(span), None) = (spec.fleet.span, &first)
        && spec.nodes.len() == spec.declared.nodes.len()
    {
        p.warning(span, "`[fleet]` has no member: no node has `fleet`")
            .help = Some("add `[nodes.NAME.fleet]` to the nodes, or remove `[fleet]`".to_owned());
    }
    if let (Some((node, fleet)), None) = (first, &spec.fleet.ca) {
        p.error(
            spec.fleet.span.unwrap_or(fleet.span),
            format!(
                "node `{}` has `fleet`, but `[fleet] ca` is missing",
                node.name.value
            ),
        )
        .help = Some(
            "add `ca = \"fleet/ca.pem\"` to `[fleet]`, the file that `tradewind fleet init` writes"
                .to_owned(),
        );
    }
    one_address_each(spec, p);
    for (node, fleet) in with() {
        keeps_orders(node, fleet, p);
        only_members_decide(node, fleet, p);
        pushes(spec, node, fleet, p);
    }
    let members = with().filter(|(_, f)| f.push_to.is_empty()).count();
    if members > MANY_MEMBERS
        && let Some((_, fleet)) = with().nth(MANY_MEMBERS)
    {
        p.warning(
            fleet.span,
            format!("the fleet has {members} members; more than {MANY_MEMBERS} slow gossip down"),
        )
        .help = Some("let nodes that only probe push instead, with `push-to`".to_owned());
    }
}

/// A node that probes beside the fleet tells nobody what it sees.
fn alone_among_others(node: &NodeSpec, p: &mut Problems) {
    if node.fleet.is_none() && super::node::has(node, Role::Probe) {
        p.warning(
            node.name.span,
            format!(
                "node `{}` probes but is not in the fleet: nobody hears what it sees",
                node.name.value
            ),
        )
        .help = Some(format!("add [nodes.{}.fleet]", node.name.value));
    }
}

/// Two members at one address would be taken for one.
fn one_address_each(spec: &Spec, p: &mut Problems) {
    let mut seen: HashMap<SocketAddr, &NodeSpec> = HashMap::new();
    for node in &spec.nodes {
        let Some(fleet) = &node.fleet else { continue };
        let Some(address) = fleet.reached_at() else {
            continue;
        };
        let place = |f: &NodeFleetSpec| {
            let said = f.advertise.as_ref().or(f.listen.as_ref());
            said.map_or(f.span, |a| a.span)
        };
        if let Some(other) = seen.get(&address) {
            let d = p.error(
                place(fleet),
                format!(
                    "nodes `{}` and `{}` are both reached at {address}; every member needs an \
                     address of its own",
                    other.name.value, node.name.value
                ),
            );
            let first = other.fleet.as_ref().map_or(other.name.span, place);
            d.related.push((first, "the other one".to_owned()));
            d.help = Some("correct `fleet.advertise` of one of them".to_owned());
        } else {
            seen.insert(address, node);
        }
    }
}

/// Orders of operators are on the disk of every node that answers DNS or takes orders.
fn keeps_orders(node: &NodeSpec, fleet: &NodeFleetSpec, p: &mut Problems) {
    let takes_orders = super::node::has(node, Role::Dns) || super::node::has(node, Role::Admin);
    if takes_orders && node.state_dir.is_none() {
        p.error(
            fleet.span,
            format!(
                "node `{}` is in the fleet with role `dns` or `admin`, but has no `state-dir`: \
                 orders of operators must outlive the process",
                node.name.value
            ),
        )
        .help = Some("add `state-dir = \"/var/lib/tradewind\"` to the node".to_owned());
    }
}

/// Who answers or takes orders must hear what all others say, and be heard: a node that pushes does not.
fn only_members_decide(node: &NodeSpec, fleet: &NodeFleetSpec, p: &mut Problems) {
    let role = [(Role::Dns, "dns"), (Role::Admin, "admin")];
    let role = role.iter().find(|(r, _)| super::node::has(node, *r));
    if let (Some(first), Some((_, role))) = (fleet.push_to.first(), role) {
        p.error(
            first.span,
            format!(
                "node `{}` has the role `{role}` and pushes: it would neither hear the votes of others \
                 nor pass orders on",
                node.name.value
            ),
        )
        .help = Some(
            "make it a member, with `listen` instead of `push-to`, or take the role away".to_owned(),
        );
    }
}

/// Every node that is pushed to must take pushes, at an address that is known.
fn pushes(spec: &Spec, node: &NodeSpec, fleet: &NodeFleetSpec, p: &mut Problems) {
    for target in &fleet.push_to {
        let Some(taker) = spec.nodes.iter().find(|n| *n.name == *target.value) else {
            p.dangling();
            continue;
        };
        let complete = taker.fleet.as_ref().is_none_or(|f| f.complete);
        let why = match taker.fleet.as_ref() {
            _ if taker.name.value == node.name.value => "is the node itself",
            Some(f) if f.pushed_at().is_some() || !complete => continue,
            Some(f) if f.ingest.as_ref().is_some_and(|i| i.port() == 0) => {
                "has `fleet.ingest` with port 0, which is not known before it starts"
            }
            _ => "has no `fleet.ingest`",
        };
        p.error(
            target.span,
            format!(
                "`push-to` of node `{}` names node `{}`, which {why}",
                node.name.value, target.value
            ),
        )
        .help = Some("name nodes with role `dns` and `fleet.ingest = \"0.0.0.0:7947\"`".to_owned());
    }
}

/// The place of `node`; `None` when it is alone, or when something of it is missing, which is
/// reported.
pub(super) fn place(spec: &Spec, node: &NodeSpec) -> Option<FleetNode> {
    let fleet = node.fleet.as_ref()?;
    let path = |file: &Option<Marked<PathBuf>>| file.as_ref().map(|f| f.value.clone());
    Some(FleetNode {
        cluster: spec.fleet.name.clone(),
        gossip_interval: spec.fleet.gossip_interval,
        listen: fleet.listen.as_ref().map(|a| a.value),
        advertise: fleet.reached_at(),
        certificate: path(&fleet.certificate)?,
        key: path(&fleet.key)?,
        ca: path(&spec.fleet.ca)?,
        ingest: fleet.ingest.as_ref().map(|a| a.value),
        push_to: fleet
            .push_to
            .iter()
            .filter_map(|target| {
                let taker = spec.nodes.iter().find(|n| *n.name == *target.value)?;
                Some(PushTarget {
                    name: target.value.clone(),
                    address: taker.fleet.as_ref()?.pushed_at()?,
                })
            })
            .collect(),
        members: spec.nodes.iter().filter_map(member).collect(),
    })
}

fn member(node: &NodeSpec) -> Option<FleetMember> {
    let fleet = node.fleet.as_ref()?;
    Some(FleetMember {
        name: node.name.value.clone(),
        advertise: fleet.reached_at(),
        roles: node.roles.iter().map(|r| r.value).collect(),
        pushes: !fleet.push_to.is_empty(),
    })
}
