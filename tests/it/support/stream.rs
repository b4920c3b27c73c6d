//! Backends that speak no HTTP: what they do with a connection is a function.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use socket2::{Domain, Socket, Type};

/// A TCP server on a free port, one thread per connection. It ends with the test's process.
pub struct StreamBackend {
    pub addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl StreamBackend {
    pub fn with(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> StreamBackend {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (counted, serve) = (accepted.clone(), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, SeqCst);
                let serve = serve.clone();
                thread::spawn(move || serve(stream));
            }
        });
        StreamBackend { addr, accepted }
    }

    /// Sends back what it gets, until the other side ends.
    pub fn echo() -> StreamBackend {
        StreamBackend::with(|mut stream| {
            let mut space = vec![0; 64 << 10];
            while let Ok(n @ 1..) = stream.read(&mut space) {
                if stream.write_all(&space[..n]).is_err() {
                    return;
                }
            }
            let _ = stream.shutdown(Shutdown::Write);
        })
    }

    /// Says `name` and ends.
    pub fn named(name: &'static str) -> StreamBackend {
        StreamBackend::with(move |mut stream| {
            let _ = stream.write_all(name.as_bytes());
        })
    }

    /// Where nobody is.
    pub fn absent() -> StreamBackend {
        StreamBackend {
            addr: nobody(),
            accepted: Arc::default(),
        }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.accepted.load(SeqCst)
    }
}

/// An address where nobody listens, and nobody will: the port stays taken until the test's process ends, or
/// another test could be given it.
pub fn nobody() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    std::mem::forget(socket);
    addr
}
