//! What this node knows of the others, for people.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Joined;
use crate::admin::{FleetStatus, Life, MemberStatus};
use crate::compile::Node;
use crate::config::ConfigDigest;
use crate::fleet::identity::{Identity, Roster};
use crate::fleet::{Change, Key, StateBus};
use crate::health::{Says, Testimony};
use crate::snapshot::View;
use crate::time::{Clock, Moment};

/// A node whose heartbeat has not moved for so long is called silent.
const SILENT: Duration = Duration::from_secs(10);

/// The key under which a node tells what it runs: `1 DIGEST GENERATION`.
const CONFIG: &str = "m/config";

/// The same trouble is logged once in this time.
const QUIET: Duration = Duration::from_secs(60);

/// What was heard of one node.
#[derive(Clone, Debug, Default)]
struct Heard {
    /// When its heartbeat last moved.
    beat: Option<Moment>,
    blind: bool,
    left: bool,
    config: Option<String>,
    generation: Option<u64>,
    /// Checks voted on, by chunk.
    votes: HashMap<u16, usize>,
}

/// Counts in the form of metrics: name, labels, value.
pub(super) type Metrics = dyn Fn() -> Vec<(&'static str, String, u64)> + Send + Sync;

/// What this node knows of the others.
pub struct FleetDesk {
    pub(super) bus: Arc<dyn StateBus>,
    pub(super) clock: Arc<dyn Clock>,
    cluster: Option<String>,
    identity: Option<Arc<Identity>>,
    node: Arc<str>,
    config: Mutex<String>,
    heard: Mutex<BTreeMap<Arc<str>, Heard>>,
    malformed: AtomicU64,
    sessions: AtomicU64,
    complained: Mutex<Option<Moment>>,
    metrics: Box<Metrics>,
}

impl FleetDesk {
    /// The desk of `node`, which runs `config`.
    pub fn new(
        joined: &Joined,
        clock: Arc<dyn Clock>,
        node: &str,
        config: &ConfigDigest,
    ) -> FleetDesk {
        FleetDesk {
            bus: joined.bus.clone(),
            clock,
            cluster: joined.cluster.clone(),
            identity: joined.identity.clone(),
            node: node.into(),
            config: Mutex::new(config.to_string()),
            heard: Mutex::default(),
            malformed: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            complained: Mutex::default(),
            metrics: joined.metrics(),
        }
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The bus.
    pub fn bus(&self) -> &Arc<dyn StateBus> {
        &self.bus
    }

    /// From now on another configuration is run, in which the nodes of the fleet may be others.
    pub fn runs(&self, config: &ConfigDigest, node: Option<&Node>) {
        *locked(&self.config) = config.to_string();
        if let (Some(identity), Some(fleet)) = (&self.identity, node.and_then(|n| n.fleet.as_ref()))
        {
            identity.adopt_roster(Roster::new(fleet));
        }
    }

    /// Whether the configuration lets the owner of a change say it; a node alone may say everything. The
    /// bus has looked already at what members say of themselves, not at what they relay.
    pub(in crate::app) fn may_say(&self, change: &Change) -> bool {
        let Some(identity) = &self.identity else {
            return true;
        };
        let known = identity.roster().get(&change.owner);
        known.is_some_and(|(_, roles)| roles.may_write(&change.key))
    }

    /// Whether the configuration in force has a node in the fleet.
    pub(in crate::app) fn is_member(&self, node: &str) -> bool {
        let identity = self.identity.as_ref();
        identity.is_some_and(|identity| identity.roster().get(node).is_some())
    }

    /// Whether there is nobody else.
    pub(super) fn is_alone(&self) -> bool {
        self.cluster.is_none()
    }

    /// What is run here.
    pub(super) fn config(&self) -> String {
        locked(&self.config).clone()
    }

    /// Tells the others what is run here.
    pub(super) fn tell_config(&self, config: &str, generation: u64) {
        self.publish(CONFIG, &format!("1 {config} {generation}"));
    }

    /// Counts in the form of metrics: name, labels, value.
    pub fn metrics(&self) -> Vec<(&'static str, String, u64)> {
        let mut all = (self.metrics)();
        let malformed = self.malformed.load(Ordering::Relaxed);
        let labels = "reason=\"malformed\"".to_owned();
        all.push(("tradewind_fleet_unaccepted_keys_total", labels, malformed));
        let sessions = self.sessions.load(Ordering::Relaxed);
        let name = "tradewind_fleet_sessions_heard_total";
        all.push((name, String::new(), sessions));
        all
    }

    /// Publishes one key; an empty value retires it.
    pub(super) fn publish(&self, key: &str, value: &str) {
        let done = Key::new(key).and_then(|key| {
            if value.is_empty() {
                self.bus.retire(&key);
                return Ok(());
            }
            self.bus.publish(&key, value)
        });
        if let Err(e) = done {
            self.complain(&format!("cannot tell the fleet: {e}"));
        }
    }

    /// Logs, but not the whole day long.
    pub(super) fn complain(&self, what: &str) {
        let now = self.clock.now();
        let mut last = locked(&self.complained);
        if last.is_none_or(|at| now.since(at) >= QUIET) {
            *last = Some(now);
            tracing::warn!("{what}");
        }
    }

    /// A value that cannot be believed.
    pub(in crate::app) fn malformed(&self, change: &Change, why: &dyn std::fmt::Display) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
        let (owner, key) = (&change.owner, change.key.as_str());
        self.complain(&format!(
            "what node `{owner}` says under `{key}` is not believed: {why}"
        ));
    }

    /// So many sessions were taken over from other proxies.
    pub(super) fn heard_sessions(&self, count: u64) {
        self.sessions.fetch_add(count, Ordering::Relaxed);
    }

    /// Notes a change; also this node's own.
    pub(super) fn note(&self, change: &Change) {
        if change.key.as_str() != CONFIG {
            return;
        }
        let mut words = change.value.split(' ');
        let (Some("1"), Some(config), Some(generation)) =
            (words.next(), words.next(), words.next())
        else {
            return;
        };
        let fine = |c: char| c.is_ascii_hexdigit();
        if config.len() > 64 || !config.chars().all(fine) {
            self.malformed(change, &"a digest is hexadecimal");
            return;
        }
        let own = locked(&self.config).clone();
        let mut heard = locked(&self.heard);
        let heard = heard.entry(change.owner.clone()).or_default();
        heard.generation = generation.parse().ok();
        if heard.config.as_deref() != Some(config) {
            heard.config = Some(config.to_owned());
            if config != own && change.owner != self.node {
                tracing::warn!(
                    node = %change.owner, theirs = config, ours = own,
                    "a node runs another configuration"
                );
            }
        }
    }

    /// Notes what a node says of itself.
    pub(super) fn note_testimony(&self, testimony: &Testimony) {
        let now = self.clock.now();
        let mut heard = locked(&self.heard);
        let heard = heard.entry(testimony.vantage.clone()).or_default();
        match &testimony.says {
            Says::Alive { blind } => {
                heard.beat = Some(now);
                heard.left = false;
                heard.blind = *blind;
            }
            Says::Leaving => heard.left = true,
            Says::Votes { chunk, votes } if votes.is_empty() => {
                heard.votes.remove(chunk);
            }
            Says::Votes { chunk, votes } => {
                heard.votes.insert(*chunk, votes.len());
            }
            Says::Rtts { .. } => {}
        }
    }

    /// The fleet, with the nodes that `view`'s configuration has.
    pub fn status(&self, view: &View) -> FleetStatus {
        let now = self.clock.now();
        let heard = locked(&self.heard);
        let members = view.snapshot.settings.nodes.iter().map(|n| {
            let h = heard.get(&*n.name).cloned().unwrap_or_default();
            let own = *n.name == *self.node;
            let silence = h.beat.map(|at| now.since(at));
            let life = match silence {
                _ if own => Life::Own,
                None => Life::NeverHeard,
                Some(_) if h.left => Life::Left,
                Some(s) if s > SILENT => Life::Silent,
                Some(_) => Life::Alive,
            };
            MemberStatus {
                node: n.name.to_string(),
                region: n.region.to_string(),
                roles: n.roles.clone(),
                life,
                heard_seconds_ago: silence.filter(|_| !own).map(|s| s.as_secs_f64()),
                blind: h.blind,
                config: if own {
                    Some(locked(&self.config).clone())
                } else {
                    h.config
                },
                generation: if own {
                    Some(view.generation.0)
                } else {
                    h.generation
                },
                votes: if own {
                    own_votes(view)
                } else {
                    h.votes.values().sum()
                },
            }
        });
        let members = members.collect();
        FleetStatus {
            cluster: self.cluster.clone(),
            node: self.node.to_string(),
            config: locked(&self.config).clone(),
            members,
            counts: self.metrics(),
        }
    }
}

/// Checks that this node itself votes on: what it would tell others.
fn own_votes(view: &View) -> usize {
    let snapshot = &view.snapshot;
    if snapshot.settings.council.own.is_none() {
        return 0;
    }
    // The parts of a composite are in its own vote.
    let told = snapshot.targets.iter().filter(|t| !t.endpoints.is_empty());
    told.count()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one can leave it half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
