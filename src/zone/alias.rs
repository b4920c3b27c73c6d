//! Loops of CNAME records (requirement O8).

use hashbrown::HashMap;

use super::lookup::Found;
use super::node::NodeAt;
use super::rrset::rtype;
use super::set::{BuildProblem, BuildRule, ZoneSet};

/// Line of the CNAME of a node, for the report of a loop.
pub(super) type CnameLines = HashMap<NodeAt, u32>;

impl ZoneSet {
    /// Requirement O8: CNAME records of the zones must not lead back to themselves.
    pub(super) fn cname_loops(&self, lines: &CnameLines, problems: &mut Vec<BuildProblem>) {
        // The number of the walk that saw a node first.
        let mut seen: HashMap<NodeAt, u32> = HashMap::with_capacity(lines.len());
        let mut starts: Vec<NodeAt> = lines.keys().copied().collect();
        starts.sort_unstable();
        for (walk, &start) in (1u32..).zip(&starts) {
            let mut at = start;
            while seen.try_insert(at, walk).is_ok() {
                let Some(next) = self.next_alias(at) else {
                    break;
                };
                at = next;
                if seen.get(&at) == Some(&walk) {
                    problems.push(self.cname_loop(at, lines));
                }
            }
        }
    }

    /// The node that answers for the target of the CNAME `at` a node, when that is a CNAME again.
    fn next_alias(&self, at: NodeAt) -> Option<NodeAt> {
        let target = self.arena.node(at).target()?;
        let found = self.lookup(target.as_bytes(), rtype::A).found;
        let Found::Cname { target: next, .. } = found else {
            return None;
        };
        // The node is the target itself or the wildcard that covers it; both own `next`.
        self.find(target.as_bytes())
            .map(|(at, _)| at)
            .or_else(|| self.closest_encloser(target.as_bytes())?.wildcard())
            .filter(|&at| self.arena.node(at).target() == Some(next))
    }

    fn cname_loop(&self, start: NodeAt, lines: &CnameLines) -> BuildProblem {
        let name = |at: NodeAt| self.arena.node(at).name();
        let mut path = vec![name(start).to_string()];
        let mut at = start;
        while let Some(next) = self.next_alias(at) {
            path.push(name(next).to_string());
            at = next;
            // A chain long enough to bury the point is cut in the middle.
            if at == start {
                break;
            }
        }
        if path.len() > 12 {
            let hidden = path.len() - 10;
            path.splice(5..5 + hidden, [format!("… {hidden} more …")]);
        }
        let node = self.arena.node(start);
        BuildProblem {
            rule: BuildRule::CnameLoop,
            owner: node.name().to_name(),
            zone: Some(self.zones[node.zone as usize].apex.clone()),
            line: lines.get(&start).copied(),
            steered: None,
            message: format!(
                "CNAME records go in a circle: {}; point one of them at a name with addresses",
                path.join(" → ")
            ),
        }
    }
}
