//! A proxy under one workload.

use std::time::{Duration, Instant};

use crate::Error;
use crate::crowd::Crowd;
use crate::process::cpu_ns;
use crate::tally::Tally;
use crate::workload::Workload;

/// Share of a run that goes before what counts, so that the caches hold what they hold under load.
const WARMING: f64 = 0.15;

/// How long a server gets to go to sleep, so that the kernel's account of it is complete.
const SETTLE: Duration = Duration::from_micros(300);

pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) workload: String,
    pids: Vec<u32>,
    pub(crate) crowd: Crowd,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Target, Error> {
        let parts: Vec<&str> = text.split(',').collect();
        let [name, workload, addr, pids] = parts[..] else {
            return Err(format!("`{text}` is not NAME,WORKLOAD,ADDR,PID[+PID...]").into());
        };
        let crowd = Crowd::new(addr.parse()?, Workload::of(workload)?)
            .map_err(|error| format!("{name}, {workload}: {error}"))?;
        Ok(Target {
            name: name.into(),
            workload: workload.into(),
            pids: pids.split('+').map(str::parse).collect::<Result<_, _>>()?,
            crowd,
        })
    }

    /// A closed loop of this length, the warming before it not counted. Returns CPU nanoseconds of
    /// the processes, and the time.
    pub(crate) fn closed(
        &mut self,
        time: Duration,
        tally: &mut Tally,
    ) -> Result<(u64, Duration), Error> {
        let words = |error| format!("{}, {}: {error}", self.name, self.workload);
        let warming = time.mul_f64(WARMING);
        self.crowd.closed(warming, tally, None).map_err(words)?;
        let failed = tally.failed;
        tally.clear();
        tally.failed = failed;
        settle();
        let before = cpu_ns(&self.pids)?;
        let start = Instant::now();
        self.crowd
            .closed(time - warming, tally, None)
            .map_err(words)?;
        let wall = start.elapsed();
        settle();
        Ok((cpu_ns(&self.pids)? - before, wall))
    }
}

fn settle() {
    std::thread::sleep(SETTLE);
}
