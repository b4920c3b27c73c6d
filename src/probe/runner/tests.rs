//! The runner against real sockets, and with planted checks on paused time.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::health::{Monitor, MonitorKind, ProbeTarget, TlsCheck};
use crate::ids::{MonitorId, TargetId};
use crate::probe::testing::*;
use crate::time::Moment;

const MS: Duration = Duration::from_millis(1);

fn plan(number: u64, monitor: Monitor, addrs: &[SocketAddr]) -> Arc<ProbePlan> {
    let target = |a: &SocketAddr| ProbeTarget {
        addr: a.ip(),
        port: a.port(),
        monitor: MonitorId(0),
        endpoints: Vec::new(),
    };
    Arc::new(ProbePlan {
        monitors: vec![monitor],
        targets: addrs.iter().map(target).collect(),
        number,
    })
}

struct Probing {
    plans: watch::Sender<Arc<ProbePlan>>,
    reports: mpsc::Receiver<Report>,
    stats: Arc<ProbeStats>,
    task: JoinHandle<()>,
}

fn probing(first: Arc<ProbePlan>) -> Probing {
    let (plans, plans_rx) = watch::channel(first);
    let (reports_tx, reports) = mpsc::channel(16);
    let clock = Arc::new(RuntimeClock::start());
    let stats: Arc<ProbeStats> = Arc::default();
    let task = spawn(plans_rx, clock, reports_tx, 512, stats.clone());
    Probing {
        plans,
        reports,
        stats,
        task,
    }
}

/// A runner whose checks are `run_check`.
fn planted<R>(
    first: Arc<ProbePlan>,
    run_check: impl Fn(SocketAddr) -> R + Send + Sync + 'static,
) -> Probing
where
    R: Future<Output = Result<Duration, Failure>> + Send + 'static,
{
    planted_with(512, first, run_check)
}

/// As [`planted`], with at most `in_flight` checks at once.
fn planted_with<R>(
    in_flight: usize,
    first: Arc<ProbePlan>,
    run_check: impl Fn(SocketAddr) -> R + Send + Sync + 'static,
) -> Probing
where
    R: Future<Output = Result<Duration, Failure>> + Send + 'static,
{
    let stats: Arc<ProbeStats> = Arc::default();
    let (plans, plans_rx) = watch::channel(first);
    let (reports_tx, reports) = mpsc::channel(16);
    let run_check = move |check: Arc<Check>, _: Arc<dyn Clock>| run_check(check.addr());
    let runner = Runner::new(
        plans_rx,
        Arc::new(RuntimeClock::start()),
        reports_tx,
        run_check,
        in_flight,
        stats.clone(),
    );
    Probing {
        plans,
        reports,
        stats,
        task: tokio::spawn(runner.run()),
    }
}

impl Probing {
    async fn next(&mut self) -> Report {
        tokio::time::timeout(BOUND, self.reports.recv())
            .await
            .expect("a report in time")
            .expect("a runner that runs")
    }

    /// The next report on `target`.
    async fn next_on(&mut self, target: u32) -> Outcome {
        loop {
            let report = self.next().await;
            if report.observation.target == TargetId(target) {
                return report.observation.outcome;
            }
        }
    }
}

fn with_http(monitor: Monitor) -> Monitor {
    Monitor {
        kind: MonitorKind::Http(http()),
        ..monitor
    }
}

#[tokio::test]
async fn tcp_passes_where_somebody_listens_and_fails_where_nobody_does() {
    let server = Server::start(Does::StaysSilent).await;
    let mut p = probing(plan(7, monitor(MS * 200), &[server.addr, closed().await]));
    assert_eq!(p.next().await.plan, 7);
    assert!(matches!(p.next_on(0).await, Outcome::Pass { rtt } if rtt < MS * 100));
    let Outcome::Fail(failure) = p.next_on(1).await else {
        panic!("must fail")
    };
    assert_eq!(
        failure.to_string(),
        "connect failed: Connection refused (os error 111)"
    );
    // And again and again.
    p.next_on(0).await;
    p.next_on(1).await;
}

#[tokio::test]
async fn a_target_is_seen_to_die_and_to_come_back() {
    let server = Server::start(answers("200 OK", "")).await;
    let addr = server.addr;
    let mut p = probing(plan(1, with_http(monitor(MS * 200)), &[addr]));
    assert!(matches!(p.next_on(0).await, Outcome::Pass { .. }));
    drop(server);
    while matches!(p.next_on(0).await, Outcome::Pass { .. }) {}
    let socket = tokio::net::TcpListener::bind(addr).await.unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut s, _)) = socket.accept().await {
            drop(s.write_all(response("200 OK", "", "").as_bytes()).await);
        }
    });
    while matches!(p.next_on(0).await, Outcome::Fail(_)) {}
}

#[tokio::test]
async fn h8_the_timeout_covers_the_whole_probe_of_a_server_that_drips_or_says_nothing() {
    let (silent, drips) = (
        Server::start(Does::StaysSilent).await,
        Server::start(Does::Drips).await,
    );
    let m = with_http(monitor(MS * 400));
    let mut p = probing(plan(1, m.clone(), &[silent.addr, drips.addr]));
    for target in [0, 1] {
        assert_eq!(
            p.next_on(target).await,
            Outcome::Fail(Failure::Timeout(m.timeout))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_is_a_failure_and_the_runner_goes_on() {
    let bad: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let good: SocketAddr = "192.0.2.2:80".parse().unwrap();
    let mut p = planted(
        plan(1, monitor(MS * 1000), &[bad, good]),
        move |addr| async move {
            assert!(addr != bad, "planted");
            Ok(MS)
        },
    );
    for _ in 0..3 {
        let Outcome::Fail(failure) = p.next_on(0).await else {
            panic!("must fail")
        };
        assert_eq!(failure.to_string(), "the check itself crashed: planted");
        assert_eq!(p.next_on(1).await, Outcome::Pass { rtt: MS });
    }
}

#[tokio::test(start_paused = true)]
async fn h7_a_removed_target_is_not_probed_any_more_and_others_keep_theirs() {
    let gone: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let kept: SocketAddr = "192.0.2.2:80".parse().unwrap();
    let m = monitor(MS * 1000);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let mut p = planted(plan(1, m.clone(), &[gone, kept]), move |addr| {
        if addr == gone {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        async { Ok(MS) }
    });
    p.next_on(0).await;
    p.plans.send_replace(plan(2, m, &[kept]));
    while p.next().await.plan == 1 {}
    let before = runs.load(Ordering::SeqCst);
    for _ in 0..10 {
        let report = p.next().await;
        assert_eq!((report.plan, report.observation.target), (2, TargetId(0)));
    }
    assert_eq!(runs.load(Ordering::SeqCst), before);
}

/// Says so when it is dropped before its end.
struct Ended(Arc<AtomicUsize>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn h7_a_probe_under_way_ends_with_its_target_but_one_that_stays_is_reported_under_the_new_number()
 {
    let gone: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let kept: SocketAddr = "192.0.2.2:80".parse().unwrap();
    let m = Monitor {
        timeout: MS * 9000,
        ..monitor(MS * 10_000)
    };
    let (started, mut started_rx) = mpsc::channel(4);
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = ended.clone();
    let mut p = planted(plan(1, m.clone(), &[gone, kept]), move |addr| {
        let (started, counted) = (started.clone(), counted.clone());
        async move {
            let _ended = (addr == gone).then(|| Ended(counted));
            started.send(addr).await.unwrap();
            tokio::time::sleep(MS * 5000).await;
            Ok(MS)
        }
    });
    started_rx.recv().await.unwrap();
    started_rx.recv().await.unwrap();
    p.plans.send_replace(plan(2, m, &[kept]));
    let report = p.next().await;
    assert_eq!((report.plan, report.observation.target), (2, TargetId(0)));
    assert_eq!(ended.load(Ordering::SeqCst), 1);
    assert!(
        report.observation.at <= Moment::ZERO + MS * 6100,
        "{:?}",
        report.observation.at
    );
}

#[tokio::test(start_paused = true)]
async fn h1_all_targets_are_reported_within_a_second() {
    let addrs: Vec<SocketAddr> = (1..=200)
        .map(|h| SocketAddr::new([192, 0, 2, h].into(), 80))
        .collect();
    let mut p = planted(plan(1, monitor(MS * 30_000), &addrs), |_| async { Ok(MS) });
    let mut seen = std::collections::HashSet::new();
    while seen.len() < addrs.len() {
        let observation = p.next().await.observation;
        assert!(
            observation.at <= Moment::ZERO + MS * 1010,
            "{:?}",
            observation.at
        );
        seen.insert(observation.target);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_finds_no_room_for_an_interval_is_no_opinion_and_counted() {
    let hangs: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let waits: SocketAddr = "192.0.2.2:80".parse().unwrap();
    let m = Monitor {
        timeout: MS * 3_600_000,
        ..monitor(MS * 1000)
    };
    let first = plan(1, m.clone(), &[hangs]);
    let (started, mut started_rx) = mpsc::channel(4);
    let mut p = planted_with(1, first, move |addr| {
        let started = started.clone();
        async move {
            started.send(addr).await.unwrap();
            match addr == hangs {
                true => std::future::pending().await,
                false => Ok(MS),
            }
        }
    });
    assert_eq!(started_rx.recv().await, Some(hangs));
    p.plans.send_replace(plan(2, m.clone(), &[hangs, waits]));
    for interval in 1..=3 {
        let Outcome::Fail(failure @ Failure::Unable(_)) = p.next_on(1).await else {
            panic!("no opinion")
        };
        let words = failure.to_string();
        assert!(
            words.contains("did not start within its interval"),
            "{words}"
        );
        assert_eq!(p.stats.overdue.load(Relaxed), interval);
    }
    // Room again: it is probed on its grid.
    p.plans.send_replace(plan(3, m, &[waits]));
    assert_eq!(p.next_on(0).await, Outcome::Pass { rtt: MS });
    assert_eq!(started_rx.recv().await, Some(waits));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_cannot_be_made_is_counted_as_such() {
    let addr: SocketAddr = "192.0.2.1:80".parse().unwrap();
    let mut p = planted(plan(1, monitor(MS * 1000), &[addr]), |_| async {
        Err(Failure::Unable("planted".to_owned()))
    });
    for n in 1..=3 {
        let words = match p.next_on(0).await {
            Outcome::Fail(failure) => failure.to_string(),
            pass => panic!("{pass:?}"),
        };
        assert_eq!(words, "cannot probe: planted");
        assert_eq!(p.stats.unable.load(Relaxed), n);
    }
}

#[tokio::test]
async fn the_expiry_of_a_targets_certificate_is_kept_while_it_is_probed() {
    let s = secure(&["127.0.0.1"], false).await;
    let m = Monitor {
        kind: MonitorKind::Tls(TlsCheck {
            trust: trust(Some(&s.ca)),
            alpn: Vec::new(),
        }),
        ..monitor(MS * 30_000)
    };
    let mut p = probing(plan(1, m.clone(), &[s.server.addr]));
    let outcome = p.next_on(0).await;
    assert!(matches!(outcome, Outcome::Pass { .. }), "{outcome:?}");
    let seen = p.stats.certificate_not_after(s.server.addr, "m");
    assert!(seen.is_some_and(|t| t > 1_700_000_000), "{seen:?}");
    let other = closed().await;
    p.plans.send_replace(plan(2, m, &[other]));
    while p.next().await.plan == 1 {}
    assert_eq!(p.stats.certificate_not_after(s.server.addr, "m"), None);
}

#[tokio::test]
async fn the_runner_ends_when_nobody_plans_or_listens_any_more() {
    let server = Server::start(Does::StaysSilent).await;
    let p = probing(plan(1, monitor(MS * 60_000), &[server.addr]));
    drop(p.plans);
    tokio::time::timeout(BOUND, p.task)
        .await
        .expect("ends")
        .unwrap();
    let p = probing(plan(1, monitor(MS * 60_000), &[server.addr]));
    drop(p.reports);
    tokio::time::timeout(BOUND, p.task)
        .await
        .expect("ends")
        .unwrap();
    drop(p.plans);
}
