//! Health of backends on the real binary: ejection, retries, probes, queue, slow start (requirements P1,
//! P4).

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::backend::{After, Backend, answer};
use crate::support::demo::tradewind;
use crate::support::proxy::{Proxy, Raw, WEB, backend_entry, get};
use crate::support::{http, wait_for};

const PATIENCE: Duration = Duration::from_secs(20);

/// [`WEB`] with more said of its upstream, and these backends.
fn config(upstream: &str, backends: &[SocketAddr]) -> String {
    let entries = backends.iter().enumerate();
    let entries = entries.map(|(i, a)| backend_entry("app", &format!("b{i}"), *a));
    format!("{WEB}{upstream}{}", entries.collect::<String>())
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn upstream(proxy: &Proxy) -> Value {
    let shown = http::get(proxy.node.admin, "/v1/proxy/upstreams/app").json();
    shown["upstreams"][0].clone()
}

fn state(proxy: &Proxy, backend: usize) -> String {
    let shown = upstream(proxy)["backends"][backend]["state"].clone();
    shown.as_str().unwrap().to_owned()
}

fn wait_state(proxy: &Proxy, backend: usize, wanted: &str) {
    let what = format!("b{backend} to be {wanted}");
    wait_for(&what, PATIENCE, || {
        (state(proxy, backend) == wanted).then_some(())
    });
}

/// A sample origin of our own binary, which a test may kill.
struct Origin {
    child: Child,
    addr: SocketAddr,
}

impl Origin {
    fn start() -> Origin {
        let addr = nobody();
        let child = tradewind()
            .args(["origin", "--listen", &addr.to_string(), "--name", "o"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let origin = Origin { child, addr };
        wait_for("the origin", PATIENCE, || {
            std::net::TcpStream::connect(addr).ok().map(drop)
        });
        origin
    }

    fn kill(&mut self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-9", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap();
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks from several connections until told to stop; says how many answers were 200 and how many not.
fn load<T>(proxy: &Proxy, during: impl FnOnce(&AtomicUsize) -> T) -> (usize, Vec<u16>, T) {
    let (good, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let addr = proxy.addr("web");
    std::thread::scope(|scope| {
        let ask = || {
            let mut bad = Vec::new();
            let mut raw = Raw::connect(addr);
            while !stop.load(SeqCst) {
                raw.send(get("/").as_bytes());
                match raw.try_answer(false) {
                    Some(a) if a.status == 200 => drop(good.fetch_add(1, SeqCst)),
                    Some(a) => bad.push(a.status),
                    None => {
                        bad.push(0);
                        raw = Raw::connect(addr);
                    }
                }
            }
            bad
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        let result = during(&good);
        stop.store(true, SeqCst);
        let bad = clients
            .into_iter()
            .flat_map(|c| c.join().unwrap())
            .collect();
        (good.load(SeqCst), bad, result)
    })
}

#[test]
fn p1_p4_a_backend_killed_under_load_loses_no_idempotent_request_and_gets_no_more() {
    let (mut doomed, stays) = (Origin::start(), Origin::start());
    let rules = "passive = { max-fails = 3, ejection-time = \"1m\" }\nretries = { attempts = 2 }\n";
    let proxy = Proxy::start(&config(rules, &[doomed.addr, stays.addr]));
    let (good, bad, ()) = load(&proxy, |good| {
        wait_for("load", PATIENCE, || (good.load(SeqCst) > 200).then_some(()));
        doomed.kill();
        let before = good.load(SeqCst);
        wait_for("more", PATIENCE, || {
            (good.load(SeqCst) > before + 500).then_some(())
        });
    });
    assert_eq!(bad, [0; 0], "beside {good} good ones");
    assert_eq!(state(&proxy, 0), "ejected");
    let shown = upstream(&proxy);
    let cause = shown["backends"][0]["cause"].as_str().unwrap();
    assert!(cause.starts_with("3 failed requests within 10s"), "{cause}");
    let given = shown["backends"][0]["requests"].as_u64().unwrap();
    (0..20).for_each(|_| proxy.assert_serves());
    assert_eq!(
        upstream(&proxy)["backends"][0]["requests"],
        given,
        "it gets no new request"
    );
}

#[test]
fn p1_a_request_that_may_have_had_its_effect_is_not_repeated() {
    let dies = |_: &crate::support::backend::Got, _: &mut std::net::TcpStream| After::Close;
    let (first, second) = (Backend::with(dies), Backend::with(dies));
    let proxy = Proxy::start(&config(
        "retries = { attempts = 3 }\npassive = { max-fails = 0 }\n",
        &[first.addr, second.addr],
    ));
    let asked = || first.requests() + second.requests();
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(raw.answer().status, 502);
    assert_eq!(asked(), 1, "a POST once");
    assert_eq!(proxy.get("/").status, 502);
    assert_eq!(asked(), 5, "a GET four times");
    let mut raw = Raw::connect(proxy.addr("web"));
    raw.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(raw.answer().status, 502);
    assert_eq!(asked(), 9, "a PUT four times, each with its body");
    let puts: Vec<_> = first.got().into_iter().chain(second.got()).collect();
    assert!(
        puts.iter()
            .filter(|g| g.method == "PUT")
            .all(|g| g.body == b"hi")
    );
}

#[test]
fn p1_statuses_are_retried_where_configured_and_the_answer_of_the_last_try_counts() {
    let busy = Backend::with(|_, stream| {
        answer(stream, 503, b"busy");
        After::Next
    });
    let fine = Backend::start();
    let rules = "retries = { on-status = [503] }\n";
    let proxy = Proxy::start(&config(rules, &[busy.addr, fine.addr]));
    for _ in 0..10 {
        assert_eq!(proxy.get("/ok").status, 200);
    }
    assert!(busy.requests() > 0);
    let alone = Proxy::start(&config(rules, &[busy.addr]));
    let before = busy.requests();
    let last = alone.get("/ok");
    assert_eq!((last.status, last.text().as_str()), (503, "busy"));
    assert_eq!(busy.requests() - before, 2);
}

#[test]
fn p4_all_down_is_answered_with_503_and_retry_after_and_ends_by_itself() {
    let addr = nobody();
    let monitor = "monitor = \"web\"\n";
    let text = format!(
        "{}\n[monitors.web]\ninterval = \"200ms\"\ntimeout = \"150ms\"\nrise = 1\nfall = 1\ntcp = {{}}\n",
        config(monitor, &[addr])
    );
    let proxy = Proxy::start(&text);
    wait_state(&proxy, 0, "down");
    let refused = proxy.get("/");
    assert_eq!(refused.status, 503);
    let after: u64 = refused.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
    let shown = upstream(&proxy);
    assert_eq!(shown["mode"], "nothing: no backend can be used");
    let cause = shown["backends"][0]["cause"].as_str().unwrap().to_owned();
    assert!(cause.starts_with("probes fail: connect failed"), "{cause}");
    assert!(proxy.node.logged("backend is down"));
    let listener = TcpListener::bind(addr).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut octets = [0; 4096];
                while std::io::Read::read(&mut stream, &mut octets).is_ok_and(|n| n > 0) {
                    answer(&mut stream, 200, b"back");
                }
            });
        }
    });
    wait_for("it to be back", PATIENCE, || {
        (proxy.get("/").status == 200).then_some(())
    });
}

#[test]
fn p4_never_more_than_max_ejected_are_ejected() {
    let dead: Vec<SocketAddr> = (0..3).map(|_| nobody()).collect();
    let fine = Backend::start();
    let rules = "passive = { max-fails = 1, max-ejected = \"50%\", ejection-time = \"1m\" }\n\
                 retries = { attempts = 3, min-per-second = 1000 }\n";
    let proxy = Proxy::start(&config(rules, &[dead[0], dead[1], dead[2], fine.addr]));
    for _ in 0..40 {
        assert_eq!(proxy.get("/ok").status, 200);
    }
    let shown = upstream(&proxy);
    let all = shown["backends"].as_array().unwrap();
    let ejected = all.iter().filter(|b| b["state"] == "ejected").count();
    assert_eq!(ejected, 2, "half of four: {shown:#}");
}

#[test]
fn p4_an_ejection_ends_and_one_failure_on_probation_ejects_again() {
    let healthy = Arc::new(AtomicBool::new(false));
    let flag = healthy.clone();
    let flaky = Backend::with(move |_, stream| {
        let status = if flag.load(SeqCst) { 200 } else { 500 };
        answer(stream, status, b"flaky");
        After::Next
    });
    let fine = Backend::start();
    let rules = "passive = { max-fails = 2, on = [\"5xx\"], ejection-time = \"300ms\" }\n";
    let proxy = Proxy::start(&config(rules, &[flaky.addr, fine.addr]));
    let ejections = || {
        upstream(&proxy)["backends"][0]["ejections"]
            .as_u64()
            .unwrap()
    };
    let asked = |wanted: u64| {
        wait_for("ejections", PATIENCE, || {
            proxy.get("/ok");
            (ejections() >= wanted).then_some(())
        });
    };
    asked(1);
    let before = flaky.requests();
    asked(2);
    assert_eq!(flaky.requests() - before, 1, "on probation one is enough");
    healthy.store(true, SeqCst);
    wait_state(&proxy, 0, "up");
    let before = flaky.requests();
    (0..20).for_each(|_| assert_eq!(proxy.get("/ok").status, 200));
    assert!(flaky.requests() > before + 5);
    assert_eq!(ejections(), 2);
}

#[test]
fn requests_wait_for_a_full_backend_in_a_bounded_queue() {
    let open = Arc::new(AtomicBool::new(false));
    let gate = open.clone();
    let most = Arc::new(AtomicUsize::new(0));
    let (busy, peak) = (Arc::new(AtomicUsize::new(0)), most.clone());
    let slow = Backend::with(move |got, stream| {
        peak.fetch_max(busy.fetch_add(1, SeqCst) + 1, SeqCst);
        if got.target == "/slow" {
            wait_for("the gate", PATIENCE, || gate.load(SeqCst).then_some(()));
        }
        busy.fetch_sub(1, SeqCst);
        answer(stream, 200, b"ok");
        After::Next
    });
    let rules = "max-connections = 2\nqueue = { size = 3, timeout = \"900ms\" }\n";
    let text = config(rules, &[slow.addr]).replace(
        "first-byte-timeout = \"1s\"",
        "first-byte-timeout = \"20s\"",
    );
    let proxy = Proxy::start(&text);
    let begin = |path: &str| {
        let mut raw = Raw::connect(proxy.addr("web"));
        raw.send(get(path).as_bytes());
        raw
    };
    let mut held: Vec<Raw> = (0..2).map(|_| begin("/slow")).collect();
    wait_for("both", PATIENCE, || (slow.busy() == 2).then_some(()));
    let waiting = || upstream(&proxy)["queue"]["waiting"].as_u64();
    let mut queued: Vec<Raw> = (0..3).map(|_| begin("/")).collect();
    wait_for("the queue", PATIENCE, || {
        (waiting() == Some(3)).then_some(())
    });
    let full = begin("/").answer();
    assert_eq!((full.status, full.field("retry-after")), (503, Some("1")));
    for raw in &mut queued {
        assert_eq!(raw.answer().status, 503, "waited in vain");
    }
    let queue = upstream(&proxy)["queue"].clone();
    assert_eq!(
        (&queue["refused"], &queue["timed_out"]),
        (&1.into(), &3.into()),
        "{queue}"
    );
    let mut queued: Vec<Raw> = (0..3).map(|_| begin("/")).collect();
    wait_for("the queue", PATIENCE, || {
        (waiting() == Some(3)).then_some(())
    });
    open.store(true, SeqCst);
    for raw in held.iter_mut().chain(&mut queued) {
        assert_eq!(raw.answer().status, 200);
    }
    assert_eq!(most.load(SeqCst), 2);
}

#[test]
fn slow_start_begins_at_the_first_passing_check() {
    let (old, new) = (Backend::start(), nobody());
    let rules = "monitor = \"web\"\nslow-start = \"1h\"\npassive = { max-fails = 0 }\n";
    let text = format!(
        "{}\n[monitors.web]\ninterval = \"200ms\"\ntimeout = \"150ms\"\nrise = 1\nfall = 1\ntcp = {{}}\n",
        config(rules, &[old.addr, new])
    );
    let proxy = Proxy::start(&text);
    wait_state(&proxy, 0, "up");
    wait_state(&proxy, 1, "down");
    let listener = TcpListener::bind(new).unwrap();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    wait_state(&proxy, 1, "up");
    let shown = upstream(&proxy);
    let share = |b: usize| shown["backends"][b]["share_percent"].as_f64().unwrap();
    assert!((10.0..11.0).contains(&share(1)), "{}", share(1));
}

#[test]
fn an_open_circuit_answers_at_once_and_trials_close_it() {
    let healthy = Arc::new(AtomicBool::new(false));
    let flag = healthy.clone();
    let backend = Backend::with(move |_, stream| {
        let status = if flag.load(SeqCst) { 200 } else { 500 };
        answer(stream, status, b"x");
        After::Next
    });
    let rules = "circuit = { min-requests = 5, open-for = \"500ms\", trials = 1 }\n";
    let proxy = Proxy::start(&config(rules, &[backend.addr]));
    for _ in 0..5 {
        assert_eq!(proxy.get("/").status, 500);
    }
    let began = Instant::now();
    let refused = proxy.get("/");
    if began.elapsed() < Duration::from_millis(400) {
        assert_eq!(
            (refused.status, refused.field("retry-after")),
            (503, Some("1"))
        );
        assert_eq!(backend.requests(), 5);
    }
    assert_eq!(upstream(&proxy)["circuit"], "open");
    healthy.store(true, SeqCst);
    wait_for("it to close", PATIENCE, || {
        (proxy.get("/").status == 200).then_some(())
    });
    assert_eq!(upstream(&proxy)["circuit"], "closed");
}
