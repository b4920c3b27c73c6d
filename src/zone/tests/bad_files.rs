//! Every file under `tests/zones/bad` breaks the one rule that its first line states.

use super::*;
use std::path::Path;

/// All that is said about a text, as `line:column: message`.
fn said(text: &str, apex: &WireName) -> Vec<String> {
    match parse::parse(text, apex) {
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
        Ok(zone) => {
            let mut said: Vec<String> = zone
                .warnings
                .iter()
                .map(|w| format!("warning {w}"))
                .collect();
            if let Err(problems) = ZoneSet::build(vec![zone], &[]) {
                said.extend(
                    problems
                        .iter()
                        .map(|p| format!("{}: {p}", p.line.unwrap_or(0))),
                );
            }
            said
        }
    }
}

#[test]
fn o4_each_bad_file_is_told_where_and_why() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/zones/bad");
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // Leading lines `; expect: …`, one per problem, in order.
        let expected: Vec<&str> = text
            .lines()
            .map_while(|l| l.strip_prefix("; expect: "))
            .collect();
        assert!(!expected.is_empty(), "{path:?} expects nothing");
        let said = said(&text, &n("bad.example"));
        let fits = said.len() == expected.len()
            && said.iter().zip(&expected).all(|(s, e)| s.starts_with(e));
        if !fits {
            wrong.push(format!("{}: {said:#?}", path.display()));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 30, "only {seen} files");
}
