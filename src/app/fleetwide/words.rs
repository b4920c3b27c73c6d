//! Questions between nodes and their answers, as text.
//!
//! A question is a word, the version of what is expected, and particulars. An answer is lines, compressed
//! with gzip. Whatever a node does not understand it does not answer, and what cannot be read of an answer
//! is left out, so that nodes of different versions get along as far as they can.

use std::fmt::{self, Write as _};
use std::io::{Read as _, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::super::flows::Flow;
use super::super::orders::audit;
use crate::admin::desk::AuditLine;
use crate::fleet::asking::MAX_ANSWER;

/// Flows in an answer: networks that are often seen, and as many sums of others by country.
pub(super) const MOST_FLOWS: usize = 10_000;

/// Lines of the audit record in an answer.
const MOST_LINES: usize = 1_000;

/// Octets of an answer before it is compressed: no answer becomes longer than it may be by that.
pub(super) const MOST_TEXT: usize = MAX_ANSWER - 4096;

/// Later times are none: years have four digits.
const LAST_MS: u64 = 253_402_300_799_999;

/// What one node asks another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// The last lines of its audit record.
    Audit {
        /// So many at most.
        limit: usize,
        /// Only of what happened at this node.
        node: Option<String>,
    },
    /// What it saw within the last hours.
    Flows {
        /// How many hours.
        hours: u64,
    },
    /// On how many samples that rests.
    Samples {
        /// How many hours.
        hours: u64,
    },
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Question::Audit { limit, node: None } => write!(f, "audit 1 {limit}"),
            Question::Audit {
                limit,
                node: Some(node),
            } => write!(f, "audit 1 {limit} {node}"),
            Question::Flows { hours } => write!(f, "flows 1 {hours}"),
            Question::Samples { hours } => write!(f, "samples 1 {hours}"),
        }
    }
}

impl Question {
    /// Of such a text; `None` for what this node does not know.
    pub(super) fn parse(text: &str) -> Option<Question> {
        let mut words = text.splitn(4, ' ');
        let mut next = || words.next();
        let question = match (next()?, next()?, next()?, next()) {
            ("audit", "1", limit, node) => Question::Audit {
                limit: limit.parse().ok().filter(|n| *n <= MOST_LINES)?,
                node: node.map(str::to_owned),
            },
            ("flows", "1", hours, None) => Question::Flows {
                hours: hours.parse().ok().filter(|n| (1..=24).contains(n))?,
            },
            ("samples", "1", hours, None) => Question::Samples {
                hours: hours.parse().ok().filter(|n| (1..=24).contains(n))?,
            },
            _ => return None,
        };
        Some(question)
    }
}

/// Lines of the audit record as an answer, latest first; the earliest are left out where there is no room.
pub(super) fn of_audit(lines: &[AuditLine]) -> Vec<u8> {
    let mut text = String::new();
    for line in lines {
        let line = audit::write(line);
        if text.len() + line.len() >= MOST_TEXT {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    packed(&text)
}

/// Reads such an answer.
pub(super) fn read_audit(octets: &[u8]) -> Option<Vec<AuditLine>> {
    let text = unpacked(octets)?;
    let lines = text.lines().filter_map(|line| {
        // It is shown in terminals.
        let is_plain = line.chars().all(|c| c == '\t' || !c.is_control());
        audit::read(line).filter(|line| is_plain && line.at_ms <= LAST_MS)
    });
    Some(lines.take(MOST_LINES).collect())
}

/// Flows as an answer, the most first; the least are left out where there is no room.
pub(super) fn of_flows(flows: &[(Flow, f64)]) -> Vec<u8> {
    let mut text = String::new();
    for (f, queries) in flows {
        let before = text.len();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{f} {queries}");
        if text.len() > MOST_TEXT {
            text.truncate(before);
            break;
        }
    }
    packed(&text)
}

/// Reads such an answer.
pub(super) fn read_flows(octets: &[u8]) -> Option<Vec<(Flow, f64)>> {
    let text = unpacked(octets)?;
    let mut texts: hashbrown::HashSet<Arc<str>> = hashbrown::HashSet::new();
    let flows = text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let mut text = || {
            let word = words.next().filter(|w| !w.contains(char::is_control))?;
            let word = if word == "-" { "" } else { word };
            Some(texts.get_or_insert_with(word, |w| w.into()).clone())
        };
        let name = text()?;
        let network = text()?.parse().ok()?;
        let (region, pool) = (text()?, text()?);
        let queries: f64 = words.next()?.parse().ok()?;
        let flow = Flow {
            name,
            network,
            region,
            pool,
        };
        let fits = queries > 0.0 && queries < 1e15 && words.next().is_none();
        fits.then_some((flow, queries))
    });
    Some(flows.take(2 * MOST_FLOWS).collect())
}

pub(super) fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = packer.write_all(text.as_bytes());
    packer.finish().unwrap_or_default()
}

/// `None` for what is no text, or too long.
pub(super) fn unpacked(octets: &[u8]) -> Option<String> {
    let mut text = String::new();
    let most = MOST_TEXT as u64 + 1;
    GzDecoder::new(octets)
        .take(most)
        .read_to_string(&mut text)
        .ok()?;
    (text.len() <= MOST_TEXT).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_read_back_and_others_are_not_understood() {
        for question in [
            Question::Audit {
                limit: 100,
                node: None,
            },
            Question::Audit {
                limit: 1,
                node: Some("n 1".to_owned()),
            },
            Question::Flows { hours: 24 },
            Question::Samples { hours: 1 },
        ] {
            assert_eq!(Question::parse(&question.to_string()), Some(question));
        }
        for other in [
            "",
            "audit",
            "audit 2 1",
            "audit 1 1001",
            "audit 1 x",
            "flows 1 0",
            "flows 1 25",
            "flows 1 1 x",
            "else 1 1",
        ] {
            assert_eq!(Question::parse(other), None, "{other}");
        }
    }

    fn line(text: &str) -> AuditLine {
        AuditLine {
            at_ms: 5,
            event: "changed".to_owned(),
            owner: "ann".to_owned(),
            node: "n1".to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn an_answer_has_a_bound_and_a_longer_one_is_not_read() {
        let long = line(&"x".repeat(10_000));
        let answer = of_audit(&vec![long.clone(); 1_000]);
        assert!(answer.len() < MAX_ANSWER);
        let read = read_audit(&answer).unwrap();
        assert!((190..1_000).contains(&read.len()), "{}", read.len());
        assert!(read.iter().all(|l| *l == long));
        // A few octets that would become many.
        let bomb = packed(&"0".repeat(MOST_TEXT + 1));
        assert!(bomb.len() < 10_000);
        assert_eq!((read_audit(&bomb), read_flows(&bomb)), (None, None));
        assert_eq!(read_audit(b"no gzip"), None);
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        let good = "5\tchanged\tann\tn1\tx";
        let text =
            format!("{good}\n\u{1b}[2J\n6\tchanged\n99999999999999999\ta\tb\tc\td\n{good}\n");
        assert_eq!(read_audit(&packed(&text)), Some(vec![line("x"), line("x")]));
        let good = "www.example. 192.0.2.0/24 eu web 2.5";
        let text = format!(
            "{good}\n{good} x\n\nwww.example. x eu web 1\nwww.example. 192.0.2.0/24 eu web NaN\n\
             www.example. 192.0.2.0/24 eu web -1\nwww.example. ::/0 - - 1\n"
        );
        let read = read_flows(&packed(&text)).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((&*read[1].0.region, read[1].1), ("", 1.0));
    }

    proptest! {
        #[test]
        fn answers_read_back(
            lines in prop::collection::vec(("[a-z]{1,9}", "\\PC{0,40}"), 0..20),
            flows in prop::collection::vec(("[a-z]{1,9}\\.", any::<u32>(), "[a-z]{0,3}", 1..9999u32), 0..20),
        ) {
            let lines: Vec<AuditLine> = lines.into_iter().map(|(event, text)| AuditLine {
                event,
                ..line(&text)
            }).collect();
            prop_assert_eq!(read_audit(&of_audit(&lines)), Some(lines));
            let flows: Vec<(Flow, f64)> = flows.into_iter().map(|(name, addr, region, tenths)| {
                let addr = std::net::Ipv4Addr::from(addr & 0xffff_ff00);
                let flow = Flow {
                    name: name.as_str().into(),
                    network: format!("{addr}/24").parse().unwrap(),
                    region: region.as_str().into(),
                    pool: region.as_str().into(),
                };
                (flow, f64::from(tenths) / 10.0)
            }).collect();
            prop_assert_eq!(read_flows(&of_flows(&flows)), Some(flows));
        }

        #[test]
        fn any_octets_are_an_answer_or_none(octets in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
            let _ = (read_audit(&octets), read_flows(&octets));
            let packed = packed(&text);
            let _ = (read_audit(&packed), read_flows(&packed));
            let _ = Question::parse(&text);
        }
    }
}
