//! What systemd is told (sd_notify(3)): that the node is up, and which process it is by now.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells that this process is the node, and that it serves.
pub fn ready(generation: u64) {
    let pid = std::process::id();
    tell(&format!(
        "MAINPID={pid}\nREADY=1\nSTATUS=Serving, generation {generation}"
    ));
}

/// Tells that the node stops. Not to be told by a process whose node goes on in another.
pub fn stopping() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|s| !s.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        let socket = socket.display();
        tracing::warn!(%error, %socket, "the service manager cannot be told that the node is up");
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_with_a_path_and_one_with_an_abstract_name_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("tradewind-test-{}", std::process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        let receivers = [
            (path.clone().into_os_string(), UnixDatagram::bind(&path)),
            (
                format!("@{name}").into(),
                UnixDatagram::bind_addr(&abstract_name),
            ),
        ];
        for (socket, receiver) in receivers {
            let receiver = receiver.unwrap();
            send(&socket, "READY=1").unwrap();
            let mut text = [0; 64];
            let n = receiver.recv(&mut text).unwrap();
            assert_eq!(&text[..n], b"READY=1");
        }
        assert!(send(OsStr::new("/nowhere/at/all"), "READY=1").is_err());
    }
}
