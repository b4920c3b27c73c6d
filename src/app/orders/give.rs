//! Taking an order from an operator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::assess::assess;
use super::audit::{describe, of, said};
use super::book::Seen;
use super::{Desk, Standing};
use crate::admin::desk::{Asked, AuditLine, Ends, Refusal, Taken, WantedOrder, Wish};
use crate::config::nearest;
use crate::fleet::bus::Owner;
use crate::health::Verdict;
use crate::overrides::{
    Class, Drill, Entry, InForce, Kind, Ledger, MAX_TEXT, Record, ScopeKind, Stamp, Subject,
};
use crate::snapshot::{View, orders};
use crate::steer::Steering;

/// How long an order waits for other nodes.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node that was heard of within this may still answer.
const RECENT: Duration = Duration::from_secs(10);

/// How often it looks whether they have it.
const LOOK: Duration = Duration::from_millis(25);

/// How long a failback stands that has no end, in milliseconds: nodes that are cut off for a shorter
/// time still obey it, and nobody has to clear what has done its work.
const FAILBACK_STANDS_MS: u64 = 3_600_000;

/// An order that was stamped and is on its way.
struct Stamped {
    record: Arc<Record>,
    warnings: Vec<String>,
}

/// Who has an order.
#[derive(Default)]
struct Round {
    /// Nodes where it is in force.
    applied: usize,
    /// Of them those whose disk does not take it.
    in_memory: Vec<String>,
    /// The others, each with why.
    missing: Vec<(String, String)>,
    /// Whether waiting may help.
    hope: bool,
}

impl Desk {
    pub(super) async fn take(&self, wanted: WantedOrder) -> Result<Taken, Refusal> {
        self.take_with(wanted, None).await
    }

    /// Takes an order that begins or ends `drill`.
    pub(in crate::app) async fn take_with(
        &self,
        wanted: WantedOrder,
        drill: Option<Drill>,
    ) -> Result<Taken, Refusal> {
        let _one = self.taking.lock().await;
        if self.tools.store.rests() {
            // The new process has read the store already: it would not know the order.
            let why = "a new process is taking this node over; give the order again in a moment";
            return Err(Refusal::Failed(why.to_owned()));
        }
        let Stamped {
            record,
            mut warnings,
        } = self.stamp(&wanted, drill)?;
        let stamp = record.stamp.to_string();
        let text = record.text();
        let row = BTreeMap::from([(stamp.clone(), (text, true))]);
        self.book().accept(&record, "ordered", self.now_ms());
        // On the disk before anybody hears of it; a disk that fails must not stop a failover.
        let seen = match self.write(row).await {
            Ok(()) => Seen::Done,
            Err(e) => {
                warnings.push(format!(
                    "the order is in force, but will not outlive this process here: {e}"
                ));
                Seen::Unstored
            }
        };
        self.book().note_seen(&record.stamp, seen);
        self.carry();
        let generation = self.enforce(false).await;
        drop(_one);
        let round = self.acknowledged(&record.stamp).await;
        let (applied, missing) = (round.applied, round.missing);
        warnings.extend(
            round.in_memory.into_iter().map(|node| {
                format!("{node} has the order in memory only: its disk does not take it")
            }),
        );
        Ok(Taken {
            stamp,
            said: said(&record).collect(),
            expires: record.expires,
            generation: generation.0,
            applied,
            of: applied + missing.len(),
            missing,
            warnings,
        })
    }

    /// Checks an order and gives it its stamp and signature; nothing has changed yet.
    fn stamp(&self, wanted: &WantedOrder, drill: Option<Drill>) -> Result<Stamped, Refusal> {
        let clock = &self.tools.clock;
        let (now, wall) = (clock.now(), clock.wall());
        let now_ms = wall.unix_ms(now);
        let expires = match wanted.ends {
            None => only_failback(&wanted.wishes)?.then(|| now_ms + FAILBACK_STANDS_MS),
            Some(Ends::At(end)) if end <= now_ms => {
                return Err(invalid("until", "that time has passed; give a later one"));
            }
            Some(Ends::At(end)) => Some(end),
            Some(Ends::After(d)) => {
                let ms = u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
                Some(now_ms.saturating_add(ms))
            }
        };
        let view = self.tools.publisher.latest();
        let mut book = self.book();
        let entries = entries(&wanted.wishes, &view, &book.ledger, now_ms)?;
        let mut record = Record {
            // A stand-in until all is checked.
            stamp: Stamp {
                ms: now_ms,
                count: 0,
                node: self.tools.node.clone(),
            },
            owner: wanted.owner.as_str().into(),
            reason: wanted.reason.as_str().into(),
            expires,
            broke: None,
            drill,
            mark: wanted.mark,
            entries,
            voids: Vec::new(),
            signed: None,
        };
        record
            .check()
            .map_err(|e| invalid("order", &e.to_string()))?;
        let would = would_stand(book.ledger.standing(now_ms), &record);
        let assessment = assess(&view, &would, wanted.demand, wall, now);
        if !assessment.broken.is_empty() {
            let Some(why) = &wanted.break_glass else {
                let rules = assessment.broken.join("; ");
                book.audit.append(AuditLine {
                    at_ms: now_ms,
                    event: "refused".to_owned(),
                    owner: wanted.owner.clone(),
                    node: self.tools.node.to_string(),
                    text: format!("{}: {rules}", describe(&record)),
                });
                return Err(Refusal::Breaks(assessment.broken));
            };
            let mut broke = format!("{why} (broke: {})", assessment.broken.join("; "));
            while broke.len() > Record::MAX_BROKE {
                broke.pop();
            }
            record.broke = Some(broke.as_str().into());
        }
        record.stamp = book.clock.next(now_ms);
        let subjects: Vec<Subject> = record.entries.iter().map(|e| e.subject.clone()).collect();
        record.voids = book.ledger.later(subjects.iter(), &record.stamp);
        let many = record.voids.len().saturating_sub(Record::MAX_VOIDS);
        record.voids.drain(..many);
        record
            .check()
            .map_err(|e| invalid("order", &e.to_string()))?;
        record.signed = self.tools.vouch.sign(record.signed_text().as_bytes());
        let octets = record.text().len();
        if octets > MAX_TEXT {
            let detail = format!(
                "the order takes {octets} octets, {MAX_TEXT} is the limit; give it in parts, or \
                 shorten the reason"
            );
            return Err(invalid("order", &detail));
        }
        let mut warnings = assessment.warnings;
        warnings.extend(nobody_waits(&record, &view));
        warnings.extend(assessment.broken.iter().map(|b| format!("broken: {b}")));
        Ok(Stamped {
            record: Arc::new(record),
            warnings,
        })
    }

    /// Waits until every node that is alive has the order, or patience ends.
    async fn acknowledged(&self, stamp: &Stamp) -> Round {
        let mut ends = std::pin::pin!(tokio::time::sleep(PATIENCE));
        loop {
            let round = self.look_round(stamp);
            if !round.hope {
                return round;
            }
            tokio::select! {
                () = &mut ends => return round,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// As [`Desk::acknowledged`], now.
    fn look_round(&self, stamp: &Stamp) -> Round {
        let (view, members) = (self.tools.bus.view(), self.tools.bus.members());
        let now = self.tools.clock.now();
        // The failure detector takes seconds to know a node that has just come: one that was heard of
        // lately is waited for as well.
        let heard = |owner: &Owner| now.since(owner.last_progress) <= RECENT;
        let alive = |node: &str| {
            members.iter().any(|m| m.alive && &*m.node == node)
                || view.owners.get(node).is_some_and(|o| heard(o))
        };
        let key = super::replicate::seen_key(&stamp.node);
        let short = super::replicate::short(stamp);
        let mut round = Round::default();
        for peer in &self.tools.peers {
            if *peer == self.tools.node {
                round.applied += 1;
                continue;
            }
            let owner = view.owners.get(peer);
            let value = key
                .as_ref()
                .and_then(|key| owner.and_then(|o| o.keys.get(key)));
            let marked = value.and_then(|v| {
                let all = &mut v.split(' ');
                all.find_map(|s| s.strip_prefix(&*short).filter(|m| m.len() <= 1))
                    .map(str::to_owned)
            });
            let why = match marked.as_deref() {
                Some("") => {
                    round.applied += 1;
                    continue;
                }
                Some("!") => {
                    round.applied += 1;
                    round.in_memory.push(peer.to_string());
                    continue;
                }
                Some(_) => "it keeps the order but does not believe its time: check both clocks",
                None if alive(peer) => {
                    round.hope = true;
                    "no answer yet"
                }
                None => "unreachable",
            };
            round.missing.push((peer.to_string(), why.to_owned()));
        }
        round
    }
}

/// What wishes mean for subjects.
fn entries(
    wishes: &[Wish],
    view: &View,
    ledger: &Ledger,
    now_ms: u64,
) -> Result<Vec<Entry>, Refusal> {
    let mut entries: Vec<Entry> = Vec::new();
    for wish in wishes {
        let subject = |class| Subject {
            class,
            scope: wish.scope,
            name: wish.name.as_str().into(),
        };
        let steering = &view.snapshot.steering;
        let canonical = orders::canonical(&subject(Class::State), steering);
        let named = |class| Subject {
            name: canonical.as_deref().unwrap_or(&wish.name).into(),
            ..subject(class)
        };
        match wish.what {
            Asked::Set(_) if canonical.is_none() => {
                return Err(unknown(wish.scope, &wish.name, steering));
            }
            Asked::Set(kind) => entries.push(Entry {
                subject: named(kind.class()),
                kind: Some(kind),
            }),
            Asked::Clear(class) => {
                let classes = Class::ALL.into_iter();
                let wanted = classes.filter(|c| class.is_none_or(|class| class == *c));
                let there = |s: &Subject| {
                    let standing = ledger.standing(now_ms).0;
                    let quarantined = ledger.quarantined(now_ms);
                    standing.iter().any(|o| o.subject == *s)
                        || quarantined
                            .iter()
                            .any(|q| q.record.entries.iter().any(|e| e.subject == *s))
                };
                let before = entries.len();
                let subjects = wanted.map(named).filter(there);
                entries.extend(subjects.map(|subject| Entry {
                    subject,
                    kind: None,
                }));
                if entries.len() == before {
                    let there: Vec<String> = ledger
                        .standing(now_ms)
                        .0
                        .iter()
                        .map(|o| of(&o.subject))
                        .take(10)
                        .collect();
                    let there = match &there[..] {
                        [] => "there are no orders in force".to_owned(),
                        some => format!("there are orders about {}", some.join(", ")),
                    };
                    return Err(Refusal::Unknown(format!(
                        "no order about {} {} to clear; {there}",
                        wish.scope.word(),
                        wish.name
                    )));
                }
            }
        }
    }
    Ok(entries)
}

/// Says that the configuration has no such thing.
pub(in crate::app) fn unknown(scope: ScopeKind, name: &str, steering: &Steering) -> Refusal {
    let known = orders::known(scope, steering);
    let word = scope.word();
    let help = match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("it has no {word} at all"),
        None => {
            let few: Vec<&str> = known.iter().take(10).map(String::as_str).collect();
            let more = if known.len() > few.len() { ", …" } else { "" };
            format!("there are {}{more}", few.join(", "))
        }
    };
    Refusal::Unknown(format!("the configuration has no {word} `{name}`; {help}"))
}

/// Whether a failback is wanted and nothing else, which an order without end must not mix.
fn only_failback(wishes: &[Wish]) -> Result<bool, Refusal> {
    let failback = |w: &&Wish| w.what == Asked::Set(Kind::Failback);
    match wishes.iter().filter(failback).count() {
        0 => Ok(false),
        n if n == wishes.len() => Ok(true),
        _ => Err(invalid(
            "orders",
            "a failback stands for an hour and other orders until they are cleared; give an end \
             for all of them, or the failback as an order of its own",
        )),
    }
}

/// Warns of failbacks of what waits for none here. It may wait on other nodes, so the order stands.
fn nobody_waits(record: &Record, view: &View) -> Vec<String> {
    let waits = |verdict: &Verdict| {
        verdict.held.is_some_and(|guard| !guard.keeps_in()) || verdict.share < 100
    };
    let failbacks = record.entries.iter();
    let failbacks = failbacks.filter(|e| e.kind == Some(Kind::Failback));
    let idle = failbacks.filter(|e| {
        let steering = &view.snapshot.steering;
        let scope = orders::scope(&e.subject, steering);
        let covered = scope.map(|s| orders::covered(s, steering));
        let mut endpoints = covered.into_iter().flatten();
        !endpoints.any(|e| waits(view.board.verdict(e)))
    });
    idle.map(|e| {
        format!(
            "nothing of {} waits for its failback on this node now; what begins to wait after this \
             order needs another",
            of(&e.subject)
        )
    })
    .collect()
}

/// What would be in force with `record`.
fn would_stand(mut standing: Standing, record: &Record) -> Standing {
    let record = Arc::new(record.clone());
    let about = |s: &Subject| record.entries.iter().any(|e| e.subject == *s);
    standing.0.retain(|o| !about(&o.subject));
    let new = record.entries.iter().filter_map(|e| {
        Some(InForce {
            subject: e.subject.clone(),
            kind: e.kind?,
            record: record.clone(),
        })
    });
    standing.0.extend(new);
    standing
}

fn invalid(parameter: &'static str, detail: &str) -> Refusal {
    Refusal::Invalid {
        parameter,
        detail: detail.to_owned(),
    }
}
