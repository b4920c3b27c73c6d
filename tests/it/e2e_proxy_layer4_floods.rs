//! Floods at layer 4: connections that idle, that say nothing, that are too many, and descriptors that
//! run out. Memory stays bounded, every connection is counted with its reason, and other listeners go on.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::support::backend::Backend;
use crate::support::proxy::{Proxy, WEB, backend_entry};
use crate::support::stream::StreamBackend;
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

/// A listener `l4` of TCP, and `web` beside it.
fn config(l4: &str, app: SocketAddr, web: SocketAddr) -> String {
    format!(
        "[listeners.l4]\nbind = [\"127.0.0.1:0\"]\nprotocol = \"tcp\"\nforward = \"l4\"\n{l4}\n\
         [listeners.l4.tcp]\nhalf-close-timeout = \"30s\"\n\
         [upstreams.l4]\nconnect-timeout = \"30s\"\n{}{WEB}{}",
        backend_entry("l4", "b", app),
        backend_entry("app", "b0", web)
    )
}

/// A backend that takes connections and holds them without a word; no thread for each.
struct Holder {
    addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    held: Arc<Mutex<Vec<TcpStream>>>,
}

impl Holder {
    fn start() -> Holder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let held = Arc::new(Mutex::new(Vec::new()));
        let accepted = Arc::new(AtomicUsize::new(0));
        let (all, counted) = (held.clone(), accepted.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                all.lock().unwrap().push(stream);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Holder {
            addr,
            accepted,
            held,
        }
    }

    /// Connections so far.
    fn count(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Ends those that it holds.
    fn release(&self) {
        self.held.lock().unwrap().clear();
    }
}

/// The value of a metric of the listener `l4`; 0 without a sample.
fn metric(proxy: &Proxy, name: &str, reason: Option<&str>) -> u64 {
    let reason = reason.map_or_else(String::new, |r| format!(",reason=\"{r}\""));
    let labels = format!("{{listener=\"l4\",protocol=\"tcp\"{reason}}} ");
    let start = format!("tradewind_proxy_listener_{name}{labels}");
    let page = http::get(proxy.node.admin, "/metrics").body;
    let value = page.lines().find_map(|l| l.strip_prefix(&*start));
    value.map_or(0, |v| v.parse().unwrap())
}

fn open(proxy: &Proxy) -> usize {
    metric(proxy, "flows_open", None) as usize
}

/// Opens connections that say nothing, and waits until the proxy has them.
fn idle_connections(proxy: &Proxy, count: usize) -> Vec<TcpStream> {
    let before = open(proxy);
    let to = proxy.addr("l4");
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        // Not more at once than wait to be accepted: what is beyond is lost, and tried again much later.
        let some = (count - all.len()).min(1000);
        all.extend((0..some).map(|_| TcpStream::connect(to).unwrap()));
        wait_for("the proxy has them all", PATIENCE, || {
            (open(proxy) == before + all.len()).then_some(())
        });
    }
    all
}

/// Ends connections at the client, and then at the backend.
fn end_all(proxy: &Proxy, holder: &Holder, all: Vec<TcpStream>) {
    drop(all);
    wait_for("they have ended", PATIENCE, || {
        // Not before the proxy has passed the client's end on.
        let mut held = holder.held.lock().unwrap();
        held.retain(|stream| {
            stream.set_nonblocking(true).unwrap();
            !matches!((&*stream).read(&mut [0]), Ok(0))
        });
        drop(held);
        (open(proxy) == 0).then_some(())
    });
}

/// A request to the other listener is answered in time.
fn assert_others_go_on(proxy: &Proxy) {
    let began = Instant::now();
    proxy.assert_serves();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn idle_connections_take_little_memory_and_disturb_nobody() {
    // Each takes a descriptor of the client and one of the backend here, and as many in the proxy.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = (limit.saturating_sub(1000) / 2).min(5000) as usize;
    assert!(
        count >= 1000,
        "this test needs 3,000 descriptors: `ulimit -n` is {limit}"
    );
    let (holder, web) = (Holder::start(), Backend::start());
    let proxy = Proxy::start(&config("", holder.addr, web.addr));
    // What is allocated once is, before it is measured.
    end_all(&proxy, &holder, idle_connections(&proxy, 200));
    assert_others_go_on(&proxy);
    let before = proxy.node.memory("VmRSS");
    let all = idle_connections(&proxy, count);
    wait_for("each has a backend", PATIENCE, || {
        (holder.count() == 200 + count).then_some(())
    });
    let grown = proxy.node.memory("VmRSS").saturating_sub(before);
    let each = grown as f64 / count as f64;
    eprintln!("{count} idle connections: {grown} KiB, {each:.2} KiB each");
    assert!(each <= 4.0, "{each:.2} KiB for each idle connection");
    for _ in 0..5 {
        assert_others_go_on(&proxy);
    }
    let cpu = proxy.node.cpu();
    let began = Instant::now();
    wait_for("a second has passed", PATIENCE, || {
        (began.elapsed() > Duration::from_secs(1)).then_some(())
    });
    let cpu = proxy.node.cpu() - cpu;
    assert!(
        cpu < Duration::from_millis(500),
        "{cpu:?} of a second for those that idle"
    );
    end_all(&proxy, &holder, all);
    let ended = metric(&proxy, "flows_ended_total", Some("client-closed"));
    assert_eq!(ended as usize, 200 + count);
}

#[test]
fn connections_beyond_the_limits_are_closed_and_counted_and_the_others_go_on() {
    let (echo, web) = (StreamBackend::echo(), Backend::start());
    let l4 = "max-connections = 20\nconnections-per-source = 15";
    let proxy = Proxy::start(&config(l4, echo.addr, web.addr));
    let to = proxy.addr("l4");
    let first = idle_connections(&proxy, 15);
    let flood: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(to).unwrap()).collect();
    wait_for("all of the flood are refused", PATIENCE, || {
        let all = ["max-connections", "connections-per-source"];
        let all = all.map(|why| metric(&proxy, "flows_refused_total", Some(why)));
        (all == [0, 500]).then_some(())
    });
    for mut stream in flood {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert!(
            matches!(stream.read(&mut [0]), Ok(0) | Err(_)),
            "it is closed"
        );
    }
    assert_others_go_on(&proxy);
    // Those that were there are still carried.
    for mut stream in &first {
        stream.write_all(b"x").unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(open(&proxy), 15);
    drop(first);
    wait_for("there is room again", PATIENCE, || {
        (open(&proxy) == 0).then_some(())
    });
    let mut stream = TcpStream::connect(to).unwrap();
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

#[test]
fn connections_that_never_send_their_header_end_in_time() {
    let (echo, web) = (StreamBackend::echo(), Backend::start());
    let l4 = "proxy-protocol = { from = [\"127.0.0.0/8\"], timeout = \"1s\" }";
    let proxy = Proxy::start(&config(l4, echo.addr, web.addr));
    let all = idle_connections(&proxy, 500);
    assert_others_go_on(&proxy);
    wait_for("they have ended", PATIENCE, || {
        (open(&proxy) == 0).then_some(())
    });
    assert_eq!(
        metric(&proxy, "flows_ended_total", Some("bad-proxy-header")),
        500
    );
    assert_eq!(echo.connections(), 0, "no backend heard of them");
    drop(all);
}

#[test]
fn descriptors_that_run_out_neither_end_listeners_nor_spin() {
    let (holder, web) = (Holder::start(), Backend::start());
    let proxy = Proxy::start(&config("", holder.addr, web.addr));
    assert_others_go_on(&proxy);
    let pid = proxy.node.pid();
    let used = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count() as u64;
    let few = Rlimit {
        current: Some(used + 40),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    let child = Pid::from_raw(pid as i32);
    let before = prlimit(child, Resource::Nofile, few).unwrap();
    // The admin API finds no descriptor either, so nothing is asked of it meanwhile.
    let to = proxy.addr("l4");
    let all: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(to).unwrap()).collect();
    proxy.node.wait_logged("cannot accept a connection");
    let cpu = proxy.node.cpu();
    let began = Instant::now();
    wait_for("two seconds have passed", PATIENCE, || {
        (began.elapsed() > Duration::from_secs(2)).then_some(())
    });
    let cpu = proxy.node.cpu() - cpu;
    assert!(cpu < Duration::from_millis(800), "{cpu:?} of two seconds");
    drop(all);
    // Room again, as clients left: both listeners serve.
    wait_for("the other listener serves", PATIENCE, || {
        holder.release();
        let mut stream = TcpStream::connect(proxy.addr("web")).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).ok()?;
        (&start == b"HTTP/1.1 200").then_some(())
    });
    let had = holder.count();
    let again = || {
        let stream = TcpStream::connect(to).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut tries = vec![again()];
    wait_for("the listener carries again", PATIENCE, || {
        // Whoever met no descriptor for the way to the backend is told so, and comes again.
        match tries.last().unwrap().read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ => tries.push(again()),
        }
        (holder.count() > had).then_some(())
    });
    prlimit(child, Resource::Nofile, before).unwrap();
    assert_others_go_on(&proxy);
    // Those that were still waiting to be accepted too.
    let came = 200 + tries.len() as u64;
    wait_for("all have been accepted", PATIENCE, || {
        (metric(&proxy, "flows_total", None) == came).then_some(())
    });
    end_all(&proxy, &holder, tries);
}
