//! Other servers as secondaries of a node: Knot and NSD, each with its own configuration and data in a
//! folder of the test's, ended by its pid.

use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::demo::signal;
use super::wait_for;

/// A server from another house.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    Knot,
    Nsd,
}

/// A running secondary.
pub struct Secondary {
    child: Child,
    port: u16,
    /// Its configuration and data.
    _dir: TempDir,
}

impl Secondary {
    /// A port that nobody has at the moment.
    pub fn free_port() -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap().port()
    }

    /// Starts a secondary for `zone` on `port` of 127.0.0.1; the key is `secondary.example`.
    pub fn start(
        server: Server,
        port: u16,
        primary: SocketAddr,
        zone: &str,
        secret: &str,
    ) -> Secondary {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().display().to_string();
        let config = dir.path().join("secondary.conf");
        let text = match server {
            Server::Knot => format!(
                "server:\n  rundir: \"{folder}\"\n  listen: 127.0.0.1@{port}\n  user: root\n\
                 database:\n  storage: \"{folder}\"\n\
                 log:\n  - target: stderr\n    any: info\n\
                 key:\n  - id: secondary.example\n    algorithm: hmac-sha256\n    secret: {secret}\n\
                 remote:\n  - id: primary\n    address: 127.0.0.1@{0}\n    key: secondary.example\n\
                 acl:\n  - id: told\n    address: 127.0.0.1\n    key: secondary.example\n    action: notify\n\
                 zone:\n  - domain: {zone}\n    storage: \"{folder}\"\n    master: primary\n    acl: told\n",
                primary.port()
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
                primary.port()
            ),
        };
        std::fs::write(&config, text).unwrap();
        let mut command = match server {
            Server::Knot => {
                let mut c = Command::new("knotd");
                c.arg("-c").arg(&config);
                c
            }
            Server::Nsd => {
                let mut c = Command::new("nsd");
                c.arg("-d").arg("-c").arg(&config);
                c
            }
        };
        let child = command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Secondary {
            child,
            port,
            _dir: dir,
        }
    }

    /// What dig says of its answer.
    pub fn dig(&self, args: &[&str]) -> String {
        let out = Command::new("dig")
            .args(["@127.0.0.1", "-p", &self.port.to_string()])
            .args(["+tries=1", "+time=3"])
            .args(args)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    }
}

impl Drop for Secondary {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            signal("-TERM", self.child.id());
            wait_for("the secondary ends", Duration::from_secs(10), || {
                self.child.try_wait().unwrap()
            });
        }
    }
}
