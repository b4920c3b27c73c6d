//! `tradewind check`

use std::path::Path;
use std::process::ExitCode;

use crate::app::load::{Wanted, load_all};

/// Reads the configuration, for all nodes or for one, and says what it holds, or all that is wrong
/// with it.
pub(super) fn check(path: &Path, node: Option<String>, deny_warnings: bool) -> ExitCode {
    let wanted = Wanted {
        config: path.to_owned(),
        node,
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
        "{}: ok ({} with {}, {}, {}, {}, {}, {}{}{})",
        path.display(),
        counted(s.zones.zone_count(), "zone"),
        counted(s.zones.names(), "name"),
        counted(s.steering.names.len(), "steered name"),
        counted(s.steering.pools.len(), "pool"),
        counted(s.steering.endpoints.len(), "endpoint"),
        counted(s.monitors.len(), "monitor"),
        counted(s.geo.v4.len() + s.geo.v6.len(), "network"),
        match &*s.traffic {
            // Only of a node with a proxy it is known which listeners it has.
            t if t.listeners.is_empty() => String::new(),
            t => format!(
                ", {}, {}, {}",
                counted(t.listeners.len(), "listener"),
                counted(t.routes.list.len(), "route"),
                counted(t.upstreams.len(), "upstream")
            ),
        },
        match count {
            0 => String::new(),
            n => format!("; {}", counted(n, "warning")),
        }
    );
    ExitCode::SUCCESS
}

/// `1 zone`, `2 zones`.
fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
