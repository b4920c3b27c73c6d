//! System calls for datagrams that no safe crate offers: `recvmmsg` and `sendmmsg` with control
//! data per packet. All unsafe code of the product is in this folder.

#![expect(
    unsafe_code,
    reason = "recvmmsg/sendmmsg with per-packet control data exist only in libc"
)]

mod address;
mod batch;
mod memory;
mod option;

pub(super) use batch::BatchSocket;
pub use memory::give_back_memory;
pub(super) use option::{report_destination, send_without_path_mtu};
