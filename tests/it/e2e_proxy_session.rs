//! Clients that are kept with one backend, on the real binary: every kind of session, and what happens when
//! the backend goes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::backend::{After, Backend, send};
use crate::support::http;
use crate::support::proxy::{Answer, Proxy, Raw, head};

/// A backend that answers with its name, and sets a cookie `sid` for who has none.
fn application(name: &str) -> Backend {
    let name = name.to_owned();
    let logins = AtomicUsize::new(0);
    Backend::with(move |got, stream| {
        let cookies = got.field("cookie").unwrap_or_default();
        let set = match cookies.contains("sid=") || got.target == "/plain" {
            true => String::new(),
            false => {
                let n = logins.fetch_add(1, Ordering::Relaxed);
                format!("Set-Cookie: sid={name}-{n}; Path=/\r\n")
            }
        };
        let text = format!(
            "HTTP/1.1 200 OK\r\n{set}X-Cookies: {cookies}\r\nContent-Length: {}\r\n\r\n{name}",
            name.len()
        );
        send(stream, text.as_bytes());
        After::Next
    })
}

struct Farm(Vec<(&'static str, Backend)>);

impl Farm {
    fn new(names: &[&'static str]) -> Farm {
        Farm(names.iter().map(|n| (*n, application(n))).collect())
    }

    /// A configuration with those of the backends that `settings` names, with further settings.
    fn config(&self, session: &str, settings: &[(&str, &str)]) -> String {
        let entries = settings.iter().map(|(name, more)| {
            let (_, backend) = self.0.iter().find(|(n, _)| n == name).unwrap();
            format!(
                "\n[[upstreams.app.backends]]\nname = \"{name}\"\naddress = \"{}\"\n{more}\n",
                backend.addr
            )
        });
        format!(
            "\n[nodes.n1.proxy]\nworkers = 2\n[listeners.web]\nbind = [\"127.0.0.1:0\"]\n\
             [routes.all]\npath-prefixes = [\"/\"]\nforward = \"app\"\n\
             [upstreams.app]\nconnect-timeout = \"1s\"\nsession = {session}\n{}",
            entries.collect::<String>()
        )
    }

    fn start(&self, session: &str) -> Proxy {
        let all: Vec<(&str, &str)> = self.0.iter().map(|(n, _)| (*n, "")).collect();
        Proxy::start(&self.config(session, &all))
    }

    fn reload(&self, proxy: &Proxy, session: &str, settings: &[(&str, &str)]) {
        let config = format!("{}{}", head(), self.config(session, settings));
        std::fs::write(proxy.node.file("tradewind.toml"), config).unwrap();
        let answer = http::request(proxy.node.admin, "POST", "/v1/reload");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// A browser: keeps cookies, and opens a connection for each request, so that every worker sees it.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
    /// `Set-Cookie` lines so far.
    set: Vec<String>,
}

impl Browser {
    fn request(&mut self, proxy: &Proxy, target: &str, fields: &str) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let cookies = match cookies.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", cookies.join("; ")),
        };
        let mut raw = Raw::connect(proxy.addr("web"));
        let text = format!("GET {target} HTTP/1.1\r\nHost: www.example\r\n{cookies}{fields}\r\n");
        raw.send(text.as_bytes());
        let answer = raw.answer();
        for line in answer.head.lines() {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            if name.eq_ignore_ascii_case("set-cookie") {
                self.set.push(value.to_owned());
                let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Who answers.
    fn ask(&mut self, proxy: &Proxy) -> String {
        let answer = self.request(proxy, "/", "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text()
    }

    fn stays(&mut self, proxy: &Proxy, with: &str) {
        for _ in 0..6 {
            assert_eq!(self.ask(proxy), with);
        }
    }
}

/// So many browsers, with who answered them first; not all were given to one.
fn visit(proxy: &Proxy, count: usize) -> Vec<(Browser, String)> {
    let browsers: Vec<(Browser, String)> = (0..count)
        .map(|_| {
            let mut browser = Browser::default();
            let first = browser.ask(proxy);
            (browser, first)
        })
        .collect();
    assert!(browsers.iter().any(|(_, first)| *first != browsers[0].1));
    browsers
}

const COOKIE: &str = "{ cookie.name = \"SRV\", secrets = [\"000102030405060708090a0b0c0d0e0f\"] }";

#[test]
fn p5_the_inserted_cookie_names_the_backend_and_stays_ours() {
    let farm = Farm::new(&["a", "b", "c"]);
    let proxy = farm.start("{ cookie = { name = \"SRV\", max-age = \"1h\" } }");
    for (mut browser, first) in visit(&proxy, 6) {
        let ours: Vec<&String> = browser
            .set
            .iter()
            .filter(|s| s.starts_with("SRV="))
            .collect();
        let [ours] = ours[..] else {
            panic!("{:?}", browser.set)
        };
        assert!(
            ours.ends_with("; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"),
            "{ours}"
        );
        assert_eq!(browser.cookies["SRV"].len(), 32);
        browser.stays(&proxy, &first);
        // It is said once; the backend never sees it.
        assert_eq!(
            browser.set.iter().filter(|s| s.starts_with("SRV=")).count(),
            1
        );
        let answer = browser.request(&proxy, "/", "");
        let seen = answer.field("x-cookies").unwrap();
        assert!(seen.starts_with("sid=") && !seen.contains("SRV"), "{seen}");
        assert_eq!(answer.field("cache-control"), None);
    }
    let answer = Browser::default().request(&proxy, "/plain", "");
    assert_eq!(answer.field("cache-control"), Some("private"));
    // A cookie of somebody else's making is none.
    let mut forger = Browser::default();
    forger.cookies.insert("SRV".to_owned(), "A".repeat(32));
    forger.ask(&proxy);
    assert_ne!(forger.cookies["SRV"], "A".repeat(32));
}

#[test]
fn p2_sessions_outlive_reloads_and_with_secrets_restarts() {
    let farm = Farm::new(&["a", "b", "c"]);
    let all = [("a", ""), ("b", ""), ("c", "")];
    for session in [COOKIE, "{ cookie.name = \"SRV\" }", "{ learn = \"sid\" }"] {
        let mut proxy = Proxy::start(&farm.config(session, &all[1..]));
        let mut browsers = visit(&proxy, 4);
        farm.reload(&proxy, session, &all);
        for (browser, first) in &mut browsers {
            browser.stays(&proxy, first);
        }
        if session == COOKIE {
            proxy.node.crash_and_restart();
            for (browser, first) in &mut browsers {
                browser.stays(&proxy, first);
            }
        }
    }
}

#[test]
fn p5_the_prefixed_cookie_reaches_the_application_as_it_was() {
    let farm = Farm::new(&["a", "b", "c"]);
    let proxy = farm.start("{ prefix = \"sid\" }");
    for (mut browser, first) in visit(&proxy, 6) {
        let value = browser.cookies["sid"].clone();
        let (token, rest) = value.split_once('~').unwrap();
        assert_eq!(token.len(), 32);
        assert!(rest.starts_with(&format!("{first}-")), "{value}");
        browser.stays(&proxy, &first);
        let answer = browser.request(&proxy, "/", "");
        assert_eq!(answer.field("x-cookies"), Some(&*format!("sid={rest}")));
    }
}

#[test]
fn p5_the_applications_cookie_is_learnt_as_it_is() {
    let farm = Farm::new(&["a", "b", "c"]);
    let proxy = farm.start("{ learn = \"sid\" }");
    for (mut browser, first) in visit(&proxy, 6) {
        assert!(browser.cookies["sid"].starts_with(&format!("{first}-")));
        browser.stays(&proxy, &first);
        assert_eq!(browser.cookies.len(), 1);
    }
}

#[test]
fn p5_parameters_fields_and_addresses_tell_sessions() {
    let farm = Farm::new(&["a", "b", "c"]);
    for (on, target, fields) in [
        ("query:game", "/plain?x=1&game={}", ""),
        ("header:X-Game", "/plain", "X-Game: {}\r\n"),
        ("cookie:game", "/plain", "Cookie: game={}\r\n"),
    ] {
        let proxy = farm.start(&format!("{{ on = \"{on}\" }}"));
        let ask = |game: usize| {
            let game = game.to_string();
            let (target, fields) = (target.replace("{}", &game), fields.replace("{}", &game));
            Browser::default().request(&proxy, &target, &fields).text()
        };
        let first: Vec<String> = (0..9).map(ask).collect();
        assert!(first.iter().any(|f| *f != first[0]), "{on}");
        for _ in 0..4 {
            let again: Vec<String> = (0..9).map(ask).collect();
            assert_eq!(again, first, "{on}");
        }
    }
    let proxy = farm.start("{ on = \"source\" }");
    let first = Browser::default().ask(&proxy);
    for _ in 0..6 {
        assert_eq!(Browser::default().ask(&proxy), first);
    }
}

#[test]
fn p6_zero_weight_keeps_its_sessions_and_takes_no_others() {
    let farm = Farm::new(&["a", "b"]);
    for session in [
        "{ cookie.name = \"SRV\" }",
        "{ learn = \"sid\" }",
        "{ prefix = \"sid\" }",
    ] {
        let proxy = farm.start(session);
        let mut browsers = visit(&proxy, 4);
        farm.reload(&proxy, session, &[("a", "weight = 0"), ("b", "")]);
        for (browser, first) in &mut browsers {
            browser.stays(&proxy, first);
        }
        for _ in 0..4 {
            assert_eq!(Browser::default().ask(&proxy), "b");
        }
    }
}

#[test]
fn p4_when_the_backend_is_gone_the_session_moves_or_is_refused() {
    for kind in ["cookie.name = \"SRV\"", "learn = \"sid\""] {
        let mut farm = Farm::new(&["a", "b"]);
        let moves = farm.start(&format!("{{ {kind} }}"));
        let refuses = farm.start(&format!("{{ {kind}, on-gone = \"refuse\" }}"));
        let on_a = |proxy: &Proxy| {
            let mut all = visit(proxy, 6).into_iter();
            all.find(|(_, first)| first == "a").unwrap().0
        };
        let (mut moved, mut refused) = (on_a(&moves), on_a(&refuses));
        // Removed from the configuration, and really away.
        farm.reload(&moves, &format!("{{ {kind} }}"), &[("b", "")]);
        farm.reload(
            &refuses,
            &format!("{{ {kind}, on-gone = \"refuse\" }}"),
            &[("b", "")],
        );
        farm.0.remove(0);
        moved.stays(&moves, "b");
        let answer = refused.request(&refuses, "/", "");
        assert_eq!(answer.status, 503, "{answer:?}");
        // New clients are not concerned.
        assert_eq!(Browser::default().ask(&refuses), "b");
    }
}
