//! How requests are spread over backends, on the real binary: every algorithm against its definition.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::support::backend::{After, Backend, answer};
use crate::support::proxy::{Proxy, Raw, head};
use crate::support::{http, wait_for};

/// Backends that answer with their name. A request for `/hold` is answered when the gate opens; `/slow`
/// names a backend that takes its time.
struct Farm {
    backends: Vec<(String, Backend)>,
    gate: Arc<AtomicBool>,
}

impl Farm {
    fn new(names: &[&str]) -> Farm {
        let gate = Arc::new(AtomicBool::new(false));
        let backend = |name: &&str| {
            let (name, gate) = ((*name).to_owned(), gate.clone());
            let says = name.clone();
            let backend = Backend::with(move |got, stream| {
                if got.target.starts_with("/hold") {
                    while !gate.load(Ordering::Relaxed) {
                        std::thread::park_timeout(Duration::from_millis(2));
                    }
                }
                if got.target == format!("/slow-{says}") {
                    std::thread::park_timeout(Duration::from_millis(40));
                }
                answer(stream, 200, says.as_bytes());
                After::Next
            });
            (name, backend)
        };
        Farm {
            backends: names.iter().map(backend).collect(),
            gate,
        }
    }

    /// A configuration with these backends, each with further settings.
    fn config(&self, upstream: &str, settings: &[&str]) -> String {
        self.config_of(upstream, settings, self.backends.len(), "workers = 1")
    }

    fn config_of(&self, upstream: &str, settings: &[&str], count: usize, node: &str) -> String {
        let entries = self.backends.iter().take(count).enumerate();
        let entries = entries.map(|(i, (name, backend))| {
            let more = settings.get(i).copied().unwrap_or_default();
            format!(
                "\n[[upstreams.app.backends]]\nname = \"{name}\"\naddress = \"{}\"\n{more}\n",
                backend.addr
            )
        });
        format!(
            "\n[nodes.n1.proxy]\n{node}\n[listeners.web]\nbind = [\"127.0.0.1:0\"]\n\
             [routes.all]\npath-prefixes = [\"/\"]\nforward = \"app\"\n\
             [upstreams.app]\n{upstream}\n{}",
            entries.collect::<String>()
        )
    }

    fn start(&self, upstream: &str, settings: &[&str]) -> Proxy {
        Proxy::start(&self.config(upstream, settings))
    }

    fn busy(&self) -> usize {
        self.backends.iter().map(|(_, b)| b.busy()).sum()
    }
}

/// A client on one connection.
struct Client(Raw);

impl Client {
    fn new(proxy: &Proxy) -> Client {
        Client(Raw::connect(proxy.addr("web")))
    }

    /// Who answers.
    fn ask(&mut self, target: &str, fields: &str) -> String {
        self.send(target, fields);
        let answer = self.0.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text()
    }

    fn send(&mut self, target: &str, fields: &str) {
        let request = format!("GET {target} HTTP/1.1\r\nHost: www.example\r\n{fields}\r\n");
        self.0.send(request.as_bytes());
    }

    fn asks(&mut self, target: &str, count: usize) -> Vec<String> {
        (0..count).map(|_| self.ask(target, "")).collect()
    }
}

fn share(got: &[String], name: &str) -> f64 {
    got.iter().filter(|g| *g == name).count() as f64 / got.len() as f64
}

#[test]
fn p5_round_robin_by_weight_is_in_the_order_of_nginx() {
    let farm = Farm::new(&["a", "b", "c"]);
    let proxy = farm.start("", &["weight = 5"]);
    let got = Client::new(&proxy).asks("/", 14);
    assert_eq!(got.concat(), "aabacaaaabacaa");
}

#[test]
fn p5_workers_share_evenly_together() {
    let farm = Farm::new(&["a", "b", "c"]);
    let proxy = Proxy::start(&farm.config_of("", &[], 3, "workers = 3"));
    // New connections, so that all workers get some.
    let got: Vec<String> = (0..120).map(|_| Client::new(&proxy).ask("/", "")).collect();
    for name in ["a", "b", "c"] {
        assert!((share(&got, name) - 1.0 / 3.0).abs() < 0.05, "{got:?}");
    }
}

#[test]
fn p5_least_connections_never_chooses_a_busier_one() {
    for (algorithm, busiest_only) in [("least-connections", false), ("two-choices", true)] {
        let farm = Farm::new(&["a", "b", "c"]);
        let proxy = farm.start(&format!("algorithm = \"{algorithm}\""), &[]);
        // Four that wait: by least connections they lie 2, 1, 1.
        let mut held: Vec<Client> = Vec::new();
        for n in 1..=4 {
            let mut client = Client::new(&proxy);
            client.send("/hold", "");
            held.push(client);
            wait_for("it waits at a backend", Duration::from_secs(10), || {
                (farm.busy() == n).then_some(())
            });
        }
        let busy: HashMap<&str, usize> = farm
            .backends
            .iter()
            .map(|(name, b)| (name.as_str(), b.busy()))
            .collect();
        let most = *busy.values().max().unwrap();
        let least = *busy.values().min().unwrap();
        if !busiest_only {
            assert_eq!((least, most), (1, 2), "{busy:?}");
        }
        let busiest: Vec<_> = busy.values().filter(|b| **b == most).collect();
        for got in Client::new(&proxy).asks("/", 60) {
            let load = busy[got.as_str()];
            assert!(load < most || busiest.len() > 1, "{busy:?}: {got}");
        }
        farm.gate.store(true, Ordering::Relaxed);
        for client in &mut held {
            assert_eq!(client.0.answer().status, 200);
        }
    }
}

#[test]
fn p5_least_time_prefers_the_fast_and_starves_nobody() {
    let farm = Farm::new(&["a", "b"]);
    let proxy = farm.start("algorithm = \"least-time\"", &[]);
    let got = Client::new(&proxy).asks("/slow-b", 200);
    assert!(share(&got, "a") > 0.8, "{got:?}");
    assert!(share(&got, "b") > 0.0, "{got:?}");
    let (before, total) = (got.len(), 300);
    let got = Client::new(&proxy).asks("/slow-none", total);
    assert!(before > 0 && share(&got, "b") > 0.0, "{got:?}");
}

#[test]
fn p5_random_follows_the_weights() {
    let farm = Farm::new(&["a", "b"]);
    let proxy = farm.start("algorithm = \"random\"", &["weight = 3"]);
    let got = Client::new(&proxy).asks("/", 600);
    // Six standard deviations.
    assert!(
        (share(&got, "a") - 0.75).abs() < 0.107,
        "{}",
        share(&got, "a")
    );
}

#[test]
fn p5_hashes_keep_keys_together_and_a_change_moves_few() {
    for (method, moves) in [("maglev", 0.2), ("ring", 0.0), ("modulo", 1.0)] {
        let farm = Farm::new(&["a", "b", "c", "d", "e"]);
        let upstream =
            format!("algorithm = \"hash\"\nhash = {{ on = \"uri\", method = \"{method}\" }}");
        let proxy = farm.start(&upstream, &[]);
        let ask = || -> Vec<String> {
            let mut client = Client::new(&proxy);
            let one = |i: usize| client.ask(&format!("/page/{i}?x={i}"), "");
            (0..150).map(one).collect()
        };
        let first = ask();
        assert_eq!(ask(), first, "{method}");
        for name in ["a", "b", "c", "d", "e"] {
            assert!(share(&first, name) > 0.05, "{method}: {first:?}");
        }
        let config = farm.config_of(&upstream, &[], 4, "workers = 1");
        let file = proxy.node.file("tradewind.toml");
        std::fs::write(file, format!("{}{config}", head())).unwrap();
        let answer = http::request(proxy.node.admin, "POST", "/v1/reload");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let second = ask();
        assert_eq!(share(&second, "e"), 0.0);
        let stayed = first.iter().zip(&second).filter(|(f, _)| *f != "e");
        let moved = stayed.clone().filter(|(f, s)| f != s).count() as f64;
        assert!(moved <= moves * stayed.count() as f64, "{method}: {moved}");
    }
}

#[test]
fn p5_every_part_of_a_request_can_be_hashed() {
    let farm = Farm::new(&["a", "b", "c"]);
    for (on, target, fields) in [
        ("path", "/p{}?x=1", ""),
        ("header:X-User", "/", "X-User: u{}\r\n"),
        ("cookie:user", "/", "Cookie: a=b; user=u{}\r\n"),
        ("query:user", "/?a=b&user=u{}", ""),
    ] {
        let proxy = farm.start(&format!("algorithm = \"hash\"\nhash.on = \"{on}\""), &[]);
        let mut client = Client::new(&proxy);
        let mut ask = |n: usize| {
            let n = n.to_string();
            client.ask(&target.replace("{}", &n), &fields.replace("{}", &n))
        };
        let first: Vec<String> = (0..40).map(&mut ask).collect();
        let second: Vec<String> = (0..40).map(&mut ask).collect();
        assert_eq!(first, second, "{on}");
        assert!(
            ["a", "b", "c"].iter().all(|n| share(&first, n) > 0.0),
            "{on}"
        );
    }
    // All of one address are one client.
    let proxy = farm.start("algorithm = \"hash\"\nhash.on = \"source\"", &[]);
    let got: Vec<String> = (0..10).map(|_| Client::new(&proxy).ask("/", "")).collect();
    assert!(got.iter().all(|g| *g == got[0]), "{got:?}");
}

#[test]
fn p5_a_hot_key_is_spread_when_loads_are_bounded() {
    let farm = Farm::new(&["a", "b", "c", "d"]);
    let upstream = "algorithm = \"hash\"\nhash = { on = \"uri\", bound = 1.25 }";
    let proxy = farm.start(upstream, &[]);
    let mut held: Vec<Client> = Vec::new();
    for n in 1..=16 {
        let mut client = Client::new(&proxy);
        client.send("/hold", "");
        held.push(client);
        wait_for("it waits at a backend", Duration::from_secs(10), || {
            (farm.busy() == n).then_some(())
        });
    }
    // At most 1.25 times 4, and the one that was chosen last.
    let most = farm.backends.iter().map(|(_, b)| b.busy()).max().unwrap();
    assert!(most <= 5, "{most}");
    farm.gate.store(true, Ordering::Relaxed);
    for client in &mut held {
        assert_eq!(client.0.answer().status, 200);
    }
}

#[test]
fn p4_backups_serve_only_without_the_others() {
    let mut farm = Farm::new(&["a", "b"]);
    let proxy = farm.start("connect-timeout = \"1s\"", &["", "backup = true"]);
    let got = Client::new(&proxy).asks("/", 20);
    assert_eq!(share(&got, "a"), 1.0);
    farm.backends.remove(0);
    let got = Client::new(&proxy).asks("/", 20);
    assert_eq!(share(&got, "b"), 1.0);
}

#[test]
fn p5_own_zone_first() {
    let farm = Farm::new(&["a", "b", "c", "d"]);
    let zones = ["zone = \"x\"", "zone = \"y\"", "zone = \"y\"", ""];
    let config = farm.config_of("", &zones, 4, "workers = 1\nzone = \"y\"");
    let got = Client::new(&Proxy::start(&config)).asks("/", 8);
    assert_eq!(got.concat(), "bcbcbcbc");
    let elsewhere = farm.config_of("", &zones, 4, "workers = 1\nzone = \"z\"");
    let got = Client::new(&Proxy::start(&elsewhere)).asks("/", 8);
    assert_eq!(got.concat(), "abcdabcd");
}

#[test]
fn p5_zero_weight_takes_no_new_clients() {
    let farm = Farm::new(&["a", "b"]);
    for algorithm in [
        "round-robin",
        "least-connections",
        "least-time",
        "two-choices",
        "random",
    ] {
        let proxy = farm.start(&format!("algorithm = \"{algorithm}\""), &["weight = 0"]);
        let got = Client::new(&proxy).asks("/", 10);
        assert_eq!(share(&got, "b"), 1.0, "{algorithm}");
    }
}
