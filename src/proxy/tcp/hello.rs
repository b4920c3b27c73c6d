//! Looks at the hello of a TLS client and leaves it where it is: in the kernel's queue, from which a
//! backend, or another listener, gets the connection as it came.
//!
//! While the hello is not whole the kernel is told how many octets it needs at least, so that a client that
//! sends it octet by octet wakes nobody before that; nothing is held for it meanwhile.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;

use crate::proxy::watch::Watch;
use crate::proxy::worker::{SCRATCH, Worker};
use crate::sys::peek::{peek, wake_at};
use crate::tls::hello::{self, Hello, HelloError, Malformed};
use crate::traffic::SniRules;

/// How a connection begins.
#[derive(Debug)]
pub enum Beginning {
    /// With this hello.
    Tls(Hello),
    /// Not like TLS.
    Other,
}

/// Why it is not known how a connection begins.
#[derive(Debug, thiserror::Error)]
pub enum NoBeginning {
    /// The client left without a word, as checks of a port do.
    #[error("the client left without a word")]
    Left,
    /// The client ended in the middle of its hello.
    #[error("the client ended before its ClientHello was whole")]
    Cut,
    /// It was not whole in time.
    #[error("the ClientHello did not come in time")]
    Timeout,
    /// It breaks the rules of TLS.
    #[error("ClientHello: {0}")]
    Malformed(Malformed),
    /// The connection.
    #[error("{0}")]
    Io(io::Error),
}

/// Waits until it is known how a connection begins. Nothing is taken off it.
///
/// # Errors
/// [`NoBeginning`]
pub async fn look(
    worker: &Worker,
    tcp: &TcpStream,
    rules: &SniRules,
) -> Result<Beginning, NoBeginning> {
    let watch = Watch::new(&worker.watches);
    watch.set(rules.timeout);
    let mut told = Told::default();
    let looked = watch.bound(wait(worker, tcp, rules.most, &mut told)).await;
    if told.octets > 1 {
        // Whoever gets the connection is to hear of every octet.
        wake_at(tcp, 1).map_err(NoBeginning::Io)?;
    }
    looked.unwrap_or(Err(NoBeginning::Timeout))
}

/// At how many octets the kernel was told to wake us.
#[derive(Default)]
struct Told {
    octets: usize,
}

async fn wait(
    worker: &Worker,
    tcp: &TcpStream,
    most: usize,
    told: &mut Told,
) -> Result<Beginning, NoBeginning> {
    let window = hello::window(most).min(SCRATCH);
    loop {
        let ready = tcp.ready(Interest::READABLE).await;
        // Who has ended sends no more, and the system would go on to call it readable.
        let is_over = ready.map_err(NoBeginning::Io)?.is_read_closed();
        let looked = tcp.try_io(Interest::READABLE, || {
            worker.with_scratch(|scratch| {
                let n = peek(tcp, &mut scratch[..window])?;
                if n == 0 {
                    return Ok(Err(NoBeginning::Left));
                }
                Ok(match hello::read(&scratch[..n], most) {
                    Ok(hello) => Ok(Beginning::Tls(hello)),
                    Err(HelloError::NotTls) => Ok(Beginning::Other),
                    Err(HelloError::Malformed(why)) => Err(NoBeginning::Malformed(why)),
                    Err(HelloError::Incomplete(_)) if is_over => Err(NoBeginning::Cut),
                    Err(HelloError::Incomplete(need)) => {
                        // Set before the readiness is taken back: if they have come meanwhile, the
                        // kernel says so now.
                        wake_at(tcp, need.min(window))?;
                        told.octets = need;
                        return Err(io::ErrorKind::WouldBlock.into());
                    }
                })
            })
        });
        match looked {
            Ok(beginning) => return beginning,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(NoBeginning::Io(error)),
        }
    }
}

/// RFC 8446 section 6: a fatal alert `unrecognized_name` (RFC 6066 section 3), in a record of its own.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// How long a client that is refused may take to end.
const GOODBYE: Duration = Duration::from_secs(1);

/// Octets of it that are still taken in.
const LINGER: usize = 64 << 10;

/// Ends a connection for which no rule is; who began TLS is told why.
pub async fn refuse(worker: &Worker, mut tcp: TcpStream, begun: &Beginning) {
    if matches!(begun, Beginning::Tls(_)) {
        // The send queue is empty, so that it is taken whole.
        let _ = tcp.try_write(&UNRECOGNIZED_NAME);
    }
    let watch = Watch::new(&worker.watches);
    watch.set(GOODBYE);
    // Closing over octets that wait would be a reset, which may overtake the alert.
    let ending = async {
        let mut waste = [0; 1 << 10];
        let mut taken = 0;
        if tcp.shutdown().await.is_err() {
            return;
        }
        while taken < LINGER {
            match tcp.read(&mut waste).await {
                Ok(n @ 1..) => taken += n,
                _ => return,
            }
        }
    };
    watch.bound(ending).await;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arc_swap::ArcSwap;
    use tokio::net::TcpListener;

    use super::*;
    use crate::proxy::stats::WorkerStats;
    use crate::proxy::tier::Tier;
    use crate::time::{Clock, SimClock};

    fn worker(clock: &Arc<SimClock>) -> std::rc::Rc<Worker> {
        Worker::new(
            Arc::new(ArcSwap::from_pointee(Tier::default())),
            clock.clone() as Arc<dyn Clock>,
            Arc::new(WorkerStats::default()),
            0,
            1,
        )
    }

    fn rules() -> SniRules {
        SniRules::new(Duration::from_secs(5), hello::MESSAGE, Vec::new())
    }

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let client = client.unwrap();
        client.set_nodelay(true).unwrap();
        (client, accepted.unwrap().0)
    }

    /// A hello for `a.example` with this much padding, in records of `record` octets.
    fn hello_of(padding: usize, record: usize) -> Vec<u8> {
        let vector = |data: &[u8]| [&(data.len() as u16).to_be_bytes()[..], data].concat();
        let name = [&[0][..], &vector(b"a.example")].concat();
        let sni = [&[0, 0][..], &vector(&vector(&name))].concat();
        let padded = [&[0, 21][..], &vector(&vec![0; padding])].concat();
        let extensions = vector(&[sni, padded].concat());
        let body = [
            &[3, 3][..],
            &[7; 32],
            &[0, 0, 2, 0x13, 1, 1, 0],
            &extensions,
        ]
        .concat();
        let len = (body.len() as u32).to_be_bytes();
        let message = [&[1][..], &len[1..], &body].concat();
        let records = message.chunks(record);
        records
            .flat_map(|part| [&[22, 3, 1][..], &vector(part)].concat())
            .collect()
    }

    #[tokio::test]
    async fn a_hello_is_seen_however_it_comes_and_stays_where_it_is() {
        let worker = worker(&Arc::default());
        for (octets, pieces) in [
            (hello_of(0, 16_384), 1),
            (hello_of(100, 7), 1),
            (hello_of(1_400, 16_384), 1_000),
            (hello_of(16_000, 16_384), 4_000),
            (hello_of(15_000, 40), 1_500),
        ] {
            let (mut client, mut server) = pair().await;
            let rules = rules();
            let sending = async {
                for piece in octets.chunks(pieces) {
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                client.write_all(b"and more").await.unwrap();
            };
            let (looked, ()) = tokio::join!(look(&worker, &server, &rules), sending);
            let Ok(Beginning::Tls(hello)) = looked else {
                panic!("{looked:?}")
            };
            assert_eq!(hello.server_name.as_deref(), Some("a.example"));
            // All of it is there, and a single octet is heard of again.
            let mut got = vec![0; octets.len() + 8];
            server.read_exact(&mut got).await.unwrap();
            assert_eq!(got, [&octets[..], b"and more"].concat());
            client.write_all(b"!").await.unwrap();
            server.readable().await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_no_hello_is_told_at_once() {
        let worker = worker(&Arc::default());
        for (octets, close, told) in [
            (&b"G"[..], false, "Ok(Other)"),
            (b"\x80\x2e\x01", false, "Ok(Other)"),
            (b"", true, "Err(Left)"),
            (&hello_of(0, 9)[..40], true, "Err(Cut)"),
            (
                b"\x16\x03\x01\x00\x01\x02",
                false,
                "Err(Malformed(OtherMessage(2)))",
            ),
        ] {
            let (mut client, server) = pair().await;
            client.write_all(octets).await.unwrap();
            if close {
                client.shutdown().await.unwrap();
            }
            let looked = look(&worker, &server, &rules()).await;
            assert_eq!(format!("{looked:?}"), told);
        }
        let (client, server) = pair().await;
        client.set_zero_linger().unwrap();
        drop(client);
        let looked = look(&worker, &server, &rules()).await;
        assert!(matches!(looked, Err(NoBeginning::Io(_))), "{looked:?}");
    }

    #[tokio::test]
    async fn half_a_hello_wakes_nobody_and_ends_in_time() {
        let clock = Arc::new(SimClock::default());
        let worker = worker(&clock);
        let (mut client, server) = pair().await;
        let octets = hello_of(1_000, 16_384);
        let rules = rules();
        let mut looking = std::pin::pin!(look(&worker, &server, &rules));
        let mut polls = 0;
        let slow = async {
            for octet in octets[..800].chunks(1) {
                client.write_all(octet).await.unwrap();
                tokio::task::yield_now().await;
            }
            clock.advance(Duration::from_secs(6));
            worker.watches.tick();
            std::future::pending::<()>().await;
        };
        let counted = std::future::poll_fn(|cx| {
            polls += 1;
            looking.as_mut().poll(cx)
        });
        // Each of them is polled when something happened for it only.
        let looked = tokio::select! {
            biased;
            () = apart(slow) => unreachable!(),
            looked = apart(counted) => looked,
        };
        assert!(matches!(looked, Err(NoBeginning::Timeout)), "{looked:?}");
        assert!(polls < 20, "{polls} looks at 800 octets");
    }

    /// Polls a future only when it was woken itself, not when its neighbours were.
    async fn apart<T>(future: impl Future<Output = T>) -> T {
        use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
        use std::task::{Context, Poll, Wake, Waker};
        struct Own {
            woken: AtomicBool,
            outer: std::sync::Mutex<Waker>,
        }
        impl Wake for Own {
            fn wake(self: Arc<Self>) {
                self.woken.store(true, SeqCst);
                self.outer.lock().unwrap().wake_by_ref();
            }
        }
        let mut future = std::pin::pin!(future);
        let own = Arc::new(Own {
            woken: AtomicBool::new(true),
            outer: std::sync::Mutex::new(Waker::noop().clone()),
        });
        std::future::poll_fn(|cx| {
            own.outer.lock().unwrap().clone_from(cx.waker());
            if !own.woken.swap(false, SeqCst) {
                return Poll::Pending;
            }
            let waker = Waker::from(own.clone());
            future.as_mut().poll(&mut Context::from_waker(&waker))
        })
        .await
    }
}
