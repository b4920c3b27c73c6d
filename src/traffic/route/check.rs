//! Routes that no request can reach, and routes of which nobody could say which is meant.

use hashbrown::{HashMap, HashSet};

use super::condition::{Condition, Test};
use super::host::HostPattern;
use super::index::{Entry, Index, rank};
use super::path::{PathPattern, directory};
use super::{Route, Rule};
use crate::ids::RouteId;
use crate::message::Name;

/// Comparisons of routes that share host and path; what would take more is not checked to the end, so
/// that no configuration takes minutes to read.
const MOST: usize = 1_000_000;

/// What is wrong with the order of routes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Conflict {
    /// No request reaches `route`: these others, which come before it, take all of its requests.
    Shadowed {
        /// The route.
        route: RouteId,
        /// Each of the others once.
        by: Vec<RouteId>,
    },
    /// Requests for `host` and `path` can match both, and nothing says which is meant.
    Ambiguous {
        /// The one.
        first: RouteId,
        /// The other.
        second: RouteId,
        /// A host that both name.
        host: HostPattern,
        /// A path that both name.
        path: PathPattern,
    },
}

/// What is wrong with the order of `list`.
pub(super) fn conflicts(list: &[Route], index: &Index) -> Vec<Conflict> {
    let mut left = MOST;
    let mut told = HashSet::new();
    let mut found = ambiguous(list, index, &mut left, &mut told);
    // By route: how many entries are covered, and by whom.
    let mut covered: Vec<(usize, Vec<RouteId>)> = vec![Default::default(); list.len()];
    for (number, entry) in index.entries.iter().enumerate() {
        if let Some(by) = cover(list, index, number, entry, &mut left) {
            let (count, all) = &mut covered[entry.route.index()];
            *count += 1;
            if !all.contains(&by) {
                all.push(by);
            }
        }
    }
    for (r, (count, by)) in covered.into_iter().enumerate() {
        let rule = &list[r].rule;
        let route = RouteId::from_index(r);
        let all = rule.hosts().len() * rule.paths().len();
        if count == all && !told.contains(&route) {
            found.push(Conflict::Shadowed { route, by });
        }
    }
    found
}

fn host_of<'r>(list: &'r [Route], entry: &Entry) -> &'r HostPattern {
    &list[entry.route.index()].rule.hosts()[entry.host as usize]
}

fn path_of<'r>(list: &'r [Route], entry: &Entry) -> &'r PathPattern {
    &list[entry.route.index()].rule.paths()[entry.path as usize]
}

/// A route that comes before `entry` and takes all of its requests.
fn cover(
    list: &[Route],
    index: &Index,
    number: usize,
    entry: &Entry,
    left: &mut usize,
) -> Option<RouteId> {
    let (host, path) = (host_of(list, entry), path_of(list, entry));
    let rule = &list[entry.route.index()].rule;
    // A request for these meets all buckets in which something that covers the entry can be.
    let starred;
    let host_text: &[u8] = match host {
        HostPattern::Any => b"",
        HostPattern::Exact(name) => name,
        HostPattern::Below(suffix) => {
            starred = [b"*", &**suffix].concat();
            &starred
        }
    };
    let path_text: &[u8] = match path {
        PathPattern::Any => b"",
        PathPattern::Prefix(path) | PathPattern::Exact(path) => path,
        PathPattern::Regex(pattern) => directory(pattern),
    };
    let mut by = None;
    index.buckets(host_text, path_text, |_, bucket| {
        for &other in bucket {
            if other as usize >= number || *left == 0 || by.is_some() {
                break;
            }
            *left -= 1;
            let other = &index.entries[other as usize];
            let its = &list[other.route.index()].rule;
            if other.route != entry.route
                && host_of(list, other).covers(host)
                && path_of(list, other).covers(path)
                && takes_all(its, rule)
            {
                by = Some(other.route);
            }
        }
        by.is_none()
    });
    by
}

/// Whether `first` takes all requests of `second` that are for its hosts and paths.
fn takes_all(first: &Rule, second: &Rule) -> bool {
    let listeners = &first.listeners;
    let everywhere = listeners.is_empty()
        || !second.listeners.is_empty() && second.listeners.iter().all(|l| listeners.contains(l));
    let implied = |c: &Condition| second.conditions.iter().any(|d| implies(d, c));
    everywhere && first.conditions.iter().all(implied)
}

/// Whether `b` holds wherever `a` does, as far as can be told.
fn implies(a: &Condition, b: &Condition) -> bool {
    match (a, b) {
        (Condition::Method(a), Condition::Method(b)) => a.iter().all(|m| b.contains(m)),
        (Condition::Source(a), Condition::Source(b)) => {
            let inside = |x: &crate::net::Prefix| {
                b.iter().any(|y| y.len() <= x.len() && y.contains(x.addr()))
            };
            a.iter().all(inside)
        }
        (Condition::Header(n, _), Condition::Header(m, Test::Present)) => n == m,
        (Condition::Cookie(n, _), Condition::Cookie(m, Test::Present))
        | (Condition::Query(n, _), Condition::Query(m, Test::Present)) => n == m,
        (a, b) => a == b,
    }
}

/// Routes that share a host and a path, have the same rank, and do not exclude each other.
/// Each route is told once as the second, in `told`.
fn ambiguous(
    list: &[Route],
    index: &Index,
    left: &mut usize,
    told: &mut HashSet<RouteId>,
) -> Vec<Conflict> {
    let mut found = Vec::new();
    let rank_of = |e: &Entry| rank(&list[e.route.index()], host_of(list, e), path_of(list, e));
    // Entries of the same rank are neighbours; among them those of one host and path count.
    for group in index.entries.chunk_by(|a, b| rank_of(a) == rank_of(b)) {
        if group.len() < 2 {
            continue;
        }
        let mut places: HashMap<(&HostPattern, Vec<u8>), Vec<&Entry>> = HashMap::new();
        for entry in group {
            let key = path_of(list, entry).to_string().into_bytes();
            let place = places.entry((host_of(list, entry), key)).or_default();
            place.push(entry);
        }
        for entries in places.into_values().filter(|e| e.len() > 1) {
            for entries in told_apart(list, entries) {
                pairs(list, &entries, left, told, &mut found);
            }
        }
    }
    found.sort_by_key(|c| match c {
        Conflict::Ambiguous { first, second, .. } => (*first, *second),
        Conflict::Shadowed { route, .. } => (*route, *route),
    });
    found
}

/// What tells many routes of one place apart in most configurations: one field with a value for each.
fn told_apart<'e>(list: &[Route], entries: Vec<&'e Entry>) -> Vec<Vec<&'e Entry>> {
    fn value(c: &Condition) -> Option<(u8, &[u8], &[u8])> {
        match c {
            Condition::Header(name, Test::Exact(value)) => Some((0, Name::as_bytes(name), value)),
            Condition::Cookie(name, Test::Exact(value)) => Some((1, name, value)),
            Condition::Query(name, Test::Exact(value)) => Some((2, name, value)),
            _ => None,
        }
    }
    let values = |e: &Entry| {
        let conditions = &list[e.route.index()].rule.conditions;
        conditions.iter().filter_map(value)
    };
    let Some((kind, name, _)) = entries.first().and_then(|e| values(e).next()) else {
        return vec![entries];
    };
    let mut by_value: HashMap<&[u8], Vec<&Entry>> = HashMap::new();
    for entry in &entries {
        match values(entry).find(|(k, n, _)| *k == kind && *n == name) {
            Some((.., value)) => by_value.entry(value).or_default().push(entry),
            None => return vec![entries],
        }
    }
    by_value.into_values().collect()
}

fn pairs(
    list: &[Route],
    entries: &[&Entry],
    left: &mut usize,
    told: &mut HashSet<RouteId>,
    found: &mut Vec<Conflict>,
) {
    for (i, b) in entries.iter().enumerate() {
        for a in &entries[..i] {
            if *left == 0 || told.contains(&b.route) {
                break;
            }
            *left -= 1;
            let (first, second) = (&list[a.route.index()].rule, &list[b.route.index()].rule);
            if a.route != b.route && can_meet(first, second) {
                told.insert(b.route);
                found.push(Conflict::Ambiguous {
                    first: a.route,
                    second: b.route,
                    host: host_of(list, a).clone(),
                    path: path_of(list, a).clone(),
                });
            }
        }
    }
}

/// Whether a request for a host and path of both can be one for both.
fn can_meet(a: &Rule, b: &Rule) -> bool {
    let everywhere = a.listeners.is_empty() || b.listeners.is_empty();
    let apart = |c: &Condition| b.conditions.iter().any(|d| c.excludes(d));
    (everywhere || a.listeners.iter().any(|l| b.listeners.contains(l)))
        && !a.conditions.iter().any(apart)
}
