//! Load for proxies on one machine, and the servers behind them.
//!
//! ```text
//! proxy_load backend                               answers; prints `ready ADDR`
//! proxy_load octets                                the same for layer 4; prints `ready TCP-ADDR UDP-ADDR`
//! proxy_load stream                                prints what long streams consist of
//! proxy_load rounds ROUNDS MILLISECONDS TARGET...  asks all targets in turns, as fast as they answer
//! proxy_load paced ROUNDS MILLISECONDS SHARE TARGET...
//!                                                  the same, then at SHARE of the rate just reached
//! proxy_load slices SLICES MILLISECONDS TARGET     one long run, told slice by slice
//! proxy_load idle WORKLOAD ADDR CONNECTIONS        asks once on each connection and keeps all open
//!
//! TARGET   NAME,WORKLOAD,ADDR,PID[+PID...]
//! WORKLOAD plain | 64k | tls | handshake | h2 | routes | tcp-bulk | tcp-round | tcp-one | tcp-connect | udp
//! ```
//!
//! `rounds` asks every target once per round, all targets of a workload one behind the other, in an
//! order that is shuffled each time: the speed of shared machines drifts, and only neighbours in
//! time can be compared. One line per run:
//!
//! `run ROUND WORKLOAD NAME ANSWERS FAILED CPU_NS WALL_NS P50_US P99_US`
//!
//! CPU_NS is what the kernel charged to all threads of the processes PID meanwhile. `paced` is an open
//! loop: requests come at random moments (Poisson), and an answer's time counts from the moment its
//! request was due, whether or not a connection was free:
//!
//! `paced ROUND WORKLOAD NAME RATE ANSWERS FAILED P50_US P99_US`
//!
//! `slices` tells `slice NUMBER ANSWERS FAILED P50_US P99_US MAX_US` at the end of each; `idle` tells
//! `idle CONNECTIONS FAILED`, waits for the end of its input, and tells `open CONNECTIONS`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reads the clock and prints"
)]
#![expect(unsafe_code, reason = "pinning and batches need libc")]

mod backend;
#[expect(
    dead_code,
    reason = "the generator for DNS writes into the buffers, too"
)]
#[path = "../../dns/load/batch.rs"]
mod batch;
mod client;
mod crowd;
mod h1;
mod h2;
mod idle;
mod octets;
mod poll;
#[path = "../../dns/load/process.rs"]
mod process;
#[path = "../../dns/load/random.rs"]
mod random;
mod rounds;
mod slices;
mod tally;
mod target;
mod wire;
mod workload;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        // What `cargo bench` and `cargo test` say to a target without a harness.
        [] | ["--bench" | "--test", ..] => Ok(()),
        ["backend"] => backend::run(),
        ["octets"] => octets::run(),
        ["stream"] => std::io::stdout()
            .write_all(&octets::stream())
            .map_err(Error::from),
        ["rounds", rounds, millis, targets @ ..] => rounds::run(rounds, millis, None, targets),
        ["paced", rounds, millis, share, targets @ ..] => {
            rounds::run(rounds, millis, Some(share), targets)
        }
        ["slices", slices, millis, target] => slices::run(slices, millis, target),
        ["idle", workload, addr, connections] => idle::run(workload, addr, connections),
        _ => Err("see the head of tests/bench/proxy/load/main.rs for the commands".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy_load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Any failure, with its words.
type Error = Box<dyn std::error::Error>;
