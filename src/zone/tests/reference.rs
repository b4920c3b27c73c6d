//! The lookup against a slow one that reads the rules off the RFCs, over random small worlds.

use super::*;
use proptest::prelude::*;

/// Owner, type and last octet.
type Record = (WireName, u16, u8);

/// Everything known, as flat lists.
struct Naive {
    /// Apex and records.
    zones: Vec<(WireName, Vec<Record>)>,
    steered: Vec<(WireName, u32)>,
}

impl Naive {
    /// The index of the zone that owns a name.
    fn zone_of(&self, name: &WireName) -> Option<usize> {
        (0..self.zones.len())
            .filter(|&z| name.is_at_or_below(&self.zones[z].0))
            .max_by_key(|&z| self.zones[z].0.label_count())
    }

    /// What the zone holds itself, without what an inner zone took over.
    fn own(&self, z: usize) -> impl Iterator<Item = &Record> {
        self.zones[z]
            .1
            .iter()
            .filter(move |(owner, _, _)| self.zone_of(owner) == Some(z))
    }

    /// RFC 4592 section 2.2.2: a name exists when it or a name below it owns something.
    fn exists(&self, name: &WireName) -> bool {
        let owners = (0..self.zones.len())
            .flat_map(|z| self.own(z).map(|(o, _, _)| o).chain([&self.zones[z].0]))
            .chain(self.steered.iter().map(|(o, _)| o));
        self.zone_of(name).is_some() && owners.into_iter().any(|o| o.is_at_or_below(name))
    }

    fn ask(&self, qname: &WireName, qtype: u16) -> String {
        let Some(z) = self.zone_of(qname) else {
            return "outside".into();
        };
        let apex = &self.zones[z].0;
        if qtype == 43 && qname == apex {
            return format!("nodata @{}", self.parent_side(apex).unwrap_or(apex));
        }
        if let Some(cut) = self.cut(z, qname) {
            if qtype == 43 && cut == *qname {
                return format!("nodata @{apex}");
            }
            let count = self.own(z).filter(|(o, t, _)| *o == cut && *t == 2).count();
            return format!("referral {cut} {count} @{apex}");
        }
        let mut source = qname.clone();
        if !self.exists(qname) {
            let mut encloser = qname.parent().unwrap();
            while !self.exists(&encloser) {
                encloser = encloser.parent().unwrap();
            }
            source = encloser.prepend(b"*").unwrap();
            if !self.exists(&source)
                || self.zone_of(&source) != Some(z)
                || source == self.zones[z].0
            {
                return format!("nxdomain @{apex}");
            }
        }
        let here: Vec<_> = self.own(z).filter(|(o, _, _)| *o == source).collect();
        let steered = self.steered.iter().find(|(o, _)| *o == source);
        if let Some((_, name)) = steered
            && (qtype == 1 || qtype == 28)
        {
            return format!("steered {name} @{apex}");
        }
        let mut data: Vec<_> = here
            .iter()
            .filter(|(_, t, _)| *t == qtype)
            .map(|(_, _, octet)| octet.to_string())
            .collect();
        if qtype == 5 {
            data.iter_mut().for_each(|octet| *octet = "0".into());
        } else if here.iter().any(|(_, t, _)| *t == 5) {
            return format!("cname t.other @{apex}");
        }
        if data.is_empty() {
            return format!("nodata @{apex}");
        }
        data.sort();
        format!(
            "answer {} {} @{apex}",
            RecordType::from(qtype),
            data.join("+")
        )
    }

    /// The topmost delegation at or above a name inside a zone.
    fn cut(&self, z: usize, name: &WireName) -> Option<WireName> {
        let apex = &self.zones[z].0;
        self.own(z)
            .filter(|(o, t, _)| *t == 2 && o != apex && name.is_at_or_below(o))
            .map(|(o, _, _)| o.clone())
            .min_by_key(WireName::label_count)
    }

    /// The served zone that is the real parent of an apex.
    fn parent_side(&self, apex: &WireName) -> Option<&WireName> {
        let parent = apex.parent()?;
        let z = self.zone_of(&parent)?;
        self.cut(z, &parent).is_none().then(|| &self.zones[z].0)
    }
}

fn name() -> impl Strategy<Value = String> {
    let label = prop::sample::select(vec!["a", "b", "*", "c"]);
    prop::collection::vec(label, 0..4).prop_map(|l| l.join("."))
}

fn join(labels: &str, apex: &str) -> WireName {
    n(&format!("{labels}.{apex}")
        .trim_matches('.')
        .replace("..", "."))
}

/// Whether a zone stays sound with one record more.
fn may_add(apex: &WireName, list: &[Record], owner: &WireName, rtype: u16, octet: u8) -> bool {
    let mut here = list.iter().filter(|(o, _, _)| o == owner);
    let wildcard = owner.labels().next() == Some(b"*");
    match rtype {
        2 => owner != apex && !wildcard && here.all(|(_, t, _)| !matches!(t, 2 | 5)),
        5 => owner != apex && here.next().is_none(),
        _ => here.all(|(_, t, o)| *t != 5 && (*t, *o) != (rtype, octet)),
    }
}

proptest! {
    #[test]
    fn a6_lookup_agrees_with_the_rules(
        inner in prop::collection::btree_set(prop::sample::select(vec!["a", "b.a", "c", "a.b.a"]), 0..3),
        records in prop::collection::vec((name(), prop::sample::select(vec![1u16, 1, 2, 5, 16]), any::<u8>()), 0..12),
        at in prop::collection::vec(name(), 0..3),
        questions in prop::collection::vec((name(), prop::sample::select(vec![1u16, 28, 2, 5, 16, 43])), 1..40),
    ) {
        let apexes: Vec<WireName> = std::iter::once(n("z")).chain(inner.iter().map(|i| join(i, "z"))).collect();
        let mut naive = Naive { zones: apexes.into_iter().map(|a| (a, Vec::new())).collect(), steered: Vec::new() };
        for (labels, rtype, octet) in records {
            let owner = join(&labels, "z");
            // Every zone around the owner holds the record, so that inner zones have to win.
            for (apex, list) in &mut naive.zones {
                if owner.is_at_or_below(apex) && may_add(apex, list, &owner, rtype, octet) {
                    list.push((owner.clone(), rtype, octet));
                }
            }
        }
        for (i, labels) in at.iter().enumerate() {
            let owner = join(labels, "z");
            let z = naive.zone_of(&owner).unwrap();
            let clash = naive.own(z).any(|(o, t, _)| *o == owner && matches!(t, 1 | 5));
            if !clash && naive.cut(z, &owner).is_none() && naive.steered.iter().all(|(o, _)| *o != owner) {
                naive.steered.push((owner, i as u32));
            }
        }
        let texts: Vec<(String, String)> = naive.zones.iter().map(|(apex, list)| {
            let lines = list.iter().map(|(o, t, d)| match t {
                1 => format!("{o}. A 192.0.2.{d}\n"),
                2 => format!("{o}. NS ns.other.\n"),
                5 => format!("{o}. CNAME t.other.\n"),
                _ => format!("{o}. TXT \\{d:03}\n"),
            });
            (apex.to_string(), lines.collect())
        }).collect();
        let zones: Vec<(&str, &str)> = texts.iter().map(|(a, r)| (a.as_str(), r.as_str())).collect();
        let at: Vec<_> = naive.steered.iter().map(|(o, i)| steered(&o.to_string(), *i, false)).collect();
        let set = set(&zones, &at);
        for zone in &mut naive.zones {
            let apex = zone.0.clone();
            zone.1.push((apex, 2, 0));
        }
        for (labels, qtype) in questions {
            let qname = join(&labels, "z");
            prop_assert_eq!(show(&set, &qname, qtype), naive.ask(&qname, qtype), "{} {} in {:?} {:?}", qname, qtype, zones, naive.steered);
        }
    }
}
