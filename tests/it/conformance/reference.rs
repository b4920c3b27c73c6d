//! The reference servers, each a child of the test.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::daemon::{Daemon, answers};

/// A running server.
pub(super) struct Reference {
    pub(super) name: &'static str,
    pub(super) addr: SocketAddr,
    // Ends before its folder goes.
    _daemon: Daemon,
    _dir: TempDir,
}

impl Reference {
    pub(super) fn nsd(zone: &Path) -> Reference {
        Reference::start("nsd", "/usr/sbin/nsd", &["-d", "-c"], |dir, port| {
            format!(
                "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  \
                 zonelistfile: \"{dir}/zones.list\"\n  xfrdfile: \"{dir}/xfrd.state\"\n  xfrdir: \
                 \"{dir}\"\n  pidfile: \"\"\n  server-count: 1\n  database: \"\"\n  \
                 minimal-responses: yes\n  nsid: \"ascii_ref\"\n  answer-cookie: yes\n\
                 remote-control:\n  control-enable: no\nzone:\n  name: conf.test\n  zonefile: \
                 \"{}\"\n",
                zone.display()
            )
        })
    }

    pub(super) fn knot(zone: &Path) -> Reference {
        Reference::start("knot", "/usr/sbin/knotd", &["-c"], |dir, port| {
            format!(
                "server:\n  rundir: \"{dir}\"\n  listen: 127.0.0.1@{port}\n  udp-workers: 1\n  \
                 tcp-workers: 1\n  nsid: \"ref\"\ndatabase:\n  storage: \"{dir}\"\ntemplate:\n  - \
                 id: default\n    global-module: mod-cookies\nzone:\n  - domain: conf.test\n    \
                 file: \"{}\"\n    zonefile-load: whole\n    journal-content: none\n    \
                 semantic-checks: off\n",
                zone.display()
            )
        })
    }

    fn start(
        name: &'static str,
        program: &str,
        args: &[&str],
        config: impl Fn(&str, u16) -> String,
    ) -> Reference {
        let dir = tempfile::tempdir().unwrap();
        let command = |port| {
            let file = dir.path().join("server.conf");
            std::fs::write(&file, config(dir.path().to_str().unwrap(), port)).unwrap();
            let mut command = Command::new(program);
            command.args(args).arg(file);
            command
        };
        let soa = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x04conf\x04test\0\0\x06\0\x01";
        let is_up = |addr| {
            answers(addr, soa).is_some_and(|answer| answer.len() > 12 && answer[3] & 15 == 0)
        };
        let daemon = Daemon::start(name, dir.path(), command, is_up);
        Reference {
            name,
            addr: daemon.addr,
            _daemon: daemon,
            _dir: dir,
        }
    }
}
