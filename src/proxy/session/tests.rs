//! Sessions of every kind over several requests of one client.

use std::net::SocketAddr;
use std::time::Duration;

use super::*;
use crate::balance::candidate::UNIT;
use crate::message::Known;
use crate::traffic::session::{InsertedCookie, SameSite};
use crate::traffic::{Algorithm, Backend};

const OWN: Secret = Secret::new([7; 16]);

#[derive(Clone, Copy, Debug)]
struct Plain {
    up: bool,
    drains: bool,
    weight: u32,
}

const GOOD: Plain = Plain {
    up: true,
    drains: false,
    weight: UNIT,
};

impl Candidate for Plain {
    fn eligible(&self, _: Moment) -> bool {
        self.up && !self.drains
    }

    fn serves_bound(&self, _: Moment) -> bool {
        self.up
    }

    fn weight(&self, _: Moment) -> u32 {
        self.weight
    }

    fn in_flight(&self) -> u32 {
        0
    }

    fn has_room(&self) -> bool {
        true
    }

    fn ewma(&self, _: Moment) -> Duration {
        Duration::ZERO
    }
}

fn session(binding: Binding) -> Session {
    Session {
        binding,
        on_gone: OnGone::Reassign,
        entries: 100,
        ttl: Duration::from_secs(60),
        is_shared: false,
        secrets: Vec::new(),
    }
}

fn cookie() -> Binding {
    Binding::Insert(InsertedCookie {
        name: "SRV".into(),
        path: "/".into(),
        domain: None,
        secure: None,
        http_only: true,
        same_site: SameSite::Lax,
        max_age: None,
        indirect: true,
        no_cache: true,
    })
}

fn upstream(session: Session, names: &[&str]) -> Upstream {
    let address = SocketAddr::from(([127, 0, 0, 1], 80));
    Upstream {
        name: "api".into(),
        algorithm: Algorithm::RoundRobin,
        session: Some(session),
        backends: names.iter().map(|n| Backend::new(n, address)).collect(),
        ..Upstream::default()
    }
}

/// An upstream with its sessions, and a backend application that sets a cookie for who has none.
struct World {
    sessions: Sessions,
    picker: Picker,
    turns: Turns,
    backends: Vec<Plain>,
    names: Vec<String>,
    /// The cookie that the application sets.
    sets: Option<&'static str>,
    now: Moment,
}

impl World {
    fn new(session: Session, names: &[&str]) -> World {
        let table = Sessions::new_table(&session);
        World::with(session, names, table)
    }

    fn with(session: Session, names: &[&str], table: Option<Arc<dyn StickyTable>>) -> World {
        let upstream = upstream(session, names);
        let picker = Picker::new(&upstream, None);
        World {
            sessions: Sessions::new(&upstream, OWN, table).unwrap(),
            turns: Turns::new(&picker, 0),
            picker,
            backends: vec![GOOD; names.len()],
            names: names.iter().map(|n| (*n).to_owned()).collect(),
            sets: None,
            now: Moment(1),
        }
    }

    fn try_ask(&mut self, client: &mut Client) -> Result<(String, RequestHead), NoPick> {
        let mut head = RequestHead {
            target: client.target.as_bytes().to_vec(),
            ..RequestHead::default()
        };
        if !client.cookies.is_empty() {
            let cookies: Vec<String> = client
                .cookies
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            head.fields.push(b"Cookie", cookies.join("; ").as_bytes());
        }
        let mut bond = self.sessions.claim(&head, client.address, self.now);
        let ask = Ask {
            now: self.now,
            random: 1,
            hash: 1,
            tried: &[],
        };
        let picked = self.sessions.choose(
            &mut bond,
            &self.picker,
            &mut self.turns,
            &self.backends,
            &ask,
        )?;
        self.sessions.send(&mut head);
        let mut answer = ResponseHead::new(200);
        if let Some(name) = self.sets.filter(|n| head.cookie(n.as_bytes()).is_none()) {
            client.logins += 1;
            let set = format!("{name}=app-{}-{}; Path=/", client.address, client.logins);
            answer.fields.push(b"Set-Cookie", set.as_bytes());
        }
        self.sessions
            .answer(&bond, &mut answer, Scheme::Http, self.now);
        client.keep(&answer);
        Ok((self.names[picked.place()].clone(), head))
    }

    fn ask(&mut self, client: &mut Client) -> String {
        self.try_ask(client).unwrap().0
    }
}

/// A browser.
struct Client {
    address: IpAddr,
    target: &'static str,
    cookies: Vec<(String, String)>,
    logins: u32,
    /// Answers so far that set a cookie.
    told: u32,
}

impl Client {
    fn new(last: u8) -> Client {
        Client {
            address: IpAddr::from([192, 0, 2, last]),
            target: "/",
            cookies: Vec::new(),
            logins: 0,
            told: 0,
        }
    }

    fn keep(&mut self, answer: &ResponseHead) {
        for line in answer.fields.all(Known::SetCookie) {
            self.told += 1;
            let line = String::from_utf8(line.to_vec()).unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.retain(|(n, _)| n != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// Every kind of session, the application's cookie, and what tells two clients apart.
fn kinds() -> Vec<(Binding, Option<&'static str>)> {
    vec![
        (cookie(), None),
        (Binding::Prefix((*b"sid").into()), Some("sid")),
        (Binding::Learn((*b"sid").into()), Some("sid")),
        (Binding::Key(HashKey::Source), None),
    ]
}

#[test]
fn p5_a_client_stays_with_its_backend_and_others_are_spread() {
    for (binding, sets) in kinds() {
        let mut world = World::new(session(binding), &["a", "b", "c"]);
        world.sets = sets;
        let mut clients: Vec<Client> = (0..9).map(Client::new).collect();
        let first: Vec<String> = clients.iter_mut().map(|c| world.ask(c)).collect();
        for name in ["a", "b", "c"] {
            assert_eq!(first.iter().filter(|f| *f == name).count(), 3, "{first:?}");
        }
        for _ in 0..5 {
            let again: Vec<String> = clients.iter_mut().map(|c| world.ask(c)).collect();
            assert_eq!(again, first);
        }
        assert!(clients.iter().all(|c| c.told <= 1));
    }
}

#[test]
fn what_is_ours_does_not_reach_the_backend() {
    let mut client = Client::new(1);
    client.cookies.push(("x".to_owned(), "1".to_owned()));
    let mut world = World::new(session(cookie()), &["a", "b"]);
    world.ask(&mut client);
    assert_eq!(client.cookies.len(), 2);
    let (_, head) = world.try_ask(&mut client).unwrap();
    assert_eq!(head.fields.get(Known::Cookie), Some(&b"x=1"[..]));
    let mut direct = session(cookie());
    if let Binding::Insert(c) = &mut direct.binding {
        c.indirect = false;
    }
    let (_, head) = World::new(direct, &["a", "b"])
        .try_ask(&mut client)
        .unwrap();
    assert!(head.cookie(b"SRV").is_some());

    let mut client = Client::new(1);
    let mut world = World::new(session(Binding::Prefix((*b"sid").into())), &["a", "b"]);
    world.sets = Some("sid");
    world.ask(&mut client);
    assert!(client.cookies[0].1.ends_with("~app-192.0.2.1-1"));
    let (_, head) = world.try_ask(&mut client).unwrap();
    assert_eq!(head.cookie(b"sid"), Some(&b"app-192.0.2.1-1"[..]));
}

#[test]
fn p6_a_session_stays_with_a_backend_that_drains_or_has_no_weight() {
    for (binding, sets) in kinds() {
        let mut world = World::new(session(binding), &["a", "b"]);
        world.sets = sets;
        let mut client = Client::new(1);
        assert_eq!(world.ask(&mut client), "a");
        world.backends[0].drains = true;
        assert_eq!(world.ask(&mut client), "a");
        world.backends[0] = Plain { weight: 0, ..GOOD };
        assert_eq!(world.ask(&mut client), "a");
        assert_eq!(world.ask(&mut Client::new(2)), "b");
        assert_eq!(world.ask(&mut Client::new(3)), "b");
    }
}

#[test]
fn p4_a_session_whose_backend_is_down_moves_and_stays_moved() {
    for (binding, sets) in kinds() {
        let mut world = World::new(session(binding), &["a", "b"]);
        world.sets = sets;
        let mut client = Client::new(1);
        assert_eq!(world.ask(&mut client), "a");
        world.backends[0].up = false;
        assert_eq!(world.ask(&mut client), "b");
        world.backends[0].up = true;
        // The application of the other backend knows its cookie here, so nothing new is set; the
        // prefix alone cannot be changed without it.
        let wanted = if matches!(world.sessions.rules.binding, Binding::Prefix(_)) {
            "a"
        } else {
            "b"
        };
        assert_eq!(world.ask(&mut client), wanted);
        assert_eq!(world.ask(&mut client), wanted);
    }
}

#[test]
fn p4_or_it_is_refused() {
    for (binding, sets) in kinds() {
        let refusing = Session {
            on_gone: OnGone::Refuse,
            ..session(binding)
        };
        let table = Sessions::new_table(&refusing);
        let mut world = World::with(refusing.clone(), &["a", "b"], table.clone());
        world.sets = sets;
        let mut client = Client::new(1);
        assert_eq!(world.ask(&mut client), "a");
        world.backends[0].up = false;
        assert_eq!(world.try_ask(&mut client).unwrap_err(), NoPick::SessionGone);
        // New clients are not concerned.
        assert_eq!(world.ask(&mut Client::new(2)), "b");
        // Nor does it matter that the backend is not even named any more.
        let mut without = World::with(refusing, &["b", "c"], table);
        assert_eq!(
            without.try_ask(&mut client).unwrap_err(),
            NoPick::SessionGone
        );
    }
}

#[test]
fn p2_sessions_outlive_changes_of_the_list() {
    for (binding, sets) in kinds() {
        let table = Sessions::new_table(&session(binding.clone()));
        let mut world = World::with(session(binding.clone()), &["b", "c"], table.clone());
        world.sets = sets;
        let (mut one, mut two) = (Client::new(1), Client::new(2));
        assert_eq!(
            (world.ask(&mut one), world.ask(&mut two)),
            ("b".into(), "c".into())
        );
        let mut world = World::with(session(binding), &["a", "b", "c"], table);
        world.sets = sets;
        assert_eq!(
            (world.ask(&mut one), world.ask(&mut two)),
            ("b".into(), "c".into())
        );
    }
}

#[test]
fn a_forged_or_foreign_cookie_is_a_new_client() {
    let refusing = Session {
        on_gone: OnGone::Refuse,
        ..session(cookie())
    };
    let mut world = World::new(refusing, &["a", "b"]);
    let mut client = Client::new(1);
    client.cookies.push(("SRV".to_owned(), "b".to_owned()));
    assert_eq!(world.ask(&mut client), "a");
    assert_eq!(client.told, 1);
}

#[test]
fn a_new_secret_renews_cookies_without_moving_anybody() {
    let with = |secrets: &[u8]| Session {
        secrets: secrets.iter().map(|s| Secret::new([*s; 16])).collect(),
        ..session(cookie())
    };
    let mut client = Client::new(1);
    let mut other = Client::new(2);
    let mut world = World::new(with(&[1]), &["a", "b"]);
    world.ask(&mut other);
    assert_eq!(world.ask(&mut client), "b");
    let mut world = World::new(with(&[2, 1]), &["a", "b"]);
    assert_eq!(world.ask(&mut client), "b");
    assert_eq!(client.told, 2);
    let mut world = World::new(with(&[2]), &["a", "b"]);
    assert_eq!(world.ask(&mut client), "b");
    assert_eq!(client.told, 2);
}

#[test]
fn parameters_and_fields_of_requests_tell_sessions() {
    let key = HashKey::Query((*b"game").into());
    let mut world = World::new(session(Binding::Key(key)), &["a", "b"]);
    let mut ask = |last, target| {
        let mut client = Client::new(last);
        client.target = target;
        world.ask(&mut client)
    };
    assert_eq!(ask(1, "/?game=7"), "a");
    assert_eq!(ask(2, "/?game=8"), "b");
    assert_eq!(ask(3, "/move?x=1&game=7"), "a");
    assert_eq!(ask(4, "/?game=8"), "b");
    // Without it everybody is new.
    assert_eq!(ask(1, "/"), "a");
    assert_eq!(ask(1, "/"), "b");
}

#[test]
fn an_unused_session_is_forgotten() {
    let mut world = World::new(session(Binding::Key(HashKey::Source)), &["a", "b"]);
    assert_eq!(world.ask(&mut Client::new(1)), "a");
    world.now = Moment(1) + Duration::from_secs(59);
    assert_eq!(world.ask(&mut Client::new(1)), "a");
    world.now = world.now + Duration::from_secs(61);
    assert_eq!(world.ask(&mut Client::new(1)), "b");
}
