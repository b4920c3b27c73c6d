//! A drill as orders speak of it: which one, and whom it concerns.

use std::fmt;
use std::sync::Arc;

use super::record::RecordError;
use super::stamp::Stamp;
use crate::net::Prefix;

/// What a drill does to what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Effect {
    /// Treated as down; probes go on and are shown beneath.
    Fail,
    /// No new clients.
    Drain,
}

impl Effect {
    /// As people write it.
    pub fn word(self) -> &'static str {
        match self {
            Effect::Fail => "fail",
            Effect::Drain => "drain",
        }
    }

    /// Of what people write.
    pub fn from_word(word: &str) -> Option<Effect> {
        [Effect::Fail, Effect::Drain]
            .into_iter()
            .find(|e| e.word() == word)
    }
}

/// Whom a drill concerns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reach {
    /// Every client.
    Everybody,
    /// Clients in a network, nobody else.
    Canary(Prefix),
    /// Who asks for `drill-ID.NAME`; what NAME answers stays as it is.
    Label,
}

impl fmt::Display for Reach {
    /// As it stands in texts: `everybody`, `canary=192.0.2.0/24`, `label`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reach::Everybody => f.write_str("everybody"),
            Reach::Canary(prefix) => write!(f, "canary={prefix}"),
            Reach::Label => f.write_str("label"),
        }
    }
}

impl Reach {
    /// Of what stands in texts.
    pub fn from_text(text: &str) -> Option<Reach> {
        match text {
            "everybody" => Some(Reach::Everybody),
            "label" => Some(Reach::Label),
            other => {
                let prefix = other.strip_prefix("canary=")?;
                prefix.parse().ok().map(Reach::Canary)
            }
        }
    }

    /// Whether clients outside of the scope get what they got before.
    pub fn is_scoped(self) -> bool {
        self != Reach::Everybody
    }
}

/// The drill that a record begins or ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drill {
    /// Its name: 1 to [`Drill::MAX_ID`] lower-case letters and digits.
    pub id: Arc<str>,
    /// Whom it concerns.
    pub reach: Reach,
}

impl Drill {
    /// Longest name: `drill-ID` is one label of a DNS name.
    pub const MAX_ID: usize = 16;

    /// The name of a drill planned at `stamp`: its milliseconds and its node, in 36 letters and
    /// digits. Two nodes that plan one in the same millisecond give two names.
    pub fn id_of(stamp: &Stamp) -> Arc<str> {
        let of_node = stamp
            .node
            .bytes()
            .fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let mut digits = base36(stamp.ms);
        digits.extend(base36(of_node % 36));
        digits.into_iter().collect::<String>().into()
    }

    /// The first label of the names that answer as if the drill were on for everybody.
    pub fn label(&self) -> String {
        format!("drill-{}", self.id)
    }

    /// Whether `id` may be a name.
    pub fn is_id(id: &str) -> bool {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        !id.is_empty() && id.len() <= Self::MAX_ID && id.bytes().all(fine)
    }

    /// As it stands in texts.
    pub fn text(&self) -> String {
        format!("{} {}", self.id, self.reach)
    }

    /// Of what stands in texts.
    pub fn from_text(text: &str) -> Option<Drill> {
        let (id, reach) = text.split_once(' ')?;
        Drill::is_id(id).then_some(Drill {
            id: id.into(),
            reach: Reach::from_text(reach)?,
        })
    }

    /// Checks the name.
    pub(super) fn check(&self) -> Result<(), RecordError> {
        match Drill::is_id(&self.id) {
            true => Ok(()),
            false => Err(RecordError::Malformed(
                "the name of a drill must have 1 to 16 lower-case letters and digits",
            )),
        }
    }
}

fn base36(mut n: u64) -> Vec<char> {
    let mut out = Vec::new();
    loop {
        out.push(char::from_digit((n % 36) as u32, 36).unwrap_or('0'));
        n /= 36;
        if n == 0 {
            break;
        }
    }
    out.reverse();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_of_drills_are_labels_and_differ(ms in 0..1u64 << 43, node in "[a-z]{1,8}") {
            let stamp = |ms| Stamp { ms, count: 0, node: node.as_str().into() };
            let id = Drill::id_of(&stamp(ms));
            prop_assert!(Drill::is_id(&id), "{id}");
            prop_assert_ne!(id, Drill::id_of(&stamp(ms + 1)));
        }

        #[test]
        fn what_is_written_reads_back(addr: [u8; 4], len in 0u8..=32, kind in 0..3) {
            let reach = match kind {
                0 => Reach::Everybody,
                1 => Reach::Label,
                _ => Reach::Canary(Prefix::containing(addr.into(), len)),
            };
            let drill = Drill { id: "k2f9".into(), reach };
            prop_assert_eq!(Drill::from_text(&drill.text()), Some(drill));
        }
    }

    #[test]
    fn other_texts_are_no_drills() {
        for text in [
            "",
            "a",
            "A label",
            "a-b label",
            "a labels",
            "a canary=1.2.3.4/33",
            "0123456789abcdefg label",
        ] {
            assert_eq!(Drill::from_text(text), None, "{text}");
        }
    }
}
