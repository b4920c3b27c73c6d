//! Loops of CNAME records (requirement O8).

use hashbrown::HashMap;

use super::lookup::Found;
use super::rrset::rtype;
use super::set::{BuildProblem, BuildRule, ZoneSet};

/// Line of the CNAME of a node, for the report of a loop.
pub(super) type CnameLines = HashMap<u32, u32>;

impl ZoneSet {
    /// Requirement O8: CNAME records of the zones must not lead back to themselves.
    pub(super) fn cname_loops(&self, lines: &CnameLines, problems: &mut Vec<BuildProblem>) {
        // 0: not seen; otherwise the number of the walk that saw the node first.
        let mut seen = vec![0u32; self.nodes.len()];
        let mut starts: Vec<u32> = lines.keys().copied().collect();
        starts.sort_unstable();
        for (walk, &start) in (1u32..).zip(&starts) {
            let mut at = start;
            while seen[at as usize] == 0 {
                seen[at as usize] = walk;
                let Some(next) = self.next_alias(at) else {
                    break;
                };
                at = next;
                if seen[at as usize] == walk {
                    problems.push(self.cname_loop(at, lines));
                }
            }
        }
    }

    /// The node that answers for the target of the CNAME at `index`, when that is a CNAME again.
    fn next_alias(&self, index: u32) -> Option<u32> {
        let target = self.nodes[index as usize].target.as_ref()?;
        let found = self.lookup(target.as_bytes(), rtype::A).found;
        let Found::Cname { target: next, .. } = found else {
            return None;
        };
        // The node is the target itself or the wildcard that covers it; both own `next`.
        self.index(target.as_bytes())
            .or_else(|| self.closest_encloser(target.as_bytes())?.wildcard)
            .filter(|&i| self.nodes[i as usize].target.as_ref() == Some(next))
    }

    fn cname_loop(&self, start: u32, lines: &CnameLines) -> BuildProblem {
        let name = |i: u32| &self.nodes[i as usize].name;
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
        let node = &self.nodes[start as usize];
        BuildProblem {
            rule: BuildRule::CnameLoop,
            owner: node.name.clone(),
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
