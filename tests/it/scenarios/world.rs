//! Simulated nodes: judges, councils and views on one virtual clock, and what reaches whom.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tradewind::compile::compile;
use tradewind::config::Marked;
use tradewind::config::load::load_texts;
use tradewind::config::spec::NodeFleetSpec;
use tradewind::health::council::Remembered;
use tradewind::health::{
    Board, Council, Failure, Judge, Observation, Outcome, OwnWord, Says, Testimony, Verdict,
};
use tradewind::ids::{NameId, TargetId};
use tradewind::net::Family;
use tradewind::snapshot::{Parts, Snapshot, View};
use tradewind::steer::{Ask, Chosen, Client, ClientSource, Draw, Measurements, NoTrace, decide};
use tradewind::time::{Moment, Wall};
use tradewind::units::Generation;

/// A word takes so long from node to node.
const DELAY: Duration = Duration::from_millis(200);
/// Signs of life.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// The wait for the first probes.
const FIRST_ROUND: Duration = Duration::from_secs(10);
/// References are tried so often.
const REFERENCES: Duration = Duration::from_secs(5);
/// Time zero of scripts.
const START: Moment = Moment(1_000_000_000_000);
const UNIX: Duration = Duration::from_secs(1_790_000_000);

/// What probes find at an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) enum Finding {
    Passes,
    Fails,
    /// So many percent are lost.
    Loses(u64),
    /// It answers after so long.
    Takes(Duration),
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Probe(usize, u32, usize),
    Heartbeat(usize, u32),
    References(usize, u32),
    Patience(usize, u32),
    Wake(usize),
    Word(usize, usize),
}

/// A running node.
struct Life {
    judge: Judge,
    council: Council,
    view: View,
    told: OwnWord,
    wakes: Option<Moment>,
}

struct Node {
    name: String,
    snapshot: Arc<Snapshot>,
    /// Counts starts.
    life_number: u32,
    life: Option<Life>,
    remembered: Vec<Remembered>,
    changes: HashMap<usize, usize>,
    wall: Wall,
}

pub(super) struct World {
    now: Moment,
    queue: BinaryHeap<Reverse<(Moment, u64, Event)>>,
    /// Words under way.
    words: Vec<Option<Testimony>>,
    count: u64,
    nodes: Vec<Node>,
    found: BTreeMap<String, Finding>,
    cuts: HashSet<(String, String)>,
    dice: u64,
}

impl World {
    pub(super) fn new(config: &str) -> World {
        let zone = b"@ 300 IN SOA ns hostmaster 1 7200 3600 1209600 300\n@ 300 IN NS ns\nns 300 IN A 192.0.2.53\n";
        let file = (PathBuf::from("tradewind.toml"), config.as_bytes().to_vec());
        let mut loaded = load_texts(vec![file], &mut |_| Ok(zone.to_vec()));
        // How they reach each other and what they keep is the world's business.
        for node in &mut loaded.spec.nodes {
            let span = node.name.span;
            loaded.spec.fleet.ca = Some(Marked::new("ca.pem".into(), span));
            node.state_dir = Some(Marked::new("state".into(), span));
            node.fleet = Some(NodeFleetSpec {
                span,
                listen: None,
                advertise: None,
                certificate: None,
                key: None,
                ingest: None,
                push_to: Vec::new(),
                complete: true,
            });
        }
        let names: Vec<String> = loaded
            .spec
            .nodes
            .iter()
            .map(|n| n.name.value.clone())
            .collect();
        let mut world = World {
            now: START,
            queue: BinaryHeap::new(),
            words: Vec::new(),
            count: 0,
            nodes: Vec::new(),
            found: BTreeMap::new(),
            cuts: HashSet::new(),
            dice: 0x9E37_79B9_7F4A_7C15,
        };
        for name in names {
            let (compiled, told) =
                compile(&loaded.spec, &loaded.inputs, &loaded.sources, Some(&name));
            let errors = loaded.diagnostics.iter().chain(&told);
            let errors: Vec<&str> = errors.map(|d| d.message.as_str()).collect();
            let compiled = compiled.unwrap_or_else(|| panic!("{errors:?}"));
            assert!(loaded.diagnostics.is_empty(), "{errors:?}");
            for e in &compiled.snapshot.steering.endpoints {
                world.found.insert(e.name.to_string(), Finding::Passes);
            }
            world.nodes.push(Node {
                name,
                snapshot: compiled.snapshot,
                life_number: 0,
                life: None,
                remembered: Vec::new(),
                changes: HashMap::new(),
                wall: Wall::new(Moment::ZERO, UNIX),
            });
        }
        for n in 0..world.nodes.len() {
            world.begin(n, false);
        }
        world
    }

    fn at(&mut self, at: Moment, event: Event) {
        self.count += 1;
        self.queue.push(Reverse((at, self.count, event)));
    }

    fn roll(&mut self) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice >> 11
    }

    /// A node's process starts.
    fn begin(&mut self, n: usize, warm: bool) {
        let now = self.now;
        let node = &mut self.nodes[n];
        node.life_number += 1;
        let life_number = node.life_number;
        let s = &node.snapshot;
        let mut judge = Judge::new(&s.monitors, &s.targets, s.target_of.len(), now);
        let mut council = Council::new(s.settings.council.clone(), &mut judge, now);
        if warm {
            let unix = node.wall.unix(now);
            council.warm(&node.remembered, &mut judge, now, unix);
        }
        let board = Arc::new(council.board(&judge));
        let view = View::new(Generation(1), now, Parts::new(s.clone(), board));
        node.life = Some(Life {
            judge,
            council,
            view,
            told: OwnWord::default(),
            wakes: None,
        });
        let probes = s.settings.council.probes_here();
        let count = s.targets.len();
        self.at(now + FIRST_ROUND, Event::Patience(n, life_number));
        if !probes {
            return;
        }
        for target in 0..count {
            // Spread over the first seconds.
            let phase = Duration::from_millis(self.roll() % 3000);
            self.at(now + phase, Event::Probe(n, life_number, target));
        }
        let beat = Duration::from_millis(self.roll() % 1000);
        self.at(now + beat, Event::Heartbeat(n, life_number));
        self.at(now + beat, Event::References(n, life_number));
    }

    /// Lets time pass until `time` after the start.
    pub(super) fn run_until(&mut self, time: Duration) {
        let end = START + time;
        assert!(end >= self.now, "the lines are in the order of time");
        while self.queue.peek().is_some_and(|e| e.0.0 <= end) {
            let Some(Reverse((at, _, event))) = self.queue.pop() else {
                break;
            };
            self.now = at;
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Probe(n, life, target) => self.probe(n, life, target),
            Event::Heartbeat(n, life) => self.beat(n, life),
            Event::References(n, life) => self.try_references(n, life),
            Event::Patience(n, life) => {
                let node = &mut self.nodes[n];
                if node.life_number == life
                    && let Some(l) = &mut node.life
                    && !l.council.first_round_done(&l.judge)
                {
                    l.council.give_up_waiting(&mut l.judge, self.now);
                }
                self.publish(n);
            }
            Event::Wake(n) => {
                if let Some(l) = &mut self.nodes[n].life {
                    l.wakes = None;
                }
                self.publish(n);
            }
            Event::Word(n, word) => {
                let Some(testimony) = self.words[word].take() else {
                    return;
                };
                let me = self.nodes[n].name.clone();
                if self.is_cut(&me, &testimony.vantage) {
                    return;
                }
                if let Some(l) = &mut self.nodes[n].life
                    && l.council.hear(&testimony, self.now)
                {
                    self.publish(n);
                }
            }
        }
    }

    fn is_cut(&self, a: &str, b: &str) -> bool {
        let cut = |a: &str, b: &str| self.cuts.contains(&(a.to_owned(), b.to_owned()));
        cut(a, b) || cut(b, a)
    }

    fn probe(&mut self, n: usize, life: u32, target: usize) {
        if self.nodes[n].life_number != life || self.nodes[n].life.is_none() {
            return;
        }
        let s = self.nodes[n].snapshot.clone();
        let t = &s.targets[target];
        let monitor = &s.monitors[t.monitor.index()];
        let endpoint = s.steering.endpoints[t.endpoints[0].index()]
            .name
            .to_string();
        let rtt = Duration::from_millis(20);
        let cut = self.is_cut(&self.nodes[n].name.clone(), &endpoint);
        let lost = self.roll() % 100;
        let outcome = match self.found[&endpoint] {
            _ if cut => Outcome::Fail(Failure::Timeout(monitor.timeout)),
            Finding::Passes => Outcome::Pass { rtt },
            Finding::Fails => Outcome::Fail(Failure::Connect("refused".to_owned())),
            Finding::Loses(percent) if lost < percent => {
                Outcome::Fail(Failure::Timeout(monitor.timeout))
            }
            Finding::Loses(_) => Outcome::Pass { rtt },
            Finding::Takes(time) if time >= monitor.timeout => {
                Outcome::Fail(Failure::Timeout(monitor.timeout))
            }
            Finding::Takes(time) => Outcome::Pass { rtt: time },
        };
        let observation = Observation {
            target: TargetId::from_index(target),
            at: self.now,
            outcome,
        };
        let mut changed = false;
        if let Some(l) = &mut self.nodes[n].life {
            changed = l.council.observed(&mut l.judge, &observation);
        }
        self.at(self.now + monitor.interval, Event::Probe(n, life, target));
        if changed {
            self.publish(n);
            self.tell_votes(n);
        }
    }

    fn beat(&mut self, n: usize, life: u32) {
        let node = &mut self.nodes[n];
        let Some(l) = node.life.as_mut().filter(|_| node.life_number == life) else {
            return;
        };
        let blind = l.council.is_blind();
        // A slow refresh for those who came late.
        l.told = OwnWord::default();
        self.say(n, Says::Alive { blind });
        self.tell_votes(n);
        self.at(self.now + HEARTBEAT, Event::Heartbeat(n, life));
    }

    fn try_references(&mut self, n: usize, life: u32) {
        let cut = self.is_cut(&self.nodes[n].name.clone(), "references");
        let node = &mut self.nodes[n];
        let Some(l) = node.life.as_mut().filter(|_| node.life_number == life) else {
            return;
        };
        let count = node.snapshot.settings.council.references.len();
        let mut changed = false;
        for r in 0..count {
            changed |= l.council.reference(r, !cut, self.now);
        }
        self.at(self.now + REFERENCES, Event::References(n, life));
        if changed {
            self.publish(n);
        }
    }

    /// Tells the others what changed.
    fn tell_votes(&mut self, n: usize) {
        let Some(l) = &mut self.nodes[n].life else {
            return;
        };
        let word = l.judge.word(false);
        if word.votes == l.told.votes {
            return;
        }
        let votes = word.votes.clone().into();
        l.told = word;
        self.say(n, Says::Votes { chunk: 0, votes });
    }

    fn say(&mut self, n: usize, says: Says) {
        let vantage: Arc<str> = self.nodes[n].name.as_str().into();
        for to in (0..self.nodes.len()).filter(|to| *to != n) {
            if self.is_cut(&self.nodes[to].name.clone(), &vantage) {
                continue;
            }
            self.words.push(Some(Testimony {
                vantage: vantage.clone(),
                says: says.clone(),
            }));
            self.at(self.now + DELAY, Event::Word(to, self.words.len() - 1));
        }
    }

    fn publish(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        let Some(l) = &mut node.life else { return };
        let mut board: Board = (*l.view.board).clone();
        let mut rtt = l.view.measurements.rtt.clone();
        l.council.renew(&mut l.judge, &mut board, &mut rtt, now);
        assert_eq!(board, l.council.board(&l.judge), "renewed as built anew");
        let differ: Vec<usize> = l
            .view
            .board
            .differing(&board, |a, b| a.state.serves() == b.state.serves())
            .map(|e| e.index())
            .collect();
        for e in differ {
            *node.changes.entry(e).or_default() += 1;
        }
        let parts = Parts {
            measurements: Arc::new(Measurements {
                rtt,
                ..Measurements::default()
            }),
            wall: node.wall,
            ..Parts::new(node.snapshot.clone(), Arc::new(board))
        };
        l.view = View::after(&l.view, l.view.generation.next(), now, parts);
        let wake = l
            .council
            .due()
            .map(|at| at.max(now + Duration::from_millis(1)));
        if let Some(at) = wake.filter(|at| l.wakes.is_none_or(|w| *at < w)) {
            l.wakes = Some(at);
            self.at(at, Event::Wake(n));
        }
    }

    // ---- what a script orders -------------------------------------------------------------------

    fn node(&self, name: &str) -> Result<usize, String> {
        let found = self.nodes.iter().position(|n| n.name == name);
        found.ok_or_else(|| format!("no node {name}"))
    }

    /// The nodes that run, or the one.
    fn those(&self, name: &str) -> Result<Vec<usize>, String> {
        if name.trim_end_matches(':') != "all" {
            return Ok(vec![self.node(name.trim_end_matches(':'))?]);
        }
        Ok((0..self.nodes.len())
            .filter(|n| self.nodes[*n].life.is_some())
            .collect())
    }

    fn endpoint(&self, name: &str) -> Result<usize, String> {
        let endpoints = &self.nodes[0].snapshot.steering.endpoints;
        let found = endpoints.iter().position(|e| &*e.name == name);
        found.ok_or_else(|| format!("no endpoint {name}"))
    }

    pub(super) fn finds(&mut self, endpoints: &[&str], finding: Finding) -> Result<(), String> {
        for e in endpoints {
            match *e {
                "*" => self.found.values_mut().for_each(|f| *f = finding),
                e => *self.found.get_mut(e).ok_or(format!("no endpoint {e}"))? = finding,
            }
        }
        Ok(())
    }

    pub(super) fn cut(&mut self, node: &str, whom: &[&str]) -> Result<(), String> {
        self.node(node)?;
        for whom in whom {
            let mut all: Vec<String> = vec![(*whom).to_owned()];
            if *whom == "*" {
                all = self.found.keys().cloned().collect();
                all.extend(self.nodes.iter().map(|n| n.name.clone()));
                all.push("references".to_owned());
            } else if *whom != "references" && self.node(whom).is_err() {
                self.endpoint(whom)?;
            }
            for whom in all {
                self.cuts.insert((node.to_owned(), whom));
            }
        }
        Ok(())
    }

    pub(super) fn heal(&mut self, node: &str) -> Result<(), String> {
        self.node(node)?;
        self.cuts.retain(|(a, b)| a != node && b != node);
        Ok(())
    }

    pub(super) fn stop(&mut self, node: &str) -> Result<(), String> {
        let n = self.node(node)?;
        let wall = self.nodes[n].wall;
        let now = self.now;
        let node = &mut self.nodes[n];
        let mut life = node.life.take().ok_or("it does not run")?;
        node.remembered = life.council.remember(&mut life.judge, now, wall);
        Ok(())
    }

    pub(super) fn start(&mut self, node: &str, warm: bool) -> Result<(), String> {
        let n = self.node(node)?;
        self.begin(n, warm);
        Ok(())
    }

    pub(super) fn jump(&mut self, node: &str, by: Duration, forward: bool) -> Result<(), String> {
        let n = self.node(node)?;
        let unix = if forward { UNIX + by } else { UNIX - by };
        self.nodes[n].wall = Wall::new(Moment::ZERO, unix);
        self.publish(n);
        Ok(())
    }

    pub(super) fn release(&mut self, endpoint: &str) -> Result<(), String> {
        let e = tradewind::ids::EndpointId::from_index(self.endpoint(endpoint)?);
        for n in self.those("all")? {
            let wall = self.nodes[n].wall;
            if let Some(l) = &mut self.nodes[n].life {
                let ordered = |waits| (waits == e).then_some(u64::MAX);
                l.council.release(ordered, wall, self.now);
            }
            self.publish(n);
        }
        Ok(())
    }

    pub(super) fn verdicts(
        &self,
        node: &str,
        endpoint: &str,
    ) -> Result<Vec<(String, Verdict)>, String> {
        let e = tradewind::ids::EndpointId::from_index(self.endpoint(endpoint)?);
        let mut all = Vec::new();
        for n in self.those(node)? {
            let node = &self.nodes[n];
            let life = node.life.as_ref().ok_or("it does not run")?;
            all.push((node.name.clone(), life.view.board.verdict(e).clone()));
        }
        Ok(all)
    }

    pub(super) fn changes(
        &self,
        node: &str,
        endpoint: &str,
    ) -> Result<Vec<(String, usize)>, String> {
        let e = self.endpoint(endpoint)?;
        let those = self.those(node)?.into_iter();
        let count = |n: usize| self.nodes[n].changes.get(&e).copied().unwrap_or(0);
        Ok(those
            .map(|n| (self.nodes[n].name.clone(), count(n)))
            .collect())
    }

    /// What comes in 200 answers, sorted.
    pub(super) fn ask(
        &mut self,
        node: &str,
        name: &str,
    ) -> Result<Vec<(String, Vec<String>)>, String> {
        let mut all = Vec::new();
        for n in self.those(node)? {
            let mut got = BTreeSet::new();
            for turn in 0..200 {
                let random = self.roll() << 11 ^ self.roll();
                let node = &self.nodes[n];
                let steering = &node.snapshot.steering;
                let id = steering
                    .names
                    .iter()
                    .position(|s| s.owner.to_string().trim_end_matches('.') == name)
                    .ok_or_else(|| format!("no name {name}"))?;
                let ask = Ask {
                    name: NameId::from_index(id),
                    family: Family::V4,
                    client: Client {
                        addr: "198.51.100.1".parse().unwrap(),
                        source: ClientSource::Resolver,
                    },
                    now: self.now,
                    draw: Draw { random, turn },
                };
                let live = &node.life.as_ref().ok_or("it does not run")?.view.live;
                match decide(steering, live, &ask, &mut NoTrace).chosen {
                    Chosen::Endpoints(picks) => {
                        let name = |e: &tradewind::ids::EndpointId| {
                            steering.endpoints[e.index()].name.to_string()
                        };
                        got.extend(picks.as_slice().iter().map(name));
                    }
                    Chosen::ServFail => drop(got.insert("SERVFAIL".to_owned())),
                    Chosen::LastResortCname => drop(got.insert("CNAME".to_owned())),
                    Chosen::NoData => drop(got.insert("NODATA".to_owned())),
                }
            }
            all.push((self.nodes[n].name.clone(), got.into_iter().collect()));
        }
        Ok(all)
    }
}
