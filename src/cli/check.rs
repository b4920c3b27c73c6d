//! `tradewind check`

use std::path::Path;
use std::process::ExitCode;

use crate::app::load::{Wanted, load_all};

/// Reads the configuration and says what it holds, or all that is wrong with it.
pub(super) fn check(path: &Path, deny_warnings: bool) -> ExitCode {
    let wanted = Wanted {
        config: path.to_owned(),
        ..Wanted::default()
    };
    let loaded = match load_all(&wanted) {
        Ok(loaded) => loaded,
        Err(report) => return super::config_refused(&report),
    };
    let count = loaded.warnings.diagnostics.len();
    if count > 0 {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
        eprint!("{}", loaded.warnings.render(colour));
        if deny_warnings {
            return ExitCode::from(78);
        }
    }
    let s = &loaded.compiled.snapshot;
    println!(
        "{}: ok ({} zones with {} names, {} steered names, {} pools, {} endpoints, {} monitors, {} networks{})",
        path.display(),
        s.zones.zone_count(),
        s.zones.names(),
        s.steering.names.len(),
        s.steering.pools.len(),
        s.steering.endpoints.len(),
        s.monitors.len(),
        s.geo.v4.len() + s.geo.v6.len(),
        match count {
            0 => String::new(),
            1 => "; 1 warning".to_owned(),
            n => format!("; {n} warnings"),
        }
    );
    ExitCode::SUCCESS
}
