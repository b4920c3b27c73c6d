//! What runs in a lab: nodes of one configuration, and the targets that they probe.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::client::{Answer, Watch, dig};
use super::host::Host;
use super::lab::Lab;
use super::process::Process;
use super::skew::Skew;
use crate::support::demo::tradewind;
use crate::support::node::ZONE;
use crate::support::{http, wait_for};

/// The host that asks.
pub const CLIENT: &str = "client";

/// The configuration of all nodes.
pub const CONFIG: &str = "tradewind.toml";

/// The port of the targets.
pub const WEB: u16 = 8_080;

/// The admin API, on the loopback of each host.
pub const ADMIN: &str = "127.0.0.1:8053";

/// Time to start or to notice, on a machine that has much else to do. What is awaited usually comes
/// far sooner, and bounds that are promised are asserted apart.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A lab with a configuration and what was started in it.
#[derive(Debug)]
pub struct World {
    // Processes end before their hosts do.
    running: BTreeMap<String, Process>,
    skews: BTreeMap<String, Skew>,
    /// The hosts.
    pub lab: Lab,
    dir: TempDir,
}

impl World {
    /// Hosts for the client and for `names`, and the configuration that `config` makes of them.
    /// `None` where there can be no lab.
    pub fn new(names: &[&str], config: impl FnOnce(&World) -> String) -> Option<World> {
        let mut all = vec![CLIENT];
        all.extend(names);
        let world = World {
            running: BTreeMap::new(),
            skews: BTreeMap::new(),
            lab: Lab::new(&all)?,
            dir: tempfile::tempdir().unwrap(),
        };
        fs::write(world.file("gslb.test.zone"), ZONE).unwrap();
        for name in names {
            fs::create_dir_all(world.state_dir(name)).unwrap();
        }
        fs::write(world.file(CONFIG), config(&world)).unwrap();
        Some(world)
    }

    /// A file of the configuration's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where a node keeps what must outlive it.
    pub fn state_dir(&self, node: &str) -> PathBuf {
        self.file(&format!("state-{node}"))
    }

    /// Writes a further configuration: the common one with each of `changes` made, which must occur.
    pub fn write_config(&self, name: &str, changes: &[(&str, &str)]) {
        let mut text = fs::read_to_string(self.file(CONFIG)).unwrap();
        for (old, new) in changes {
            assert!(text.contains(old), "no {old:?} in\n{text}");
            text = text.replace(old, new);
        }
        fs::write(self.file(name), text).unwrap();
    }

    /// A host.
    pub fn host(&self, name: &str) -> &Host {
        self.lab.host(name)
    }

    /// A host's IPv4 address.
    pub fn v4(&self, name: &str) -> IpAddr {
        self.host(name).v4()
    }

    /// What runs on a host.
    pub fn process(&self, name: &str) -> &Process {
        self.running
            .get(name)
            .unwrap_or_else(|| panic!("nothing runs on `{name}`"))
    }

    /// Takes what runs on a host, to end it.
    pub fn take(&mut self, name: &str) -> Process {
        self.running
            .remove(name)
            .unwrap_or_else(|| panic!("nothing runs on `{name}`"))
    }

    /// Starts a target: an HTTP server that says it is well.
    pub fn start_target(&mut self, name: &str) {
        let at = SocketAddr::new(self.v4(name), WEB);
        let mut command = tradewind();
        command.args(["origin", "--listen", &at.to_string(), "--name", name]);
        let mut process = Process::start(self.host(name), command);
        process.wait_line("listening on", PATIENCE);
        self.running.insert(name.to_owned(), process);
    }

    /// Starts nodes, all at once, each on the host of its name, and waits until they serve.
    pub fn start_nodes(&mut self, names: &[&str]) {
        for name in names {
            self.launch(name);
        }
        for name in names {
            self.wait_ready(name);
        }
    }

    /// Waits until the node on a host serves.
    pub fn wait_ready(&mut self, host: &str) {
        let process = self.running.get_mut(host).unwrap();
        process.wait_line("ready ", PATIENCE);
    }

    /// Starts a node without waiting for it.
    pub fn launch(&mut self, name: &str) {
        self.launch_with(name, name, CONFIG);
    }

    /// Starts a node with a configuration of its own on any host, without waiting for it.
    pub fn launch_with(&mut self, host: &str, node: &str, config: &str) {
        let mut command = tradewind();
        command.args(["run", "--node", node]);
        command.arg("--config").arg(self.file(config));
        if let Some(skew) = self.skews.get(host) {
            skew.apply(&mut command);
        }
        let process = Process::start(self.host(host), command);
        self.running.insert(host.to_owned(), process);
    }

    /// Gives a host a wall clock that can be set, for what is started on it from now on.
    pub fn own_clock(&mut self, name: &str) {
        let skew = Skew::new(self.dir.path(), name);
        self.skews.insert(name.to_owned(), skew);
    }

    /// Makes the wall clock of a host differ by so many seconds from now on.
    pub fn jump(&self, name: &str, seconds: i64) {
        self.skews[name].set(seconds);
    }

    /// Puts the state directory of a node that does not run yet on a disk of that size.
    pub fn small_disk(&self, node: &str, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        mount.arg(self.state_dir(node));
        let status = self.host(node).inside(|| mount.status().unwrap());
        assert!(status.success(), "{mount:?}");
    }

    /// Takes all that is free on that disk.
    pub fn fill_disk(&self, node: &str) {
        let path = self.state_dir(node).join("other-data");
        self.host(node).inside(|| {
            use std::io::Write;
            let mut file = fs::File::create(path).unwrap();
            let full = std::iter::repeat_with(|| file.write_all(&[0xff; 4_096]))
                .find_map(Result::err)
                .unwrap();
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull, "{full}");
        });
    }

    /// Gives it back.
    pub fn free_disk(&self, node: &str) {
        let path = self.state_dir(node).join("other-data");
        self.host(node).inside(|| fs::remove_file(path).unwrap());
    }

    /// What the client's `dig` gets from a node.
    pub fn dig(&self, node: &str, name: &str, rtype: &str) -> Option<Answer> {
        dig(self.host(CLIENT), self.v4(node), name, rtype)
    }

    /// The address records that the client's `dig` gets from a node.
    pub fn addresses(&self, node: &str, name: &str) -> Vec<IpAddr> {
        let answer = self.dig(node, name, "A");
        let answer = answer.unwrap_or_else(|| panic!("{node} does not answer"));
        answer.data.iter().map(|a| a.parse().unwrap()).collect()
    }

    /// A client that asks a node all the time.
    pub fn watch(&self, node: &str, name: &str) -> Watch {
        Watch::start(self.host(CLIENT), self.v4(node), name)
    }

    /// GET from the admin API of a node.
    pub fn get(&self, node: &str, path: &str) -> Value {
        let at: SocketAddr = ADMIN.parse().unwrap();
        let answer = self.host(node).inside(|| http::get(at, path));
        assert_eq!(answer.status, 200, "{node} {path}: {}", answer.body);
        answer.json()
    }

    /// What `/v1/health` of a node says of an endpoint.
    pub fn health(&self, node: &str, endpoint: &str) -> Value {
        let all = self.get(node, "/v1/health");
        let list = all["endpoints"].as_array().unwrap();
        let found = list.iter().find(|e| e["name"] == endpoint);
        found
            .unwrap_or_else(|| panic!("no {endpoint} in {all}"))
            .clone()
    }

    /// Waits until `/v1/health` of a node says this state of an endpoint.
    pub fn wait_state(&self, node: &str, endpoint: &str, state: &str) {
        let what = format!("{endpoint} is {state} at {node}");
        wait_for(&what, PATIENCE, || {
            (self.health(node, endpoint)["state"] == state).then_some(())
        });
    }

    /// What `/v1/fleet` of a node says of another.
    pub fn member(&self, node: &str, other: &str) -> Value {
        let fleet = self.get(node, "/v1/fleet");
        let list = fleet["members"].as_array().unwrap();
        let found = list.iter().find(|m| m["node"] == other);
        found
            .unwrap_or_else(|| panic!("no {other} in {fleet}"))
            .clone()
    }

    /// Waits until a node sees another like this: `alive`, `silent`, `left`.
    pub fn wait_life(&self, node: &str, other: &str, life: &str) {
        let what = format!("{other} is {life} at {node}");
        wait_for(&what, PATIENCE, || {
            (self.member(node, other)["state"] == life).then_some(())
        });
    }

    /// How often a node refused what has `part` in its metric and labels, as `/v1/fleet` says.
    pub fn refused(&self, node: &str, part: &str) -> u64 {
        let fleet = self.get(node, "/v1/fleet");
        let list = fleet["refused"].as_array().unwrap();
        let about = list
            .iter()
            .filter(|r| r["what"].as_str().unwrap().contains(part));
        about.map(|r| r["count"].as_u64().unwrap()).sum()
    }

    /// Runs the command line on a host.
    pub fn cli(&self, host: &str, arguments: &[&str]) -> Output {
        let mut command = tradewind();
        command.args(arguments);
        self.host(host).inside(|| command.output().unwrap())
    }
}

/// `[monitors.web]`: fast, so that a test waits seconds. Worst-case detection is 2 × 1 s, 100 ms of
/// jitter and 500 ms of timeout. A connection says whether a process lives, at the least cost to a
/// machine that runs ten of them.
pub const MONITOR: &str = r#"
[monitors.web]
interval = "1s"
timeout = "500ms"
jitter = "10%"
rise = 2
fall = 2
tcp = {}
"#;

/// The worst case of [`MONITOR`]; `tradewind check` and `/v1/names` say the same.
pub const DETECTION: Duration = Duration::from_millis(2_600);

/// The worst time in which what one node has noticed is known to all.
pub const PROPAGATION: Duration = Duration::from_secs(3);
