//! A configuration: every error is told, and what is read compiles or says why not.

use std::io;
use std::path::PathBuf;

use tradewind::compile::compile;
use tradewind::config::Report;
use tradewind::config::load::load_texts;

/// The one file of a configuration.
pub fn check(data: &[u8]) {
    let mut read = |_: &std::path::Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let loaded = load_texts(vec![(PathBuf::from("fuzz.toml"), data.to_vec())], &mut read);
    let (compiled, diagnostics) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, None);
    let mut all = loaded.diagnostics;
    all.extend(diagnostics);
    let report = Report::new(all, loaded.sources);
    assert!(
        compiled.is_some() || report.has_errors(),
        "refused without a reason"
    );
    assert!(!report.has_errors() || !report.to_string().is_empty());
}
