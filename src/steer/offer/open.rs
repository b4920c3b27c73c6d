//! Which names answer some of their clients by the last resort, and where that changed.

use std::sync::Arc;

use super::{BLOCK, BLOCK_BITS, Block, Live};
use crate::ids::NameId;
use crate::steer::Steering;
use crate::steer::decision::Standing;

impl Live {
    /// Whether some client that asks for `name` gets its last resort.
    pub fn falls_back(&self, steering: &Steering, name: NameId) -> bool {
        let group = steering.names[name.index()].group.index();
        match self.named.binary_search_by_key(&name, |(n, _)| *n) {
            Ok(i) => self.named[i].1.falls_back(0, 1),
            Err(_) => {
                let first = group >> BLOCK_BITS << BLOCK_BITS;
                let groups = steering.groups.len().min(first + BLOCK) - first;
                let block = &self.blocks[group >> BLOCK_BITS];
                block.falls_back(group - first, groups)
            }
        }
    }

    /// The names of which that is otherwise than in `before`, a view of the same configuration; quick
    /// where both share what did not change.
    pub fn fallback_news(&self, before: &Live, steering: &Steering) -> Vec<NameId> {
        let mut changed = vec![false; steering.groups.len()];
        let mut any = false;
        let pairs = before.blocks.iter().zip(&self.blocks).enumerate();
        for (i, (old, new)) in pairs.filter(|(_, (a, b))| !Arc::ptr_eq(a, b)) {
            let first = i << BLOCK_BITS;
            let groups = steering.groups.len().min(first + BLOCK) - first;
            for group in 0..groups {
                if old.falls_back(group, groups) != new.falls_back(group, groups) {
                    changed[first + group] = true;
                    any = true;
                }
            }
        }
        let named = before.named.iter().chain(&self.named).map(|(n, _)| *n);
        let mut names: Vec<NameId> = named.filter(|n| n.index() < steering.names.len()).collect();
        if any {
            let all = steering.names.iter().enumerate();
            let of_these = all.filter(|(_, n)| changed[n.group.index()]);
            names.extend(of_these.map(|(i, _)| NameId::from_index(i)));
        }
        names.sort_unstable();
        names.dedup();
        names.retain(|n| before.falls_back(steering, *n) != self.falls_back(steering, *n));
        names
    }
}

impl Block {
    /// Whether the group at `i` of the block's `groups` offers its last resort to somebody.
    fn falls_back(&self, i: usize, groups: usize) -> bool {
        let end = match i + 1 < groups {
            true => self.starts[i + 1] as usize,
            false => self.offers.len(),
        };
        let offers = &self.offers[self.starts[i] as usize..end];
        offers.iter().any(|o| o.standing == Standing::LastResort)
    }
}
