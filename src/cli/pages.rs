//! `tradewind completions` and `tradewind man`: from the same declaration as the help.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

/// Which shell.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that is to complete.
    shell: Shell,
}

/// Where pages go.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Folder to write the page of every command to, made when it is missing; without it the page of
    /// `tradewind` itself goes to standard output.
    dir: Option<PathBuf>,
}

/// Writes a completion script to standard output.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "tradewind", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    ExitCode::SUCCESS
}

/// Writes manual pages.
pub(super) fn man(args: &ManArgs, command: Command) -> ExitCode {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        return match clap_mangen::Man::new(command).render(&mut page) {
            Ok(()) => {
                print!("{}", String::from_utf8_lossy(&page));
                ExitCode::SUCCESS
            }
            Err(e) => super::failed(format!("the page cannot be made: {e}")),
        };
    };
    match write(dir, command) {
        Ok(pages) => super::done::<_, String>(Ok(format!(
            "{} in {}",
            super::table::counted(pages, "page"),
            dir.display()
        ))),
        Err(e) => super::failed(format!(
            "cannot write the pages to `{}`: {e}; give a folder that can be written to",
            dir.display()
        )),
    }
}

fn write(dir: &Path, command: Command) -> std::io::Result<u64> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command, dir)?;
    let pages = std::fs::read_dir(dir)?.filter_map(Result::ok);
    let pages = pages.filter(|f| f.path().extension().is_some_and(|e| e == "1"));
    Ok(pages.count() as u64)
}
