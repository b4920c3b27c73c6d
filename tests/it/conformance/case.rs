//! The files of cases.
//!
//! ```text
//! # RFC 4592: The Role of Wildcards in the Domain Name System
//!
//! [3.3.1 a name that does not exist is answered from the wildcard]
//! > host.wild.conf.test. A
//! NOERROR aa
//! answer host.wild.conf.test. 300 IN A 192.0.2.7
//! ! nsd: what it does instead, and why that is no fault of ours
//! ```

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::ask::Ask;
use super::faults;

/// The cases of one RFC.
pub(super) struct Chapter {
    path: PathBuf,
    /// Its number: `RFC 4592`.
    pub(super) rfc: String,
    title: String,
    pub(super) cases: Vec<Case>,
}

/// One question and its answer.
pub(super) struct Case {
    pub(super) section: String,
    pub(super) says: String,
    pub(super) ask: Ask,
    /// The answer, one line for the header, one for each record.
    pub(super) expected: String,
    /// Reference server, and why it answers otherwise.
    differences: Vec<(String, String)>,
}

impl Case {
    /// Why a reference server answers otherwise, where it does.
    pub(super) fn differs(&self, server: &str) -> Option<&str> {
        let (_, why) = self.differences.iter().find(|(name, _)| name == server)?;
        Some(why)
    }
}

impl Chapter {
    pub(super) fn read(path: &Path) -> Chapter {
        let text = std::fs::read_to_string(path).unwrap();
        let mut lines = text.lines();
        let head = lines.next().unwrap();
        let (rfc, title) = head
            .strip_prefix("# ")
            .and_then(|h| h.split_once(": "))
            .unwrap_or_else(|| panic!("{}: begins with `# RFC NUMBER: TITLE`", path.display()));
        let mut chapter = Chapter {
            path: path.to_owned(),
            rfc: rfc.to_owned(),
            title: title.to_owned(),
            cases: Vec::new(),
        };
        for line in lines {
            let bad = || {
                panic!(
                    "{}: {line:?} stands before its `[section …]`",
                    path.display()
                )
            };
            if let Some(head) = line.strip_prefix('[') {
                let (section, says) = head.trim_end_matches(']').split_once(' ').unwrap();
                chapter.cases.push(Case {
                    section: section.to_owned(),
                    says: says.to_owned(),
                    ask: Ask::default(),
                    expected: String::new(),
                    differences: Vec::new(),
                });
            } else if line.is_empty() {
            } else {
                let case = chapter.cases.last_mut().unwrap_or_else(bad);
                if let Some(ask) = line.strip_prefix("> ") {
                    case.ask = Ask::read(ask);
                } else if let Some(difference) = line.strip_prefix("! ") {
                    let (server, why) = difference.split_once(": ").unwrap();
                    case.differences.push((server.to_owned(), why.to_owned()));
                } else {
                    case.expected += line;
                    case.expected.push('\n');
                }
            }
        }
        assert!(!chapter.cases.is_empty(), "{} has no case", path.display());
        chapter
    }

    /// Writes the file anew.
    pub(super) fn write(&self) {
        let mut text = format!("# {}: {}\n", self.rfc, self.title);
        for case in &self.cases {
            write!(
                text,
                "\n[{} {}]\n> {}\n{}",
                case.section, case.says, case.ask.text, case.expected
            )
            .unwrap();
            for (server, why) in &case.differences {
                writeln!(text, "! {server}: {why}").unwrap();
            }
        }
        std::fs::write(&self.path, text).unwrap();
    }
}

/// The page for people: what is tested, and who differs.
pub(super) fn page(chapters: &[Chapter]) -> String {
    let mut page = format!(
        "# Conformance\n\nGenerated from `tests/conformance/*.txt`; do not edit. Every line of the \
         second table is asked of Tradewind, NSD and Knot DNS with the same zone by `tests/run \
         conformance`; an empty cell means the same answer as ours, octet order of records aside. \
         Of an NSID and a timeout only the option's code is compared, of a cookie its length, the client's \
         half and whether the server's half is new.\n\n## What no \
         reference can be asked for\n\nThese are tested with clients, validators and secondaries, \
         or against the RFC's text.\n\n{}\n## Case by case\n\n| RFC, section | what | NSD | Knot DNS \
         |\n|---|---|---|---|\n",
        faults::elsewhere()
    );
    for chapter in chapters {
        for case in &chapter.cases {
            writeln!(
                page,
                "| {} §{} | {} | {} | {} |",
                chapter.rfc.trim_start_matches("RFC "),
                case.section,
                case.says,
                case.differs("nsd").unwrap_or(""),
                case.differs("knot").unwrap_or("")
            )
            .unwrap();
        }
    }
    write!(
        page,
        "\n## Faults that must not be ours\n\nDNS server libraries are known for these. Each row \
         names the cases above, or the measurement, that would fail.\n\n{}",
        faults::table(chapters)
    )
    .unwrap();
    page
}
