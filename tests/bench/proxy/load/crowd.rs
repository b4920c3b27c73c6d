//! Many clients of one address, in a closed or in an open loop.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::Error;
use crate::client::{Client, Scratch};
use crate::poll::Poll;
use crate::random::Random;
use crate::tally::Tally;
use crate::workload::Workload;

/// How long answers are waited for at the end. What has not come then has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Failures in a row after which there is no point in going on.
const HOPELESS: usize = 1000;

pub(crate) struct Crowd {
    poll: Poll,
    clients: Vec<Client>,
    addr: SocketAddr,
    workload: Workload,
    scratch: Scratch,
    random: Random,
    /// Where the search for a free client begins.
    next: usize,
    in_a_row: usize,
}

/// How often someone is told the tally, and who.
pub(crate) type Slices<'a> = (Duration, &'a mut dyn FnMut(&mut Tally));

impl Crowd {
    /// All clients connect.
    pub(crate) fn new(addr: SocketAddr, workload: Workload) -> Result<Crowd, Error> {
        let mut crowd = Crowd {
            poll: Poll::new()?,
            clients: Vec::new(),
            addr,
            scratch: Scratch::new(),
            random: Random::new(7),
            next: 0,
            in_a_row: 0,
            workload,
        };
        for key in 0..crowd.workload.connections {
            let client = Client::open(addr, &crowd.workload)?;
            crowd.poll.add(client.wire.socket(), key)?;
            crowd.clients.push(client);
        }
        Ok(crowd)
    }

    /// How many clients there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    fn flying(&self) -> usize {
        self.clients.iter().map(Client::flying).sum()
    }

    fn reopen(&mut self, key: usize) -> Result<(), Error> {
        let client = Client::open(self.addr, &self.workload)?;
        self.poll.add(client.wire.socket(), key)?;
        self.clients[key] = client;
        Ok(())
    }

    fn ask(&mut self, key: usize, due: Instant) -> Result<(), Error> {
        let requests = &self.workload.requests;
        let request = match requests.len() {
            0 => None,
            1 => Some(&requests[0][..]),
            n => Some(&requests[self.random.below(n)][..]),
        };
        let client = &mut self.clients[key];
        client.ask(request, self.workload.length, due)
    }

    /// Gives a client all requests that it takes.
    fn fill(&mut self, key: usize) -> Result<(), Error> {
        while self.clients[key].free() {
            self.ask(key, Instant::now())?;
        }
        self.clients[key].flush()
    }

    /// Takes what came for one client.
    fn ready(&mut self, key: usize, tally: &mut Tally) -> Result<(), Error> {
        let client = &mut self.clients[key];
        let before = tally.answers();
        let result = client.receive(&mut self.scratch, self.workload.length, |due| {
            tally.answered(due);
        });
        if tally.answers() > before {
            self.in_a_row = 0;
        }
        if let Ok(true) = result {
            return Ok(());
        }
        // A connection that ends with nothing under way did nothing wrong.
        let lost = client.flying();
        tally.failed += lost;
        self.in_a_row += lost;
        if self.in_a_row > HOPELESS {
            return Err(match result {
                Err(error) => error,
                Ok(_) => "the server closes before it answers".into(),
            });
        }
        self.reopen(key)
    }

    /// Replaces connections that were closed while nobody asked.
    fn freshen(&mut self, tally: &mut Tally) -> Result<(), Error> {
        self.poll.wait(Some(Duration::ZERO))?;
        while let Some(key) = self.poll.take() {
            self.ready(key, tally)?;
        }
        Ok(())
    }

    /// Waits for what is under way.
    fn drain(&mut self, tally: &mut Tally) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        while self.flying() > 0 {
            if Instant::now() > until {
                for key in 0..self.clients.len() {
                    tally.failed += self.clients[key].flying();
                    self.reopen(key)?;
                }
                return Ok(());
            }
            self.poll.wait(Some(Duration::from_millis(100)))?;
            while let Some(key) = self.poll.take() {
                self.ready(key, tally)?;
            }
        }
        Ok(())
    }

    /// Asks for `time`, each client again as soon as it has its answer, and until all answers are
    /// there. `slice` is told the tally every `every`.
    pub(crate) fn closed(
        &mut self,
        time: Duration,
        tally: &mut Tally,
        mut slices: Option<Slices<'_>>,
    ) -> Result<(), Error> {
        self.freshen(tally)?;
        let start = Instant::now();
        let mut told = start;
        for key in 0..self.clients.len() {
            self.fill(key)?;
        }
        loop {
            self.poll.wait(Some(Duration::from_millis(20)))?;
            while let Some(key) = self.poll.take() {
                self.ready(key, tally)?;
                self.fill(key)?;
            }
            let now = Instant::now();
            if let Some((every, tell)) = &mut slices
                && now - told >= *every
            {
                tell(tally);
                tally.clear();
                told += *every;
            }
            if now - start >= time {
                return self.drain(tally);
            }
        }
    }

    /// Asks for `time` at random moments, `rate` times a second, whatever becomes of the answers.
    pub(crate) fn open(
        &mut self,
        time: Duration,
        rate: f64,
        tally: &mut Tally,
    ) -> Result<(), Error> {
        self.freshen(tally)?;
        let start = Instant::now();
        let mut due = start;
        // Requests for which no client was free.
        let mut waiting: VecDeque<Instant> = VecDeque::new();
        loop {
            let now = Instant::now();
            while due <= now && due - start < time {
                waiting.push_back(due);
                // The time between two events of a Poisson process.
                let uniform = (self.random.next() >> 11) as f64 / (1_u64 << 53) as f64;
                due += Duration::from_secs_f64(-(1.0 - uniform).ln() / rate);
            }
            while let Some(first) = waiting.front().copied()
                && let Some(key) = self.free()
            {
                self.ask(key, first)?;
                self.clients[key].flush()?;
                waiting.pop_front();
            }
            if due - start >= time && waiting.is_empty() {
                return self.drain(tally);
            }
            if now - start > time + PATIENCE {
                tally.failed += waiting.len();
                return self.drain(tally);
            }
            // None is due any more when the time is over: what is left waits for answers.
            let over = due - start >= time;
            let next = due.saturating_duration_since(now);
            let most = Duration::from_millis(20);
            self.poll
                .wait(Some(if over { most } else { next.min(most) }))?;
            while let Some(key) = self.poll.take() {
                self.ready(key, tally)?;
            }
        }
    }

    /// The next client that takes a request.
    fn free(&mut self) -> Option<usize> {
        let n = self.clients.len();
        let key = (0..n)
            .map(|i| (self.next + i) % n)
            .find(|key| self.clients[*key].free())?;
        self.next = (key + 1) % n;
        Some(key)
    }

    /// Asks once on each connection, `at_once` of them together.
    pub(crate) fn once(&mut self, at_once: usize, tally: &mut Tally) -> Result<(), Error> {
        let all: Vec<usize> = (0..self.clients.len()).collect();
        for keys in all.chunks(at_once) {
            for key in keys {
                self.ask(*key, Instant::now())?;
                self.clients[*key].flush()?;
            }
            self.drain(tally)?;
        }
        Ok(())
    }

    /// How many connections the server has not closed.
    pub(crate) fn open_now(&mut self) -> usize {
        self.clients
            .iter()
            .filter(|client| client.wire.is_silent())
            .count()
    }
}
