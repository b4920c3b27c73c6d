//! Load for DNS servers over UDP on one machine, and the floor to compare them with.
//!
//! ```text
//! dns_load echo                                   the floor: sends every datagram back as it came
//! dns_load rounds ROUNDS MILLISECONDS TARGET...   asks all targets in turns
//! dns_load sample ADDR WORKLOAD QUERIES SEED      one query after the other, the answers as text
//!
//! TARGET   NAME,WORKLOAD,ADDR,PID[+PID...]
//! WORKLOAD static | names | geo-ecs | weighted | signed | nxdomain | nodata
//! ```
//!
//! `rounds` asks every target once per round, all targets of a workload one behind the other, in an
//! order that is shuffled each time: the speed of shared machines drifts, and only neighbours in
//! time can be compared. It prints one line per run:
//!
//! `run ROUND WORKLOAD NAME ANSWERS LOST CPU_NS WALL_NS P50_US P99_US RECORDS EMPTY NXDOMAIN OTHER`
//!
//! CPU_NS is what the kernel charged to all threads of the processes PID meanwhile. 128 queries are in
//! flight over 8 connected sockets, and answers are polled for, so that the server never runs
//! out of work and never pays for waking its client.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark reads the clock and prints"
)]
#![expect(unsafe_code, reason = "batches of datagrams and pinning need libc")]

mod batch;
mod echo;
mod flow;
mod process;
mod random;
mod rounds;
mod sample;
mod workload;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        // What `cargo bench` and `cargo test` say to a target without a harness.
        [] | ["--bench" | "--test", ..] => Ok(()),
        ["echo"] => echo::run(),
        ["rounds", rounds, millis, targets @ ..] => rounds::run(rounds, millis, targets),
        ["sample", addr, workload, queries, seed] => sample::run(addr, workload, queries, seed),
        _ => Err("see the head of tests/bench/dns/load/main.rs for the commands".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dns_load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Any failure, with its words.
type Error = Box<dyn std::error::Error>;
