//! System calls that no safe crate offers. All unsafe code of the product is in this folder, behind
//! functions that cannot be called wrongly.

#![expect(
    unsafe_code,
    reason = "recvmmsg/sendmmsg with per-packet control data, splice on sockets of the runtime, and links of XDP programs exist only in libc"
)]

mod address;
mod batch;
pub mod bpf_map;
pub mod datagrams;
mod memory;
mod option;
pub mod packet;
pub mod pass;
pub mod peek;
pub mod pipe;
pub mod splice;
mod tcp_info;
pub mod unsent;
mod watched;
pub mod xdp_link;

pub use batch::BatchSocket;
pub use datagrams::Datagrams;
pub use memory::give_back_memory;
pub use option::{bind_address_without_port, report_destination, send_without_path_mtu};
pub use tcp_info::{TcpInfo, tcp_info};
pub use watched::readable;
