//! The rules a zone must keep on its own, one function each.

use crate::dns::Rtype;
use crate::dns::name::WireName;

use super::parse::{Draft, DraftSet, ZoneProblem};
use super::rrset::rtype;
use super::scan::Token;

/// The most octets all records of an RRset may take: what fits one message beside header, question
/// and OPT (RFC 1035 section 4.2.2).
const MAX_SET: usize = 65_000;

/// Applies every rule to a zone that has been read.
pub(super) fn all(draft: &mut Draft) {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    // When records could not be read, what seems missing may just be among them.
    if draft.problems.is_empty() {
        soa(draft, &mut problems);
        apex_ns(draft, &mut problems);
    }
    for set in &draft.sets {
        soa_place(draft, set, &mut problems);
        cname_alone(draft, set, &mut problems);
        wildcard_ns(set, &mut problems);
        dname(draft, set, &mut problems);
        below_dname(draft, set, &mut problems);
        set_size(set, &mut problems);
        ds_at_cut(draft, set, &mut problems);
        occluded(draft, set, &mut warnings);
        glue(draft, set, &mut warnings);
    }
    draft.problems.extend(problems);
    draft.warnings.extend(warnings);
}

/// RFC 1035 section 5.2: one SOA, at the apex.
fn soa(draft: &Draft, problems: &mut Vec<ZoneProblem>) {
    if !draft.sets.iter().any(|s| s.set.rtype == rtype::SOA) {
        problems.push(ZoneProblem {
            line: 1,
            column: 1,
            message: format!(
                "zone `{0}` has no SOA record; add `@ SOA ns1.{0}. hostmaster.{0}. 1 3600 600 604800 60`",
                draft.apex
            ),
        });
    }
}

/// RFC 1035 section 5.2, as for [`soa`]: where it may stand.
fn soa_place(draft: &Draft, set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    if set.set.rtype == rtype::SOA && set.owner != draft.apex {
        problems.push(set.problem(format!(
            "the SOA stands at `{}`, but belongs to the apex `{}`; does $ORIGIN say another zone?",
            set.owner, draft.apex
        )));
    }
}

/// RFC 1034 section 4.2.1: the apex names the zone's servers.
fn apex_ns(draft: &Draft, problems: &mut Vec<ZoneProblem>) {
    let at_apex = |t| draft.at(draft.apex.as_bytes()).find(|s| s.set.rtype == t);
    if at_apex(rtype::NS).is_none() {
        let (line, column) = at_apex(rtype::SOA).map_or((1, 1), |s| (s.line, s.column));
        problems.push(ZoneProblem {
            line,
            column,
            message: format!(
                "zone `{0}` has no NS record at its apex; add `@ NS ns1.{0}.` for each of its servers",
                draft.apex
            ),
        });
    }
}

/// Types that have one record per owner: SOA (RFC 1035 section 5.2), CNAME (RFC 2181 section 10.1) and
/// DNAME (RFC 6672 section 2.4).
pub(super) fn one_only(
    known: &DraftSet,
    kind: Rtype,
    first: &Token<'_>,
) -> Result<(), ZoneProblem> {
    if !matches!(known.set.rtype, rtype::SOA | rtype::CNAME | rtype::DNAME) {
        return Ok(());
    }
    Err(first.problem(format!(
        "`{}` has a second {kind} record, the first is in line {}; there can be one only",
        known.owner, known.line
    )))
}

/// RFC 1034 section 3.6.2: where a CNAME stands, nothing else does; so never at the apex.
fn cname_alone(draft: &Draft, set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    if set.set.rtype != rtype::CNAME {
        return;
    }
    if set.owner == draft.apex {
        problems.push(set.problem(format!(
            "`{}` is the apex, where SOA and NS stand, and so cannot have a CNAME (RFC 1034 section 3.6.2); use A and AAAA records or a steered name",
            set.owner
        )));
        return;
    }
    let other = draft
        .at(set.owner.as_bytes())
        .find(|s| s.set.rtype != rtype::CNAME);
    if let Some(other) = other {
        problems.push(set.problem(format!(
            "`{}` has a CNAME and, in line {}, {} data; a name with a CNAME has nothing else (RFC 1034 section 3.6.2): remove one of the two",
            set.owner,
            other.line,
            Rtype(other.set.rtype)
        )));
    }
}

/// RFC 4592 section 4.2: what a delegated wildcard means is not defined.
fn wildcard_ns(set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    if set.set.rtype == rtype::NS && set.owner.labels().next() == Some(b"*") {
        problems.push(set.problem(format!(
            "`{}` delegates a wildcard, which has no defined meaning (RFC 4592 section 4.2); delegate the names one by one",
            set.owner
        )));
    }
}

/// RFC 6672 sections 2.3 and 2.4: where a DNAME may stand, and where it may point.
fn dname(draft: &Draft, set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    if set.set.rtype != rtype::DNAME {
        return;
    }
    let owner = &set.owner;
    if owner.labels().next() == Some(b"*") {
        problems.push(set.problem(format!(
            "`{owner}` redirects a wildcard, which has no defined meaning (RFC 4592 section 4.4); write one DNAME for each name"
        )));
    }
    let ns = draft
        .at(owner.as_bytes())
        .find(|s| s.set.rtype == rtype::NS && *owner != draft.apex);
    if let Some(ns) = ns {
        problems.push(set.problem(format!(
            "`{owner}` has a DNAME and, in line {}, NS records; only an apex has both (RFC 6672 section 2.3): remove one of the two",
            ns.line
        )));
    }
    let target = set.set.records.first();
    let target = target.and_then(|r| WireName::from_wire(&r.bytes).ok());
    if target.is_some_and(|t| t.is_at_or_below(owner)) {
        problems.push(set.problem(format!(
            "the DNAME of `{owner}` leads back below `{owner}`, without end; point it at another part of the tree"
        )));
    }
}

/// RFC 6672 section 2.4: below a DNAME nothing exists.
fn below_dname(draft: &Draft, set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    let apex = draft.apex.as_bytes().len();
    let mut rest = set.owner.as_bytes();
    while rest.len() > apex {
        rest = &rest[usize::from(rest[0]) + 1..];
        if let Some(dname) = draft.at(rest).find(|s| s.set.rtype == rtype::DNAME) {
            problems.push(set.problem(format!(
                "`{}` lies below `{}`, whose DNAME in line {} sends all names there elsewhere (RFC 6672 section 2.4); remove one of the two",
                set.owner, dname.owner, dname.line
            )));
            return;
        }
    }
}

/// An RRset that fits no message could never be answered whole.
fn set_size(set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    // Each record takes at least a compressed owner, type, class, TTL and length: 12 octets.
    let size: usize = set.set.records.iter().map(|r| r.bytes.len() + 12).sum();
    if size > MAX_SET {
        problems.push(set.problem(format!(
            "the {} {} records of `{}` take {size} octets; an answer has room for {MAX_SET}",
            set.set.records.len(),
            Rtype(set.set.rtype),
            set.owner
        )));
    }
}

/// RFC 4034 section 5: a DS stands beside the NS records of a delegation.
fn ds_at_cut(draft: &Draft, set: &DraftSet, problems: &mut Vec<ZoneProblem>) {
    if set.set.rtype != rtype::DS {
        return;
    }
    let delegated = set.owner != draft.apex
        && draft
            .at(set.owner.as_bytes())
            .any(|s| s.set.rtype == rtype::NS);
    if !delegated {
        problems.push(set.problem(format!(
            "`{}` has a DS but is not delegated in this zone; a DS stands beside the NS records of the child (RFC 4034 section 5)",
            set.owner
        )));
    }
}

/// Data at or below a delegation that is neither glue nor the delegation itself is never answered.
fn occluded(draft: &Draft, set: &DraftSet, warnings: &mut Vec<ZoneProblem>) {
    let Some(cut) = cut_of(draft, &set.owner) else {
        return;
    };
    let at_cut = set.owner == *cut;
    let useful = matches!(set.set.rtype, rtype::A | rtype::AAAA)
        || at_cut && matches!(set.set.rtype, rtype::NS | rtype::DS);
    if !useful {
        warnings.push(set.problem(format!(
            "this {} record of `{}` is never answered: the zone delegates `{cut}` away",
            Rtype(set.set.rtype),
            set.owner
        )));
    }
}

/// A name server below the cut it serves is found only through glue (RFC 1034 section 4.2.1).
fn glue(draft: &Draft, set: &DraftSet, warnings: &mut Vec<ZoneProblem>) {
    if set.set.rtype != rtype::NS || cut_of(draft, &set.owner) != Some(&set.owner) {
        return;
    }
    for record in &set.set.records {
        let Some(target) = record.name(0).filter(|t| t.is_at_or_below(&set.owner)) else {
            continue;
        };
        let mut sets = draft.at(target.as_bytes());
        if !sets.any(|s| matches!(s.set.rtype, rtype::A | rtype::AAAA)) {
            warnings.push(set.problem(format!(
                "`{}` is delegated to `{target}`, which lies below it and has no address here; add its A or AAAA records as glue, or nobody can reach it",
                set.owner
            )));
        }
    }
}

/// The topmost delegation at or above a name, inside the zone.
fn cut_of<'d>(draft: &'d Draft, name: &WireName) -> Option<&'d WireName> {
    let apex = draft.apex.as_bytes().len();
    let mut rest = name.as_bytes();
    let mut cut = None;
    while rest.len() > apex {
        cut = draft
            .at(rest)
            .find(|s| s.set.rtype == rtype::NS)
            .map(|s| &s.owner)
            .or(cut);
        rest = &rest[usize::from(rest[0]) + 1..];
    }
    cut
}
