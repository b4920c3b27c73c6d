//! Folders of golden files: what is told of each case, word for word. `UPDATE_GOLDEN=1` rewrites them.

use std::path::{Path, PathBuf};

use super::Report;

/// Checks every folder of `tests/golden/KIND`, of which there must be at least `least`, against its
/// `expected.txt`.
pub(crate) fn check(kind: &str, least: usize, told: impl Fn(&Path) -> Report) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind);
    let mut cases: Vec<PathBuf> = std::fs::read_dir(golden)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= least, "{} cases", cases.len());
    let mut stale = Vec::new();
    for case in cases {
        let found = told(&case).render(false);
        let expected = case.join("expected.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&expected, &found).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != found {
            stale.push(format!("{}:\n{found}", case.display()));
        }
    }
    assert!(stale.is_empty(), "{}", stale.join("\n"));
}
