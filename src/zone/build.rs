//! From parsed zones and steered owners to one [`ZoneSet`].

use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::dns::Rtype;
use crate::dns::name::WireName;
use crate::units::Ttl;

use super::alias::CnameLines;
use super::index::Index;
use super::node::{Arena, NodeAt};
use super::parse::ParsedZone;
use super::rrset::{RrSet, rtype};
use super::set::{BuildProblem, BuildRule, ParentSide, SteeredAt, ZoneInfo, ZoneSet};
use super::tree::{Steered, Tree, split};
use super::view::PackedSet;

impl ZoneSet {
    /// Joins zones and steered owners.
    ///
    /// Where one zone lies inside another, the inner one holds everything at and below its apex but
    /// the DS, and what the outer file says there is dropped.
    ///
    /// # Errors
    /// Every breach of a [`BuildRule`], not only the first.
    pub fn build(
        zones: Vec<ParsedZone>,
        steered: &[SteeredAt],
    ) -> Result<ZoneSet, Vec<BuildProblem>> {
        match ZoneSet::join(zones, steered) {
            (set, problems) if problems.is_empty() => Ok(set),
            (_, problems) => Err(problems),
        }
    }

    /// As [`ZoneSet::build`], with what could be joined: not to be served when there are problems, but
    /// good for finding more of them.
    pub fn join(zones: Vec<ParsedZone>, steered: &[SteeredAt]) -> (ZoneSet, Vec<BuildProblem>) {
        let mut tree = Tree::default();
        let mut problems = Vec::new();
        let expected: usize = zones.iter().map(|z| z.rrsets.len()).sum::<usize>() + steered.len();
        tree.nodes.reserve(expected);
        tree.table = HashTable::with_capacity(expected);

        let zones = tree.add_apexes(zones, &mut problems);
        tree.link_apexes();
        let mut lines = Vec::new();
        for (zone, parsed) in zones {
            tree.add_records(zone, parsed, &mut lines);
        }
        for at in steered {
            if let Err(problem) = tree.add_steered(at) {
                problems.push(problem);
            }
        }
        tree.settle();
        for at in steered {
            problems.extend(tree.steered_below_cut(at));
        }
        problems.extend(tree.below_dname(steered));
        let (set, places) = tree.pack();
        let mut cnames = CnameLines::new();
        for (index, line) in lines {
            cnames.entry(places[index as usize]).or_insert(line);
        }
        set.cname_loops(&cnames, &mut problems);
        (set, problems)
    }
}

impl Tree {
    /// The final form, and where each node came to lie in it.
    fn pack(self) -> (ZoneSet, Vec<NodeAt>) {
        let (arena, places) = Arena::pack(&self.nodes);
        let hashes = self
            .nodes
            .iter()
            .map(|n| self.hasher.hash_one(n.name.as_bytes()));
        let entries: Vec<_> = hashes.zip(places.iter().copied()).collect();
        let set = ZoneSet {
            zones: self.zones,
            index: Index::new(entries.into_iter()),
            arena,
            parent_sides: self.parent_sides,
            hasher: self.hasher,
            names: places.len(),
            max_labels: self.max_labels,
        };
        (set, places)
    }

    /// Creates the zones and their apex nodes; returns the zones that are sound with their index.
    fn add_apexes(
        &mut self,
        zones: Vec<ParsedZone>,
        problems: &mut Vec<BuildProblem>,
    ) -> Vec<(u32, ParsedZone)> {
        let mut sound = Vec::with_capacity(zones.len());
        for parsed in zones {
            let apex = parsed.apex.clone();
            let problem = |rule, message| BuildProblem {
                rule,
                owner: apex.clone(),
                zone: Some(apex.clone()),
                line: None,
                steered: None,
                message,
            };
            if self.index(apex.as_bytes()).is_some() {
                problems.push(problem(
                    BuildRule::DuplicateApex,
                    format!("zone `{apex}` is given twice; keep one of the two"),
                ));
                continue;
            }
            let at_apex = |rtype| {
                parsed
                    .rrsets
                    .iter()
                    .find(|(owner, set, _)| set.rtype == rtype && *owner == apex)
                    .map(|(_, set, _)| set.clone())
            };
            let (soa, ns) = (at_apex(rtype::SOA), at_apex(rtype::NS));
            match (soa.filter(|soa| soa.records.len() == 1), ns) {
                (Some(soa), Some(_)) => {
                    let zone = self.zones.len() as u32;
                    self.zones.push(ZoneInfo {
                        apex: apex.clone(),
                        negative_ttl: negative_ttl(&soa),
                        soa: PackedSet::new(&soa),
                    });
                    self.insert(apex.clone(), zone);
                    sound.push((zone, parsed));
                }
                (soa, _) => problems.push(problem(
                    BuildRule::ApexIncomplete,
                    format!(
                        "zone `{apex}` has no usable {} record at its apex; a zone needs exactly one SOA and at least one NS",
                        if soa.is_none() { "SOA" } else { "NS" }
                    ),
                )),
            }
        }
        sound
    }

    /// Connects every apex with the zone around it, so that the names between exist (RFC 8020).
    fn link_apexes(&mut self) {
        for zone in 0..self.zones.len() as u32 {
            let apex = self.zones[zone as usize].apex.clone();
            let Some(parent) = apex.parent() else {
                continue;
            };
            let Some(outer) = self.zone_of(parent.as_bytes()) else {
                continue;
            };
            self.ensure(parent.as_bytes(), outer);
            // The apex nodes come first and in the order of the zones.
            self.nodes[zone as usize].parent_side = Some(self.parent_sides.len() as u32);
            self.parent_sides.push(ParentSide {
                zone: outer,
                ds: None,
            });
        }
    }

    /// Adds a zone's data; notes node and line of each CNAME.
    fn add_records(&mut self, zone: u32, parsed: ParsedZone, lines: &mut Vec<(u32, u32)>) {
        let apex_labels = parsed.apex.label_count();
        for (owner, rrset, line) in parsed.rrsets {
            if !owner.is_at_or_below(&parsed.apex) {
                // `parse` refuses these with a line; nothing outside may leak in from elsewhere.
                continue;
            }
            // With a single zone the question whose name this is does not arise.
            if self.zones.len() > 1
                && owner.label_count() > apex_labels
                && self.zone_of(owner.as_bytes()) != Some(zone)
            {
                self.add_parent_ds(zone, &owner, &rrset);
                continue;
            }
            let index = self.ensure(owner.as_bytes(), zone);
            if rrset.rtype == rtype::CNAME {
                lines.push((index, line));
            }
            self.nodes[index as usize].rrsets.push(rrset);
        }
    }

    /// Keeps the one thing an outer zone says about an inner apex with authority.
    fn add_parent_ds(&mut self, zone: u32, owner: &WireName, rrset: &RrSet) {
        if rrset.rtype != rtype::DS {
            return;
        }
        if let Some(index) = self.index(owner.as_bytes())
            && let Some(side) = self.nodes[index as usize].parent_side
            && let side = &mut self.parent_sides[side as usize]
            && side.zone == zone
        {
            side.ds = Some(PackedSet::new(rrset));
        }
    }

    fn add_steered(&mut self, at: &SteeredAt) -> Result<(), BuildProblem> {
        let owner = &at.owner;
        let zone = self.zone_of(owner.as_bytes());
        let problem = |set: &Tree, rule, message| BuildProblem {
            rule,
            owner: owner.clone(),
            zone: zone.map(|z| set.zones[z as usize].apex.clone()),
            line: None,
            steered: Some(at.name),
            message,
        };
        let Some(zone) = zone else {
            return Err(problem(
                self,
                BuildRule::SteeredInNoZone,
                format!(
                    "steered name `{owner}` lies in none of the {} zones served here; add its zone or correct the name",
                    self.zones.len()
                ),
            ));
        };
        let index = self.ensure(owner.as_bytes(), zone);
        let node = &self.nodes[index as usize];
        let apex = &self.zones[zone as usize].apex;
        if node.steered.is_some() {
            return Err(problem(
                self,
                BuildRule::SteeredTwice,
                format!("`{owner}` is steered twice; keep one of the two"),
            ));
        }
        if at.cname && owner == apex {
            return Err(problem(
                self,
                BuildRule::SteeredCnameAtApex,
                format!(
                    "`{owner}` is the apex of its zone, where SOA and NS stand, and so cannot answer with a CNAME (RFC 1034 section 3.6.2); steer addresses here or use another name"
                ),
            ));
        }
        let clash = node.rrsets.iter().find(|set| match set.rtype {
            rtype::A | rtype::AAAA | rtype::CNAME => true,
            rtype::HTTPS => at.cname || at.https,
            _ => at.cname,
        });
        if let Some(clash) = clash {
            let kind = Rtype(clash.rtype);
            let why = if at.cname {
                "a name that answers with a CNAME can have no other data (RFC 1034 section 3.6.2)"
            } else {
                "only one of the two can answer"
            };
            return Err(problem(
                self,
                BuildRule::SteeredHasStaticData,
                format!(
                    "steered name `{owner}` also has a static {kind} record in zone `{apex}`: {why}; remove the record or the steered name"
                ),
            ));
        }
        self.nodes[index as usize].steered = Some(Steered {
            name: at.name,
            cname: at.cname,
            https: at.https,
        });
        Ok(())
    }

    /// Computes what lookups want to know about each node: cuts, wildcards, order of types.
    fn settle(&mut self) {
        for i in 0..self.nodes.len() {
            let node = &self.nodes[i];
            let is_apex = i < self.zones.len();
            if !is_apex {
                let (first, rest) = split(node.name.as_bytes());
                let is_wildcard = first == b"*";
                let zone = node.zone;
                let has_ns = node.rrset(rtype::NS).is_some();
                // A parent always comes before its children: see `ensure`.
                let parent = self.index(rest);
                let above = parent
                    .map(|p| &self.nodes[p as usize])
                    .filter(|p| p.zone == zone)
                    .and_then(|p| p.cut);
                let node = &mut self.nodes[i];
                node.is_cut = above.is_none() && has_ns;
                node.cut = above.or(node.is_cut.then_some(i as u32));
                if is_wildcard && let Some(parent) = parent {
                    self.nodes[parent as usize].wildcard = Some(i as u32);
                }
            }
            let node = &mut self.nodes[i];
            node.rrsets.sort_by_key(|set| set.rtype);
        }
        // An outer zone that delegates away a name above an inner apex is not that apex's parent.
        for apex in 0..self.zones.len() {
            let above = self.index(split(self.nodes[apex].name.as_bytes()).1);
            if above.is_some_and(|p| self.nodes[p as usize].cut.is_some()) {
                self.nodes[apex].parent_side = None;
            }
        }
    }

    fn steered_below_cut(&self, at: &SteeredAt) -> Option<BuildProblem> {
        let node = &self.nodes[self.index(at.owner.as_bytes())? as usize];
        let cut = &self.nodes[node.cut? as usize].name;
        let owner = &at.owner;
        let apex = &self.zones[node.zone as usize].apex;
        Some(BuildProblem {
            rule: BuildRule::SteeredBelowCut,
            owner: owner.clone(),
            zone: Some(apex.clone()),
            line: None,
            steered: Some(at.name),
            message: format!(
                "steered name `{owner}` would never be asked for here: zone `{apex}` delegates `{cut}` away; remove the NS records of `{cut}` or steer another name"
            ),
        })
    }
}

/// RFC 2308 section 3: the smaller of the SOA's own TTL and its MINIMUM field, its last 32 bits.
fn negative_ttl(soa: &RrSet) -> Ttl {
    let minimum = soa
        .records
        .first()
        .and_then(|r| r.bytes.last_chunk::<4>())
        .map_or(0, |b| u32::from_be_bytes(*b));
    soa.ttl.min(Ttl::from_secs(minimum))
}
