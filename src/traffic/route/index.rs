//! Finds the first route that matches without looking at all of them.
//!
//! Every (host, path) of every route is an entry; entries are numbered in the order in which they
//! are preferred. They lie in buckets: by host (a hash map of names, one of wildcards' suffixes, and
//! those for any host), then by path (a tree of segments). A request meets a few buckets, each sorted
//! by preference; the smallest number whose conditions hold wins.

use std::cmp::Reverse;

use hashbrown::HashMap;

use super::Route;
use super::condition::Asked;
use super::host::HostPattern;
use super::path::{PathPattern, directory};
use super::trace::{Failure, Trace};
use crate::ids::{ListenerId, RouteId};

/// Numbers of entries, sorted.
type Bucket = Vec<u32>;

/// One host and path of a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    pub(super) route: RouteId,
    /// Position among the rule's hosts.
    pub(super) host: u32,
    /// Position among the rule's paths.
    pub(super) path: u32,
    /// Whether the buckets settle all: no expression, no condition, any listener.
    settled: bool,
}

/// What decides between two routes; smaller is preferred.
pub(super) type Rank<'r> = (
    Reverse<i32>,
    Reverse<(u8, usize)>,
    Reverse<(u8, usize, usize)>,
    &'r str,
    Reverse<usize>,
);

/// The buckets.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Index {
    /// By number.
    pub(super) entries: Vec<Entry>,
    exact: HashMap<Box<[u8]>, HostSet>,
    below: HashMap<Box<[u8]>, HostSet>,
    /// Octets of the shortest and the longest suffix.
    suffixes: (usize, usize),
    any: HostSet,
}

/// The entries of one host pattern.
#[derive(Clone, PartialEq, Debug)]
struct HostSet {
    /// The smallest number in it.
    lowest: u32,
    /// Entries for any path.
    any: Bucket,
    /// The first is the root.
    nodes: Vec<Node>,
}

impl Default for HostSet {
    fn default() -> HostSet {
        HostSet {
            lowest: u32::MAX,
            any: Bucket::new(),
            nodes: Vec::new(),
        }
    }
}

/// One place in the tree of segments.
#[derive(Clone, PartialEq, Debug, Default)]
struct Node {
    children: HashMap<Box<[u8]>, u32>,
    /// Prefixes that end here: for this path and what is below.
    here: Bucket,
    /// For what is below only: prefixes with a final slash, and expressions.
    below: Bucket,
    /// Paths that end here.
    exact: Bucket,
    /// Paths that end with a slash after this.
    exact_slash: Bucket,
}

/// What decides the preference of a host and path of a route.
pub(super) fn rank<'r>(route: &'r Route, host: &HostPattern, path: &'r PathPattern) -> Rank<'r> {
    let text = match path {
        // Which of two expressions is the more specific cannot be told: their text decides.
        PathPattern::Regex(pattern) => pattern.as_str(),
        _ => "",
    };
    let count = route.rule.conditions.iter().map(|c| c.count()).sum();
    (
        Reverse(route.rule.priority),
        Reverse(host.specificity()),
        Reverse(path.specificity()),
        text,
        Reverse(count),
    )
}

impl Index {
    pub(super) fn build(list: &[Route]) -> Index {
        let mut sorted = Vec::new();
        for (r, route) in list.iter().enumerate() {
            let free = route.rule.conditions.is_empty() && route.rule.listeners.is_empty();
            for (h, host) in route.rule.hosts().iter().enumerate() {
                for (p, path) in route.rule.paths().iter().enumerate() {
                    let entry = Entry {
                        route: RouteId::from_index(r),
                        host: h as u32,
                        path: p as u32,
                        settled: free && !matches!(path, PathPattern::Regex(_)),
                    };
                    sorted.push((rank(route, host, path), entry));
                }
            }
        }
        // Routes of equal rank stay in the order of the list.
        sorted.sort_by_key(|(rank, _)| *rank);
        let mut index = Index::default();
        let mut suffixes: Option<(usize, usize)> = None;
        for (number, (_, entry)) in sorted.into_iter().enumerate() {
            let rule = &list[entry.route.index()].rule;
            let host = &rule.hosts()[entry.host as usize];
            let set = match host {
                HostPattern::Any => &mut index.any,
                HostPattern::Exact(name) => index.exact.entry(name.clone()).or_default(),
                HostPattern::Below(suffix) => {
                    let (least, most) = suffixes.unwrap_or((usize::MAX, 0));
                    suffixes = Some((least.min(suffix.len()), most.max(suffix.len())));
                    index.below.entry(suffix.clone()).or_default()
                }
            };
            set.add(number as u32, &rule.paths()[entry.path as usize]);
            index.entries.push(entry);
        }
        index.suffixes = suffixes.unwrap_or_default();
        index
    }

    pub(super) fn find<T: Trace>(
        &self,
        list: &[Route],
        asked: &Asked<'_>,
        listener: ListenerId,
        trace: &mut T,
    ) -> Option<RouteId> {
        let mut best = u32::MAX;
        self.buckets(asked.host, asked.path, |lowest, bucket| {
            if !T::ALL && lowest > best {
                return false;
            }
            for &number in bucket {
                if number >= best && !T::ALL {
                    break;
                }
                let entry = &self.entries[number as usize];
                if entry.settled || fits(&list[entry.route.index()], entry, asked, listener, trace)
                {
                    trace.matched(entry.route);
                    best = best.min(number);
                    if !T::ALL {
                        break;
                    }
                }
            }
            true
        });
        let entry = self.entries.get(best as usize)?;
        Some(entry.route)
    }

    /// Calls `visit` with every bucket in which entries for `host` and `path` may be, beginning with
    /// the most specific host. It gets the smallest number of the host's set first; when it says no,
    /// the rest of the set is left out.
    pub(super) fn buckets(
        &self,
        host: &[u8],
        path: &[u8],
        mut visit: impl FnMut(u32, &[u32]) -> bool,
    ) {
        if !self.exact.is_empty()
            && let Some(set) = self.exact.get(host)
        {
            set.walk(path, &mut visit);
        }
        if !self.below.is_empty() {
            let (least, most) = self.suffixes;
            for (at, _) in host.iter().enumerate().filter(|(_, b)| **b == b'.') {
                let suffix = &host[at..];
                if at > 0
                    && (least..=most).contains(&suffix.len())
                    && let Some(set) = self.below.get(suffix)
                {
                    set.walk(path, &mut visit);
                }
            }
        }
        self.any.walk(path, &mut visit);
    }
}

/// Whether the route of an entry, whose host matches and whose path may, is for the request.
fn fits<T: Trace>(
    route: &Route,
    entry: &Entry,
    asked: &Asked<'_>,
    listener: ListenerId,
    trace: &mut T,
) -> bool {
    let rule = &route.rule;
    if !rule.listeners.is_empty() && !rule.listeners.contains(&listener) {
        trace.failed(entry.route, Failure::Listener);
        return false;
    }
    let path = &rule.paths()[entry.path as usize];
    if let PathPattern::Regex(pattern) = path
        && !pattern.is_match(asked.path)
    {
        trace.failed(entry.route, Failure::Regex(path));
        return false;
    }
    match rule.conditions.iter().find(|c| !c.holds(asked)) {
        Some(condition) => {
            trace.failed(entry.route, Failure::Condition(condition));
            false
        }
        None => true,
    }
}

impl HostSet {
    fn add(&mut self, number: u32, path: &PathPattern) {
        self.lowest = self.lowest.min(number);
        let bucket = match path {
            PathPattern::Any => &mut self.any,
            PathPattern::Exact(path) => match path.strip_suffix(b"/") {
                Some(dir) => &mut self.node(dir).exact_slash,
                None => &mut self.node(path).exact,
            },
            PathPattern::Prefix(path) => match path.strip_suffix(b"/") {
                Some(dir) => &mut self.node(dir).below,
                None => &mut self.node(path).here,
            },
            PathPattern::Regex(pattern) => {
                let dir = directory(pattern);
                &mut self.node(&dir[..dir.len() - 1]).below
            }
        };
        bucket.push(number);
    }

    /// The node of a path without final slash; the root's is empty.
    fn node(&mut self, path: &[u8]) -> &mut Node {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for segment in path.split(|b| *b == b'/').skip(1) {
            let next = self.nodes.len() as u32;
            let child = *self.nodes[at]
                .children
                .entry(segment.into())
                .or_insert(next);
            if child == next {
                self.nodes.push(Node::default());
            }
            at = child as usize;
        }
        &mut self.nodes[at]
    }

    fn walk(&self, path: &[u8], visit: &mut impl FnMut(u32, &[u32]) -> bool) {
        // The set's last word on the empty path keeps those out that are worse than what was found.
        let lowest = self.lowest;
        if lowest == u32::MAX || !visit(lowest, &self.any) {
            return;
        }
        let (Some(mut node), Some((b'/', mut rest))) = (self.nodes.first(), path.split_first())
        else {
            return;
        };
        loop {
            // `node` is followed by a slash, and `rest` comes after that.
            visit(lowest, &node.below);
            if rest.is_empty() {
                visit(lowest, &node.exact_slash);
                return;
            }
            if node.children.is_empty() {
                return;
            }
            let end = rest.iter().position(|b| *b == b'/');
            let Some(child) = node.children.get(&rest[..end.unwrap_or(rest.len())]) else {
                return;
            };
            node = &self.nodes[*child as usize];
            visit(lowest, &node.here);
            let Some(end) = end else {
                visit(lowest, &node.exact);
                return;
            };
            rest = &rest[end + 1..];
        }
    }
}
