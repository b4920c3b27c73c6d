//! What became otherwise between two views, as events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::health::council::{Worth, tally};
use crate::health::{Cause, Guard, State, Verdict};
use crate::history::{Level, What};
use crate::ids::{EndpointId, NameId};
use crate::snapshot::View;

/// Events of one kind of one publication at most; of more, the last says how many there are.
const MOST: usize = 200;

/// The events, in the order in which they are told.
pub(super) fn events(before: &View, now: &View) -> Vec<What> {
    let mut all = vantages(before, now);
    let changed = endpoints(before, now);
    bounded(&mut all, changed.len(), "endpoints changed", |all| {
        for (was, e) in changed.iter().take(MOST) {
            verdict(before, now, *was, *e, all);
        }
    });
    let names = names(before, now);
    bounded(&mut all, names.len(), "names changed", |all| {
        all.extend(names.iter().take(MOST).cloned());
    });
    all
}

fn bounded(
    all: &mut Vec<What>,
    count: usize,
    what: &'static str,
    add: impl FnOnce(&mut Vec<What>),
) {
    add(all);
    if count > MOST {
        all.push(What::More {
            count: count - MOST,
            what,
        });
    }
}

/// The endpoints of which something changed that people want to hear of, with what they were before.
fn endpoints(before: &View, now: &View) -> Vec<(EndpointId, EndpointId)> {
    if Arc::ptr_eq(&before.snapshot, &now.snapshot) {
        let differing = before.board.differing(&now.board, alike);
        return differing.map(|e| (e, e)).collect();
    }
    let (old, new) = (&before.snapshot.steering, &now.snapshot.steering);
    let ids = (0..new.endpoints.len()).map(EndpointId::from_index);
    ids.filter_map(|e| {
        let name = &new.endpoints[e.index()].name;
        let was = old.endpoints.binary_search_by(|o| o.name.cmp(name)).ok()?;
        let was = EndpointId::from_index(was);
        let same = alike(before.board.verdict(was), now.board.verdict(e));
        (!same).then_some((was, e))
    })
    .collect()
}

fn alike(a: &Verdict, b: &Verdict) -> bool {
    let kind = |v: &Verdict| v.held.map(|g| std::mem::discriminant(&g));
    (a.state, a.stale, a.share) == (b.state, b.stale, b.share) && kind(a) == kind(b)
}

fn word(state: State) -> &'static str {
    match state {
        State::Up => "up",
        State::Down => "down",
        State::Unknown { .. } => "unknown",
    }
}

fn verdict(before: &View, now: &View, was: EndpointId, e: EndpointId, all: &mut Vec<What>) {
    let (a, b) = (before.board.verdict(was), now.board.verdict(e));
    let endpoint: Arc<str> = (*now.snapshot.steering.endpoints[e.index()].name).into();
    let keeps_in = |v: &Verdict| v.held.is_some_and(Guard::keeps_in);
    if a.state != b.state {
        all.push(What::Verdict {
            endpoint: endpoint.clone(),
            from: word(a.state),
            to: word(b.state),
            cause: cause(b),
            level: match b.state {
                State::Down if b.held.is_none() => Level::Warning,
                _ => Level::Info,
            },
            votes: votes(now, b),
        });
    }
    if a.stale != b.stale {
        all.push(What::Stale {
            endpoint: endpoint.clone(),
            begins: b.stale,
        });
    }
    if keeps_in(a) != keeps_in(b) {
        let guard = b.held.map(|g| g.to_string()).unwrap_or_default();
        let error = b.last_error.as_deref().unwrap_or_default();
        all.push(What::Brake {
            endpoint: endpoint.clone(),
            begins: keeps_in(b),
            cause: match error.is_empty() {
                true => guard,
                false => format!("{guard} ({error})"),
            },
        });
    }
    let waits = |v: &Verdict| v.held.filter(|g| !g.keeps_in());
    let kind = |g: Option<Guard>| g.map(|g| std::mem::discriminant(&g));
    let begins = kind(waits(a)) != kind(waits(b)) && waits(b).is_some();
    if begins || a.share != b.share {
        let (share, text) = match waits(b) {
            Some(guard) => (0, guard.to_string()),
            None if b.share < 100 => (b.share, "it is let in by steps".to_owned()),
            None => (100, "its failback is over".to_owned()),
        };
        all.push(What::Failback {
            endpoint,
            share,
            text,
        });
    }
}

fn cause(v: &Verdict) -> String {
    match (v.held, &v.cause) {
        (Some(guard), _) => guard.to_string(),
        (None, Cause::Failing(why)) => why.to_string(),
        (None, Cause::Passing) => "its checks pass".to_owned(),
        (None, Cause::NotProbed) => match v.state {
            State::Unknown { counts_as_up: true } => {
                "not probed yet, and the wait for that is over".to_owned()
            }
            _ => "not probed yet".to_owned(),
        },
        (None, Cause::Unmonitored) => "it has no monitor".to_owned(),
    }
}

fn votes(view: &View, v: &Verdict) -> Option<String> {
    let rules = &view.snapshot.settings.council;
    let count = tally(rules, v.votes.as_deref()?, view.board.vantages());
    Some(format!(
        "{} of {} sites that vote say down, {} are needed",
        count.down,
        count.voting(),
        count.needed(rules.quorum)
    ))
}

fn vantages(before: &View, now: &View) -> Vec<What> {
    let worths = |view: &View| -> BTreeMap<Box<str>, Worth> {
        let vantages = &view.snapshot.settings.council.vantages;
        let all = vantages.iter().zip(view.board.vantages());
        all.map(|(v, now)| (v.name.clone(), now.worth)).collect()
    };
    let (old, new) = (worths(before), worths(now));
    let changed = new.iter().filter_map(|(name, worth)| {
        let was = old.get(name)?;
        (was != worth).then(|| What::Vantage {
            node: (**name).into(),
            from: was.text().to_owned(),
            to: worth.text().to_owned(),
            votes: matches!(worth, Worth::Valid | Worth::OnlyUp),
        })
    });
    changed.collect()
}

/// Names that begin or cease to answer by their last resort.
fn names(before: &View, now: &View) -> Vec<What> {
    let (old, new) = (&before.snapshot.steering, &now.snapshot.steering);
    let event = |name: NameId, begins| What::FailOpen {
        name: new.names[name.index()].owner.to_string(),
        begins,
    };
    if Arc::ptr_eq(&before.snapshot, &now.snapshot) {
        let news = now.live.fallback_news(&before.live, new);
        return news
            .into_iter()
            .map(|n| event(n, now.live.falls_back(new, n)))
            .collect();
    }
    let ids = (0..new.names.len()).map(NameId::from_index);
    ids.filter_map(|n| {
        let owner = &new.names[n.index()].owner;
        let was = old.names.binary_search_by(|o| o.owner.cmp(owner)).ok();
        let was = was.is_some_and(|i| before.live.falls_back(old, NameId::from_index(i)));
        let is = now.live.falls_back(new, n);
        (was != is).then(|| event(n, is))
    })
    .collect()
}
