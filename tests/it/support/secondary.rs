//! Other servers as secondaries of a node: Knot and NSD, each with its own configuration and data in a
//! folder of the test's, ended by its pid.

use std::net::SocketAddr;
use std::process::Command;

use hickory_proto::rr::RecordType;
use tempfile::TempDir;

use super::daemon::{Daemon, answers};
use super::dns;

/// Where Debian keeps servers.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A server from another house.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    Knot,
    Nsd,
}

/// A running secondary.
pub struct Secondary {
    daemon: Daemon,
    /// Its configuration and data.
    _dir: TempDir,
}

impl Secondary {
    /// Starts a secondary for `zone` on 127.0.0.1; the key is `secondary.example`. `primary` is told the
    /// secondary's port, and says where its primary is; another port may follow.
    pub fn start(
        server: Server,
        zone: &str,
        secret: &str,
        mut primary: impl FnMut(u16) -> SocketAddr,
    ) -> Secondary {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().display().to_string();
        let config = dir.path().join("secondary.conf");
        let command = |port| {
            let primary = primary(port).port();
            let text = match server {
                Server::Knot => format!(
                    "server:\n  rundir: \"{folder}\"\n  listen: 127.0.0.1@{port}\n  user: root\n\
                 database:\n  storage: \"{folder}\"\n\
                 log:\n  - target: stderr\n    any: info\n\
                 key:\n  - id: secondary.example\n    algorithm: hmac-sha256\n    secret: {secret}\n\
                 remote:\n  - id: primary\n    address: 127.0.0.1@{0}\n    key: secondary.example\n\
                 acl:\n  - id: told\n    address: 127.0.0.1\n    key: secondary.example\n    action: notify\n\
                 zone:\n  - domain: {zone}\n    storage: \"{folder}\"\n    master: primary\n    acl: told\n",
                    primary
                ),
                Server::Nsd => format!(
                    "server:\n  ip-address: 127.0.0.1\n  port: {port}\n  username: \"\"\n  chroot: \"\"\n  \
                 zonesdir: \"{folder}\"\n  database: \"\"\n  pidfile: \"{folder}/nsd.pid\"\n  \
                 xfrdfile: \"{folder}/xfrd.state\"\n  xfrdir: \"{folder}\"\n  \
                 zonelistfile: \"{folder}/zone.list\"\n  server-count: 1\n  verbosity: 2\n\
                 remote-control:\n  control-enable: no\n\
                 key:\n  name: secondary.example\n  algorithm: hmac-sha256\n  secret: \"{secret}\"\n\
                 zone:\n  name: {zone}\n  zonefile: \"{folder}/zone\"\n  \
                 request-xfr: 127.0.0.1@{0} secondary.example\n  \
                 allow-notify: 127.0.0.1 secondary.example\n",
                    primary
                ),
            };
            std::fs::write(&config, text).unwrap();
            match server {
                Server::Knot => {
                    let mut c = Command::new("knotd");
                    c.env("PATH", PATH).arg("-c").arg(&config);
                    c
                }
                Server::Nsd => {
                    let mut c = Command::new("nsd");
                    c.env("PATH", PATH).arg("-d").arg("-c").arg(&config);
                    c
                }
            }
        };
        // Before it has the zone it answers SERVFAIL.
        let query = dns::query(zone, RecordType::SOA, None);
        let is_up = |at| answers(at, &query).is_some();
        let daemon = Daemon::start(&format!("{server:?}"), dir.path(), command, is_up);
        Secondary { daemon, _dir: dir }
    }

    /// What dig says of its answer.
    pub fn dig(&self, args: &[&str]) -> String {
        let out = Command::new("dig")
            .args(["@127.0.0.1", "-p", &self.daemon.addr.port().to_string()])
            .args(["+tries=1", "+time=3"])
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}
