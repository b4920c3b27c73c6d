//! The lab: hosts on one bridge, with cables that can be cut.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use super::host::Host;

/// Where Debian puts the library that lies about the time.
pub const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// Says that tests which need a lab may pass without one.
const NO_LAB: &str = "TRADEWIND_NO_LAB";

/// Hosts by name, all within reach of each other.
#[derive(Debug)]
pub struct Lab {
    /// Has the bridge that all cables end in.
    switch: Host,
    hosts: BTreeMap<String, Arc<Host>>,
}

impl Lab {
    /// A lab with these hosts. `None` where there can be none and the environment says that this is
    /// fine.
    ///
    /// # Panics
    /// Where there can be none, with what to install.
    pub fn new(names: &[&str]) -> Option<Lab> {
        if let Some(lacking) = lacking() {
            let how = "tests of the fleet run real processes in network namespaces";
            assert!(
                std::env::var_os(NO_LAB).is_some(),
                "{how}: {lacking}; with {NO_LAB}=1 in the environment they are left out"
            );
            eprintln!("{how}: {lacking}; {NO_LAB} is set, so nothing is tested here");
            return None;
        }
        let switch = Host::new("switch", 0).unwrap();
        switch.ip("link add br0 type bridge mcast_snooping 0\nlink set br0 up\n");
        let mut hosts = BTreeMap::new();
        for (i, name) in names.iter().enumerate() {
            let host = Host::new(name, u8::try_from(i + 1).unwrap()).unwrap();
            host.plug_in(&switch);
            let before = hosts.insert((*name).to_owned(), Arc::new(host));
            assert!(before.is_none(), "two hosts `{name}`");
        }
        Some(Lab { switch, hosts })
    }

    /// The host that has the bridge; the cable of the nth other host ends in its interface `pN`.
    pub fn switch(&self) -> &Host {
        &self.switch
    }

    /// A host.
    pub fn host(&self, name: &str) -> &Arc<Host> {
        self.hosts
            .get(name)
            .unwrap_or_else(|| panic!("the lab has no host `{name}`"))
    }

    /// Cuts the cable between two hosts: neither hears the other.
    pub fn cut(&self, a: &str, b: &str) {
        self.host(a).refuse(self.host(b));
        self.host(b).refuse(self.host(a));
    }

    /// Mends it.
    pub fn heal(&self, a: &str, b: &str) {
        self.host(a).accept(self.host(b));
        self.host(b).accept(self.host(a));
    }

    /// Cuts every cable between the two sides.
    pub fn cut_between(&self, left: &[&str], right: &[&str]) {
        for a in left {
            for b in right {
                self.cut(a, b);
            }
        }
    }

    /// Mends them.
    pub fn heal_between(&self, left: &[&str], right: &[&str]) {
        for a in left {
            for b in right {
                self.heal(a, b);
            }
        }
    }

    /// Cuts a host off from all others.
    pub fn isolate(&self, name: &str) {
        self.cut_between(&[name], &self.others(name));
    }

    /// Brings it back.
    pub fn rejoin(&self, name: &str) {
        self.heal_between(&[name], &self.others(name));
    }

    fn others(&self, name: &str) -> Vec<&str> {
        let all = self.hosts.keys().map(String::as_str);
        all.filter(|other| *other != name).collect()
    }
}

/// Whether a test is left out because this machine lacks `command`, and the environment says that this
/// is fine.
///
/// # Panics
/// Where it lacks it and the environment does not say so, with what to install.
pub fn left_out(command: &str, package: &str) -> bool {
    if has(command) {
        return false;
    }
    let how =
        format!("there is no {command}: install the Debian package {package} (tests/run does)");
    assert!(
        std::env::var_os(NO_LAB).is_some(),
        "{how}; with {NO_LAB}=1 in the environment the test is left out"
    );
    eprintln!("{how}; {NO_LAB} is set, so nothing is tested here");
    true
}

fn has(command: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(command).is_file())
}

/// What this machine lacks for a lab, and what to do.
fn lacking() -> Option<String> {
    let needed = [
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("dig", "bind9-dnsutils"),
        ("mount", "mount"),
    ];
    let missing = needed.iter().filter(|(command, _)| !has(command));
    let mut packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if !Path::new(FAKETIME).is_file() {
        packages.push("faketime");
    }
    if !packages.is_empty() {
        let packages = packages.join(" ");
        return Some(format!(
            "install these Debian packages: {packages} (tests/run does)"
        ));
    }
    Host::new("trial", 0)
        .err()
        .map(|e| format!("this process may not make namespaces ({e}); run the tests as root"))
}

/// Cuts work by both families and both ways; and the loader finds the library that sets clocks.
#[test]
fn what_is_cut_is_cut_both_ways_and_heals() {
    let Some(lab) = Lab::new(&["a", "b", "c"]) else {
        return;
    };
    use std::net::{IpAddr, SocketAddr, UdpSocket};
    use std::time::Duration;
    let open = |host: &str| {
        let at = SocketAddr::new(IpAddr::from([0; 16]), 7);
        let socket = lab.host(host).inside(|| UdpSocket::bind(at).unwrap());
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        (host.to_owned(), socket)
    };
    let sockets = [open("a"), open("b"), open("c")];
    // One datagram by each family; both arrive or none does.
    let reaches = |from: usize, to: usize| {
        let target = lab.host(&sockets[to].0);
        let IpAddr::V4(v4) = target.v4() else {
            unreachable!()
        };
        let mapped = IpAddr::from(v4.to_ipv6_mapped());
        for address in [mapped, target.v6()] {
            let sent = sockets[from].1.send_to(b"hello", (address, 7));
            assert_eq!(sent.unwrap(), 5);
        }
        let mut buf = [0; 8];
        let arrived = [(); 2].map(|()| sockets[to].1.recv(&mut buf).is_ok());
        assert_eq!(arrived[0], arrived[1], "one family only");
        arrived[0]
    };
    assert!(reaches(0, 1) && reaches(1, 0) && reaches(0, 2));
    lab.cut("a", "b");
    assert!(!reaches(0, 1) && !reaches(1, 0) && reaches(0, 2) && reaches(2, 1));
    lab.heal("a", "b");
    assert!(reaches(0, 1) && reaches(1, 0));
    lab.isolate("a");
    assert!(!reaches(0, 1) && !reaches(2, 0) && reaches(1, 2));
    lab.rejoin("a");
    assert!(reaches(0, 1) && reaches(2, 0));

    let seen = Command::new("true").env("LD_PRELOAD", FAKETIME).output();
    assert!(seen.unwrap().stderr.is_empty(), "the loader found it");
}
