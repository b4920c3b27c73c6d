//! Messages with descriptors between two processes of this machine: a unix socket of packets
//! (SOCK_SEQPACKET), descriptors beside them (SCM_RIGHTS), and who is at the other end (SO_PEERCRED).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use tokio::io::unix::AsyncFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, listen, recvmsg, sendmsg, socket_with, sockopt,
};

/// Descriptors that one packet carries at most; the kernel takes 253.
pub const DESCRIPTORS: usize = 64;

/// Octets of one packet at most.
pub const PACKET: usize = 48 << 10;

/// Those who wait to be heard.
const BACKLOG: i32 = 16;

/// Longest path of a unix socket's address, without the zero at its end.
const LONGEST_PATH: usize = 107;

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// The process that connected or listens.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
}

/// A socket that does not block, and that tasks wait for.
#[derive(Debug)]
pub struct Waited(AsyncFd<OwnedFd>);

impl Waited {
    /// Has the runtime watch `socket`. Within a runtime.
    ///
    /// # Errors
    /// When the system cannot watch it.
    pub fn new(socket: OwnedFd) -> io::Result<Waited> {
        // SAFETY: an `OwnedFd` is the same open descriptor for as long as it lives, and nothing here
        // gives out a mutable reference, with which another could be put in its place.
        let watched = unsafe { AsyncFd::register(socket) };
        watched.map(Waited).map_err(io::Error::other)
    }

    /// Does `work` once there is something to read, again as long as it would block. Safe to cancel.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn when_readable<T>(
        &self,
        mut work: impl FnMut(&OwnedFd) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(done) = ready.try_io(|socket| work(socket.get_ref())) {
                return done;
            }
        }
    }

    /// As [`Waited::when_readable`], once there is room to write.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn when_writable<T>(
        &self,
        mut work: impl FnMut(&OwnedFd) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut ready = self.0.writable().await?;
            if let Ok(done) = ready.try_io(|socket| work(socket.get_ref())) {
                return done;
            }
        }
    }

    /// Another descriptor of the same socket.
    ///
    /// # Errors
    /// When this process may not open as many files.
    pub fn copy(&self) -> io::Result<OwnedFd> {
        self.0.get_ref().try_clone()
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    Ok(socket)
}

/// Calls `with` with the address of `dir/name`. A path too long for an address goes through the
/// folder's descriptor.
fn at<T>(
    dir: &Path,
    name: &str,
    with: impl FnOnce(&SocketAddrUnix) -> io::Result<T>,
) -> io::Result<T> {
    let path = dir.join(name);
    if path.as_os_str().len() <= LONGEST_PATH {
        return with(&SocketAddrUnix::new(&path)?);
    }
    use std::os::fd::AsRawFd as _;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(dir, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
    with(&SocketAddrUnix::new(path)?)
}

/// Listens at `dir/name`, for the owner alone (mode 0600); a socket that a crash left there is
/// replaced. Does not block.
///
/// # Errors
/// When the folder cannot be written to.
pub fn listen_at(dir: &Path, name: &str) -> io::Result<OwnedFd> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = dir.join(name);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let socket = socket()?;
    at(dir, name, |address| Ok(bind(&socket, address)?))?;
    // Nobody is heard before this: it does not listen yet.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Connects to whoever listens at `dir/name`; `None` when nobody does. Does not block afterwards.
///
/// # Errors
/// When it cannot be known, or this user may not connect.
pub fn connect_to(dir: &Path, name: &str) -> io::Result<Option<OwnedFd>> {
    let socket = socket()?;
    let connected = at(dir, name, |address| Ok(connect(&socket, address)?));
    match connected {
        Ok(()) => Ok(Some(socket)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// The next connection; `WouldBlock` when there is none.
///
/// # Errors
/// As `accept(2)`.
pub fn accept_one(listener: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(accept_with(listener, flags)?)
}

/// Who is at the other end.
///
/// # Errors
/// When the kernel does not say.
pub fn peer(connection: impl AsFd) -> io::Result<Peer> {
    let who = sockopt::socket_peercred(connection)?;
    Ok(Peer {
        pid: who.pid.as_raw_nonzero().get(),
        uid: who.uid.as_raw(),
    })
}

/// Whether `peer` is of this process's user, or root.
pub fn may_take(peer: Peer) -> bool {
    peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw()
}

/// Sends one packet with descriptors; `WouldBlock` when there is no room for it.
///
/// # Errors
/// `InvalidInput` for what is larger than a packet may be; else as `sendmsg(2)`.
pub fn send(
    connection: impl AsFd,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if packet.is_empty() || packet.len() > PACKET || descriptors.len() > DESCRIPTORS {
        let what = format!(
            "a packet of {} octets and {} descriptors; {PACKET} and {DESCRIPTORS} are the limits",
            packet.len(),
            descriptors.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        // The space is for as many as there may be.
        let _fits = beside.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let octets = [io::IoSlice::new(packet)];
    sendmsg(connection, &octets, &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one packet with its descriptors; `None` at the end, `WouldBlock` when there is none yet.
///
/// # Errors
/// `InvalidData` when a packet was cut; else as `recvmsg(2)`.
pub fn receive(connection: &OwnedFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut packet = vec![0; PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut octets = [io::IoSliceMut::new(&mut packet)];
    let received = match recvmsg(
        connection,
        &mut octets,
        &mut beside,
        RecvFlags::CMSG_CLOEXEC,
    ) {
        Ok(received) => received,
        // A process that was killed leaves its end so.
        Err(Errno::CONNRESET) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(all) = message {
            descriptors.extend(all);
        }
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        let what = "a packet was cut: this process may not open as many files as it is given";
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    if received.bytes == 0 {
        return Ok(None);
    }
    packet.truncate(received.bytes);
    Ok(Some((packet, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    /// A pair that speaks at `dir/name`.
    fn pair(dir: &Path, name: &str) -> (OwnedFd, OwnedFd) {
        let listener = listen_at(dir, name).unwrap();
        let client = connect_to(dir, name).unwrap().unwrap();
        (client, accept_one(&listener).unwrap())
    }

    #[test]
    fn packets_keep_their_bounds_and_carry_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = pair(dir.path(), "s");
        let (mut reader, writer) = std::io::pipe().unwrap();
        send(&a, b"one", &[]).unwrap();
        send(&a, b"two", &[writer.as_fd()]).unwrap();
        drop(writer);
        assert_eq!(receive(&b).unwrap().unwrap().0, b"one");
        let (packet, descriptors) = receive(&b).unwrap().unwrap();
        assert_eq!((packet.as_slice(), descriptors.len()), (&b"two"[..], 1));
        let received = descriptors.into_iter().next().unwrap();
        std::fs::File::from(received).write_all(b"x").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        let none = receive(&b).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert!(receive(&b).unwrap().is_none());
    }

    #[test]
    fn as_many_descriptors_as_may_be_fit_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = pair(dir.path(), "s");
        let many = vec![a.as_fd(); DESCRIPTORS];
        send(&a, &[7; PACKET], &many).unwrap();
        let (packet, descriptors) = receive(&b).unwrap().unwrap();
        assert_eq!((packet.len(), descriptors.len()), (PACKET, DESCRIPTORS));
        let too_many = vec![a.as_fd(); DESCRIPTORS + 1];
        let refused = send(&a, b"x", &too_many).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        let refused = send(&a, &[7; PACKET + 1], &[]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_other_end_is_known_and_the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = pair(dir.path(), "s");
        for end in [&a, &b] {
            let who = peer(end).unwrap();
            assert_eq!(who.pid, i32::try_from(std::process::id()).unwrap());
            assert!(may_take(who));
        }
        let me = rustix::process::geteuid().as_raw();
        let other = |uid| Peer { pid: 1, uid };
        assert!(may_take(other(0)));
        assert!(!may_take(other(me + 1)));
        let mode = std::fs::metadata(dir.path().join("s"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn where_nobody_listens_there_is_nobody_and_what_a_crash_left_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert!(connect_to(dir.path(), "s").unwrap().is_none());
        drop(listen_at(dir.path(), "s").unwrap());
        assert!(connect_to(dir.path(), "s").unwrap().is_none());
        pair(dir.path(), "s");
    }

    #[test]
    fn a_folder_with_a_long_name_has_room_for_a_socket() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        pair(&deep, "s");
    }
}
