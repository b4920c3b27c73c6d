//! Rows of `[telemetry]`.

use super::super::Kind;
use super::super::Presence::Default;
use super::{OptionRow, opt};

pub(super) const ROWS: &[OptionRow] = &[opt(
    "telemetry.sampling.max-per-second",
    Kind::Integer(0, 100_000),
    Default("1000"),
    "How many answers a second each node looks at, all DNS threads together, to know which clients are sent where (`tradewind plan`, flows in the dashboard): all of them while there are fewer, else a fair sample of so many. 0: none.",
    "1000",
)];
