//! One long run, told slice by slice, so that what somebody does to the proxy meanwhile can be seen.

use std::io::Write as _;
use std::time::Duration;

use crate::Error;
use crate::rounds::pinned;
use crate::tally::Tally;
use crate::target::Target;

/// A closed loop of so many slices of `millis` each; one more goes before and is not told.
pub(crate) fn run(slices: &str, millis: &str, target: &str) -> Result<(), Error> {
    let slices: u32 = slices.parse()?;
    let every = Duration::from_millis(millis.parse()?);
    pinned()?;
    let mut target = Target::parse(target)?;
    let mut tally = Tally::default();
    target.crowd.closed(every, &mut tally, None)?;
    tally.clear();
    let mut number = 0;
    let mut tell = |tally: &mut Tally| {
        let (p50, p99, most) = tally.quantiles();
        let (answers, failed) = (tally.answers(), tally.failed);
        println!("slice {number} {answers} {failed} {p50} {p99} {most}");
        number += 1;
        // Who reads it acts on it.
        let _ = std::io::stdout().flush();
    };
    target
        .crowd
        .closed(every * slices, &mut tally, Some((every, &mut tell)))
}
