//! Master files (RFC 1035 section 5) to RRsets.

use std::fmt;

use hashbrown::HashMap;

use crate::dns::Rtype;
use crate::dns::name::WireName;
use crate::dns::rtype;
use crate::units::Ttl;

use super::check;
use super::generate::Generate;
use super::rdata;
use super::rrset::{Rdata, RrSet};
use super::scan::{Entry, Scanner, Token};
use super::word;

/// One zone, read and checked on its own.
#[derive(Clone, Debug)]
pub struct ParsedZone {
    /// The zone's own name.
    pub apex: WireName,
    /// Owner, RRset and the line of its first record (1-based), in the order of first appearance;
    /// one entry per owner and type.
    pub rrsets: Vec<(WireName, RrSet, u32)>,
    /// What is allowed but hardly meant.
    pub warnings: Vec<ZoneProblem>,
}

/// Something wrong in a master file, and where.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ZoneProblem {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, for a person.
    pub message: String,
}

impl fmt::Display for ZoneProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

/// The RRsets of a zone while it is read, with the place of each one's first record.
pub(super) struct Draft {
    pub(super) apex: WireName,
    pub(super) sets: Vec<DraftSet>,
    pub(super) warnings: Vec<ZoneProblem>,
    pub(super) problems: Vec<ZoneProblem>,
    /// Positions in `sets` by owner; an owner has few types.
    pub(super) owners: HashMap<WireName, Vec<u32>>,
}

/// One RRset of a [`Draft`].
pub(super) struct DraftSet {
    pub(super) owner: WireName,
    pub(super) set: RrSet,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl DraftSet {
    /// A problem at the first record of this RRset.
    pub(super) fn problem(&self, message: String) -> ZoneProblem {
        ZoneProblem {
            line: self.line,
            column: self.column,
            message,
        }
    }
}

/// Reads a master file for the zone `apex`.
///
/// `$ORIGIN` starts at the apex. `$INCLUDE` is refused: a zone is one text, so that every problem has
/// one line and column, and nothing outside it is read.
///
/// # Errors
/// Every problem of the file in the order of lines: each record that cannot be read, and each rule a
/// zone must keep.
pub fn parse(text: &str, apex: &WireName) -> Result<ParsedZone, Vec<ZoneProblem>> {
    let mut reader = Reader {
        origin: apex.clone(),
        owner: None,
        default_ttl: None,
        last_ttl: None,
        draft: Draft {
            apex: apex.clone(),
            sets: Vec::new(),
            warnings: Vec::new(),
            problems: Vec::new(),
            owners: HashMap::new(),
        },
    };
    for entry in Scanner::new(text) {
        if let Err(problem) = entry.and_then(|entry| reader.entry(&entry)) {
            reader.draft.problems.push(problem);
        }
    }
    let mut draft = reader.draft;
    check::all(&mut draft);
    draft.warnings.sort();
    draft.problems.sort();
    if !draft.problems.is_empty() {
        return Err(draft.problems);
    }
    Ok(ParsedZone {
        apex: draft.apex,
        rrsets: draft
            .sets
            .into_iter()
            .map(|s| (s.owner, s.set, s.line))
            .collect(),
        warnings: draft.warnings,
    })
}

/// What carries over from one entry to the next.
struct Reader {
    origin: WireName,
    /// The owner of the record before; `None` before the first, or when that one was unreadable.
    owner: Option<Result<WireName, ()>>,
    default_ttl: Option<Ttl>,
    last_ttl: Option<Ttl>,
    draft: Draft,
}

impl Reader {
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), ZoneProblem> {
        let Some((first, rest)) = entry.tokens.split_first() else {
            return Ok(());
        };
        if first.raw.starts_with('$') {
            return self.directive(first, rest);
        }
        let (owner, words) = if entry.inherits_owner {
            let owner = match &self.owner {
                Some(Ok(owner)) => owner.clone(),
                // Its own problem is reported already.
                Some(Err(())) => return Ok(()),
                None => {
                    return Err(first.problem(
                        "the line starts with white space, but there is no record before it whose owner it could share",
                    ));
                }
            };
            (owner, &entry.tokens[..])
        } else {
            self.owner = Some(Err(()));
            let owner = word::name(first, &self.origin)?;
            self.owner = Some(Ok(owner.clone()));
            (owner, rest)
        };
        self.record(first, owner, words)
    }

    fn directive(&mut self, word: &Token<'_>, rest: &[Token<'_>]) -> Result<(), ZoneProblem> {
        let argument = |what: &str| match rest {
            [one] => Ok(*one),
            [] => Err(word.problem(format!("{} needs {what}", word.raw))),
            [_, extra, ..] => Err(extra.problem(format!(
                "`{}` is one word too many; {} takes {what}",
                extra.raw, word.raw
            ))),
        };
        match word.raw.to_ascii_uppercase().as_str() {
            "$ORIGIN" => self.origin = word::name(&argument("one name")?, &self.origin)?,
            "$TTL" => self.default_ttl = Some(word::seconds(&argument("one time")?)?),
            "$INCLUDE" => {
                return Err(word.problem(
                    "$INCLUDE is not supported: a zone is one file; put the records of the other file here",
                ));
            }
            "$GENERATE" => return self.generate(word, rest),
            _ => {
                return Err(word.problem(format!(
                    "`{}` is not a directive; there are $ORIGIN, $TTL and $GENERATE (a name that starts with `$` is written `\\$`)",
                    word.raw
                )));
            }
        }
        Ok(())
    }

    /// The records that `$GENERATE` makes, read as if they were written out.
    fn generate(&mut self, word: &Token<'_>, rest: &[Token<'_>]) -> Result<(), ZoneProblem> {
        let generate = Generate::new(word, rest)?;
        for i in generate.values() {
            let texts = generate.words(i)?;
            let tokens: Vec<Token<'_>> = texts
                .iter()
                .zip(generate.template())
                .map(|(raw, at)| Token { raw, ..*at })
                .collect();
            self.entry(&Entry {
                inherits_owner: false,
                tokens,
            })?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        first: &Token<'_>,
        owner: WireName,
        words: &[Token<'_>],
    ) -> Result<(), ZoneProblem> {
        let mut rest = words;
        let mut ttl = None;
        let mut class = false;
        // RFC 1035 section 5.1: TTL and class in either order, both optional.
        let at = loop {
            let Some((word, tail)) = rest.split_first() else {
                return Err(words.last().unwrap_or(first).problem(
                    "the record has no type; a record is `OWNER [TTL] [CLASS] TYPE DATA`",
                ));
            };
            rest = tail;
            if ttl.is_none() && word.raw.starts_with(|c: char| c.is_ascii_digit()) {
                ttl = Some(word::seconds(word)?);
            } else if !class && is_class(word)? {
                class = true;
            } else {
                break *word;
            }
        };
        let rtype = record_type(&at)?;
        if ttl.is_some() {
            self.last_ttl = ttl;
        }
        let rdata = rdata::read(rtype, at, rest, &self.origin)?;
        // RFC 2308 section 4: $TTL comes before the TTL of the record above.
        let ttl = ttl.or(self.default_ttl).or(self.last_ttl).ok_or_else(|| {
            at.problem(
                "the record has no TTL and there is no $TTL above it; put `$TTL 300` at the top",
            )
        })?;
        if !owner.is_at_or_below(&self.draft.apex) {
            return Err(first.problem(format!(
                "`{owner}` lies outside zone `{}`; a final dot makes a name absolute",
                self.draft.apex
            )));
        }
        self.draft.add(first, owner, rtype, ttl, rdata)
    }
}

impl Draft {
    /// The RRsets of an owner.
    pub(super) fn at(&self, owner: &[u8]) -> impl Iterator<Item = &DraftSet> {
        let positions = self.owners.get(owner).map_or(&[][..], Vec::as_slice);
        positions.iter().map(|&i| &self.sets[i as usize])
    }

    /// Puts a record into its RRset.
    fn add(
        &mut self,
        first: &Token<'_>,
        owner: WireName,
        rtype: u16,
        ttl: Ttl,
        rdata: Rdata,
    ) -> Result<(), ZoneProblem> {
        let positions = self.owners.entry(owner.clone()).or_default();
        let known = positions
            .iter()
            .find(|&&i| self.sets[i as usize].set.rtype == rtype);
        let Some(&known) = known else {
            positions.push(self.sets.len() as u32);
            self.sets.push(DraftSet {
                owner,
                set: RrSet {
                    rtype,
                    ttl,
                    records: vec![rdata],
                },
                line: first.line,
                column: first.column,
            });
            return Ok(());
        };
        let known = &mut self.sets[known as usize];
        let kind = Rtype(rtype);
        check::one_only(known, kind, first)?;
        if known.set.ttl != ttl {
            let smaller = known.set.ttl.min(ttl);
            self.warnings.push(first.problem(format!(
                "this {kind} record of `{owner}` has TTL {ttl}, but the one in line {} has {}; records of one owner and type share one TTL (RFC 2181 section 5.2), so {smaller} is used",
                known.line, known.set.ttl
            )));
            known.set.ttl = smaller;
        }
        if known.set.records.contains(&rdata) {
            self.warnings.push(first.problem(format!(
                "this {kind} record of `{owner}` is there already and counts once (RFC 2181 section 5)"
            )));
            return Ok(());
        }
        known.set.records.push(rdata);
        Ok(())
    }
}

/// Whether the word is the class IN.
fn is_class(word: &Token<'_>) -> Result<bool, ZoneProblem> {
    match word.raw.to_ascii_uppercase().as_str() {
        "IN" | "CLASS1" => Ok(true),
        "CH" | "HS" | "CS" => Err(word.problem(format!(
            "class `{}` is not served; the only class is IN",
            word.raw
        ))),
        _ => Ok(false),
    }
}

/// The type that a word names.
fn record_type(word: &Token<'_>) -> Result<u16, ZoneProblem> {
    if let Ok(Rtype(code)) = word.raw.parse() {
        return match refused(code) {
            Some(why) => Err(word.problem(format!("`{}`: {why}", word.raw))),
            None => Ok(code),
        };
    }
    let upper = word.raw.to_ascii_uppercase();
    if matches!(upper.as_str(), "ANAME" | "ALIAS") {
        return Err(word.problem(format!(
            "`{}` is not supported; steer the name instead, or make it an alias of a steered name (`alias-of`)",
            word.raw
        )));
    }
    let nearest = rtype::known()
        .filter(|t| refused(t.0).is_none())
        .map(|t| (strsim::damerau_levenshtein(&t.to_string(), &upper), t))
        .min()
        .filter(|(distance, t)| *distance <= (t.to_string().len() / 3).max(1));
    Err(word.problem(match nearest {
        Some((_, t)) => format!("`{}` is not a record type; did you mean `{t}`?", word.raw),
        None => format!(
            "`{}` is not a record type; a type without a name here is written `TYPE65280 \\# LENGTH HEX` (RFC 3597)",
            word.raw
        ),
    }))
}

/// Why no record of a type may stand in a file.
fn refused(code: u16) -> Option<&'static str> {
    match code {
        rtype::RRSIG
        | rtype::SIG
        | rtype::NSEC
        | rtype::NXT
        | rtype::NSEC3
        | rtype::NSEC3PARAM
        | rtype::DNSKEY
        | rtype::KEY
        | rtype::CDS
        | rtype::CDNSKEY
        | rtype::ZONEMD => Some(
            "signatures, keys, denials and digests cannot come from a zone file: the server makes them itself in a zone with `dnssec`, and another zone has no use for them; leave them out",
        ),
        // RFC 6895 section 3.1: 0, OPT and 128-255 are no data; RFC 1035 section 3.3.10: NULL stands
        // in no file.
        0 | rtype::NULL | rtype::OPT | 128..=255 => {
            Some("it is not a type of data and cannot stand in a zone")
        }
        _ => None,
    }
}
