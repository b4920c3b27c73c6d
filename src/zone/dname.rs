//! What a DNAME forbids across zones and steered names (RFC 6672 section 2.4).

use crate::dns::name::WireName;

use super::rrset::rtype;
use super::set::{BuildProblem, BuildRule, SteeredAt};
use super::tree::{Tree, split};

impl Tree {
    /// The steered names and zones that lie below a DNAME: nobody would be sent to them.
    ///
    /// Below a DNAME nothing may exist (RFC 6672 section 2.4); inside one file the reader sees to it.
    pub(super) fn below_dname(&self, steered: &[SteeredAt]) -> Vec<BuildProblem> {
        if !self.nodes.iter().any(|n| n.rrset(rtype::DNAME).is_some()) {
            return Vec::new();
        }
        let apexes = self.zones.iter().map(|z| (&z.apex, None));
        let names = steered.iter().map(|at| (&at.owner, Some(at)));
        apexes
            .chain(names)
            .filter_map(|(owner, at)| {
                let above = self.dname_above(owner)?;
                let what = if at.is_some() { "steered name" } else { "zone" };
                Some(BuildProblem {
                    rule: BuildRule::BelowDname,
                    owner: owner.clone(),
                    zone: self
                        .zone_of(owner.as_bytes())
                        .map(|z| self.zones[z as usize].apex.clone()),
                    line: None,
                    steered: at.map(|at| at.name),
                    message: format!(
                        "{what} `{owner}` lies below the DNAME of `{above}`, which sends all names there elsewhere (RFC 6672 section 2.4); remove one of the two"
                    ),
                })
            })
            .collect()
    }

    /// The closest name strictly above `name` that has a DNAME in the zone that is asked for it:
    /// a DNAME above an apex redirects only where the zone that holds it is still in charge.
    fn dname_above(&self, name: &WireName) -> Option<&WireName> {
        let mut rest = split(name.as_bytes()).1;
        loop {
            if let Some(node) = self.node(rest)
                && node.rrset(rtype::DNAME).is_some()
            {
                return Some(&node.name);
            }
            let is_apex = |i: u32| (i as usize) < self.zones.len();
            // Above an apex another zone speaks; what it redirects does not reach into this one.
            if rest.first().is_none_or(|len| *len == 0) || self.index(rest).is_some_and(is_apex) {
                return None;
            }
            rest = split(rest).1;
        }
    }
}
