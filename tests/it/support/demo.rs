//! The demo as a child process on free ports.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use super::{http, wait_for};

/// A running demo; ended by SIGTERM to its own pid when dropped.
pub struct Demo {
    child: Child,
    /// DNS over IPv4.
    pub dns4: SocketAddr,
    /// DNS over IPv6, where the machine has `::1`.
    pub dns6: Option<SocketAddr>,
    /// Admin API.
    pub admin: SocketAddr,
    /// Name and pid of each origin.
    pub origins: Vec<(String, u32)>,
    /// All that was printed up to the prompt.
    pub banner: String,
}

/// The folder of the package: `config/demo` is relative to it.
pub fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test.
pub fn tradewind() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind"));
    command.current_dir(package());
    command
}

impl Demo {
    /// Starts the demo as shipped, on free ports.
    pub fn start() -> Demo {
        Demo::start_with(&[])
    }

    /// Starts the demo with further arguments.
    pub fn start_with(args: &[&str]) -> Demo {
        let mut child = tradewind()
            .args([
                "demo",
                "--dns-port",
                "0",
                "--admin-port",
                "0",
                "--origin-port",
                "0",
            ])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Both pipes are drained for as long as the demo lives.
        let (lines, incoming) = mpsc::channel::<String>();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                eprintln!("demo: {line}");
            }
        });
        let mut banner = String::new();
        let mut ready = None;
        let mut origins = Vec::new();
        loop {
            let line = incoming
                .recv_timeout(Duration::from_secs(30))
                .unwrap_or_else(|_| panic!("the demo is not ready; so far:\n{banner}"));
            banner.push_str(&line);
            banner.push('\n');
            if let Some(rest) = line.strip_prefix("ready ") {
                ready = Some(rest.to_owned());
            }
            if let Some((origin, pid)) = line.split_once(" pid ")
                && let Some(name) = origin.split_whitespace().next()
            {
                origins.push((name.to_owned(), pid.trim().parse().unwrap()));
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        let ready = ready.unwrap_or_else(|| panic!("no ready line in:\n{banner}"));
        let field = |key: &str| {
            ready
                .split(' ')
                .find_map(|f| f.strip_prefix(key))
                .unwrap_or_else(|| panic!("no {key} in {ready}"))
                .to_owned()
        };
        let dns: Vec<SocketAddr> = field("dns=")
            .split(',')
            .map(|a| a.parse().unwrap())
            .collect();
        Demo {
            child,
            dns4: *dns.iter().find(|a| a.is_ipv4()).unwrap(),
            dns6: dns.iter().copied().find(SocketAddr::is_ipv6),
            admin: field("admin=").parse().unwrap(),
            origins,
            banner,
        }
    }

    /// The demo's own pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the origins whose name starts with `prefix`, as a crash would.
    pub fn kill(&self, prefix: &str) {
        for (name, pid) in &self.origins {
            if name.starts_with(prefix) {
                signal("-KILL", *pid);
            }
        }
    }

    /// The value of a metric with exactly these labels.
    pub fn metric(&self, name: &str) -> u64 {
        let page = http::get(self.admin, "/metrics").body;
        page.lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in\n{page}"))
    }

    /// Ends the demo and returns its exit code.
    pub fn stop(mut self) -> Option<i32> {
        signal("-TERM", self.child.id());
        wait_for("the demo ends", Duration::from_secs(10), || {
            self.child.try_wait().unwrap()
        })
        .code()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            signal("-TERM", self.child.id());
            wait_for("the demo ends", Duration::from_secs(10), || {
                self.child.try_wait().unwrap()
            });
        }
    }
}

/// Sends a signal to one process.
pub fn signal(which: &str, pid: u32) {
    let status = Command::new("kill")
        .args([which, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "kill {which} {pid}");
}
