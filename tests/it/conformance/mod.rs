//! Conformance by RFC and section: the cases of `tests/conformance/*.txt`, asked of Tradewind and of
//! two reference servers with the same zone.
//!
//! Each case says what an answer must be; where a reference server answers otherwise, the case says
//! why, and the test fails once it no longer does. `UPDATE_GOLDEN=1` writes what Tradewind answers
//! into the files, and the table of differences into `src/docs/conformance.md`.

mod ask;
mod case;
mod faults;
mod reference;
mod told;

use std::path::PathBuf;

use crate::support::demo::package;
use crate::support::node::Node;

use self::case::{Case, Chapter};
use self::reference::Reference;

const CONFIG: &str = r#"
version = 1

[regions.eu]
latitude = 50.11
longitude = 8.68

[nodes.n1]
region = "eu"
roles = ["dns", "admin"]
dns = { listen = ["127.0.0.1:0"], workers = 1 }
admin = { listen = "127.0.0.1:0" }

[zones."conf.test"]
file = "conf.test.zone"
"#;

fn folder() -> PathBuf {
    package().join("tests/conformance")
}

fn zone() -> PathBuf {
    folder().join("conf.test.zone")
}

fn chapters() -> Vec<Chapter> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    assert!(files.len() >= 10, "the cases are not there");
    files.iter().map(|path| Chapter::read(path)).collect()
}

fn node() -> Node {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tradewind.toml"), CONFIG).unwrap();
    std::fs::copy(zone(), dir.path().join("conf.test.zone")).unwrap();
    Node::start_in(dir)
}

fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[test]
fn tradewind_answers_as_the_rfcs_say() {
    let node = node();
    let mut wrong = String::new();
    for mut chapter in chapters() {
        for case in &mut chapter.cases {
            let got = case.ask.put(node.dns);
            if got != case.expected {
                wrong += &format!(
                    "{}\n{}",
                    case.place(&chapter.rfc),
                    told::diff(&case.expected, &got)
                );
                case.expected = got;
            }
        }
        if updating() {
            chapter.write();
        }
    }
    assert!(updating() || wrong.is_empty(), "{wrong}");
}

#[test]
fn nsd_answers_the_same_or_the_case_says_why_not() {
    compare(&Reference::nsd(&zone()));
}

#[test]
fn knot_answers_the_same_or_the_case_says_why_not() {
    compare(&Reference::knot(&zone()));
}

fn compare(reference: &Reference) {
    let mut wrong = String::new();
    for chapter in chapters() {
        for case in &chapter.cases {
            let got = case.ask.put(reference.addr);
            let (same, why) = (got == case.expected, case.differs(reference.name));
            match (same, why) {
                (true, None) | (false, Some(_)) => {}
                (false, None) => {
                    wrong += &format!(
                        "{}: {} differs, and the case does not say why\n{}",
                        case.place(&chapter.rfc),
                        reference.name,
                        told::diff(&case.expected, &got)
                    );
                }
                (true, Some(why)) => {
                    wrong += &format!(
                        "{}: {} is said to differ ({why}) and does not\n",
                        case.place(&chapter.rfc),
                        reference.name,
                    );
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_page_lists_every_case_and_difference() {
    let page = case::page(&chapters());
    let path = package().join("src/docs/conformance.md");
    if updating() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        page,
        "UPDATE_GOLDEN=1 rewrites src/docs/conformance.md"
    );
}

impl Case {
    fn place(&self, rfc: &str) -> String {
        format!("{rfc} section {}: {}", self.section, self.says)
    }
}
