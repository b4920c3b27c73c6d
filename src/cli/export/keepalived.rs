//! `keepalived.conf` of a node: one VRRP instance per VIP and family, and a check of the node's process.
//!
//! The same configuration gives the same file, octet by octet.

use std::fmt;

use crate::net::Family;
use crate::traffic::Vip;

/// Seconds between two checks.
const INTERVAL: u32 = 1;

/// Checks in a row that must fail, or pass, before the node's state changes.
const FALL: u32 = 2;
const RISE: u32 = 2;

/// What the node has to answer within: two checks that wait this long in vain are over within two and a
/// half seconds.
const ANSWER: &str = "400ms";

/// How the node is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Check {
    /// This program, on the node.
    pub(super) program: String,
    /// The options of `tradewind health` that say whom to ask.
    pub(super) asks: String,
    /// Upstreams that must be usable.
    pub(super) upstreams: Vec<String>,
    /// Who asks.
    pub(super) user: String,
}

/// The file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Keepalived<'v> {
    node: &'v str,
    vips: Vec<&'v Vip>,
    check: Check,
}

impl<'v> Keepalived<'v> {
    /// Of `node`, which has `vips`.
    ///
    /// # Errors
    /// When it has none, or the user's name cannot be one.
    pub(super) fn new(
        node: &'v str,
        vips: Vec<&'v Vip>,
        check: Check,
    ) -> Result<Keepalived<'v>, String> {
        if vips.is_empty() {
            return Err(format!(
                "node `{node}` is not among the `nodes` of any VIP: nothing to write"
            ));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if check.user.is_empty() || !check.user.bytes().all(plain) {
            return Err(format!("`{}` is no user's name", check.user));
        }
        Ok(Keepalived { node, vips, check })
    }
}

impl fmt::Display for Keepalived<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node;
        writeln!(
            f,
            "# keepalived.conf of node `{node}`.\n\
             #\n\
             # Written by `tradewind export keepalived` from [vips] of Tradewind's configuration. Do not edit it\n\
             # by hand: change the configuration, write it again on every node of the VIP, and reload keepalived.\n\
             \n\
             global_defs {{\n    \
                 router_id {node}\n    \
                 # Checks run without root, and not at all when others could have changed the program.\n    \
                 script_user {}\n    \
                 enable_script_security\n    \
                 vrrp_version 3\n    \
                 # Neighbours learn where the VIP is at once, again after a second, and then every minute.\n    \
                 vrrp_garp_master_delay 1\n    \
                 vrrp_garp_master_refresh 60\n    \
                 # A machine busy with traffic still advertises in time.\n    \
                 vrrp_priority -20\n\
             }}\n",
            self.check.user
        )?;
        self.script(f)?;
        for vip in &self.vips {
            self.vip(f, vip)?;
        }
        Ok(())
    }
}

impl Keepalived<'_> {
    fn script(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Check {
            program,
            asks,
            upstreams,
            ..
        } = &self.check;
        writeln!(
            f,
            "# Fails when the process is gone, hangs, has not started yet or is stopping.\n\
             vrrp_script tradewind {{"
        )?;
        write!(
            f,
            "    script \"{program} health --ready {asks} --timeout {ANSWER}"
        )?;
        for name in upstreams {
            write!(f, " --upstream {name}")?;
        }
        writeln!(
            f,
            "\"\n    \
                 interval {INTERVAL}\n    \
                 timeout {INTERVAL}\n    \
                 fall {FALL}\n    \
                 rise {RISE}\n    \
                 init_fail\n\
             }}"
        )
    }

    fn vip(&self, f: &mut fmt::Formatter<'_>, vip: &Vip) -> fmt::Result {
        let families: Vec<Family> = vip.families().collect();
        if families.len() > 1 {
            // One family must not move without the other.
            writeln!(f, "\nvrrp_sync_group {} {{\n    group {{", vip.name)?;
            for family in &families {
                writeln!(f, "        {}", instance(vip, *family))?;
            }
            writeln!(f, "    }}\n}}")?;
        }
        let order: Vec<&str> = vip.nodes.iter().map(|n| &*n.name).collect();
        writeln!(
            f,
            "\n# VIP `{}`: of {}, the first that is ready has it.",
            vip.name,
            order.join(", ")
        )?;
        for (i, family) in families.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            self.instance(f, vip, *family)?;
        }
        Ok(())
    }

    fn instance(&self, f: &mut fmt::Formatter<'_>, vip: &Vip, family: Family) -> fmt::Result {
        let Some(place) = vip.place(self.node) else {
            return Ok(());
        };
        let own = &vip.nodes[place];
        let centiseconds = vip.advert_interval.as_millis() / 10;
        writeln!(
            f,
            "vrrp_instance {} {{\n    \
                 state BACKUP\n    \
                 interface {}\n    \
                 virtual_router_id {}\n    \
                 priority {}\n    \
                 advert_int {}.{:02}",
            instance(vip, family),
            own.interface,
            vip.router_id,
            Vip::priority(place),
            centiseconds / 100,
            centiseconds % 100,
        )?;
        match vip.preempt {
            None => writeln!(f, "    nopreempt")?,
            Some(delay) if delay.is_zero() => {}
            Some(delay) => writeln!(f, "    preempt_delay {}", delay.as_secs())?,
        }
        let peers = || vip.nodes.iter().filter(|n| n.name != own.name);
        if let (true, Some(address)) = (vip.unicast, own.address(family)) {
            writeln!(f, "    unicast_src_ip {address}\n    unicast_peer {{")?;
            for peer in peers().filter_map(|n| n.address(family)) {
                writeln!(f, "        {peer}")?;
            }
            writeln!(f, "    }}")?;
        }
        writeln!(f, "    virtual_ipaddress {{")?;
        for address in vip.of(family) {
            writeln!(f, "        {address} dev {}", own.interface)?;
        }
        writeln!(f, "    }}")?;
        if !vip.track.is_empty() {
            writeln!(f, "    track_interface {{")?;
            for interface in &vip.track {
                writeln!(f, "        {interface}")?;
            }
            writeln!(f, "    }}")?;
        }
        writeln!(f, "    track_script {{\n        tradewind\n    }}\n}}")
    }
}

fn instance(vip: &Vip, family: Family) -> String {
    match family {
        Family::V4 => format!("{}_v4", vip.name),
        Family::V6 => format!("{}_v6", vip.name),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::traffic::vip::VipNode;

    fn vip() -> Vip {
        let node = |name: &str, last: u8| VipNode {
            name: name.into(),
            interface: "eth0".into(),
            addresses: vec![[10, 0, 0, last].into()],
        };
        Vip {
            name: "fra".into(),
            addresses: vec!["192.0.2.10/24".parse().unwrap()],
            router_id: 51,
            advert_interval: Duration::from_millis(1_050),
            preempt: Some(Duration::ZERO),
            track: Vec::new(),
            unicast: true,
            nodes: vec![node("fra1", 1), node("fra2", 2), node("fra3", 3)],
        }
    }

    fn check() -> Check {
        Check {
            program: "/usr/bin/tradewind".to_owned(),
            asks: "--state-dir /var/lib/tradewind".to_owned(),
            upstreams: vec!["web".to_owned()],
            user: "tradewind".to_owned(),
        }
    }

    fn written(vip: &Vip, node: &str) -> String {
        let file = Keepalived::new(node, vec![vip], check());
        file.unwrap().to_string()
    }

    #[test]
    fn each_node_has_its_own_priority_and_knows_the_others() {
        let second = written(&vip(), "fra2");
        for line in [
            "    priority 190\n",
            "    advert_int 1.05\n",
            "    unicast_src_ip 10.0.0.2\n    unicast_peer {\n        10.0.0.1\n        10.0.0.3\n    }\n",
            "health --ready --state-dir /var/lib/tradewind --timeout 400ms --upstream web\"\n",
        ] {
            assert!(second.contains(line), "no {line} in\n{second}");
        }
        assert!(written(&vip(), "fra1").contains("    priority 200\n"));
        // Without a delay there is no such line, and it would be of no use where nobody preempts.
        assert!(!second.contains("preempt"));
        let patient = Vip {
            preempt: None,
            ..vip()
        };
        assert!(written(&patient, "fra2").contains("    nopreempt\n"));
    }

    #[test]
    fn who_has_no_vip_gets_no_file() {
        let none = Keepalived::new("fra9", Vec::new(), check()).unwrap_err();
        assert!(none.contains("`fra9`"), "{none}");
        let odd = Check {
            user: "a b".to_owned(),
            ..check()
        };
        let vip = vip();
        assert!(Keepalived::new("fra1", vec![&vip], odd).is_err());
    }
}
