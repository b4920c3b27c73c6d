//! A node among several that share one folder with their configuration.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::demo::{signal, tradewind};
use super::wait_for;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running node; ended by SIGTERM to its own pid when dropped.
pub struct Member {
    /// As the configuration names it.
    pub name: &'static str,
    child: Child,
    ready: String,
}

impl Member {
    /// Starts the node `name` of `tradewind.toml` in `dir`, and waits until it is ready.
    pub fn start(dir: &Path, name: &'static str) -> Member {
        let mut child = tradewind()
            .arg("run")
            .arg("--config")
            .arg(dir.join("tradewind.toml"))
            .args(["--node", name])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("{name}: {line}");
            }
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (lines, incoming) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody reads what comes after the first.
                let _ = lines.send(line);
            }
        });
        let ready = incoming
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{name} is not ready"));
        Member { name, child, ready }
    }

    /// An address of the line that says that it is ready: `dns=`, `admin=`, `proxy=web=`.
    pub fn addr(&self, key: &str) -> SocketAddr {
        let text = self.ready.split(' ').find_map(|f| f.strip_prefix(key));
        text.unwrap_or_else(|| panic!("no {key} in {}", self.ready))
            .parse()
            .unwrap()
    }

    /// Ends it as a crash would.
    pub fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            signal("-TERM", self.child.id());
            wait_for("the node ends", PATIENCE, || self.child.try_wait().unwrap());
        }
    }
}
