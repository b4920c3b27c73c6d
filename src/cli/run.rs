//! `tradewind run`

use std::process::ExitCode;

use crate::app::load::Wanted;
use crate::app::{Options, RunError};
use crate::config::overlay::Overlay;

use super::RunArgs;

/// Runs a node until a signal ends it.
pub(super) fn run(args: &RunArgs) -> ExitCode {
    super::start_logging(args.log_json);
    let options = Options {
        wanted: Wanted {
            config: args.config.clone(),
            node: Some(args.node.clone()),
            overlay: Overlay {
                dns_port: args.dns_port,
                admin_port: args.admin_port,
                state_dir: args.state_dir.clone(),
                ..Overlay::default()
            },
        },
        skip_missing_addresses: false,
        takeover: args.takeover,
    };
    ended(crate::app::run(options, |ready| println!("{ready}")))
}

/// The exit code of a run.
pub(super) fn ended(result: Result<(), RunError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(RunError::Config(report)) => super::config_refused(&report),
        Err(RunError::Other(e)) => super::failed(e),
    }
}
