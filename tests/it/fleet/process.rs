//! A process on a host of the lab: its output, and all that can happen to it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::host::Host;
use crate::support::demo::signal;
use crate::support::wait_for;

/// Lines of each log that a failed test shows.
const SHOWN: usize = 60;

/// A running process; killed when dropped. When a test fails, the end of its log is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// What it said on standard output and on standard error.
    said: [Arc<Mutex<String>>; 2],
}

impl Process {
    /// Starts `command` on `host`.
    pub fn start(host: &Host, mut command: Command) -> Process {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = host.inside(|| command.spawn().unwrap());
        let said = [
            follow(child.stdout.take().unwrap()),
            follow(child.stderr.take().unwrap()),
        ];
        Process {
            name: host.name().to_owned(),
            child,
            said,
        }
    }

    /// Waits for a line on standard output that starts so.
    pub fn wait_line(&mut self, start: &str, bound: Duration) -> String {
        let what = format!("{}: a line that starts with {start:?}", self.name);
        wait_for(&what, bound, || {
            let line = self.said[0]
                .lock()
                .unwrap()
                .lines()
                .find(|l| l.starts_with(start))
                .map(str::to_owned);
            if line.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("{what}: it ended with {status}");
            }
            line
        })
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.said[1].lock().unwrap().clone()
    }

    /// Waits until a line of the log has all of these.
    pub fn wait_logged(&self, parts: &[&str], bound: Duration) -> String {
        let what = format!("{}: a log line with {parts:?}", self.name);
        wait_for(&what, bound, || {
            let log = self.said[1].lock().unwrap();
            let mut lines = log.lines();
            lines
                .find(|l| parts.iter().all(|p| l.contains(p)))
                .map(str::to_owned)
        })
    }

    /// Stops it in its tracks, as a machine does that is starved or asleep.
    pub fn freeze(&self) {
        signal("-STOP", self.child.id());
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        signal("-CONT", self.child.id());
    }

    /// Ends it as a crash would.
    pub fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as an operator would, and returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        signal("-TERM", self.child.id());
        let what = format!("{} ends", self.name);
        wait_for(&what, Duration::from_secs(10), || {
            self.child.try_wait().unwrap()
        })
        .code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that is frozen dies of this as well. It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let from = lines.len().saturating_sub(SHOWN);
            eprintln!("--- {}: the last of {} lines", self.name, lines.len());
            for line in &lines[from..] {
                eprintln!("{line}");
            }
        }
    }
}

/// Collects what comes, for as long as it comes.
fn follow(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let said: Arc<Mutex<String>> = Arc::default();
    let copy = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut said = copy.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    });
    said
}
