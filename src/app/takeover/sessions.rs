//! Sessions of datagrams on their way from the old process to the new one: how they are written down, and how
//! they are given, bounded in number and in time.
//!
//! Datagrams wait in their sockets meanwhile, so this must be short: what does not go over in time is
//! dropped and counted, and the clients' next datagrams begin new sessions.

use std::fmt::{self, Write as _};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::str::FromStr;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::link::Link;
use super::message::{Garbled, Label, Message};
use crate::app::proxy::{Carrier, label, place};
use crate::proxy::udp::handed::{Carried, Handed};
use crate::proxy::udp::{Batch, HandedIds};
use crate::sys::pass::{DESCRIPTORS, PACKET};
use crate::traffic::udp::connection_ids::{Learned, LearnedId};
use crate::traffic::udp::table::Key;

/// Sessions of one listening socket that go over at most: each is a descriptor.
pub const MOST_SESSIONS: usize = 65_536;

/// Connection ids of one listener that go over at most.
pub const MOST_IDS: usize = 131_072;

/// How long giving may take; milliseconds on a machine that is not overloaded.
pub const GIVING: Duration = Duration::from_secs(2);

/// Between two tries while as many descriptors are under way as this user may have.
const AGAIN: Duration = Duration::from_millis(2);

/// Octets of a packet of ids: what is beside them fits into the rest.
const IDS: usize = PACKET - 4096;

/// A session as it is written down; its socket travels beside it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// Whose it is.
    pub key: Key,
    /// What it has carried.
    pub carried: Carried,
    /// The name of its backend.
    pub backend: Box<str>,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.carried;
        write!(f, "{} ", self.key.client)?;
        match self.key.local {
            Some(local) => write!(f, "{local}")?,
            None => f.write_char('-')?,
        }
        let (age, silent) = (c.age.as_millis(), c.silent.as_millis());
        let (tries, proven, backend) = (c.tries, u8::from(c.proven), &self.backend);
        let (requests, answers) = (c.requests, c.answers);
        let (octets_in, octets_out) = (c.octets_in, c.octets_out);
        write!(
            f,
            " {age} {silent} {requests} {octets_in} {answers} {octets_out} {tries} {proven} {backend}"
        )
    }
}

/// The next word as what it is.
fn next<'t, T: FromStr>(words: &mut impl Iterator<Item = &'t str>) -> Result<T, Garbled> {
    words.next().and_then(|w| w.parse().ok()).ok_or(Garbled)
}

fn yes(word: u8) -> Result<bool, Garbled> {
    match word {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Garbled),
    }
}

impl FromStr for Passed {
    type Err = Garbled;
    fn from_str(line: &str) -> Result<Passed, Garbled> {
        let mut words = line.splitn(11, ' ');
        let w = &mut words;
        let client = next(w)?;
        let local = match w.next() {
            Some("-") => None,
            Some(local) => Some(local.parse().map_err(|_| Garbled)?),
            None => return Err(Garbled),
        };
        let carried = Carried {
            age: Duration::from_millis(next(w)?),
            silent: Duration::from_millis(next(w)?),
            requests: next(w)?,
            octets_in: next(w)?,
            answers: next(w)?,
            octets_out: next(w)?,
            tries: next(w)?,
            proven: yes(next(w)?)?,
        };
        Ok(Passed {
            key: Key { client, local },
            carried,
            backend: w.next().ok_or(Garbled)?.into(),
        })
    }
}

/// The message of some ids: the listener, the secret, the backends after their number, then the ids.
pub fn write_ids(ids: &HandedIds) -> String {
    let Learned { seed, lengths, .. } = &ids.learned;
    let mut text = format!("{}\n{} {} {lengths}\n", ids.listener, seed[0], seed[1]);
    // Writing to a String cannot fail.
    let _ = write!(text, "{}", ids.backends.len());
    for (name, address) in &ids.backends {
        let _ = write!(text, "\n{address} {name}");
    }
    for id in &ids.learned.ids {
        let (silent, used) = (id.silent.as_millis(), u8::from(id.used));
        let _ = write!(text, "\n{} {} {silent} {used}", id.hash, id.backend);
    }
    text
}

/// Of [`write_ids`].
///
/// # Errors
/// When it is none.
pub fn read_ids(text: &str) -> Result<HandedIds, Garbled> {
    let mut lines = text.split('\n');
    let listener = lines.next().ok_or(Garbled)?.into();
    let mut words = lines.next().ok_or(Garbled)?.split(' ');
    let seed = [next(&mut words)?, next(&mut words)?];
    let lengths = next(&mut words)?;
    let count: usize = next(&mut lines)?;
    let backend = |line: &str| {
        let (address, name) = line.split_once(' ').ok_or(Garbled)?;
        Ok((name.into(), address.parse().map_err(|_| Garbled)?))
    };
    let backends = lines.by_ref().take(count).map(backend);
    let backends = backends.collect::<Result<Vec<_>, Garbled>>()?;
    if backends.len() != count {
        return Err(Garbled);
    }
    let id = |line: &str| {
        let mut words = line.split(' ');
        let w = &mut words;
        Ok(LearnedId {
            hash: next(w)?,
            backend: next(w)?,
            silent: Duration::from_millis(next(w)?),
            used: yes(next(w)?)?,
        })
    };
    Ok(HandedIds {
        listener,
        backends,
        learned: Learned {
            seed,
            lengths,
            ids: lines.map(id).collect::<Result<_, Garbled>>()?,
        },
    })
}

/// The ids in parts that are one packet each. Ids of backends whose names alone are longer are left out.
fn parts(ids: &HandedIds) -> Vec<HandedIds> {
    let empty = || HandedIds {
        listener: ids.listener.clone(),
        backends: Vec::new(),
        learned: Learned {
            ids: Vec::new(),
            ..ids.learned
        },
    };
    let mut all = Vec::new();
    let (mut part, mut octets) = (empty(), 0);
    for id in &ids.learned.ids {
        let found = usize::try_from(id.backend).ok();
        let Some(backend) = found.and_then(|at| ids.backends.get(at)) else {
            continue;
        };
        // Numbers of their full length.
        let takes = 20 + 20 + 20 + 5;
        let names = backend.0.len() + 64;
        if octets + takes + names > IDS {
            all.push(std::mem::replace(&mut part, empty()));
            octets = 0;
        }
        if takes + names > IDS {
            continue;
        }
        octets += takes;
        let known = part.backends.iter().position(|b| b == backend);
        let place = known.unwrap_or_else(|| {
            octets += names;
            part.backends.push(backend.clone());
            part.backends.len() - 1
        });
        part.learned.ids.push(LearnedId {
            backend: place as u64,
            ..*id
        });
    }
    if !part.learned.ids.is_empty() {
        all.push(part);
    }
    all
}

/// Adds ids to those of the same listener that came before.
pub fn gather(all: &mut Vec<HandedIds>, part: HandedIds) {
    let Some(known) = all.iter_mut().find(|h| h.listener == part.listener) else {
        all.push(part);
        return;
    };
    let base = known.backends.len() as u64;
    known.backends.extend(part.backends);
    let ids = part.learned.ids.into_iter();
    known.learned.ids.extend(ids.map(|id| LearnedId {
        backend: base.saturating_add(id.backend),
        ..id
    }));
}

/// Sessions as they came, with their sockets.
pub fn batch(label: &Label, nth: usize, list: Vec<Passed>, sockets: Vec<OwnedFd>) -> Batch {
    let all = list.into_iter().zip(sockets);
    let sessions = all.map(|(passed, socket)| Handed {
        key: passed.key,
        backend: passed.backend,
        socket: socket.into(),
        carried: passed.carried,
    });
    Batch {
        place: place(label),
        nth,
        sessions: sessions.collect(),
    }
}

/// Gives the sessions of a proxy that reads no datagrams of clients any more, and what its listeners have
/// learned. Says how many sessions went over, and how many did not.
pub async fn give(link: &Link, carrier: &Carrier) -> (usize, usize) {
    let end = Instant::now() + GIVING;
    let mut batches = carrier.proxy().hand_over(MOST_SESSIONS);
    for ids in carrier.proxy().learned(MOST_IDS) {
        for part in parts(&ids) {
            // Who does not hear this does not hear of sessions either.
            drop(timeout_at(end, link.say(&Message::Ids(part))).await);
        }
    }
    let (mut given, mut lost) = (0, 0);
    while let Ok(Some(batch)) = timeout_at(end, batches.recv()).await {
        let label = label(&batch.place);
        let mut sessions = batch.sessions;
        while !sessions.is_empty() {
            let left = sessions.split_off(sessions.len().min(DESCRIPTORS));
            let passed = timeout_at(end, pass(link, &label, batch.nth, &sessions)).await;
            match passed {
                Ok(Ok(())) => given += sessions.len(),
                Ok(Err(_)) | Err(_) => {
                    lost += sessions.len();
                    carrier.proxy().count_lost(&label.name, sessions.len());
                }
            }
            sessions = left;
        }
    }
    // What comes now is counted where it comes from.
    batches.close();
    while let Some(batch) = batches.recv().await {
        lost += batch.sessions.len();
        let name = &batch.place.listener;
        carrier.proxy().count_lost(name, batch.sessions.len());
    }
    (given, lost)
}

/// Passes some sessions, as many as one packet carries.
async fn pass(link: &Link, label: &Label, nth: usize, sessions: &[Handed]) -> io::Result<()> {
    let list = sessions.iter().map(|s| Passed {
        key: s.key,
        carried: s.carried,
        backend: s.backend.clone(),
    });
    let message = Message::Sessions {
        label: label.clone(),
        nth,
        list: list.collect(),
    };
    let sockets: Vec<_> = sessions.iter().map(|s| s.socket.as_fd()).collect();
    loop {
        match link.send(&message, &sockets).await {
            // They are counted until the other process has taken them.
            Err(e) if e.raw_os_error() == Some(libc::ETOOMANYREFS) => sleep(AGAIN).await,
            passed => return passed,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{IpAddr, SocketAddr};

    fn address() -> impl Strategy<Value = SocketAddr> {
        (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from)
    }

    pub(crate) fn passed() -> impl Strategy<Value = Passed> {
        let spans = (any::<u32>(), any::<u32>());
        let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
        let rest = (any::<u32>(), any::<bool>(), "[a-z0-9 .-]{1,20}");
        (address(), any::<Option<IpAddr>>(), spans, counts, rest).prop_map(
            |(client, local, (age, silent), (requests, octets_in, answers, octets_out), rest)| {
                let (tries, proven, backend) = rest;
                Passed {
                    key: Key { client, local },
                    carried: Carried {
                        age: Duration::from_millis(age.into()),
                        silent: Duration::from_millis(silent.into()),
                        requests,
                        octets_in,
                        answers,
                        octets_out,
                        tries,
                        proven,
                    },
                    backend: backend.into(),
                }
            },
        )
    }

    pub(crate) fn ids(most: usize) -> impl Strategy<Value = HandedIds> {
        let backends = prop::collection::vec(("[a-z0-9 .-]{1,20}", address()), 1..4);
        let one = (any::<u64>(), any::<u8>(), any::<u32>(), any::<bool>());
        let ids = prop::collection::vec(one, 0..most);
        (backends, ids, any::<[u64; 2]>(), any::<u32>()).prop_map(
            |(backends, ids, seed, lengths)| {
                let count = backends.len() as u64;
                let ids = ids
                    .into_iter()
                    .map(|(hash, backend, silent, used)| LearnedId {
                        hash,
                        backend: u64::from(backend) % count,
                        silent: Duration::from_millis(silent.into()),
                        used,
                    });
                HandedIds {
                    listener: "quic".into(),
                    learned: Learned {
                        seed,
                        lengths,
                        ids: ids.collect(),
                    },
                    backends: backends
                        .into_iter()
                        .map(|(name, address)| (name.into(), address))
                        .collect(),
                }
            },
        )
    }

    /// Each id with its backend's name and address.
    fn resolved(ids: &HandedIds) -> Vec<(u64, Box<str>, SocketAddr)> {
        let of = |id: &LearnedId| {
            let (name, address) = ids.backends[usize::try_from(id.backend).unwrap()].clone();
            (id.hash, name, address)
        };
        ids.learned.ids.iter().map(of).collect()
    }

    proptest! {
        #[test]
        fn p2_a_session_that_is_written_down_is_read_again(passed in passed()) {
            prop_assert_eq!(passed.to_string().parse(), Ok(passed));
        }

        #[test]
        fn p2_ids_that_are_written_down_are_read_again(ids in ids(20)) {
            prop_assert_eq!(read_ids(&write_ids(&ids)), Ok(ids));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(text in ".{0,80}") {
            drop(text.parse::<Passed>());
            drop(read_ids(&text));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn p2_many_ids_come_in_parts_that_fit_and_are_whole_again(ids in ids(4000)) {
            let mut all = Vec::new();
            for part in parts(&ids) {
                let text = write_ids(&part);
                prop_assert!(text.len() < PACKET, "{}", text.len());
                gather(&mut all, read_ids(&text).unwrap());
            }
            let whole: Vec<_> = all.iter().flat_map(resolved).collect();
            prop_assert_eq!(whole, resolved(&ids));
            if let Some(one) = all.first() {
                prop_assert_eq!(one.learned.seed, ids.learned.seed);
            }
        }
    }
}
