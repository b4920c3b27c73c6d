//! Why packets cannot be forwarded in the kernel, in words that help.

use std::io;

/// Capabilities, by number, and their names (capabilities(7)).
const NET_ADMIN: (u32, &str) = (12, "CAP_NET_ADMIN");
const SYS_ADMIN: u32 = 21;
const PERFMON: (u32, &str) = (38, "CAP_PERFMON");
const BPF: (u32, &str) = (39, "CAP_BPF");

/// Why a listener cannot have `mode = "xdp"`.
#[derive(Debug, thiserror::Error)]
#[error(
    "listener `{listener}` cannot have `mode = \"xdp\"` on interface `{interface}`: {what}; {help}"
)]
pub struct XdpError {
    listener: Box<str>,
    interface: Box<str>,
    what: String,
    help: &'static str,
}

impl XdpError {
    pub(super) fn new(listener: &str, interface: &str, what: String, help: &'static str) -> Self {
        XdpError {
            listener: listener.into(),
            interface: interface.into(),
            what,
            help,
        }
    }

    /// What the kernel said to `doing`.
    pub(super) fn refused(
        listener: &str,
        interface: &str,
        doing: &str,
        error: &io::Error,
    ) -> XdpError {
        let help = match error.raw_os_error() {
            Some(libc::ENODEV) => {
                "`ip link` lists the interfaces of this machine; correct `xdp.interface`"
            }
            Some(libc::EBUSY) => {
                "another XDP program is attached there (`ip link show` names it, and so does \
                 `bpftool net`); take it off, or remove `mode`"
            }
            Some(libc::EPERM) => {
                "the capabilities must be those of the host, not of a user namespace; or remove \
                 `mode`: the ordinary mode needs none of them"
            }
            Some(libc::ENOSYS | libc::EINVAL | libc::EOPNOTSUPP) => {
                "this needs Linux 5.9 or later with CONFIG_BPF_SYSCALL; or remove `mode`"
            }
            _ => "remove `mode` to have what comes in end here, which needs nothing of this",
        };
        XdpError::new(listener, interface, format!("{doing}: {error}"), help)
    }
}

/// The capabilities that loading and attaching take and that are not in this set (`CapEff` of
/// `/proc/self/status`).
fn missing(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| effective >> bit & 1 == 1;
    let mut missing = Vec::new();
    for (bit, name) in [BPF, PERFMON] {
        // What CAP_SYS_ADMIN could do before the others were taken out of it (Linux 5.8).
        if !has(bit) && !has(SYS_ADMIN) {
            missing.push(name);
        }
    }
    if !has(NET_ADMIN.0) {
        missing.push(NET_ADMIN.1);
    }
    missing
}

/// Checks that this process may load and attach the program.
pub(super) fn check(listener: &str, interface: &str) -> Result<(), XdpError> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    // Where it cannot be read the kernel has the say.
    let missing = effective.map(missing).unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    Err(XdpError::new(
        listener,
        interface,
        format!(
            "it takes the capabilities CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN, and this process lacks {}",
            missing.join(" and ")
        ),
        "give it them (systemd: AmbientCapabilities=), or remove `mode`: the ordinary mode needs none of \
         them",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(missing(u64::MAX), [""; 0]);
        assert_eq!(missing(1 << SYS_ADMIN), ["CAP_NET_ADMIN"]);
        assert_eq!(missing(1 << 12 | 1 << 39), ["CAP_PERFMON"]);
        assert_eq!(missing(0), ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        let error = XdpError::refused(
            "web",
            "eth0",
            "the program cannot be attached",
            &io::Error::from_raw_os_error(libc::EBUSY),
        );
        let said = error.to_string();
        assert!(said.starts_with("listener `web` cannot have `mode = \"xdp\"` on interface `eth0`: the program cannot be attached: "));
        assert!(said.contains("another XDP program is attached there"));
    }
}
