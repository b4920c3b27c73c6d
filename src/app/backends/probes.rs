//! The proxy's own probes of its backends, by the same monitors and the same prober as those of
//! endpoints. What this proxy sees decides for this proxy: it is what carries the traffic.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::health::{Failure, Monitor, MonitorKind, Outcome, ProbeTarget, RiseFall, State};
use crate::ids::{MonitorId, TargetId};
use crate::probe::{self, ProbePlan, Report};
use crate::telemetry::ProbeStats;
use crate::time::Clock;
use crate::traffic::Plan;

use crate::app::proxy::Carrier;

/// How often it is looked what time has made due: ejections and drains that end.
const TICK: Duration = Duration::from_millis(100);

/// What is probed once, for whomever: an address with a port and a whole monitor.
type Key = (IpAddr, u16, Monitor);

/// One backend that a target tells of.
#[derive(Clone, Debug)]
struct User {
    upstream: Box<str>,
    backend: Box<str>,
    address: SocketAddr,
    monitor: Arc<Monitor>,
}

/// Whom the targets of one probe plan tell of.
#[derive(Debug, Default)]
struct Assigned {
    number: u64,
    /// By [`TargetId`].
    targets: Vec<(Key, Vec<User>)>,
    /// What is believed of the parts of composites; outlives plans.
    parts: HashMap<Key, RiseFall>,
}

/// The probes of backends.
pub struct Probes {
    plan: watch::Sender<Arc<ProbePlan>>,
    assigned: Arc<Mutex<Assigned>>,
    /// What is counted of them.
    pub stats: Arc<ProbeStats>,
    start: Mutex<Option<(watch::Receiver<Arc<ProbePlan>>, usize)>>,
}

/// The tasks; ended when dropped.
pub struct Running(Vec<JoinHandle<()>>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Probes {
    /// Probes of nothing yet, at most `in_flight` at once.
    pub fn new(in_flight: usize) -> Probes {
        let (plan, plans) = watch::channel(Arc::default());
        Probes {
            plan,
            assigned: Arc::default(),
            stats: Arc::default(),
            start: Mutex::new(Some((plans, in_flight))),
        }
    }

    /// Probes what `plan` says from now on.
    pub fn follow(&self, plan: &Plan) {
        let mut assigned = locked(&self.assigned);
        let number = assigned.number + 1;
        let (probes, targets) = assign(plan, number);
        let is_part = |key: &Key| {
            let target = targets.iter().find(|(k, _)| k == key);
            target.is_some()
        };
        assigned.parts.retain(|key, _| is_part(key));
        assigned.number = number;
        assigned.targets = targets;
        drop(assigned);
        self.plan.send_replace(Arc::new(probes));
    }

    /// Starts probing and telling the proxy what is seen. Once.
    pub fn start(&self, carrier: &Arc<Carrier>, clock: &Arc<dyn Clock>) -> Running {
        let Some((plans, in_flight)) = locked(&self.start).take() else {
            return Running(Vec::new());
        };
        let (reports, seen) = mpsc::channel(1024);
        let prober = probe::spawn(plans, clock.clone(), reports, in_flight, self.stats.clone());
        let telling = tokio::spawn(tell(carrier.clone(), self.assigned.clone(), seen));
        let ticking = tokio::spawn(tick(carrier.clone(), clock.clone()));
        Running(vec![prober, telling, ticking])
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each step leaves it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn tell(
    carrier: Arc<Carrier>,
    assigned: Arc<Mutex<Assigned>>,
    mut seen: mpsc::Receiver<Report>,
) {
    while let Some(report) = seen.recv().await {
        let told = locked(&assigned).take(&report);
        if told.is_empty() {
            continue;
        }
        let tier = carrier.proxy().tier();
        let at = report.observation.at;
        for (user, outcome) in told {
            let ids = tier.plan.upstreams.iter().zip(&tier.upstreams);
            let found = ids.into_iter().find(|(u, _)| u.name == user.upstream);
            let Some((_, group)) = found else {
                continue;
            };
            group
                .state
                .observe(&user.backend, &outcome, &user.monitor, at);
        }
    }
}

async fn tick(carrier: Arc<Carrier>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let tier = carrier.proxy().tier();
        let now = clock.now();
        for group in &tier.upstreams {
            group.state.settle_if_due(now);
        }
    }
}

impl Assigned {
    /// What a report says of backends.
    fn take(&mut self, report: &Report) -> Vec<(User, Outcome)> {
        if report.plan != self.number {
            // Of a plan before: its numbers mean other targets.
            return Vec::new();
        }
        let observation = &report.observation;
        let Some((key, users)) = self.targets.get(observation.target.index()) else {
            return Vec::new();
        };
        let is_composite = |u: &User| u.monitor.kind.is_composite();
        if users.iter().any(is_composite) {
            let part = self.parts.entry(key.clone()).or_default();
            match &observation.outcome {
                Outcome::Fail(Failure::Unable(_)) => {}
                outcome => part.observe(matches!(outcome, Outcome::Pass { .. }), &key.2),
            }
        }
        let one = |user: &User| {
            let outcome = if is_composite(user) {
                self.composed(user, &observation.outcome)?
            } else {
                observation.outcome.clone()
            };
            Some((user.clone(), outcome))
        };
        users.iter().filter_map(one).collect()
    }

    /// What follows for a composite; `None` while it hangs on parts that are unknown.
    fn composed(&self, user: &User, last: &Outcome) -> Option<Outcome> {
        match self.state_of(&user.monitor, user.address) {
            State::Up => Some(Outcome::Pass {
                rtt: Duration::ZERO,
            }),
            State::Down => Some(match last {
                Outcome::Fail(failure) => Outcome::Fail(failure.clone()),
                Outcome::Pass { .. } => {
                    let why = "too few of its parts are up".to_owned();
                    Outcome::Fail(Failure::Unexpected(why))
                }
            }),
            State::Unknown { .. } => None,
        }
    }

    fn state_of(&self, monitor: &Monitor, address: SocketAddr) -> State {
        let unknown = State::Unknown {
            counts_as_up: false,
        };
        match &monitor.kind {
            MonitorKind::Composite(check) => {
                let inherited = monitor.probed_port(address.port());
                let address = SocketAddr::new(address.ip(), inherited);
                let parts = check.parts_of(address.ip());
                match check.need.combine(parts.map(|p| self.state_of(p, address))) {
                    Some(true) => State::Up,
                    Some(false) => State::Down,
                    None => unknown,
                }
            }
            _ => {
                let port = monitor.probed_port(address.port());
                let part = self.parts.get(&(address.ip(), port, monitor.clone()));
                part.map_or(unknown, RiseFall::state)
            }
        }
    }
}

/// What is probed of the backends of a plan, each target once, and whom it tells of.
fn assign(plan: &Plan, number: u64) -> (ProbePlan, Vec<(Key, Vec<User>)>) {
    let mut probes = ProbePlan {
        number,
        ..ProbePlan::default()
    };
    let mut monitors: HashMap<Monitor, MonitorId> = HashMap::new();
    let mut known: HashMap<Key, TargetId> = HashMap::new();
    let mut targets: Vec<(Key, Vec<User>)> = Vec::new();
    for upstream in &plan.upstreams {
        let Some(monitor) = &upstream.resilience.monitor else {
            continue;
        };
        for backend in &upstream.backends {
            let user = User {
                upstream: upstream.name.clone(),
                backend: backend.name.clone(),
                address: backend.address,
                monitor: monitor.clone(),
            };
            for (part, port) in leaves(monitor, backend.address) {
                let key = (backend.address.ip(), port, part.clone());
                let target = *known.entry(key.clone()).or_insert_with(|| {
                    let id = *monitors.entry(part.clone()).or_insert_with(|| {
                        probes.monitors.push(part.clone());
                        MonitorId::from_index(probes.monitors.len() - 1)
                    });
                    probes.targets.push(ProbeTarget {
                        addr: key.0,
                        port,
                        monitor: id,
                        endpoints: Vec::new(),
                    });
                    targets.push((key, Vec::new()));
                    TargetId::from_index(targets.len() - 1)
                });
                targets[target.index()].1.push(user.clone());
            }
        }
    }
    (probes, targets)
}

/// The monitors that are really run for a backend, with their ports. None for one that its monitor's
/// family leaves out.
fn leaves(monitor: &Monitor, address: SocketAddr) -> Vec<(&Monitor, u16)> {
    if !monitor.probes(address.ip()) {
        return Vec::new();
    }
    let port = monitor.probed_port(address.port());
    match &monitor.kind {
        MonitorKind::Composite(check) => {
            let inherited = SocketAddr::new(address.ip(), port);
            let parts = check.parts_of(address.ip());
            parts.flat_map(|p| leaves(p, inherited)).collect()
        }
        _ => vec![(monitor, port)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{CompositeCheck, Need, Observation, TcpCheck};
    use crate::time::Moment;
    use crate::traffic::{Backend, Resilience, Upstream};

    fn monitor(name: &str, port: Option<u16>) -> Monitor {
        Monitor {
            name: name.into(),
            kind: MonitorKind::Tcp(TcpCheck::default()),
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(500),
            rise: 1,
            fall: 2,
            jitter_percent: 0,
            port,
            source: Vec::new(),
            family: None,
            retries: 0,
        }
    }

    fn plan(monitors: Vec<Option<Monitor>>) -> Plan {
        let upstream = |(n, monitor): (usize, Option<Monitor>)| Upstream {
            name: format!("u{n}").into(),
            backends: (1..3_u8)
                .map(|b| {
                    let address = SocketAddr::from(([10, 0, 0, b], 80));
                    Backend::new(&format!("b{b}"), address)
                })
                .collect(),
            resilience: Resilience {
                monitor: monitor.map(Arc::new),
                ..Resilience::default()
            },
            ..Upstream::default()
        };
        Plan {
            upstreams: monitors.into_iter().enumerate().map(upstream).collect(),
            ..Plan::default()
        }
    }

    fn report(plan: u64, target: usize, pass: bool) -> Report {
        let outcome = if pass {
            Outcome::Pass {
                rtt: Duration::from_millis(1),
            }
        } else {
            Outcome::Fail(Failure::Connect("refused".to_owned()))
        };
        Report {
            plan,
            observation: Observation {
                target: TargetId::from_index(target),
                at: Moment(1),
                outcome,
            },
        }
    }

    fn told(assigned: &mut Assigned, r: &Report) -> Vec<(String, bool)> {
        let told = assigned.take(r).into_iter();
        told.map(|(u, o)| {
            let passed = matches!(o, Outcome::Pass { .. });
            (format!("{}/{}", u.upstream, u.backend), passed)
        })
        .collect()
    }

    #[test]
    fn h7_each_target_is_probed_once_and_tells_of_all_its_backends() {
        let m = || Some(monitor("web", None));
        let (probes, targets) = assign(&plan(vec![m(), None, m()]), 3);
        assert_eq!((probes.targets.len(), probes.monitors.len()), (2, 1));
        let mut assigned = Assigned {
            number: 3,
            targets,
            ..Assigned::default()
        };
        assert_eq!(
            told(&mut assigned, &report(3, 1, true)),
            [("u0/b2".to_owned(), true), ("u2/b2".to_owned(), true)]
        );
        assert!(
            told(&mut assigned, &report(2, 1, true)).is_empty(),
            "an old plan's numbers"
        );
        assert!(told(&mut assigned, &report(3, 9, true)).is_empty());
    }

    #[test]
    fn a_composite_follows_its_parts() {
        let whole = CompositeCheck {
            need: Need::All,
            parts: vec![
                Arc::new(monitor("web", None)),
                Arc::new(monitor("db", Some(5432))),
            ],
        }
        .into_monitor("both".into(), None);
        let (probes, targets) = assign(&plan(vec![Some(whole)]), 1);
        let ports: Vec<u16> = probes.targets.iter().map(|t| t.port).collect();
        assert_eq!(ports, [80, 5432, 80, 5432]);
        let mut a = Assigned {
            number: 1,
            targets,
            ..Assigned::default()
        };
        assert!(
            told(&mut a, &report(1, 0, true)).is_empty(),
            "hangs on the other part"
        );
        let up = [("u0/b1".to_owned(), true)];
        assert_eq!(told(&mut a, &report(1, 1, true)), up);
        assert_eq!(
            told(&mut a, &report(1, 1, false)),
            up,
            "the part falls after two"
        );
        let down = [("u0/b1".to_owned(), false)];
        assert_eq!(told(&mut a, &report(1, 1, false)), down);
        assert_eq!(told(&mut a, &report(1, 0, true)), down);
        assert_eq!(told(&mut a, &report(1, 1, true)), up);
    }
}
