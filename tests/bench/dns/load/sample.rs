//! A few queries one after the other, and what each answer says: two servers that are given the same
//! seed can be compared query by query.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::Error;
use crate::workload::{Queries, Workload};

/// Times that a query is sent before the server counts as dead.
const TRIES: usize = 5;

/// Prints one line per query: response code, number of answers, octets, then the last four octets of
/// the first A record or `-`.
pub(crate) fn run(addr: &str, workload: &str, queries: &str, seed: &str) -> Result<(), Error> {
    let addr: SocketAddr = addr.parse()?;
    let mut source = Queries::new(Workload::of(workload)?, seed.parse()?);
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(addr)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    let (mut query, mut answer) = ([0; 512], [0; 4096]);
    for i in 0..queries.parse::<usize>()? {
        let id = i as u16;
        let len = source.write(id, &mut query);
        let got = ask(&socket, &query[..len], &mut answer)
            .ok_or_else(|| format!("{addr} does not answer"))?;
        let answer = &answer[..got];
        let address = first_a(answer).map_or("-".to_owned(), |a| {
            format!("{}.{}.{}.{}", a[0], a[1], a[2], a[3])
        });
        println!("{} {} {got} {address}", answer[3] & 15, answer[7]);
    }
    Ok(())
}

fn ask(socket: &UdpSocket, query: &[u8], answer: &mut [u8]) -> Option<usize> {
    for _ in 0..TRIES {
        // A refusal (ICMP) shows at the next call; then it is tried again like a loss.
        if socket.send(query).is_err() {
            continue;
        }
        while let Ok(n) = socket.recv(answer) {
            if n >= 12 && answer[..2] == query[..2] {
                return Some(n);
            }
        }
    }
    None
}

/// The data of the first A record of the answer section.
fn first_a(answer: &[u8]) -> Option<[u8; 4]> {
    let mut at = name_end(answer, 12)? + 4;
    for _ in 0..answer[7] {
        let fixed = name_end(answer, at)?;
        let head = answer.get(fixed..fixed + 10)?;
        let len = usize::from(u16::from_be_bytes([head[8], head[9]]));
        let data = answer.get(fixed + 10..fixed + 10 + len)?;
        if head[..2] == [0, 1] {
            return data.try_into().ok();
        }
        at = fixed + 10 + len;
    }
    None
}

fn name_end(answer: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *answer.get(at)? {
            0 => return Some(at + 1),
            len if len >= 0xC0 => return Some(at + 2),
            len => at += 1 + usize::from(len),
        }
    }
}
