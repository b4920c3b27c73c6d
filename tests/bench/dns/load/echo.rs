//! The floor: what moving datagrams costs when nothing is done with them.

use std::net::UdpSocket;

use crate::Error;
use crate::batch::Batch;

/// Datagrams per system call, as the server has it.
const BATCH: usize = 64;

/// Prints `ready ADDR` and sends back whatever comes until it is killed.
pub(crate) fn run() -> Result<(), Error> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    // As long a queue as the servers have.
    socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 20)?;
    println!("ready {}", socket.local_addr()?);
    let mut batch = Batch::new(BATCH, true);
    loop {
        let n = batch.receive(&socket, libc::MSG_WAITFORONE)?;
        for i in 0..n {
            let len = batch.received(i).len();
            batch.set_len(i, len);
        }
        batch.send(&socket, n)?;
    }
}
