//! The XDP data path: packets for virtual addresses are forwarded by a program in the kernel, to backends
//! that answer their clients directly.

pub mod kernel;
pub mod layout;
mod netlink;
mod places;
mod table;
