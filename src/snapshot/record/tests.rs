//! Views become facts, facts a state, and a state the view again.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::geo::{Coordinates, GeoTable};
use crate::health::council::{Quorum, Rules, Site, Vantage};
use crate::health::latency::VantageHeard;
use crate::health::{Board, SiteTime, SiteTimes, Sites, VantageNow, Vote};
use crate::history::{Batch, State as Told};
use crate::ids::{NameId, PolicyId, PoolId, RegionId, SiteId};
use crate::net::Family;
use crate::overrides::{Entry, Kind, Record, ScopeKind, Stamp, Subject};
use crate::snapshot::{Parts, Settings, orders, then};
use crate::steer::{
    Ask, Chooser, Client, ClientSource, Draw, Endpoint, LastResort, Measurements, Member,
    NameInput, Policy, Pool, Region, Steering, decide,
};
use crate::units::{Generation, Ttl, Weight};
use crate::zone::ZoneSet;

/// A name that answers any of these endpoints, which must be sorted; two vantages at two sites.
pub(crate) fn world(endpoints: &[&str]) -> Arc<Snapshot> {
    let geo = GeoTable::empty();
    let regions = ["eu", "us"].map(|name| Region {
        name: name.into(),
        coordinates: Coordinates::new(50.0, 8.0).unwrap(),
    });
    let pool = Pool {
        name: "pool".into(),
        region: RegionId(0),
        endpoints: (0..endpoints.len()).map(EndpointId::from_index).collect(),
        min_live: 1,
    };
    let endpoint = |(i, name): (usize, &&str)| Endpoint {
        name: (*name).into(),
        pool: PoolId(0),
        address: Some(std::net::Ipv4Addr::from(0x0a00_0000 + i as u32).into()),
        cname: None,
        port: 80,
        weight: Weight::ONE,
        backup: false,
        enabled: true,
    };
    let name = NameInput {
        owner: "www.gslb.test".parse().unwrap(),
        members: vec![Member {
            pool: PoolId(0),
            weight: Weight::ONE,
            priority: 0,
            backup: false,
        }],
        policy: PolicyId(0),
        families: vec![Family::V4],
        cname: false,
        ttl_min: Ttl::from_secs(5),
        ttl_max: Ttl::from_secs(30),
        last_resort: LastResort::AllEligible,
        answers: 1,
        ignore_ecs: false,
        https: None,
        aliases: Vec::new(),
    };
    let policy = Policy {
        name: "any".into(),
        stages: Vec::new(),
        chooser: Chooser::Weighted,
    };
    let sites = Sites::of([
        ("v1", (RegionId(0), "eu"), None),
        ("v2", (RegionId(1), "us"), None),
    ]);
    let vantage = |(i, name): (usize, &str)| Vantage {
        name: name.into(),
        site: SiteId::from_index(i),
    };
    let site = |region: &str| Site {
        region: region.into(),
        asn: None,
    };
    let council = Rules {
        vantages: ["v1", "v2"].into_iter().enumerate().map(vantage).collect(),
        sites: vec![site("eu"), site("us")],
        quorum: Quorum::Majority,
        ..Rules::default()
    };
    Arc::new(Snapshot {
        zones: ZoneSet::default(),
        steering: Steering::build_seen_from(
            sites,
            regions.into(),
            vec![pool],
            endpoints.iter().enumerate().map(endpoint).collect(),
            vec![policy],
            vec![name],
            &geo,
        ),
        geo,
        monitors: Vec::new(),
        targets: Vec::new(),
        target_of: vec![None; endpoints.len()],
        traffic: Arc::default(),
        settings: Settings {
            council: Arc::new(council),
            ..Settings::default()
        },
    })
}

fn ms() -> impl Strategy<Value = Moment> {
    (1u64..100_000).prop_map(|ms| Moment(ms * 1_000_000))
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Up),
        Just(State::Down),
        any::<bool>().prop_map(|counts_as_up| State::Unknown { counts_as_up }),
    ]
}

fn guard() -> impl Strategy<Value = Guard> {
    prop_oneof![
        Just(Guard::Brake),
        Just(Guard::Suspect),
        Just(Guard::Manual),
        Just(Guard::NotServed),
        ms().prop_map(|until| Guard::Hold { until }),
        ms().prop_map(|until| Guard::Flapping { until }),
    ]
}

fn opinion() -> impl Strategy<Value = Opinion> {
    prop::sample::select(vec![
        Opinion::Up,
        Opinion::None,
        Opinion::Down(Weakness::Connect),
        Opinion::Down(Weakness::Timeout),
        Opinion::Down(Weakness::Tls),
        Opinion::Down(Weakness::Protocol),
        Opinion::Down(Weakness::Unexpected),
    ])
}

fn error() -> impl Strategy<Value = Arc<str>> {
    prop::sample::select(vec!["refused", "tab\tand\nline", "-", ""]).prop_map(Arc::from)
}

fn verdict_now() -> impl Strategy<Value = Verdict> {
    let cause = prop_oneof![
        Just(Cause::Unmonitored),
        Just(Cause::NotProbed),
        Just(Cause::Passing),
        error().prop_map(Cause::Failing),
    ];
    let votes = prop::collection::vec(prop::option::of(opinion()), 2);
    (
        (
            state(),
            cause,
            ms(),
            prop::option::of(0u64..60_000),
            0u32..9,
            0u32..9,
        ),
        (
            prop::option::of(error()),
            any::<bool>(),
            prop::option::of(guard()),
            1u8..=100,
            prop::option::of(votes),
        ),
    )
        .prop_map(|(a, b)| Verdict {
            state: a.0,
            cause: a.1,
            since: a.2,
            steady_for: a.3.map(Duration::from_millis),
            failures: a.4,
            passes: a.5,
            last_probe: None,
            last_error: b.0,
            stale: b.1,
            held: b.2,
            share: b.3,
            votes: b.4.map(|votes| {
                let vote = |o: Option<Opinion>| {
                    o.map(|opinion| Vote {
                        opinion,
                        failures: 1,
                    })
                };
                votes.into_iter().map(vote).collect()
            }),
        })
}

fn site_time() -> impl Strategy<Value = SiteTime> {
    (prop::option::of(1u64..300_000_000), any::<bool>()).prop_map(|(ns, moving)| SiteTime {
        rtt: ns.map(Duration::from_nanos),
        latest: ns.map(Duration::from_nanos),
        moving,
    })
}

/// What may happen between two views.
#[derive(Clone, Debug)]
enum Change {
    Verdict(usize, Box<Verdict>),
    Time(usize, usize, SiteTime),
    Worth(usize, Worth, Voice),
    Order(usize, Option<Kind>),
    /// Another configuration: without the first endpoint, or with it.
    World(bool),
}

fn change() -> impl Strategy<Value = Change> {
    let worth = prop::sample::select(vec![
        Worth::Valid,
        Worth::OnlyUp,
        Worth::Expired,
        Worth::Blind,
        Worth::Absent,
    ]);
    let voice = prop::sample::select(vec![
        Voice::Speaks,
        Voice::Silent,
        Voice::Blind,
        Voice::Suspect,
    ]);
    let kind = prop::sample::select(vec![
        Kind::Drain,
        Kind::Disable,
        Kind::ForceUp,
        Kind::ForceDown,
        Kind::Weight(Weight(7)),
    ]);
    prop_oneof![
        8 => (0..4usize, verdict_now()).prop_map(|(e, v)| Change::Verdict(e, Box::new(v))),
        3 => (0..2usize, 0..4usize, site_time()).prop_map(|(s, e, t)| Change::Time(s, e, t)),
        2 => (0..2usize, worth, voice).prop_map(|(v, w, s)| Change::Worth(v, w, s)),
        2 => (0..4usize, prop::option::of(kind)).prop_map(|(e, k)| Change::Order(e, k)),
        1 => any::<bool>().prop_map(Change::World),
    ]
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// All that is so, by name, whatever the configuration has.
struct Truth {
    verdicts: Vec<Verdict>,
    times: [[SiteTime; 4]; 2],
    vantages: [(Worth, Voice); 2],
    orders: [Option<Kind>; 4],
    snapshot: Arc<Snapshot>,
    skip: usize,
    standing: Arc<Standing>,
    config: u32,
}

impl Truth {
    fn new() -> Truth {
        Truth {
            verdicts: vec![Verdict::unmonitored(); 4],
            times: Default::default(),
            vantages: [(Worth::Valid, Voice::Speaks); 2],
            orders: [None; 4],
            snapshot: world(&NAMES),
            skip: 0,
            standing: Arc::default(),
            config: 0,
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Verdict(e, v) => self.verdicts[e] = *v,
            Change::Time(s, e, t) => self.times[s][e] = t,
            Change::Worth(v, worth, voice) => self.vantages[v] = (worth, voice),
            Change::Order(e, kind) => {
                self.orders[e] = kind;
                let orders = self.orders.iter().enumerate();
                let orders = orders.filter_map(|(i, kind)| Some(in_force(NAMES[i], (*kind)?)));
                self.standing = Arc::new(Standing(orders.collect()));
            }
            Change::World(whole) => {
                self.skip = usize::from(!whole);
                self.snapshot = world(&NAMES[self.skip..]);
                self.config += 1;
            }
        }
    }

    fn seen(&self, now: Moment, before: Option<&View>) -> Seen {
        let wall = Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600));
        let skip = self.skip;
        let mut board = Board::new(self.verdicts[skip..].to_vec());
        let vantages = self.vantages.iter().map(|(worth, _)| VantageNow {
            worth: *worth,
            alive: None,
        });
        board.set_vantages(vantages.collect());
        let heard = self.vantages.iter().map(|(_, voice)| VantageHeard {
            voice: *voice,
            heard: None,
            measured: 0,
        });
        let sites = SiteTimes {
            rows: self
                .times
                .iter()
                .map(|row| row[skip..].iter().copied().collect())
                .collect(),
            vantages: heard.collect(),
        };
        let overrides = orders::resolve(&self.standing, &self.snapshot.steering, wall);
        let parts = Parts {
            wall,
            overrides: Arc::new(overrides),
            measurements: Arc::new(Measurements {
                sites,
                ..Measurements::default()
            }),
            ..Parts::new(self.snapshot.clone(), Arc::new(board))
        };
        let generation = before.map_or(Generation(1), |b| b.generation.next());
        Seen {
            view: Arc::new(View::new(generation, now, parts)),
            standing: self.standing.clone(),
            config: format!("config-{}", self.config).into(),
        }
    }
}

fn in_force(endpoint: &str, kind: Kind) -> InForce {
    let subject = Subject {
        class: kind.class(),
        scope: ScopeKind::Endpoint,
        name: endpoint.into(),
    };
    let record = Record {
        stamp: Stamp {
            ms: 7,
            count: 0,
            node: "n1".into(),
        },
        owner: "bob".into(),
        reason: "a/b\tc".into(),
        expires: Some(1_767_225_600_000 + 2_000_000),
        broke: None,
        drill: None,
        mark: None,
        entries: vec![Entry {
            subject: subject.clone(),
            kind: Some(kind),
        }],
        voids: Vec::new(),
        signed: None,
    };
    InForce {
        subject,
        kind,
        record: Arc::new(record),
    }
}

fn batch(seen: &Seen, facts: Vec<Fact>) -> Batch {
    let batch = Batch {
        at_ms: seen.view.wall.unix_ms(seen.view.published),
        generation: seen.view.generation.0,
        facts,
    };
    // As the disk gives it back.
    Batch::read(&batch.text()).unwrap()
}

fn answers(view: &View, now: Moment) -> Vec<String> {
    let steering = &view.snapshot.steering;
    let ask = |random| Ask {
        name: NameId(0),
        family: Family::V4,
        client: Client {
            addr: [192, 0, 2, 1].into(),
            source: ClientSource::Resolver,
        },
        now,
        draw: Draw { random, turn: 0 },
    };
    let draws = (0..8u64).map(|n| n << 61);
    draws
        .map(|r| {
            format!(
                "{:?}",
                decide(steering, &view.live, &ask(r), &mut crate::steer::NoTrace)
            )
        })
        .collect()
}

proptest! {
    /// Whatever happens: what changed, laid over what was, is what is; and the view that is made of it
    /// says and decides the same as the one that was in force.
    #[test]
    fn o1_a_view_made_of_the_record_decides_as_the_one_that_was_in_force(
        steps in prop::collection::vec(prop::collection::vec(change(), 0..4), 1..12),
    ) {
        let mut truth = Truth::new();
        let mut now = Moment(1_000_000_000_000);
        let mut before = truth.seen(now, None);
        let mut state = Told::default();
        state.apply(&batch(&before, all(&before)));
        for changes in steps {
            changes.into_iter().for_each(|c| truth.apply(c));
            now = now + Duration::from_millis(250);
            let seen = truth.seen(now, Some(&before.view));
            state.apply(&batch(&seen, changed(&before, &seen)));
            // The same as a checkpoint would say.
            let mut whole = Told::default();
            whole.apply(&batch(&seen, all(&seen)));
            prop_assert_eq!(&state, &whole);

            let again = then::view(&state, seen.view.snapshot.clone());
            prop_assert_eq!(&again.missing, &Vec::<String>::new());
            prop_assert_eq!(again.view.generation, seen.view.generation);
            let told = Seen {
                view: Arc::new(again.view),
                ..seen.clone()
            };
            prop_assert_eq!(all(&told), all(&seen));
            let at = then::moment(seen.view.wall.unix_ms(now));
            prop_assert_eq!(answers(&told.view, at), answers(&seen.view, now));
            before = seen;
        }
    }
}

#[test]
fn what_cannot_be_read_of_a_state_is_said() {
    let seen = Truth::new().seen(Moment(1_000_000_000), None);
    let mut state = Told::default();
    state.apply(&batch(&seen, all(&seen)));
    let order = fact::Order {
        kind: "tilt".into(),
        owner: "bob".into(),
        reason: "".into(),
        expires_ms: None,
        stamp: "7.0.n1".into(),
        drill: None,
    };
    state
        .orders
        .insert("state/endpoint/a".into(), Arc::new(order));
    let again = then::view(&state, seen.view.snapshot.clone());
    assert_eq!(
        again.missing,
        ["the order about state/endpoint/a, which cannot be read"]
    );
}
