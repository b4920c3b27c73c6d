//! The reference servers, each a child of the test on a free port.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::loopback;
use crate::support::demo::signal;
use crate::support::wait_for;

/// A running server; ended by SIGTERM to its own pid when dropped.
pub(super) struct Reference {
    pub(super) name: &'static str,
    pub(super) addr: SocketAddr,
    child: Child,
    _dir: TempDir,
}

impl Reference {
    pub(super) fn nsd(zone: &Path) -> Reference {
        Reference::start("nsd", zone, |dir, port, zone| {
            let config = format!(
                "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  \
                 zonelistfile: \"{dir}/zones.list\"\n  xfrdfile: \"{dir}/xfrd.state\"\n  xfrdir: \
                 \"{dir}\"\n  pidfile: \"\"\n  server-count: 1\n  database: \"\"\n  \
                 minimal-responses: yes\n  nsid: \"ascii_ref\"\n  answer-cookie: yes\nremote-control:\n  control-enable: no\nzone:\n  name: \
                 conf.test\n  zonefile: \"{zone}\"\n"
            );
            (config, "/usr/sbin/nsd", vec!["-d", "-c"])
        })
    }

    pub(super) fn knot(zone: &Path) -> Reference {
        Reference::start("knot", zone, |dir, port, zone| {
            let config = format!(
                "server:\n  rundir: \"{dir}\"\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  nsid: \"ref\"\ndatabase:\n  storage: \"{dir}\"\ntemplate:\n  - id: \
                 default\n    global-module: mod-cookies\nzone:\n  - domain: conf.test\n    \
                 file: \"{zone}\"\n    zonefile-load: whole\n    journal-content: none\n    \
                 semantic-checks: off\n"
            );
            (config, "/usr/sbin/knotd", vec!["-c"])
        })
    }

    /// Starts a server; a port that was taken between looking and binding is looked for again.
    fn start(
        name: &'static str,
        zone: &Path,
        make: impl Fn(&str, u16, &str) -> (String, &'static str, Vec<&'static str>),
    ) -> Reference {
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let port = UdpSocket::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let path = dir.path().to_str().unwrap();
            let (config, program, args) = make(path, port, zone.to_str().unwrap());
            let file = dir.path().join("server.conf");
            std::fs::write(&file, config).unwrap();
            let child = Command::new(program)
                .args(args)
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|e| panic!("{program}: {e}; tests/run installs it"));
            let mut reference = Reference {
                name,
                addr: loopback(port),
                child,
                _dir: dir,
            };
            if reference.is_up() {
                return reference;
            }
        }
        panic!("{name} does not start");
    }

    fn is_up(&mut self) -> bool {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.addr).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let ask = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x04conf\x04test\0\0\x06\0\x01";
        wait_for(
            "the reference server answers",
            Duration::from_secs(20),
            || {
                if self.child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                let mut answer = [0; 512];
                let _ = socket.send(ask);
                let n = socket.recv(&mut answer).ok()?;
                (n > 12 && answer[3] & 15 == 0).then_some(true)
            },
        )
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            signal("-TERM", self.child.id());
            wait_for("the reference server ends", Duration::from_secs(10), || {
                self.child.try_wait().unwrap()
            });
        }
    }
}
