//! SIGUSR2: the running process starts its program anew, to be taken over by it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// The argument that asks for a takeover.
const TAKEOVER: &str = "--takeover";

/// How this process was started.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// Of this process. To be asked at its start: later its file may be another one, and the system
    /// would name the old file.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn of_this_process() -> std::io::Result<Program> {
        let mut arguments = std::env::args_os();
        let named = arguments.next().map(PathBuf::from);
        // As it was called, with links not followed: they are what an upgrade changes.
        let path = match named {
            Some(path) if path.components().count() > 1 => std::path::absolute(path)?,
            _ => std::env::current_exe()?,
        };
        Ok(Program {
            path,
            arguments: arguments.collect(),
        })
    }

    /// Starts the program anew; it outlives this process.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self) -> std::io::Result<()> {
        let mut child = Command::new(&self.path)
            .args(with_takeover(&self.arguments))
            .spawn()?;
        let (pid, path) = (child.id(), self.path.display().to_string());
        tracing::info!(pid, path, "SIGUSR2: a new process is started to take over");
        std::thread::Builder::new()
            .name("new-process".to_owned())
            .spawn(move || match child.wait() {
                Ok(status) if status.success() => {}
                Ok(status) => {
                    tracing::error!(pid, %status, "the new process has ended; its log says why");
                }
                Err(error) => tracing::error!(pid, %error, "cannot watch the new process"),
            })?;
        Ok(())
    }
}

fn with_takeover(arguments: &[OsString]) -> Vec<OsString> {
    let mut all = arguments.to_vec();
    if !all.iter().any(|a| a == OsStr::new(TAKEOVER)) {
        all.push(TAKEOVER.into());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_takeover_is_asked_for_once() {
        let asked = |arguments: &[&str]| {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            with_takeover(&arguments)
        };
        let once = asked(&["run", "--node", "n1"]);
        assert_eq!(once, ["run", "--node", "n1", "--takeover"]);
        assert_eq!(asked(&["run", "--takeover", "--node", "n1"]).len(), 4);
        assert_eq!(with_takeover(&once), once);
    }
}
