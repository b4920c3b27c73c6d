//! A connected socket with a window of queries in flight.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use crate::Error;
use crate::batch::Batch;
use crate::workload::Queries;

/// Queries in flight per flow. The lower bits of a query's id are its place in the window.
pub(crate) const WINDOW: usize = 16;

/// What came back.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    pub(crate) answers: u64,
    /// NOERROR with records in the answer section.
    pub(crate) records: u64,
    /// NOERROR without.
    pub(crate) empty: u64,
    pub(crate) nxdomain: u64,
    /// Other codes, and what was not asked for.
    pub(crate) other: u64,
    /// Queries by microseconds from sending to answer; the last place holds all longer ones.
    pub(crate) micros: Vec<u32>,
}

/// Microseconds that a [`Tally`] tells apart.
pub(crate) const LONGEST: usize = 100_000;

impl Tally {
    pub(crate) fn new() -> Tally {
        Tally {
            micros: vec![0; LONGEST + 1],
            ..Tally::default()
        }
    }

    pub(crate) fn clear(&mut self) {
        let mut micros = std::mem::take(&mut self.micros);
        micros.fill(0);
        *self = Tally {
            micros,
            ..Tally::default()
        };
    }

    /// The time within which a share of the answers came, in microseconds.
    pub(crate) fn quantile(&self, share: f64) -> usize {
        let wanted = (self.answers as f64 * share) as u64;
        let mut sum = 0;
        for (micros, n) in self.micros.iter().enumerate() {
            sum += u64::from(*n);
            if sum > wanted {
                return micros;
            }
        }
        LONGEST
    }

    fn add(&mut self, answer: &[u8], waited: usize) {
        self.answers += 1;
        self.micros[waited.min(LONGEST)] += 1;
        match (answer[3] & 15, answer[7]) {
            (0, 0) => self.empty += 1,
            (0, _) => self.records += 1,
            (3, _) => self.nxdomain += 1,
            _ => self.other += 1,
        }
    }
}

/// One socket, its window, and when each query in it was sent.
pub(crate) struct Flow {
    socket: UdpSocket,
    inbound: Batch,
    outbound: Batch,
    /// By place: the id in flight and when it was sent.
    sent: [Option<(u16, Instant)>; WINDOW],
    turn: u16,
}

impl Flow {
    pub(crate) fn new(server: SocketAddr) -> Result<Flow, Error> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(server)?;
        Ok(Flow {
            socket,
            inbound: Batch::new(WINDOW, false),
            outbound: Batch::new(WINDOW, false),
            sent: [None; WINDOW],
            turn: 0,
        })
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.sent.iter().flatten().count()
    }

    /// Gives up what is in flight.
    pub(crate) fn forget(&mut self) {
        self.sent = [None; WINDOW];
    }

    /// Takes the answers that are there.
    pub(crate) fn take(&mut self, tally: &mut Tally) -> Result<(), Error> {
        let n = self.inbound.receive(&self.socket, libc::MSG_DONTWAIT)?;
        if n == 0 {
            return Ok(());
        }
        let now = Instant::now();
        for i in 0..n {
            let answer = self.inbound.received(i);
            if answer.len() < 12 {
                tally.other += 1;
                continue;
            }
            let id = u16::from_be_bytes([answer[0], answer[1]]);
            let place = &mut self.sent[usize::from(id) % WINDOW];
            match *place {
                Some((expected, when)) if expected == id => {
                    *place = None;
                    tally.add(answer, now.duration_since(when).as_micros() as usize);
                }
                // Late, after it was given up.
                _ => tally.other += 1,
            }
        }
        Ok(())
    }

    /// Fills the window.
    pub(crate) fn fill(&mut self, queries: &mut Queries) -> Result<(), Error> {
        let mut n = 0;
        let mut now = None;
        for place in 0..WINDOW {
            if self.sent[place].is_some() {
                continue;
            }
            self.turn = self.turn.wrapping_add(1);
            let id = self.turn << 4 | place as u16;
            let len = queries.write(id, self.outbound.buffer(n));
            self.outbound.set_len(n, len);
            self.sent[place] = Some((id, *now.get_or_insert_with(Instant::now)));
            n += 1;
        }
        if n > 0 && self.outbound.send(&self.socket, n)? < n {
            return Err("the system takes no more queries".into());
        }
        Ok(())
    }
}
