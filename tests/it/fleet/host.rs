//! One host of the lab: a network and a mount namespace that only this process holds.
//!
//! The namespaces have no name in the file system: they live as long as something inside runs or the
//! [`Host`] does, so a test that is killed leaves nothing behind.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// A host. Its cable to the bridge is plugged in by the lab.
#[derive(Debug)]
pub struct Host {
    name: String,
    number: u8,
    net: File,
    mount: File,
}

impl Host {
    /// A host with nothing but a loopback interface.
    ///
    /// # Errors
    /// When this process may not make namespaces.
    pub fn new(name: &str, number: u8) -> std::io::Result<Host> {
        let made = in_own_thread(|| {
            leave(UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::FS)?;
            let net = File::open("/proc/thread-self/ns/net")?;
            let mount = File::open("/proc/thread-self/ns/mnt")?;
            // What is mounted here stays here.
            tool("mount", &["--make-rprivate", "/"], "");
            tool("ip", &["link", "set", "lo", "up"], "");
            Ok::<_, std::io::Error>((net, mount))
        });
        let (net, mount) = made?;
        Ok(Host {
            name: name.to_owned(),
            number,
            net,
            mount,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its IPv4 address.
    pub fn v4(&self) -> IpAddr {
        Ipv4Addr::new(10, 66, 0, self.number).into()
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> IpAddr {
        Ipv6Addr::new(0xfd66, 0, 0, 0, 0, 0, 0, u16::from(self.number)).into()
    }

    /// Runs `f` on this host: sockets it opens and processes and threads it starts are inside.
    pub fn inside<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        in_own_thread(|| {
            // A thread that enters a mount namespace may not share its working directory.
            leave(UnshareFlags::FS).unwrap();
            let into = |ns: &File, kind| move_into_link_name_space(ns.as_fd(), Some(kind)).unwrap();
            into(&self.net, LinkNameSpaceType::Network);
            into(&self.mount, LinkNameSpaceType::Mount);
            f()
        })
    }

    /// Plugs in the cable to a bridge that `switch` has, and puts up the addresses and the filter of
    /// [`Host::refuse`].
    pub(super) fn plug_in(&self, switch: &Host) {
        let n = self.number;
        let net = format!("/proc/{}/fd/{}", std::process::id(), self.net.as_raw_fd());
        switch.ip(&format!(
            "link add p{n} type veth peer name eth0 netns {net}\n\
             link set p{n} master br0\nlink set p{n} up\n"
        ));
        self.ip(&format!(
            "addr add {}/24 dev eth0\naddr add {}/64 dev eth0 nodad\nlink set eth0 up\n",
            self.v4(),
            self.v6()
        ));
        self.nft(
            "table inet lab {
                set refused4 { type ipv4_addr; }
                set refused6 { type ipv6_addr; }
                chain in {
                    type filter hook input priority 0; policy accept;
                    ip saddr @refused4 drop
                    ip6 saddr @refused6 drop
                }
            }\n",
        );
    }

    /// Drops what comes from `other` from now on.
    pub(super) fn refuse(&self, other: &Host) {
        self.nft(&format!(
            "add element inet lab refused4 {{ {} }}\nadd element inet lab refused6 {{ {} }}\n",
            other.v4(),
            other.v6()
        ));
    }

    /// Lets through again what comes from `other`.
    pub(super) fn accept(&self, other: &Host) {
        // Deleting what is not there is an error, so it is added first.
        self.refuse(other);
        self.nft(&format!(
            "delete element inet lab refused4 {{ {} }}\ndelete element inet lab refused6 {{ {} }}\n",
            other.v4(),
            other.v6()
        ));
    }

    /// Runs the lines of a batch for `ip`.
    pub fn ip(&self, lines: &str) {
        self.inside(|| tool("ip", &["-batch", "-"], lines));
    }

    fn nft(&self, rules: &str) {
        self.inside(|| tool("nft", &["-f", "-"], rules));
    }
}

/// Gives the calling thread namespaces of its own.
#[expect(
    unsafe_code,
    reason = "unshare: there is no safe form that is not deprecated"
)]
fn leave(what: UnshareFlags) -> std::io::Result<()> {
    assert!(!what.contains(UnshareFlags::FILES));
    // SAFETY: the table of file descriptors stays shared, which is all that callers must take care of.
    unsafe { unshare_unsafe(what) }.map_err(Into::into)
}

/// Namespaces belong to threads: work in others happens on a thread made for it.
fn in_own_thread<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    match std::thread::scope(|s| s.spawn(f).join()) {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Runs a tool that must succeed, with `input` as its standard input.
fn tool(name: &str, arguments: &[&str], input: &str) {
    let mut child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{name} {arguments:?} with\n{input}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
