//! When each target is probed: the timetable, as pure logic on virtual time.
//!
//! Every target has an own grid of one interval, placed by a hash of its address and port, so that the
//! probes of many targets, and of many nodes, do not come in bursts (requirement H7). A probe starts at
//! its place on the grid or up to the monitor's jitter later. The first one does not wait for the grid,
//! so that the first round is over soon (requirement H1).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::plan::ProbePlan;
use crate::health::Monitor;
use crate::ids::TargetId;
use crate::time::Moment;

/// The first probes of all targets start within this time, or half an interval if that is less.
const FIRST_ROUND: Duration = Duration::from_secs(1);

/// Names one run of a probe, over all plans.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Run(u64);

/// What makes a target the same one after a reload.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TargetKey {
    /// Address.
    pub addr: IpAddr,
    /// Port.
    pub port: u16,
    /// The whole check.
    pub monitor: Arc<Monitor>,
}

impl TargetKey {
    /// A number that spreads targets evenly, the same on every start.
    fn spread(&self) -> u32 {
        let mut h = DefaultHasher::new();
        (self.addr, self.port, &self.monitor.name).hash(&mut h);
        (h.finish() >> 32) as u32
    }

    /// Where it is.
    pub fn place(&self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }

    /// What it is called where it is shown: its place and its monitor's name.
    pub fn name(&self) -> (SocketAddr, Box<str>) {
        (self.place(), self.monitor.name.clone())
    }

    /// Probes per second that this target gets from this node.
    pub fn load(&self) -> f64 {
        self.monitor.interval.as_secs_f64().recip()
    }
}

/// `d` × `share` / 2^32.
fn part(d: Duration, share: u32) -> Duration {
    let nanos = (d.as_nanos() * u128::from(share)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[derive(Clone, Debug)]
struct Entry {
    key: TargetKey,
    /// The next place on the grid, without jitter.
    slot: Moment,
    /// When the next probe may start.
    due: Moment,
    running: Option<Run>,
}

/// A probe to be started now.
#[derive(Clone, PartialEq, Debug)]
pub struct Start {
    /// To be named when it ends.
    pub run: Run,
    /// Its number in the plan in force.
    pub target: TargetId,
    /// What to probe.
    pub key: TargetKey,
    /// Whether it starts a whole interval late, or more.
    pub overdue: bool,
}

/// The timetable of all targets.
#[derive(Debug)]
pub struct Timetable {
    plan: u64,
    entries: Vec<Entry>,
    /// Entries that do not run, by when they are due.
    queue: BinaryHeap<Reverse<(Moment, usize)>>,
    running: HashMap<Run, usize>,
    limit: usize,
    next_run: u64,
}

impl Timetable {
    /// An empty timetable that lets `limit` probes run at once.
    pub fn new(limit: usize) -> Timetable {
        Timetable {
            plan: 0,
            entries: Vec::new(),
            queue: BinaryHeap::new(),
            running: HashMap::new(),
            limit: limit.max(1),
            next_run: 0,
        }
    }

    /// Goes over to `plan`. Targets that stay keep their place and a probe that runs; the runs of those
    /// that are gone are returned, to be ended. New ones are probed soon.
    pub fn adopt(&mut self, plan: &ProbePlan, now: Moment) -> Vec<Run> {
        let mut old: HashMap<TargetKey, Entry> =
            self.entries.drain(..).map(|e| (e.key.clone(), e)).collect();
        let monitors: Vec<Arc<Monitor>> = plan.monitors.iter().cloned().map(Arc::new).collect();
        self.plan = plan.number;
        self.queue.clear();
        self.running.clear();
        for (index, target) in plan.targets.iter().enumerate() {
            let monitor = monitors[target.monitor.index()].clone();
            let key = TargetKey {
                addr: target.addr,
                port: target.port,
                monitor,
            };
            let entry = old.remove(&key).unwrap_or_else(|| first_entry(key, now));
            match entry.running {
                Some(run) => drop(self.running.insert(run, index)),
                None => self.queue.push(Reverse((entry.due, index))),
            }
            self.entries.push(entry);
        }
        old.into_values().filter_map(|e| e.running).collect()
    }

    /// The plan in force.
    pub fn plan(&self) -> u64 {
        self.plan
    }

    /// When [`Timetable::start_next`] should be asked again: `None` while nothing can start before a
    /// probe ends.
    pub fn next_due(&self) -> Option<Moment> {
        if self.running.len() >= self.limit {
            return None;
        }
        self.queue.peek().map(|Reverse((due, _))| *due)
    }

    /// The probe to start now, if any. `random` places the target's following probe within its jitter.
    pub fn start_next(&mut self, now: Moment, random: u32) -> Option<Start> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((_, index)) = self.queue.pop()?;
        let run = Run(self.next_run);
        self.next_run += 1;
        self.running.insert(run, index);
        let entry = &mut self.entries[index];
        let overdue = entry.overdue_at() <= now;
        entry.running = Some(run);
        entry.advance(now, random);
        Some(Start {
            run,
            target: TargetId::from_index(index),
            key: entry.key.clone(),
            overdue,
        })
    }

    /// When [`Timetable::skip_next`] should be asked again: `None` while there is room for more.
    pub fn next_overdue(&self) -> Option<Moment> {
        if self.running.len() < self.limit {
            return None;
        }
        let Reverse((_, index)) = self.queue.peek()?;
        Some(self.entries[*index].overdue_at())
    }

    /// A target that could not be probed for a whole interval, because as many probes run as may: it
    /// waits for its next place on the grid, and nothing is known of it meanwhile.
    pub fn skip_next(&mut self, now: Moment, random: u32) -> Option<TargetId> {
        if self.next_overdue()? > now {
            return None;
        }
        let Reverse((_, index)) = self.queue.pop()?;
        let entry = &mut self.entries[index];
        entry.advance(now, random);
        self.queue.push(Reverse((entry.due, index)));
        Some(TargetId::from_index(index))
    }

    /// Takes note that `run` ended at `now`. Says which target of the plan in force it was; `None`
    /// when that plan does not have it any more.
    pub fn finished(&mut self, run: Run, now: Moment) -> Option<TargetId> {
        let index = self.running.remove(&run)?;
        let entry = &mut self.entries[index];
        entry.running = None;
        entry.due = entry.due.max(now);
        self.queue.push(Reverse((entry.due, index)));
        Some(TargetId::from_index(index))
    }

    /// Number of probes that run.
    pub fn in_flight(&self) -> usize {
        self.running.len()
    }

    /// A target of the plan in force.
    pub fn key(&self, target: TargetId) -> &TargetKey {
        &self.entries[target.index()].key
    }

    /// The targets of the plan in force, by number.
    pub fn keys(&self) -> impl Iterator<Item = &TargetKey> {
        self.entries.iter().map(|e| &e.key)
    }
}

/// The first probe starts soon, the second at the first place on the grid after it: once, at the
/// start, two probes may be closer than an interval (the second even off its place by what the first
/// took), but they are never farther apart.
fn first_entry(key: TargetKey, now: Moment) -> Entry {
    let interval = key.monitor.interval;
    let spread = key.spread();
    let due = now + part(FIRST_ROUND.min(interval / 2), spread);
    let slot = now + part(interval, spread);
    Entry {
        key,
        slot,
        due,
        running: None,
    }
}

impl Entry {
    /// When the probe that is due will be a whole interval late.
    fn overdue_at(&self) -> Moment {
        self.due + self.key.monitor.interval.max(Duration::from_millis(1))
    }

    /// Sets when the probe after the one that starts at `now` is due. Places on the grid that have
    /// passed meanwhile are left out: a delay never leads to a burst.
    fn advance(&mut self, now: Moment, random: u32) {
        let monitor = &self.key.monitor;
        // An interval of zero cannot be configured; it must not hang the timetable either.
        let interval = monitor.interval.max(Duration::from_millis(1));
        if self.slot <= now {
            let missed = self.slot.until(now).as_nanos() / interval.as_nanos() + 1;
            self.slot =
                self.slot + interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
        }
        self.due = self.slot + part(monitor.largest_jitter(), random);
        self.slot = self.slot + interval;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::{MonitorKind, ProbeTarget, TcpCheck};
    use crate::ids::MonitorId;
    use proptest::prelude::*;

    const S: Duration = Duration::from_secs(1);
    const T0: Moment = Moment(5_000_000_000);

    fn monitor(interval: Duration, jitter_percent: u32) -> Monitor {
        Monitor {
            name: "m".into(),
            kind: MonitorKind::Tcp(TcpCheck::default()),
            interval,
            timeout: interval / 2,
            rise: 1,
            fall: 1,
            jitter_percent,
            port: None,
            source: Vec::new(),
            family: None,
            retries: 0,
        }
    }

    fn plan(
        number: u64,
        hosts: std::ops::Range<u32>,
        interval: Duration,
        jitter: u32,
    ) -> ProbePlan {
        ProbePlan {
            monitors: vec![monitor(interval, jitter)],
            targets: hosts
                .map(|h| ProbeTarget {
                    addr: IpAddr::V4((0x0A00_0000 + h).into()),
                    port: 80,
                    monitor: MonitorId(0),
                    endpoints: Vec::new(),
                })
                .collect(),
            number,
        }
    }

    /// Runs `t` until `end`, each probe taking `took`; gives the starts by host.
    fn simulate(
        t: &mut Timetable,
        from: Moment,
        end: Moment,
        took: Duration,
    ) -> Vec<(Moment, IpAddr)> {
        let mut starts = Vec::new();
        let mut ends: BinaryHeap<Reverse<(Moment, Run)>> = BinaryHeap::new();
        let mut now = from;
        let mut random = 1_u32;
        while now <= end {
            while let Some(Reverse((at, run))) = ends.peek().copied() {
                if at > now {
                    break;
                }
                ends.pop();
                t.finished(run, now);
            }
            random = random.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            if let Some(s) = t.start_next(now, random) {
                starts.push((now, s.key.addr));
                ends.push(Reverse((now + took, s.run)));
                continue;
            }
            let next = [t.next_due(), ends.peek().map(|r| r.0.0)]
                .into_iter()
                .flatten()
                .min();
            now = match next {
                Some(n) => n,
                None => break,
            };
        }
        starts
    }

    fn of(starts: &[(Moment, IpAddr)], host: IpAddr) -> Vec<Moment> {
        starts
            .iter()
            .filter(|(_, a)| *a == host)
            .map(|(m, _)| *m)
            .collect()
    }

    #[test]
    fn h1_the_first_probes_all_start_within_a_second_or_half_an_interval() {
        for (interval, bound) in [(S * 30, S), (S, S / 2)] {
            let mut t = Timetable::new(10_000);
            t.adopt(&plan(1, 0..500, interval, 10), T0);
            let starts = simulate(&mut t, T0, T0 + bound, S / 100);
            let mut hosts: Vec<IpAddr> = starts.iter().map(|s| s.1).collect();
            hosts.sort();
            hosts.dedup();
            assert_eq!(hosts.len(), 500, "{interval:?}");
        }
    }

    #[test]
    fn h7_probes_are_spread_over_the_interval() {
        let mut t = Timetable::new(10_000);
        t.adopt(&plan(1, 0..1000, S * 10, 0), T0);
        let starts = simulate(&mut t, T0, T0 + S * 30, S / 100);
        for second in 15..25 {
            let n = starts
                .iter()
                .filter(|(m, _)| T0.until(*m).as_secs() == second)
                .count();
            assert!(
                (60..=140).contains(&n),
                "{n} of 1000 probes in second {second}, 100 expected"
            );
        }
    }

    #[test]
    fn h7_each_target_gets_one_probe_per_interval() {
        let mut t = Timetable::new(10_000);
        t.adopt(&plan(1, 0..20, S * 5, 10), T0);
        let starts = simulate(&mut t, T0, T0 + S * 500, S);
        for key in t.keys() {
            let n = of(&starts, key.addr).len();
            assert!((99..=103).contains(&n), "{n} probes in 100 intervals");
            assert_eq!(key.load(), 0.2);
        }
    }

    #[test]
    fn h7_no_more_than_the_limit_run_at_once_and_all_get_their_turn() {
        let mut t = Timetable::new(3);
        t.adopt(&plan(1, 0..50, S, 0), T0);
        let (mut runs, mut seen) = (Vec::new(), std::collections::HashSet::new());
        for tick in 0..200_u32 {
            let now = T0 + S / 10 * tick;
            while let Some(s) = t.start_next(now, 0) {
                seen.insert(s.key.addr);
                runs.push(s.run);
            }
            assert!(t.in_flight() <= 3);
            if t.in_flight() == 3 {
                assert_eq!(t.next_due(), None, "nothing to wait for but an end");
            }
            for r in runs.drain(..) {
                t.finished(r, now);
            }
        }
        assert_eq!(seen.len(), 50);
    }

    #[test]
    fn a_probe_that_finds_no_room_for_an_interval_is_skipped_and_counted() {
        let mut t = Timetable::new(1);
        t.adopt(&plan(1, 0..3, S, 0), T0);
        assert_eq!(t.next_overdue(), None, "there is room");
        let first = t.start_next(T0 + S, 0).unwrap();
        assert!(!first.overdue);
        // The one that runs hangs; nobody else gets a turn.
        let overdue = t.next_overdue().unwrap();
        assert!(overdue > T0 + S && overdue <= T0 + S * 2, "{overdue:?}");
        assert_eq!(t.skip_next(T0 + S, 0), None, "late, but not by an interval");
        let mut skipped: HashMap<TargetId, u32> = HashMap::new();
        for tick in 0..=10 {
            while let Some(target) = t.skip_next(T0 + S * 2 + S * tick, 0) {
                *skipped.entry(target).or_default() += 1;
            }
        }
        assert_eq!(skipped.len(), 2);
        assert!(!skipped.contains_key(&first.target));
        for n in skipped.values() {
            assert!((5..=11).contains(n), "{n} in 10 intervals");
        }
        // With room again the next one starts, on its grid.
        t.finished(first.run, T0 + S * 12);
        assert_eq!(t.next_overdue(), None);
        let late = t.start_next(T0 + S * 100, 0).unwrap();
        assert!(late.overdue, "and it is known how late");
    }

    #[test]
    fn h7_a_removed_target_is_never_started_again_and_its_run_is_handed_back() {
        let mut t = Timetable::new(100);
        t.adopt(&plan(1, 0..2, S, 0), T0);
        let mut runs = Vec::new();
        while runs.len() < 2 {
            let due = t.next_due().unwrap();
            runs.push(t.start_next(due, 0).unwrap());
        }
        let gone = runs
            .iter()
            .find(|s| s.key.addr == IpAddr::V4(0x0A00_0000.into()))
            .unwrap();
        let kept = runs.iter().find(|s| s.key.addr != gone.key.addr).unwrap();
        assert_eq!(t.adopt(&plan(2, 1..2, S, 0), T0 + S), [gone.run]);
        assert_eq!((t.plan(), t.in_flight()), (2, 1));
        assert_eq!(t.finished(gone.run, T0 + S), None);
        // The one that stays has another number now.
        assert_eq!(t.finished(kept.run, T0 + S), Some(TargetId(0)));
        let starts = simulate(&mut t, T0 + S, T0 + S * 20, S / 10);
        assert!(starts.len() >= 18 && starts.iter().all(|(_, a)| *a == kept.key.addr));
    }

    #[test]
    fn a_reload_does_not_shift_targets_that_stay() {
        let (mut once, mut often) = (Timetable::new(100), Timetable::new(100));
        once.adopt(&plan(1, 0..5, S * 10, 0), T0);
        let expected = simulate(&mut once, T0, T0 + S * 50, Duration::ZERO);
        often.adopt(&plan(1, 0..5, S * 10, 0), T0);
        let mut got = Vec::new();
        for n in 0..50_u32 {
            let from = T0 + S * n;
            often.adopt(&plan(u64::from(n), 0..5, S * 10, 0), from);
            got.extend(simulate(&mut often, from, from + S, Duration::ZERO));
        }
        assert_eq!(got, expected);
    }

    #[test]
    fn a_long_delay_does_not_lead_to_a_burst() {
        let mut t = Timetable::new(100);
        t.adopt(&plan(1, 0..1, S, 0), T0);
        let late = T0 + S * 1000;
        let s = t.start_next(late, 0).unwrap();
        t.finished(s.run, late);
        let next = t.next_due().unwrap();
        assert!(next > late && next <= late + S, "{next:?}");
    }

    proptest! {
        /// The promises that T1 and O11 rest on: from the third probe on, n gaps last n intervals,
        /// give or take the jitter; no gap is ever longer; and never do two probes of a target overlap.
        #[test]
        fn h7_starts_stay_on_the_grid(
            interval in 100..20_000_u64, jitter in 0..=50_u32, took_percent in 0..=50_u32, host in any::<u16>(),
        ) {
            let interval = Duration::from_millis(interval);
            let took = interval * took_percent / 100;
            let mut t = Timetable::new(10);
            t.adopt(&plan(1, u32::from(host)..u32::from(host) + 1, interval, jitter), T0);
            let starts = simulate(&mut t, T0, T0 + interval * 30, took);
            prop_assert!(starts.len() >= 28);
            let slack = interval * jitter / 100 + Duration::from_micros(1);
            let grid = &starts[2..];
            for pair in starts.windows(2) {
                let gap = pair[0].0.until(pair[1].0);
                prop_assert!(gap >= took && gap <= interval + slack, "{:?}", gap);
            }
            for (n, (later, _)) in grid.iter().enumerate().skip(1) {
                for (m, (earlier, _)) in grid[..n].iter().enumerate() {
                    let (gap, gaps) = (earlier.until(*later), interval * (n - m) as u32);
                    prop_assert!(gap + slack >= gaps && gap <= gaps + slack, "{:?} for {:?}", gap, gaps);
                }
            }
        }
    }
}
