//! Reading a map of the kernel many entries at a time: aya asks for one after the other, which a map that
//! forgets the least used while it is read may never end.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Command of bpf(2).
const MAP_LOOKUP_BATCH: libc::c_long = 24;

/// `struct { .. } batch` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Reads all entries of a hash map, `K` octets of key and `V` of value each, and calls `each` with them until
/// it says no. `at_once`: how many are read by one call; more than share a bucket.
///
/// # Errors
/// When keys and values are of other sizes, or the kernel refuses.
pub fn read_all<const K: usize, const V: usize>(
    map: BorrowedFd<'_>,
    sizes: (u32, u32),
    at_once: u32,
    mut each: impl FnMut(&[u8; K], &[u8; V]) -> bool,
) -> io::Result<()> {
    if (sizes.0 as usize, sizes.1 as usize) != (K, V) {
        let (keys, values) = sizes;
        let what =
            format!("keys and values have {keys} and {values} octets; {K} and {V} are known");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut keys = vec![[0_u8; K]; at_once as usize];
    let mut values = vec![[0_u8; V]; at_once as usize];
    // Where the next call goes on: the kernel writes four octets for a hash map.
    let (mut from, mut to) = ([0_u64; 8], [0_u64; 8]);
    let mut is_first = true;
    loop {
        let mut attributes = Attributes {
            in_batch: match is_first {
                true => 0,
                false => from.as_ptr() as u64,
            },
            out_batch: to.as_mut_ptr() as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: at_once,
            map: map.as_raw_fd() as u32,
            ..Attributes::default()
        };
        let size = size_of::<Attributes>();
        // SAFETY: the kernel writes at most `count` keys and values of the map's sizes, which were compared,
        // into vectors of that length, and a place of four octets into 64; all outlive the call.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, MAP_LOOKUP_BATCH, &raw mut attributes, size) };
        let error = (result < 0).then(io::Error::last_os_error);
        let is_last = error.as_ref().and_then(io::Error::raw_os_error) == Some(libc::ENOENT);
        if let Some(error) = error.filter(|_| !is_last) {
            return Err(error);
        }
        let count = attributes.count.min(at_once) as usize;
        let all = keys.iter().zip(&values).take(count);
        for (key, value) in all {
            if !each(key, value) {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
        from = to;
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_map_or_another_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let read = |sizes| read_all::<4, 8>(file.as_fd(), sizes, 16, |_, _| true);
        assert!(read((4, 8)).is_err());
        let error = read((4, 4)).unwrap_err();
        assert!(error.to_string().contains("4 and 8 are known"), "{error}");
    }
}
