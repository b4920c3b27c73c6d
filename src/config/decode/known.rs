//! The names that references may use, and the nearest one to a name that is not among them.

use hashbrown::{HashMap, HashSet};

use crate::config::tree::{Table, Value};

use super::value::{nearest, quoted};

/// Comparisons spent on suggestions in one load: a typing error in front of 100,000 endpoints still
/// gets its suggestion, ten thousand of them do not take minutes.
const COMPARISONS: usize = 2_000_000;

/// So many names are listed where none is near.
const LISTED: usize = 12;

/// Names of the objects of each kind, whether they decode or not: a broken pool must not make every
/// name that uses it look broken too.
pub(crate) struct Known {
    kinds: HashMap<&'static str, HashSet<String>>,
    /// Kinds whose table is misspelt: any name may be in there.
    unsure: HashSet<&'static str>,
    comparisons: usize,
}

impl Known {
    /// The names in all files, before they are merged: what is dropped because it is defined twice
    /// is known all the same.
    pub(crate) fn new(trees: &[Table]) -> Known {
        let mut kinds: HashMap<&'static str, HashSet<String>> = HashMap::new();
        for kind in [
            "regions",
            "nodes",
            "monitors",
            "pools",
            "policies",
            "tsig-keys",
            "upstreams",
            "waf",
            "listeners",
            "caches",
            "rate-limits",
            "error-pages",
            "auth",
        ] {
            let tables = trees.iter().filter_map(|t| t.table(kind));
            let keys = tables.flat_map(|t| t.entries.iter().map(|e| e.key.clone()));
            kinds.insert(kind, keys.collect());
        }
        let mut policies: HashSet<String> =
            crate::dnssec::Policy::BUILT_IN.map(String::from).into();
        let tables = trees.iter().filter_map(|t| t.table("dnssec"));
        policies.extend(tables.flat_map(|t| t.entries.iter().map(|e| e.key.clone())));
        kinds.insert("dnssec", policies);
        kinds.insert("endpoints", trees.iter().flat_map(endpoint_names).collect());
        Known {
            kinds,
            unsure: HashSet::new(),
            comparisons: COMPARISONS,
        }
    }

    /// From now on every name counts as one of `kind`, whose table could not be found.
    pub(super) fn forgive(&mut self, kind: &'static str) {
        self.unsure.insert(match kind {
            "pools" => "endpoints",
            other => other,
        });
        self.unsure.insert(kind);
    }

    /// Whether an object of `kind` is called `name`, as far as one can tell.
    pub(super) fn contains(&self, kind: &str, name: &str) -> bool {
        self.unsure.contains(kind) || self.kinds.get(kind).is_some_and(|k| k.contains(name))
    }

    /// The name most like `name` among the objects of several kinds, as advice.
    pub(super) fn nearest_of(&mut self, kinds: &[&str], name: &str) -> Option<String> {
        let known = kinds.iter().filter_map(|kind| self.kinds.get(kind));
        let mut names: Vec<&str> = known.flatten().map(String::as_str).collect();
        self.comparisons = self.comparisons.checked_sub(names.len())?;
        names.sort_unstable();
        let near = nearest(name, names.iter().copied())?;
        Some(format!("did you mean `{near}`?"))
    }

    /// What to do about the reference `name` that no object of `kind` has.
    pub(super) fn advice(&mut self, kind: &str, name: &str) -> Option<String> {
        let known = self.kinds.get(kind).filter(|k| !k.is_empty());
        let Some(known) = known else {
            return Some(format!("no {kind} are defined"));
        };
        self.comparisons = self.comparisons.checked_sub(known.len())?;
        let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
        names.sort_unstable();
        Some(match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("defined {kind}: {}", some_of(&names)),
        })
    }
}

/// `a`, `b`, `c` and 9 more
pub(super) fn some_of(names: &[&str]) -> String {
    let shown = names.len().min(LISTED);
    let list = quoted(names[..shown].iter().copied());
    match names.len() - shown {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

fn endpoint_names(tree: &Table) -> Vec<String> {
    let pools = tree.table("pools").map_or(&[][..], |t| &t.entries);
    let mut names = Vec::new();
    for pool in pools {
        let Value::Table(pool) = &pool.node.value else {
            continue;
        };
        let Some(Value::Array(endpoints)) = pool.get("endpoints").map(|e| &e.node.value) else {
            continue;
        };
        for endpoint in endpoints {
            if let Value::Table(endpoint) = &endpoint.value
                && let Some(Value::String(name)) = endpoint.get("name").map(|e| &e.node.value)
            {
                names.push(name.clone());
            }
        }
    }
    names
}
