//! All targets in turns.

use std::time::Duration;

use crate::Error;
use crate::process::pin;
use crate::random::Random;
use crate::tally::Tally;
use crate::target::Target;

/// The CPU of this process, where there are two; the proxies have CPU 0.
pub(crate) const CPU: usize = 1;

pub(crate) fn pinned() -> Result<(), Error> {
    pin(CPU.min(std::thread::available_parallelism()?.get() - 1))
}

fn once(
    target: &mut Target,
    round: usize,
    time: Duration,
    share: Option<f64>,
    tally: &mut Tally,
) -> Result<(), Error> {
    tally.clear();
    let (cpu, wall) = target.closed(time, tally)?;
    let place = format!("{round} {} {}", target.workload, target.name);
    let Some(share) = share else {
        let (p50, p99, _) = tally.quantiles();
        let (answers, failed, wall) = (tally.answers(), tally.failed, wall.as_nanos());
        println!("run {place} {answers} {failed} {cpu} {wall} {p50} {p99}");
        return Ok(());
    };
    let rate = share * tally.rate(wall);
    tally.clear();
    target.crowd.open(time, rate, tally)?;
    // Who runs before all others may not have all of a second: the kernel would halt the next run.
    std::thread::sleep(time / 2);
    let (p50, p99, _) = tally.quantiles();
    let (answers, failed) = (tally.answers(), tally.failed);
    println!("paced {place} {rate:.0} {answers} {failed} {p50} {p99}");
    Ok(())
}

/// Asks the targets, a run of `millis` each per round; one round more goes before and is not told.
pub(crate) fn run(
    rounds: &str,
    millis: &str,
    share: Option<&str>,
    targets: &[&str],
) -> Result<(), Error> {
    let rounds: usize = rounds.parse()?;
    let time = Duration::from_millis(millis.parse()?);
    let share = share.map(str::parse).transpose()?;
    pinned()?;
    if share.is_some() {
        // Else every wait for the next request ends some 50 microseconds late.
        rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    }
    let mut targets: Vec<Target> = targets
        .iter()
        .map(|t| Target::parse(t))
        .collect::<Result<_, _>>()?;
    let mut tally = Tally::default();
    for target in &mut targets {
        target.closed(time / 2, &mut tally)?;
    }
    let mut random = Random::new(2026);
    let mut workloads: Vec<String> = targets.iter().map(|t| t.workload.clone()).collect();
    workloads.sort();
    workloads.dedup();
    for round in 0..rounds {
        random.shuffle(&mut workloads);
        random.shuffle(&mut targets);
        for workload in &workloads {
            for target in targets.iter_mut().filter(|t| t.workload == *workload) {
                once(target, round, time, share, &mut tally)?;
            }
        }
    }
    Ok(())
}
