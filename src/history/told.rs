//! An event as it is numbered, kept and shown: in words, so that events of earlier releases are read by
//! later ones.

use std::sync::Arc;

use super::event::{Event, Level};
use super::line::{Fields, Line};

/// Longest text that is kept, in octets.
const MAX_TEXT: usize = 2_000;

/// A numbered event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its number on this node: later events have higher ones.
    pub number: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: u64,
    /// The node that noticed it.
    pub node: Arc<str>,
    /// The view in force then.
    pub generation: u64,
    /// One word.
    pub kind: Arc<str>,
    /// How much a person should care.
    pub level: Level,
    /// What it is about.
    pub subject: Arc<str>,
    /// In words.
    pub text: Arc<str>,
    /// Particulars, each with its name.
    pub details: Vec<(Arc<str>, Arc<str>)>,
}

impl Told {
    /// The event as number `number`.
    pub fn of(event: &Event, number: u64) -> Told {
        Told {
            number,
            at_ms: event.at_ms,
            node: event.node.clone(),
            generation: event.generation,
            kind: event.what.kind().into(),
            level: event.what.level(),
            subject: cut(&event.what.subject()).into(),
            text: cut(&event.what.text()).into(),
            details: event
                .what
                .details()
                .into_iter()
                .map(|(name, value)| (name.into(), cut(&value).into()))
                .collect(),
        }
    }

    /// Its line in the store.
    pub fn line(&self) -> String {
        let mut line = Line::new("e")
            .plain(self.number)
            .plain(self.at_ms)
            .text(&self.node)
            .plain(self.generation)
            .text(&self.kind)
            .plain(self.level.word())
            .text(&self.subject)
            .text(&self.text);
        for (name, value) in &self.details {
            line = line.text(name).text(value);
        }
        line.end()
    }

    /// Reads what [`Told::line`] writes; `None`: it is no such line.
    pub fn read(line: &str) -> Option<Told> {
        let mut f = Fields::of(line);
        if f.word()? != "e" {
            return None;
        }
        let mut told = Told {
            number: f.plain()?,
            at_ms: f.plain()?,
            node: f.text()?.into(),
            generation: f.plain()?,
            kind: f.text()?.into(),
            level: Level::from_word(f.word()?)?,
            subject: f.text()?.into(),
            text: f.text()?.into(),
            details: Vec::new(),
        };
        while f.clone().word().is_some() {
            told.details.push((f.text()?.into(), f.text()?.into()));
        }
        Some(told)
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary_at(MAX_TEXT)]
}

trait Floor {
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl Floor for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        let mut at = at.min(self.len());
        while !self.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Which events are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// From this time on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// Before this time, in milliseconds since 1970.
    pub until_ms: Option<u64>,
    /// Of these kinds; empty: of all.
    pub kinds: Vec<String>,
    /// About what has this in its name.
    pub subject: Option<String>,
    /// At least so grave.
    pub level: Option<Level>,
    /// With a number below this one.
    pub before: Option<u64>,
}

impl Filter {
    /// Whether `told` is wanted.
    pub fn wants(&self, told: &Told) -> bool {
        self.since_ms.is_none_or(|t| told.at_ms >= t)
            && self.until_ms.is_none_or(|t| told.at_ms < t)
            && (self.kinds.is_empty() || self.kinds.iter().any(|k| **k == *told.kind))
            && self
                .subject
                .as_ref()
                .is_none_or(|s| told.subject.contains(&**s))
            && self.level.is_none_or(|l| told.level >= l)
            && self.before.is_none_or(|n| told.number < n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::What;

    fn told() -> Told {
        let what = What::Verdict {
            endpoint: "eu-1".into(),
            from: "up",
            to: "down",
            cause: "connection refused\n\tagain".to_owned(),
            level: Level::Warning,
            votes: Some("2 of 3".to_owned()),
        };
        let event = Event {
            at_ms: 1_000,
            node: "n1".into(),
            generation: 7,
            what,
        };
        Told::of(&event, 42)
    }

    #[test]
    fn lines_read_back() {
        let told = told();
        assert_eq!(Told::read(&told.line()).as_ref(), Some(&told));
        assert_eq!(told.line().lines().count(), 1);
        for bad in ["", "e", "e\t1", "b\t1\t2"] {
            assert_eq!(Told::read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = "é".repeat(MAX_TEXT);
        assert_eq!(cut(&text).len(), MAX_TEXT);
        assert_eq!(cut(&format!("a{text}")).len(), MAX_TEXT - 1);
    }

    #[test]
    fn filters_choose() {
        let told = told();
        let all = Filter::default();
        assert!(all.wants(&told));
        let yes = Filter {
            since_ms: Some(1_000),
            until_ms: Some(1_001),
            kinds: vec!["order".to_owned(), "verdict".to_owned()],
            subject: Some("eu".to_owned()),
            level: Some(Level::Warning),
            before: Some(43),
        };
        assert!(yes.wants(&told));
        for no in [
            Filter {
                since_ms: Some(1_001),
                ..yes.clone()
            },
            Filter {
                until_ms: Some(1_000),
                ..yes.clone()
            },
            Filter {
                kinds: vec!["drill".to_owned()],
                ..yes.clone()
            },
            Filter {
                subject: Some("us".to_owned()),
                ..yes.clone()
            },
            Filter {
                level: Some(Level::Error),
                ..yes.clone()
            },
            Filter {
                before: Some(42),
                ..yes.clone()
            },
        ] {
            assert!(!no.wants(&told), "{no:?}");
        }
    }
}
