//! Octets that one process leaves to the next: in files in memory, which travel as sockets do, so that nothing
//! has to be cut into packets.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::fs::{MemfdFlags, memfd_create};

use super::bag::Bag;
use super::message::{Kind, Label};

/// Octets of one file at most.
const MOST: u64 = 64 << 20;

/// Puts octets into a bag, under a name.
///
/// # Errors
/// When the system has no descriptor or no memory left.
pub fn put(bag: &mut Bag, name: Box<str>, octets: &[u8]) -> io::Result<()> {
    let mut file = File::from(memfd_create("tradewind", MemfdFlags::CLOEXEC)?);
    file.write_all(octets)?;
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let label = Label {
        name,
        ..Label::new(Kind::Kept, nowhere)
    };
    bag.put(label, OwnedFd::from(file));
    Ok(())
}

/// Takes all of them out of a bag. What cannot be read is left out.
pub fn take(bag: &mut Bag) -> Vec<(Box<str>, Vec<u8>)> {
    let read = |descriptor: OwnedFd| -> io::Result<Vec<u8>> {
        let mut file = File::from(descriptor);
        // Whoever wrote it stands at its end, and so do all who have it.
        file.rewind()?;
        let mut octets = Vec::new();
        file.take(MOST).read_to_end(&mut octets)?;
        Ok(octets)
    };
    let all = bag.take_named(Kind::Kept).into_iter();
    all.filter_map(|(name, file)| Some((name, read(file).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p2_what_is_put_in_is_taken_out() {
        let mut bag = Bag::default();
        put(&mut bag, "one".into(), b"octets").unwrap();
        put(&mut bag, "two".into(), b"").unwrap();
        let mut copies = Bag::default();
        copies.copy(&bag).unwrap();
        let taken = take(&mut copies);
        assert_eq!(
            taken,
            [
                ("one".into(), b"octets".to_vec()),
                ("two".into(), Vec::new())
            ]
        );
        assert!(copies.is_empty() && bag.len() == 2);
    }
}
