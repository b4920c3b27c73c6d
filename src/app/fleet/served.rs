//! Which VIPs the proxies serve: this node's proxy says so, and what others say goes to who decides
//! whether DNS may send clients there (requirement P7).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::super::judge_loop::Order;
use super::super::proxy::SharedCarrier;
use super::FleetDesk;
use crate::fleet::Change;
use crate::fleet::protocol::served::{PREFIX, SPEAKS, address_of, decode, encode, key};
use crate::fleet::push::{relay, unwrap_pushed};
use crate::health::ServedWord;

/// Time between two looks at where the proxy listens.
const LOOK: Duration = Duration::from_millis(200);

/// So much that others say is taken at a time.
const BATCH: usize = 64;

/// Tells and hears, for as long as the bus and the judge loop last.
pub async fn tell_served(
    desk: Arc<FleetDesk>,
    carrier: SharedCarrier,
    orders: mpsc::Sender<Order>,
) {
    let (mut changes, mut relayed) = (
        desk.bus.subscribe(PREFIX),
        desk.bus.subscribe(relay::PREFIX),
    );
    let (mut said, mut carried) = (Vec::new(), Vec::new());
    let mut told: BTreeMap<IpAddr, Vec<u16>> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard: Vec<ServedWord> = Vec::new();
    let mut speaks = false;
    // What was said before this task listened.
    said.append(&mut overheard(&desk));
    loop {
        let count = tokio::select! {
            count = changes.recv_many(&mut said, BATCH) => count,
            count = relayed.recv_many(&mut carried, BATCH) => count,
            _ = look.tick() => {
                let now = carrier.as_ref().map(|c| served(c)).unwrap_or_default();
                if now != told {
                    heard.append(&mut tell(&desk, &told, &now));
                    told = now;
                }
                // After the first words: who hears this has heard them.
                if !std::mem::replace(&mut speaks, true) && carrier.is_some() {
                    desk.publish(SPEAKS, &encode(&[]));
                    let node = desk.node().into();
                    heard.push(ServedWord { node, vip: None });
                }
                1
            }
        };
        if count == 0 {
            return;
        }
        let changes = said.drain(..).chain(carried.drain(..));
        heard.extend(changes.filter_map(|change| hear(&desk, change)));
        let heard = std::mem::take(&mut heard);
        if !heard.is_empty() && orders.send(Order::Served(heard)).await.is_err() {
            return;
        }
    }
}

/// For each VIP of this node the ports that its proxy listens on.
fn served(carrier: &super::super::proxy::Carrier) -> BTreeMap<IpAddr, Vec<u16>> {
    let vips = &carrier.proxy().tier().plan.node.vips;
    let bound = carrier.addresses();
    let takes = |vip: IpAddr, at: SocketAddr| {
        at.ip() == vip || at.ip().is_unspecified() && at.is_ipv4() == vip.is_ipv4()
    };
    let ports = |vip: IpAddr| {
        let ports = bound.iter().filter(|(_, at)| takes(vip, *at));
        let mut ports: Vec<u16> = ports.map(|(_, at)| at.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    vips.iter().map(|vip| (*vip, ports(*vip))).collect()
}

/// Tells the fleet what has changed; gives the same for this node itself.
fn tell(
    desk: &FleetDesk,
    before: &BTreeMap<IpAddr, Vec<u16>>,
    now: &BTreeMap<IpAddr, Vec<u16>>,
) -> Vec<ServedWord> {
    let gone = before.keys().filter(|vip| !now.contains_key(*vip));
    let gone = gone.map(|vip| (*vip, Vec::new()));
    let new = now.iter().filter(|(vip, p)| before.get(*vip) != Some(*p));
    let new = new.map(|(vip, ports)| (*vip, ports.clone()));
    let own = |(vip, ports): (IpAddr, Vec<u16>)| {
        desk.publish(&key(vip), &encode(&ports));
        let node = desk.node().into();
        ServedWord {
            node,
            vip: Some((vip, ports)),
        }
    };
    gone.chain(new).map(own).collect()
}

/// What another says, if it may say it and can be believed.
fn hear(desk: &FleetDesk, change: Change) -> Option<ServedWord> {
    let change = unwrap_pushed(&change).map_or(change, |pushed| pushed.change);
    let key = change.key.as_str();
    let address = address_of(key);
    if address.is_none() && key != SPEAKS {
        return None;
    }
    // What is no longer told was true; and this node knows its own words.
    if change.value.is_empty() || *change.owner == *desk.node() || !desk.may_say(&change) {
        return None;
    }
    match decode(&change.value) {
        Ok(ports) => Some(ServedWord {
            node: Box::from(&*change.owner),
            vip: address.map(|address| (address, ports)),
        }),
        Err(e) => {
            desk.malformed(&change, &e);
            None
        }
    }
}

/// What has been said so far.
fn overheard(desk: &FleetDesk) -> Vec<Change> {
    let mut all = Vec::new();
    for (name, owner) in &desk.bus.view().owners {
        let said = owner.keys.iter().filter(|(key, _)| {
            let key = key.as_str();
            key.starts_with(PREFIX) || key.starts_with(relay::PREFIX)
        });
        all.extend(said.map(|(key, value)| Change {
            owner: name.clone(),
            generation: owner.generation,
            key: key.clone(),
            value: value.clone(),
        }));
    }
    all
}
