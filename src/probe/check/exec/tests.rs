//! Commands that behave, and that do not.

use super::*;
use crate::health::MonitorKind;
use crate::probe::testing::*;
use std::path::Path;
use std::sync::Arc;

/// A check by a script that the shell runs: the shell is the program here.
fn probe(script: &str, timeout: Duration) -> ExecProbe {
    let check = ExecCheck {
        command: ["/bin/sh", "-c", script].map(Into::into).into(),
        max_output: 1000,
    };
    let monitor = Monitor {
        timeout,
        ..monitor(timeout * 2)
    };
    ExecProbe::new(&check, &monitor, "192.0.2.1:443".parse().unwrap())
}

async fn run(script: &str) -> Result<(), String> {
    let probe = probe(script, BOUND);
    tokio::time::timeout(BOUND, probe.run(&RuntimeClock::start()))
        .await
        .expect("must end")
        .map(|_| ())
        .map_err(|e| e.to_string())
}

/// The first line of a file that a command writes, once there is one.
async fn line_of(file: &Path) -> String {
    let begun = tokio::time::Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if let Some((line, _)) = text.split_once('\n') {
            return line.to_owned();
        }
        assert!(begun.elapsed() < BOUND, "nothing in {}", file.display());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the process is dead; a zombie that nobody has asked about yet is.
async fn dies(pid: &str) {
    let begun = tokio::time::Instant::now();
    let alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        !state.is_empty() && !state.starts_with(['Z', 'X'])
    };
    while alive() {
        assert!(begun.elapsed() < BOUND, "process {pid} lives");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn code_0_passes_and_others_fail_with_the_first_line() {
    assert_eq!(run("echo fine").await, Ok(()));
    assert_eq!(
        run("echo; echo 'too far behind' >&2; echo more; exit 3").await,
        Err("exit code 3: too far behind".to_owned())
    );
    assert_eq!(
        run("exit 1").await,
        Err("exit code 1: no output".to_owned())
    );
    assert_eq!(
        run("kill -9 $$").await,
        Err("killed by signal 9: no output".to_owned())
    );
}

#[tokio::test]
async fn a_command_that_is_not_there_says_nothing_about_the_target() {
    let check = ExecCheck {
        command: vec!["/nonexistent/check".into()],
        max_output: 0,
    };
    let probe = ExecProbe::new(&check, &monitor(BOUND), closed().await);
    let failure = probe.run(&RuntimeClock::start()).await.unwrap_err();
    assert!(matches!(failure, Failure::Unable(_)), "{failure:?}");
    assert!(
        failure.to_string().contains("`/nonexistent/check`"),
        "{failure}"
    );
}

#[tokio::test]
async fn the_environment_is_its_own() {
    // The shell adds what it keeps for itself.
    let script =
        "env | grep -v '^_=\\|^PWD=\\|^SHLVL=\\|^OLDPWD=' | sort | tr '\\n' ' '; pwd; exit 1";
    assert_eq!(
        run(script).await.unwrap_err(),
        format!(
            "exit code 1: LANG=C.UTF-8 PATH={PATH} TRADEWIND_ADDRESS=192.0.2.1 TRADEWIND_MONITOR=m \
             TRADEWIND_PORT=443 /"
        )
        .chars()
        .take("exit code 1: ".len() + 200)
        .collect::<String>()
    );
    assert_eq!(
        run("read line && exit 0; exit 0").await,
        Ok(()),
        "nothing to read"
    );
}

#[tokio::test]
async fn a_flood_of_output_ends_the_command() {
    let words = run("while :; do echo flood; done").await.unwrap_err();
    assert_eq!(
        words,
        "the command wrote more than the 1000 octets of `max-output`: flood"
    );
    let words = run("head -c 100000 /dev/zero; exit 0").await.unwrap_err();
    assert!(words.starts_with("the command wrote more"), "{words}");
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_its_children() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pids");
    let script = format!(
        "sleep 1000 & child=$!; echo $child $$ >{}; wait",
        file.display()
    );
    let probe = Arc::new(probe(&script, BOUND));
    let task = tokio::spawn({
        let probe = probe.clone();
        async move { probe.run(&RuntimeClock::start()).await }
    });
    let pids = line_of(&file).await;
    // What a timeout and a reload that removes the monitor come to.
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    for pid in pids.split(' ') {
        dies(pid).await;
    }
}

#[tokio::test]
async fn children_left_behind_are_killed_and_do_not_hold_the_run_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 1000 & echo $! >{}; exit 0", file.display());
    let begun = tokio::time::Instant::now();
    assert_eq!(run(&script).await, Ok(()));
    assert!(begun.elapsed() < BOUND / 2);
    dies(&line_of(&file).await).await;
}

#[tokio::test]
async fn so_many_run_at_once_and_the_next_has_no_opinion() {
    let all: Vec<_> = (0..AT_ONCE).map(|_| RUNNING.try_acquire()).collect();
    assert!(all.iter().all(Result::is_ok));
    let late = probe("exit 0", Duration::from_millis(100));
    let failure = late.run(&RuntimeClock::start()).await.unwrap_err();
    assert!(matches!(failure, Failure::Unable(_)), "{failure:?}");
    drop(all);
    assert!(late.run(&RuntimeClock::start()).await.is_ok());
}

#[test]
fn a_command_measures_no_distance() {
    let check = probe("", BOUND).check;
    assert!(!MonitorKind::Exec(check).measures_distance());
}
