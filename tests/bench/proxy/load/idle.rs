//! Connections that have been used and wait.

use std::io::{Read as _, Write as _};

use crate::Error;
use crate::crowd::Crowd;
use crate::rounds::pinned;
use crate::tally::Tally;
use crate::workload::Workload;

/// Connections that ask at the same time.
const AT_ONCE: usize = 50;

/// Opens the connections, asks once on each, and keeps them until its input ends.
pub(crate) fn run(workload: &str, addr: &str, connections: &str) -> Result<(), Error> {
    pinned()?;
    let workload = Workload {
        connections: connections.parse()?,
        ..Workload::of(workload)?
    };
    let mut crowd = Crowd::new(addr.parse()?, workload)?;
    let mut tally = Tally::default();
    crowd.once(AT_ONCE, &mut tally)?;
    println!("idle {} {}", crowd.len(), tally.failed);
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    println!("open {}", crowd.open_now());
    Ok(())
}
