//! Cycles among steered CNAMEs, last-resort CNAMEs and static CNAMEs (requirement O8).

use hashbrown::HashMap;

use crate::dns::name::WireName;
use crate::steer::LastResort;
use crate::zone::{Found, ZoneSet};

use super::Problems;
use super::names::CheckedName;
use super::pools::Pools;

/// Type code of A: a static CNAME is followed for it.
const A: u16 = 1;

/// Where a walk has been.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Not,
    /// On the way from the start of the walk to here.
    OnPath,
    Done,
}

/// Reports the cycles: from each name at most one way back is shown, so that every cycle that is left
/// after a repair comes up at the next look, and the work stays one walk over all names.
pub(super) fn check(
    names: &[CheckedName<'_>],
    pools: &Pools<'_>,
    zones: &ZoneSet,
    p: &mut Problems,
) {
    let index: HashMap<&WireName, usize> = names
        .iter()
        .enumerate()
        .map(|(i, n)| (&n.spec.name.value, i))
        .collect();
    let next = |i: usize| -> Vec<usize> {
        let targets = targets(&names[i], pools);
        let mut next: Vec<usize> = targets.filter_map(|t| resolve(t, &index, zones)).collect();
        next.sort_unstable();
        next.dedup();
        next
    };
    let mut seen = vec![Seen::Not; names.len()];
    for start in 0..names.len() {
        if seen[start] != Seen::Not {
            continue;
        }
        // The path so far, each name with the ways not yet gone.
        let mut path = vec![(start, next(start))];
        seen[start] = Seen::OnPath;
        while let Some((at, ways)) = path.last_mut() {
            let Some(to) = ways.pop() else {
                seen[*at] = Seen::Done;
                path.pop();
                continue;
            };
            match seen[to] {
                Seen::Done => {}
                Seen::Not => {
                    seen[to] = Seen::OnPath;
                    path.push((to, next(to)));
                }
                Seen::OnPath => {
                    let from = path.iter().position(|(i, _)| *i == to).unwrap_or(0);
                    let cycle = path[from..].iter().map(|(i, _)| *i).collect();
                    report(cycle, names, p);
                }
            }
        }
    }
}

fn report(mut cycle: Vec<usize>, names: &[CheckedName<'_>], p: &mut Problems) {
    // The name that comes first in the file speaks.
    let first = (0..cycle.len())
        .min_by_key(|i| names[cycle[*i]].spec.name.span)
        .unwrap_or(0);
    cycle.rotate_left(first);
    let steps: Vec<String> = cycle
        .iter()
        .map(|i| names[*i].spec.name.value.to_string())
        .collect();
    let d = p.error(
        names[cycle[0]].spec.name.span,
        format!(
            "name `{}` leads back to itself through CNAMEs: {} → {0}",
            steps[0],
            steps.join(" → ")
        ),
    );
    for i in &cycle[1..] {
        let span = names[*i].spec.name.span;
        d.related
            .push((span, "the way leads through here".to_owned()));
    }
    d.help = Some(
        "point the `cname` of an endpoint or a last resort, or a CNAME of a zone, elsewhere"
            .to_owned(),
    );
}

/// Where the name can send a client by CNAME.
fn targets<'a>(n: &'a CheckedName<'_>, pools: &'a Pools<'_>) -> impl Iterator<Item = &'a WireName> {
    let members = n.members.iter().flat_map(|m| &pools.facts(m.pool).targets);
    let resort = match &n.last_resort {
        Some(LastResort::Endpoints(list)) => list.as_slice(),
        Some(LastResort::Pool(pool)) => &pools.facts(*pool).targets,
        _ => &[],
    };
    let stated = match &n.last_resort {
        Some(LastResort::Cname(target)) => Some(target),
        _ => None,
    };
    members
        .chain(resort)
        .filter_map(|e| pools.endpoints[e.index()].cname.as_ref())
        .chain(stated)
}

/// The steered name that `target` is or leads to through static CNAMEs of our zones.
fn resolve(target: &WireName, index: &HashMap<&WireName, usize>, zones: &ZoneSet) -> Option<usize> {
    let mut at = target.clone();
    // Cycles among static CNAMEs are the zones' own check; this bound only ends the walk.
    for _ in 0..64 {
        if let Some(i) = index.get(&at) {
            return Some(*i);
        }
        match zones.lookup(at.as_bytes(), A).found {
            Found::Cname { target, .. } => at = target.to_name(),
            Found::Steered { name } => return Some(name.index()),
            _ => return None,
        }
    }
    None
}
