//! Every rule between objects, told to a person: golden files in `tests/golden/compile`.

use std::path::{Path, PathBuf};

use super::compile;
use crate::config::load::load_texts;
use crate::config::{Report, Severity};

/// All that loading and compiling the folder's `*.toml` files says. A first line `# node: NAME` asks
/// for that node.
fn told(case: &Path) -> Report {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(case)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    let files: Vec<(PathBuf, Vec<u8>)> = paths
        .iter()
        .map(|p| (p.file_name().unwrap().into(), std::fs::read(p).unwrap()))
        .collect();
    let node = String::from_utf8_lossy(&files[0].1)
        .lines()
        .find_map(|l| l.strip_prefix("# node: ").map(str::to_owned));
    let loaded = load_texts(files, &mut |path| std::fs::read(case.join(path)));
    let (compiled, found) = compile(
        &loaded.spec,
        &loaded.inputs,
        &loaded.sources,
        node.as_deref(),
    );
    let mut all = loaded.diagnostics;
    all.extend(found);
    let refused = all.iter().any(|d| d.severity == Severity::Error);
    assert!(compiled.is_none() || !refused || all.iter().all(|d| d.span.is_some()));
    // What compiles to nothing must say why.
    assert!(compiled.is_some() || refused, "{}", case.display());
    Report::new(all, loaded.sources)
}

#[test]
fn o4_rules_between_objects_are_told_in_full() {
    let golden = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/compile"));
    let mut cases: Vec<PathBuf> = std::fs::read_dir(golden)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    cases.sort();
    assert!(cases.len() >= 15, "{} cases", cases.len());
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
