//! All targets in turns.

use std::time::{Duration, Instant};

use crate::Error;
use crate::flow::{Flow, Tally};
use crate::process::{cpu_ns, pin};
use crate::random::Random;
use crate::workload::{Queries, Workload};

/// Sockets per target.
const FLOWS: usize = 8;

/// The CPU of this process, where there are two; the servers have CPU 0.
const CPU: usize = 1;

/// Share of a run that goes before what counts, so that the caches hold what they hold under load.
const WARMING: f64 = 0.15;

/// How long answers are waited for at the end of a run. What has not come then is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a server gets to go to sleep, so that the kernel's account of it is complete.
const SETTLE: Duration = Duration::from_micros(300);

struct Target {
    name: String,
    workload: String,
    pids: Vec<u32>,
    flows: Vec<Flow>,
    queries: Queries,
}

impl Target {
    fn parse(text: &str) -> Result<Target, Error> {
        let parts: Vec<&str> = text.split(',').collect();
        let [name, workload, addr, pids] = parts[..] else {
            return Err(format!("`{text}` is not NAME,WORKLOAD,ADDR,PID[+PID...]").into());
        };
        let addr = addr.parse()?;
        Ok(Target {
            name: name.into(),
            workload: workload.into(),
            pids: pids.split('+').map(str::parse).collect::<Result<_, _>>()?,
            flows: (0..FLOWS)
                .map(|_| Flow::new(addr))
                .collect::<Result<_, _>>()?,
            queries: Queries::new(Workload::of(workload)?, 1),
        })
    }

    /// Asks for `time`, and until all answers are there. Returns how many are lost.
    fn drive(&mut self, time: Duration, tally: &mut Tally) -> Result<usize, Error> {
        let start = Instant::now();
        loop {
            let asking = start.elapsed() < time;
            for flow in &mut self.flows {
                flow.take(tally)?;
                if asking {
                    flow.fill(&mut self.queries)?;
                }
            }
            if !asking {
                let left = self.flows.iter().map(Flow::in_flight).sum();
                if left == 0 || start.elapsed() > time + PATIENCE {
                    self.flows.iter_mut().for_each(Flow::forget);
                    return Ok(left);
                }
            }
        }
    }

    fn run(&mut self, round: usize, time: Duration, tally: &mut Tally) -> Result<(), Error> {
        let warming = time.mul_f64(WARMING);
        self.drive(warming, tally)?;
        tally.clear();
        settle();
        let before = cpu_ns(&self.pids)?;
        let start = Instant::now();
        let lost = self.drive(time - warming, tally)?;
        let wall = start.elapsed();
        settle();
        let cpu = cpu_ns(&self.pids)? - before;
        println!(
            "run {round} {} {} {} {lost} {cpu} {} {} {} {} {} {} {}",
            self.workload,
            self.name,
            tally.answers,
            wall.as_nanos(),
            tally.quantile(0.5),
            tally.quantile(0.99),
            tally.records,
            tally.empty,
            tally.nxdomain,
            tally.other,
        );
        Ok(())
    }
}

fn settle() {
    let start = Instant::now();
    while start.elapsed() < SETTLE {
        std::hint::spin_loop();
    }
}

/// Asks the targets, a run of `millis` each per round; one round more goes before and is not told.
pub(crate) fn run(rounds: &str, millis: &str, targets: &[&str]) -> Result<(), Error> {
    let rounds: usize = rounds.parse()?;
    let time = Duration::from_millis(millis.parse()?);
    pin(CPU.min(std::thread::available_parallelism()?.get() - 1))?;
    let mut targets: Vec<Target> = targets
        .iter()
        .map(|t| Target::parse(t))
        .collect::<Result<_, _>>()?;
    let mut tally = Tally::new();
    for target in &mut targets {
        target.drive(time, &mut tally)?;
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
                target.run(round, time, &mut tally)?;
            }
        }
    }
    Ok(())
}
