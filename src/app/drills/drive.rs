//! The loop: hears what others say, says what this node sees, and drives where it is this node's turn.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::answers::Cursors;
use super::files::{File, row};
use super::traffic::{Meter, Totals, is_meant};
use super::trouble::{Sight, trouble};
use super::word::{Seen, Word};
use super::world::Ground;
use super::{Drills, Known};
use crate::app::store::Write;
use crate::drill::report::{Applied, Note};
use crate::drill::{Answers, Charter, Course, End, Phase, State};
use crate::fleet::{Change, Key};
use crate::history::{Level, What};
use crate::overrides::{InForce, Kind, Stamp};
use crate::snapshot::{Snapshot, View};
use crate::time::Moment;

/// Words are told under this.
const PREFIX: &str = "dr/";

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Traffic is counted so often, and what was counted told every other time.
const SECOND: Duration = Duration::from_secs(1);

/// A drill that was planned, and of which no order came, is given up after so many milliseconds.
const PATIENCE_MS: u64 = 30_000;

/// A node that sees too few others waits so long before it believes that they are gone: it may have
/// just started, or they may.
const LACKING: Duration = Duration::from_secs(10);

/// After its end a drill waits at least so long for the words of others, in milliseconds.
const SETTLE_MS: u64 = 1_500;

/// And at most so long, where a node keeps silent.
const SILENT_MS: u64 = 15_000;

/// Where answers were seen, for what others counted after its end: they tell it with the next second, and a
/// share is taken over three.
const HEARD_MS: u64 = 3_500;

/// And where answers have yet to come back, or nobody asks any more.
const ANSWERS_MS: u64 = 5_000;

/// And where traffic has yet to come back.
const TRAFFIC_MS: u64 = 120_000;

/// This node's words about so many drills are told at a time: the latest.
const TOLD: usize = 4;

/// So much that others say is taken at a time.
const BATCH: usize = 64;

/// A drill that must end.
pub(super) struct Lift {
    charter: Charter,
    why: String,
}

impl Drills {
    /// Hears, says and drives, until `stopped` turns true.
    pub async fn run(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut changes = self.tools.bus.subscribe(PREFIX);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut grounds = Grounds::default();
        let mut meter = Meter::default();
        let mut cursors = Cursors::default();
        let mut counted = self.tools.clock.now();
        let mut listens = true;
        let mut batch: Vec<Change> = Vec::new();
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                count = changes.recv_many(&mut batch, BATCH), if listens => listens = count > 0,
                _ = look.tick() => {}
            }
            for change in batch.drain(..) {
                self.hear(&change);
            }
            let now = self.tools.clock.now();
            if now.since(counted) >= SECOND {
                counted = now;
                let arrivals = self.count(&mut meter, &mut grounds);
                self.tell_load(arrivals);
                self.count_answers(&mut cursors, &mut grounds);
            }
            for lift in self.look(Some(&mut grounds)) {
                let this = self.clone();
                // It waits for other nodes.
                tokio::spawn(async move { this.lift_for(&lift).await });
            }
            self.announce();
            self.tell();
        }
    }

    async fn lift_for(&self, lift: &Lift) {
        let id = &lift.charter.drill.id;
        let reason = format!("drill {id} rolled back: {}", lift.why);
        if let Err(e) = self.lift(&lift.charter, "tradewind", &reason).await {
            tracing::error!(drill = %id, "the drill cannot be ended now, and ends by its time: {e}");
        }
    }

    /// Takes in a node's word.
    fn hear(&self, change: &Change) {
        if change.owner == self.tools.node || change.value.is_empty() {
            return;
        }
        if !self.tools.fleet.may_say(change) {
            return;
        }
        match Word::parse(&change.value) {
            Ok(word) if change.key.as_str() == format!("{PREFIX}{}", word.charter.drill.id) => {
                let id = word.charter.drill.id.clone();
                let mut known = self.known();
                if known.files.hear(&change.owner, word) {
                    known.unkept.insert((id, change.owner.clone()));
                }
            }
            Ok(_) => self.tools.fleet.malformed(change, &"its key is another's"),
            Err(e) => self.tools.fleet.malformed(change, &e),
        }
    }

    /// Looks at every drill that is not done with; gives those that must end.
    pub(super) fn look(&self, grounds: Option<&mut Grounds>) -> Vec<Lift> {
        let view = self.tools.publisher.latest();
        let standing = self.tools.orders.standing();
        let drills = standing.0.iter();
        let in_force: Vec<&InForce> = drills
            .filter(|o| matches!(o.kind, Kind::Drill(_)))
            .collect();
        self.open_files(&in_force);
        let now_ms = self.now_ms();
        let open = |f: &File| !matches!(f.state(now_ms), State::Reported(_));
        let files: Vec<File> = {
            let known = self.known();
            let all = known.files.0.values();
            let ordered = |f: &File| in_force.iter().any(|o| is_of(o, f));
            all.filter(|f| open(f) || ordered(f)).cloned().collect()
        };
        let drives = self.live_peers().first() == Some(&self.tools.node)
            && self.tools.peers.contains(&self.tools.node)
            && self.knows_who_is_there();
        let mut lifts = Vec::new();
        let mut own = Grounds::default();
        let grounds = grounds.unwrap_or(&mut own);
        for file in &files {
            self.note_view(file, &view);
            if drives {
                let order = in_force.iter().find(|o| is_of(o, file)).copied();
                let ground = grounds.of(&file.charter, &view);
                let sight = order.map(|order| Sight {
                    file,
                    order,
                    ground,
                    view: &view,
                    standing: &standing,
                    present: self.present(),
                    wall: self.tools.clock.wall(),
                    now: self.tools.clock.now(),
                });
                lifts.extend(self.drive(file, sight.as_ref(), now_ms));
            }
        }
        lifts
    }

    /// Whether most are there, or have been missing for so long that it is not this node which has yet
    /// to hear of them.
    fn knows_who_is_there(&self) -> bool {
        let now = self.tools.clock.now();
        let enough = self.present().is_enough();
        let mut known = self.known();
        if enough {
            known.lacking = None;
            return true;
        }
        now.since(*known.lacking.get_or_insert(now)) >= LACKING
    }

    /// Makes a file of each drill that is known by its order only.
    fn open_files(&self, in_force: &[&InForce]) {
        for order in in_force {
            let Some(drill) = &order.record.drill else {
                continue;
            };
            if self.known().files.0.contains_key(&drill.id) {
                continue;
            }
            let Kind::Drill(effect) = order.kind else {
                continue;
            };
            let record = &order.record;
            let charter = Charter {
                drill: drill.clone(),
                effect,
                scope: order.subject.scope,
                name: order.subject.name.clone(),
                owner: record.owner.clone(),
                reason: record.reason.clone(),
                break_glass: record.broke.clone(),
                demand: None,
                measured: None,
                max_errors: Charter::MAX_ERRORS,
                node: record.author().clone(),
                planned_ms: record.stamp.ms,
                ends_ms: record.expires.unwrap_or(u64::MAX),
            };
            let mut word = Word::about(charter);
            word.number = self.now_ms();
            let mut known = self.known();
            known.files.hear(&self.tools.node, word);
            known.untold.insert(drill.id.clone());
        }
    }

    /// Notes the views of this node that first had the drill, and had it no more.
    fn note_view(&self, file: &File, view: &View) {
        let id = &file.charter.drill.id;
        let Some(mark) = view.drill_marks.iter().find(|m| m.id == *id) else {
            return;
        };
        let wall = self.tools.clock.wall();
        let applied = |(generation, at): (crate::units::Generation, Moment)| Applied {
            generation: generation.0,
            at_ms: wall.unix_ms(at),
        };
        let word = file.words.get(&self.tools.node);
        let (begun, over) = word.map_or((None, None), |w| (w.begun, w.over));
        if begun.is_none() || over.is_none() && mark.over.is_some() {
            self.say(id, |word| {
                word.begun.get_or_insert(applied(mark.begun));
                word.over = word.over.or(mark.over.map(applied));
            });
        }
    }

    /// What whoever drives does about one drill.
    fn drive(&self, file: &File, sight: Option<&Sight<'_>>, now_ms: u64) -> Option<Lift> {
        let id = &file.charter.drill.id;
        let (node, ends_ms) = (&self.tools.node, file.charter.ends_ms);
        let course = file.course();
        let state = course.state(now_ms, ends_ms);
        if matches!(state, State::Reported(_)) && sight.is_none() {
            return None;
        }
        self.take_turn(file, state, now_ms);
        let lift = |why: &str| {
            // What time ends anyhow needs no order.
            (now_ms < ends_ms).then(|| Lift {
                charter: file.charter.clone(),
                why: why.to_owned(),
            })
        };
        match (sight, state) {
            (Some(sight), State::Planned | State::Checked) => {
                let at = (sight.order.record.stamp.ms, ends_ms);
                self.step(id, |course| {
                    // What was passed over is passed over again.
                    let _ = course.check(at, node, "its order is there".to_owned());
                    let _ = course.begin(at, node, "its order is in force".to_owned());
                });
                None
            }
            (Some(sight), State::Running) => {
                let why = trouble(sight)?;
                let said = why.clone();
                self.step(id, |course| {
                    let _ = course.end(End::RolledBack, (now_ms, ends_ms), node, said);
                });
                lift(&why)
            }
            (Some(_), State::Ended(_) | State::Reported(_)) => {
                // Whoever ended it may have died before its order was taken back.
                let since = course.ended_ms().unwrap_or(now_ms);
                let slow = now_ms.saturating_sub(since) > 1_000;
                if slow { lift("it ended") } else { None }
            }
            (None, State::Planned | State::Checked) => {
                let waited = now_ms.saturating_sub(file.charter.planned_ms);
                if waited > PATIENCE_MS {
                    let why = "its order never came into force".to_owned();
                    self.step(id, |course| {
                        let _ = course.end(End::Aborted, (now_ms, ends_ms), node, why);
                    });
                }
                None
            }
            (None, State::Running) => {
                let subject = super::world::subject(&file.charter);
                let begun = course.begun_ms().unwrap_or(0);
                let cleared = self.tools.orders.cleared(&subject, begun)?;
                let why = match &*cleared.1 {
                    "" => String::new(),
                    reason => format!(": {reason}"),
                };
                let said = format!("its order was taken back by {}{why}", cleared.0);
                let at = cleared.2.max(begun);
                self.step(id, |course| {
                    let _ = course.end(End::Aborted, (at, ends_ms), node, said);
                });
                None
            }
            (None, State::Ended(_)) => {
                self.conclude(file, &course, now_ms);
                None
            }
            (None, State::Reported(_)) => None,
        }
    }

    /// Notes that this node drives, where it was another or nobody.
    fn take_turn(&self, file: &File, state: State, now_ms: u64) {
        let driver = file.driver();
        let (node, id) = (&self.tools.node, &file.charter.drill.id);
        if driver.as_ref().is_some_and(|(_, who, _)| who == node)
            || state.end().is_some() && driver.is_none()
        {
            return;
        }
        let turn = driver.as_ref().map_or(1, |(turn, ..)| turn + 1);
        let live = self.live_peers();
        let gone = driver.filter(|(_, who, _)| !live.contains(who));
        self.say(id, |word| {
            word.drives = Some((turn, now_ms));
            if let Some((_, who, _)) = gone {
                word.notes.push(Note {
                    at_ms: now_ms,
                    node: node.clone(),
                    text: format!("node {who} is gone; {node} drives the drill from now on"),
                });
            }
        });
    }

    /// Notes the end that time brought, and in time that the report is whole.
    fn conclude(&self, file: &File, course: &Course, now_ms: u64) {
        let (id, node) = (&file.charter.drill.id, &self.tools.node);
        let ends_ms = file.charter.ends_ms;
        if !course.0.contains_key(&Phase::Ended) {
            let end = match course.begun_ms() {
                Some(_) => (End::Finished, "its time is over"),
                None => (End::Aborted, "it never began"),
            };
            self.step(id, |course| {
                let _ = course.end(end.0, (ends_ms, ends_ms), node, end.1.to_owned());
            });
            return;
        }
        let ended = course.ended_ms().unwrap_or(ends_ms);
        let waited = now_ms.saturating_sub(ended);
        let live = self.live_peers();
        let told = live.iter().all(|peer| {
            let word = file.words.get(peer);
            word.is_some_and(|w| w.begun.is_none() || w.over.is_some())
        });
        let view = self.tools.publisher.latest();
        let shown = super::show::report(file, None, &view, now_ms);
        let back = shown
            .traffic
            .as_ref()
            .is_none_or(|t| t.away.is_none() || t.back.is_some_and(|b| b.ninety_nine.is_some()));
        let settled = waited >= SETTLE_MS
            && (told || waited >= SILENT_MS)
            && waited >= answers_settle_ms(&shown.answers);
        let whole = settled && back || waited >= TRAFFIC_MS;
        if whole {
            let said = match file.words.values().filter(|w| w.over.is_some()).count() {
                1 => "the report is whole: 1 node told".to_owned(),
                told => format!("the report is whole: {told} nodes told"),
            };
            self.step(id, |course| {
                let _ = course.report((now_ms, ends_ms), node, said);
            });
        }
    }

    /// Counts the last second's traffic of this node's proxy for each drill under way; gives what it
    /// brought.
    fn count(&self, meter: &mut Meter, grounds: &mut Grounds) -> Option<u64> {
        let carrier = self.tools.carrier.as_ref()?;
        let before = meter.before();
        let second = meter.tick(Totals::of(carrier));
        let now_ms = self.now_ms();
        let files: Vec<File> = self.known().files.0.values().cloned().collect();
        for file in files {
            let course = file.course();
            let Some(begun) = course.begun_ms() else {
                continue;
            };
            let state = course.state(now_ms, file.charter.ends_ms);
            if matches!(state, State::Reported(_)) || file.charter.drill.reach.is_scoped() {
                continue;
            }
            let view = self.tools.publisher.latest();
            let ground = grounds.of(&file.charter, &view);
            let meant = ground.is_some_and(|g| is_meant(g, &view));
            let ended = state
                .end()
                .map(|_| course.ended_ms().unwrap_or(file.charter.ends_ms));
            let recent = meter.recent(now_ms);
            self.say(&file.charter.drill.id, |word| {
                word.recent = Some(recent);
                if !meant {
                    return;
                }
                let seen = word.seen.get_or_insert_with(|| Seen {
                    away: before.clone(),
                    ..Seen::default()
                });
                // A second is over when it is counted.
                let since = |from: u64| (now_ms.saturating_sub(from) / 1000).saturating_sub(1);
                match ended {
                    None => seen.away.add(since(begun), second.arrivals),
                    Some(end) => seen.back.add(since(end), second.arrivals),
                }
            });
        }
        Some(second.arrivals)
    }

    /// Counts a phase that was entered; what a node hears that was not there at the time is no news.
    fn count_step(&self, phase: Phase, at_ms: u64, end: Option<End>) {
        match (phase, end) {
            _ if at_ms < self.since_ms => {}
            (Phase::Running, _) => self.counts.begun(),
            (Phase::Ended, Some(end)) => self.counts.ended(end),
            _ => {}
        }
    }

    /// Tells phases that were not told yet as events.
    fn announce(&self) {
        let mut events = Vec::new();
        {
            let now_ms = self.now_ms();
            let mut known = self.known();
            for (id, file) in &mut known.files.0 {
                let course = file.course();
                let what = file.charter.what();
                for (phase, step) in &course.0 {
                    if !file.told.insert(*phase) {
                        continue;
                    }
                    let end = course.state(now_ms, file.charter.ends_ms).end();
                    self.count_step(*phase, step.at_ms, end);
                    let (word, level) = match (phase, step.end) {
                        (Phase::Planned, _) => ("planned", Level::Info),
                        (Phase::Checked, _) => ("checked", Level::Info),
                        (Phase::Running, _) => ("begun", Level::Warning),
                        (Phase::Ended, Some(End::Finished)) => ("finished", Level::Info),
                        (Phase::Ended, Some(End::RolledBack)) => ("rolled-back", Level::Warning),
                        (Phase::Ended, _) => ("aborted", Level::Warning),
                        (Phase::Reported, _) => ("reported", Level::Info),
                    };
                    events.push(What::Drill {
                        id: id.to_string(),
                        step: word,
                        text: format!("{what}: {}", step.text),
                        level,
                    });
                }
                let driver = file.driver().map(|(_, who, _)| who);
                if driver != file.driver_told {
                    if let (Some(new), Some(old)) = (&driver, &file.driver_told)
                        && course.state(now_ms, file.charter.ends_ms).end().is_none()
                    {
                        events.push(What::Drill {
                            id: id.to_string(),
                            step: "taken-over",
                            text: format!("{what}: driven by node {new} after {old}"),
                            level: Level::Warning,
                        });
                    }
                    file.driver_told = driver;
                }
            }
        }
        for event in &events {
            self.tools.chronicle.record(event);
        }
    }

    /// Tells and keeps what is new.
    pub(super) fn tell(&self) {
        let mut write = Write::default();
        let (told, retired) = {
            let mut known = self.known();
            let Known {
                files,
                untold,
                unkept,
                ..
            } = &mut *known;
            let own = &self.tools.node;
            let mut told = Vec::new();
            let latest: Vec<Arc<str>> = files
                .latest()
                .iter()
                .take(TOLD)
                .map(|f| f.charter.drill.id.clone())
                .collect();
            let mut retired = Vec::new();
            for id in std::mem::take(untold) {
                let word = files.0.get(&id).and_then(|f| f.words.get(own));
                let Some(word) = word else { continue };
                write.drills.push((row(&id, own), Some(word.text())));
                match latest.contains(&id) {
                    true => told.push((id, word.told())),
                    false => retired.push(id),
                }
            }
            for (id, node) in std::mem::take(unkept) {
                let word = files.0.get(&id).and_then(|f| f.words.get(&node));
                write
                    .drills
                    .extend(word.map(|w| (row(&id, &node), Some(w.text()))));
            }
            let gone = files.forget();
            for key in gone {
                let id = key.split_once('/').map_or("", |(id, _)| id);
                retired.push(id.into());
                write.drills.push((key, None));
            }
            (told, retired)
        };
        for (id, text) in told {
            if let Ok(key) = Key::new(&format!("{PREFIX}{id}"))
                && let Err(e) = self.tools.bus.publish(&key, &text)
            {
                tracing::error!(drill = %id, "cannot tell the fleet of a drill: {e}");
            }
        }
        for id in retired {
            if let Ok(key) = Key::new(&format!("{PREFIX}{id}")) {
                self.tools.bus.retire(&key);
            }
        }
        if !write.drills.is_empty() {
            self.tools.store.write_later(write);
        }
    }
}

/// How long after the end answers are waited for, in milliseconds.
fn answers_settle_ms(answers: &Answers) -> u64 {
    match answers {
        Answers::Label | Answers::TooFine | Answers::NotAsked => 0,
        Answers::Seen { tally, .. } => match tally.back() {
            Some(back) if back.ninety_nine.is_none() => ANSWERS_MS,
            // They are back, or there were too few to tell.
            _ => HEARD_MS,
        },
    }
}

fn is_of(order: &InForce, file: &File) -> bool {
    let drill = order.record.drill.as_ref();
    drill.is_some_and(|d| d.id == file.charter.drill.id)
}

/// What drills are about, found once for each configuration.
#[derive(Default)]
pub(super) struct Grounds {
    snapshot: Option<Arc<Snapshot>>,
    found: HashMap<Arc<str>, Option<Ground>>,
}

impl Grounds {
    pub(super) fn of(&mut self, charter: &Charter, view: &View) -> Option<&Ground> {
        let same = self.snapshot.as_ref();
        if !same.is_some_and(|s| Arc::ptr_eq(s, &view.snapshot)) {
            self.snapshot = Some(view.snapshot.clone());
            self.found.clear();
        }
        let id = charter.drill.id.clone();
        let found = self.found.entry(id);
        found.or_insert_with(|| Ground::of(charter, view)).as_ref()
    }
}

/// When an order about a subject was taken back, by whom and why.
pub(in crate::app) type Cleared = (Arc<str>, Arc<str>, u64);

/// The record in `records` that took back the order about `subject` after `since_ms`.
pub(in crate::app) fn cleared<'r>(
    records: impl DoubleEndedIterator<Item = &'r Arc<crate::overrides::Record>>,
    subject: &crate::overrides::Subject,
    since_ms: u64,
) -> Option<Cleared> {
    let gone = |r: &&Arc<crate::overrides::Record>| {
        let stamp: &Stamp = &r.stamp;
        let mut entries = r.entries.iter();
        stamp.ms >= since_ms && entries.any(|e| e.subject == *subject && e.kind.is_none())
    };
    let record = records.rev().find(gone)?;
    Some((record.owner.clone(), record.reason.clone(), record.stamp.ms))
}
