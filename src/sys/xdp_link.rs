//! Links between XDP programs and interfaces as descriptors of this process: what holds a program before
//! an interface's stack, and what a process hands to the one that takes over. aya keeps its descriptors
//! to itself.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Commands of bpf(2).
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const LINK_CREATE: libc::c_long = 28;
const LINK_UPDATE: libc::c_long = 29;

/// `BPF_XDP` of `enum bpf_attach_type`.
const ATTACH_XDP: u32 = 37;
/// `BPF_LINK_TYPE_XDP` of `enum bpf_link_type`.
const TYPE_XDP: u32 = 6;

const FLAG_GENERIC: u32 = 1 << 1;
const FLAG_NATIVE: u32 = 1 << 2;

/// `union bpf_attr`, as much of it as the commands here read.
type Attributes = [u32; 16];

fn bpf(command: libc::c_long, attributes: &mut Attributes) -> io::Result<RawFd> {
    let size = size_of::<Attributes>();
    // SAFETY: the kernel reads and writes `size` octets at most, all of which are there. The pointers
    // in the attributes are set by `interface` alone, to memory that outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as RawFd)
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// Puts a program before the stack of an interface: in the driver if `native`, or behind it. It stays
/// until the last descriptor of the link is closed.
///
/// # Errors
/// EBUSY where another program is, EOPNOTSUPP where the driver knows no XDP.
pub fn attach(program: BorrowedFd<'_>, interface: u32, native: bool) -> io::Result<OwnedFd> {
    let flags = if native { FLAG_NATIVE } else { FLAG_GENERIC };
    let mut attributes = Attributes::default();
    attributes[..4].copy_from_slice(&[number(program), interface, ATTACH_XDP, flags]);
    let fd = bpf(LINK_CREATE, &mut attributes)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Has another program take the place of the one that a link holds; no packet passes between the two.
///
/// # Errors
/// Those of the kernel.
pub fn replace(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = Attributes::default();
    attributes[..2].copy_from_slice(&[number(link), number(program)]);
    bpf(LINK_UPDATE, &mut attributes).map(drop)
}

/// The number of the interface that a link is of.
///
/// # Errors
/// When the descriptor is no link of an XDP program.
pub fn interface(link: BorrowedFd<'_>) -> io::Result<u32> {
    // `struct bpf_link_info`: type, id, program, padding, then the interface.
    let mut info = [0_u32; 16];
    let mut attributes = Attributes::default();
    attributes[..2].copy_from_slice(&[number(link), size_of_val(&info) as u32]);
    let address = info.as_mut_ptr() as u64;
    let halves = address.to_ne_bytes();
    for (half, octets) in attributes[2..4].iter_mut().zip(halves.chunks_exact(4)) {
        *half = u32::from_ne_bytes([octets[0], octets[1], octets[2], octets[3]]);
    }
    bpf(OBJ_GET_INFO_BY_FD, &mut attributes)?;
    if info[0] != TYPE_XDP {
        return Err(io::Error::other("it is no link of an XDP program"));
    }
    Ok(info[4])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_program_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(attach(file.as_fd(), 1, true).is_err());
        assert!(replace(file.as_fd(), file.as_fd()).is_err());
        assert!(interface(file.as_fd()).is_err());
    }
}
