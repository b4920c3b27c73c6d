//! The text form of a record: what is signed, what goes over the bus, what lies in the store.
//!
//! One field a line, a word and its values, each value with all but harmless ASCII as `%XX`. There is
//! one text for each record, so that a signature over the text is one over the record.

use std::fmt::Write as _;
use std::sync::Arc;

use data_encoding::BASE64;

use super::drill::{Drill, Effect};
use super::mark::Mark;
use super::record::{Class, Entry, Kind, Record, RecordError, ScopeKind, Subject};
use super::stamp::Stamp;
use super::vouch::Signed;
use crate::units::Weight;

/// Longest text of a record in octets: what the bus carries in one value.
pub const MAX_TEXT: usize = 8 * 1024;

const FIRST: &str = "tradewind-order 1";

impl Record {
    /// What the author signs.
    pub fn signed_text(&self) -> String {
        let mut out = String::with_capacity(256);
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{FIRST}\nstamp {}", escape(&self.stamp.to_string()));
        let _ = writeln!(out, "owner {}", escape(&self.owner));
        let _ = writeln!(out, "reason {}", escape(&self.reason));
        if let Some(at) = self.expires {
            let _ = writeln!(out, "expires {at}");
        }
        if let Some(broke) = &self.broke {
            let _ = writeln!(out, "broke {}", escape(broke));
        }
        if let Some(drill) = &self.drill {
            let _ = writeln!(out, "of-drill {}", escape(&drill.text()));
        }
        if let Some(mark) = &self.mark {
            let _ = writeln!(out, "mark {mark}");
        }
        for void in &self.voids {
            let _ = writeln!(out, "void {}", escape(&void.to_string()));
        }
        for Entry { subject, kind } in &self.entries {
            let _ = write!(
                out,
                "{} {} {} ",
                subject.class.word(),
                subject.scope.word(),
                escape(&subject.name)
            );
            let _ = match kind {
                None => writeln!(out, "clear"),
                Some(Kind::Weight(w)) => writeln!(out, "{}", w.0),
                Some(other) => writeln!(out, "{}", other.word()),
            };
        }
        out
    }

    /// The whole text.
    pub fn text(&self) -> String {
        let mut out = self.signed_text();
        if let Some(signed) = &self.signed {
            let _ = writeln!(out, "certificate {}", BASE64.encode(&signed.certificate));
            let _ = writeln!(out, "signature {}", BASE64.encode(&signed.signature));
        }
        out
    }

    /// Reads a text. Does not check who signed it.
    ///
    /// # Errors
    /// When it is not exactly what [`Record::text`] writes of some record, or breaks a bound.
    pub fn parse(text: &str) -> Result<Record, RecordError> {
        if text.len() > MAX_TEXT {
            return Err(RecordError::Malformed("it is longer than 8 KiB"));
        }
        let mut lines = text.lines();
        match lines.next().map(|l| l.split_once(' ').unwrap_or((l, ""))) {
            Some(("tradewind-order", "1")) => {}
            Some(("tradewind-order", version)) => {
                return Err(RecordError::Version(version.chars().take(20).collect()));
            }
            _ => return Err(RecordError::Malformed("it does not begin like an order")),
        }
        let mut read = Reading::default();
        for line in lines {
            read.line(line).ok_or(RecordError::Malformed("a line"))?;
        }
        let record = read
            .finish()
            .ok_or(RecordError::Malformed("a field is missing"))?;
        record.check()?;
        // One text for each record: other spellings, other orders of lines are refused.
        if record.text() != text {
            return Err(RecordError::Malformed("it is not in its canonical form"));
        }
        Ok(record)
    }
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    stamp: Option<Stamp>,
    owner: Option<Arc<str>>,
    reason: Option<Arc<str>>,
    expires: Option<u64>,
    broke: Option<Arc<str>>,
    drill: Option<Drill>,
    mark: Option<Mark>,
    voids: Vec<Stamp>,
    entries: Vec<Entry>,
    certificate: Option<Arc<[u8]>>,
    signature: Option<Arc<[u8]>>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Option<()> {
        let (word, value) = line.split_once(' ')?;
        match word {
            "stamp" => self.stamp = Some(unescape(value)?.parse().ok()?),
            "owner" => self.owner = Some(unescape(value)?.into()),
            "reason" => self.reason = Some(unescape(value)?.into()),
            "expires" => self.expires = Some(value.parse().ok()?),
            "broke" => self.broke = Some(unescape(value)?.into()),
            "of-drill" => self.drill = Some(Drill::from_text(&unescape(value)?)?),
            "mark" => self.mark = Some(value.parse().ok()?),
            "void" => self.voids.push(unescape(value)?.parse().ok()?),
            "certificate" => self.certificate = Some(BASE64.decode(value.as_bytes()).ok()?.into()),
            "signature" => self.signature = Some(BASE64.decode(value.as_bytes()).ok()?.into()),
            other => self.entry(Class::from_word(other)?, value)?,
        }
        Some(())
    }

    fn entry(&mut self, class: Class, value: &str) -> Option<()> {
        let mut words = value.split(' ');
        let scope = ScopeKind::from_word(words.next()?)?;
        let name = unescape(words.next()?)?.into();
        let kind = match (class, words.next()?) {
            (_, "clear") => None,
            (Class::Weight, number) => Some(Kind::Weight(Weight(number.parse().ok()?))),
            (Class::State, "drain") => Some(Kind::Drain),
            (Class::State, "disable") => Some(Kind::Disable),
            (Class::State, "force-up") => Some(Kind::ForceUp),
            (Class::State, "force-down") => Some(Kind::ForceDown),
            (Class::Failback, "failback") => Some(Kind::Failback),
            (Class::Drill, "drill-fail") => Some(Kind::Drill(Effect::Fail)),
            (Class::Drill, "drill-drain") => Some(Kind::Drill(Effect::Drain)),
            (Class::State | Class::Failback | Class::Drill, _) => return None,
        };
        self.entries.push(Entry {
            subject: Subject { class, scope, name },
            kind,
        });
        Some(())
    }

    fn finish(self) -> Option<Record> {
        let signed = match (self.certificate, self.signature) {
            (Some(certificate), Some(signature)) => Some(Signed {
                certificate,
                signature,
            }),
            (None, None) => None,
            _ => return None,
        };
        Some(Record {
            stamp: self.stamp?,
            owner: self.owner?,
            reason: self.reason?,
            expires: self.expires,
            broke: self.broke,
            drill: self.drill,
            mark: self.mark,
            entries: self.entries,
            voids: self.voids,
            signed,
        })
    }
}

/// All but letters, digits and a few harmless signs as `%XX`.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-_.:/@,*+".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b != b'%' {
            out.push(b);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::overrides::Reach;
    use proptest::prelude::*;

    fn stamp() -> impl Strategy<Value = Stamp> {
        (0..60_000u64, 0..2u32, "[a-c]").prop_map(|(ms, count, node)| Stamp {
            ms,
            count,
            node: node.as_str().into(),
        })
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let name = prop_oneof![Just("eu".to_owned()), Just("us".to_owned()), "\\PC{1,9}"];
        (0..4usize, name, 0..7u32).prop_map(|(scope, name, kind)| {
            let kind = match kind {
                0 => None,
                1 => Some(Kind::Drain),
                2 => Some(Kind::Disable),
                3 => Some(Kind::ForceUp),
                4 => Some(Kind::ForceDown),
                5 => Some(Kind::Failback),
                w => Some(Kind::Weight(Weight(w))),
            };
            Entry {
                subject: Subject {
                    class: kind.map_or(Class::State, Kind::class),
                    scope: ScopeKind::ALL[scope],
                    name: name.as_str().into(),
                },
                kind,
            }
        })
    }

    prop_compose! {
        /// Any record.
        pub(crate) fn record()(
            stamp in stamp(),
            owner in "\\PC{1,20}",
            reason in ".{0,40}",
            expires in prop::option::of(1..60_000u64),
            broke in prop::option::of("\\PC{0,20}"),
            mut entries in prop::collection::vec(entry(), 1..4),
            voids in prop::collection::vec(self::stamp(), 0..2),
            signed in prop::option::of(any::<[u8; 5]>()),
            drill in prop::option::weighted(0.2, 0..4u8),
            mark in prop::option::of(any::<([u8; 16], [u8; 8])>()),
        ) -> Record {
            // All of a drill, or nothing.
            let drill = drill.map(|n| {
                for entry in &mut entries {
                    let fail = Kind::Drill(Effect::Fail);
                    let drain = Kind::Drill(Effect::Drain);
                    entry.kind = [None, Some(fail), Some(drain)][usize::from(n) % 3];
                    entry.subject.class = Class::Drill;
                }
                let reach = if n > 1 { Reach::Label } else { Reach::Everybody };
                Drill { id: "k2f9".into(), reach }
            });
            let mut seen = Vec::new();
            entries.retain(|e| {
                let fresh = !seen.contains(&e.subject);
                seen.push(e.subject.clone());
                fresh
            });
            Record {
                stamp,
                owner: owner.as_str().into(),
                reason: reason.as_str().into(),
                expires,
                broke: broke.map(|b| b.as_str().into()),
                drill,
                mark: mark.map(|(key, body)| Mark { key, body }),
                entries,
                voids,
                signed: signed.map(|s| Signed {
                    certificate: s.as_slice().into(),
                    signature: s[1..].into(),
                }),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(record in record()) {
            let text = record.text();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(Record::parse(&text), Ok(record));
        }

        #[test]
        fn a_changed_octet_is_another_record_or_none(
            record in record(), at: prop::sample::Index, to in 0x20u8..0x7f,
        ) {
            let text = record.text();
            let mut bytes = text.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let changed = String::from_utf8(bytes).unwrap();
            if let Ok(other) = Record::parse(&changed) {
                prop_assert_ne!(other, record);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = Record::parse(&text);
            let _ = Record::parse(&format!("{FIRST}\n{text}"));
        }
    }

    #[test]
    fn a_record_from_before_there_were_marks_is_read() {
        let text = "tradewind-order 1\nstamp 5.0.a\nowner bob\nreason x\nstate region eu drain\n";
        assert_eq!(Record::parse(text).unwrap().mark, None);
        let mark = format!("mark {}.{}\n", "0a".repeat(16), "ff".repeat(8));
        let marked = text.replace("state ", &format!("{mark}state "));
        let record = Record::parse(&marked).unwrap();
        assert_eq!(record.mark.unwrap().key, [10; 16]);
        let spelt = marked.replace("0a0a", "0A0a");
        assert!(Record::parse(&spelt).is_err());
    }

    #[test]
    fn other_versions_and_other_spellings_are_refused() {
        let text = "tradewind-order 1\nstamp 5.0.a\nowner bob\nreason x\nstate region eu drain\n";
        assert!(Record::parse(text).is_ok());
        let err = |text: &str| Record::parse(text).unwrap_err().to_string();
        assert!(err(&text.replace("order 1", "order 2")).contains("version `2`"));
        assert!(err(&text.replace("bob", "%62ob")).contains("canonical"));
        assert!(err(&text.replace("owner bob\n", "")).contains("missing"));
        assert!(err(&text.replace("drain", "fly")).contains("a line"));
        assert!(err(&text.replace("drain", "failback")).contains("a line"));
        assert!(
            Record::parse(&text.replace("state region eu drain", "failback pool eu failback"))
                .is_ok()
        );
        assert!(err(&format!("{text}state region eu clear\n")).contains("twice"));
        assert!(err(&format!("{text}signature AAAA\n")).contains("missing"));
        assert!(
            err(&text.replace("drain\n", &format!("drain{}\n", " x".repeat(9000))))
                .contains("8 KiB")
        );
    }
}
