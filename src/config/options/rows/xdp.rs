//! Rows of listeners whose packets are forwarded in the kernel.

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow};
use super::opt;

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "listeners.NAME.mode",
        Kind::Choice(&["proxy", "xdp"]),
        Default(r#""proxy""#),
        "With `protocol` \"tcp\" or \"udp\": `proxy` ends what comes in here and begins it anew to a backend; `xdp` forwards packets in the kernel to backends of the same Ethernet segment, which answer their clients directly.",
        r#""xdp""#,
    ),
    opt(
        "listeners.NAME.xdp.interface",
        Kind::Text,
        Required,
        "The interface that packets for `bind` come in on and go out of.",
        r#""eth0""#,
    ),
    opt(
        "listeners.NAME.xdp.neighbour-interface",
        Kind::Text,
        Optional("that of `interface`"),
        "The interface in whose neighbour table the backends are, where it is another: that of a VLAN whose tagged frames come in on `interface`.",
        r#""eth0.10""#,
    ),
    opt(
        "listeners.NAME.xdp.max-flows",
        Kind::Integer(1024, 16_777_216),
        Default("131072"),
        "Flows that are remembered, so that they stay with their backend when others come and go; the least recently seen are forgotten first. Each takes about 128 octets of the kernel's memory. The sum of all listeners counts, as it is when the first of them begins.",
        "1048576",
    )
    .restart(),
];
