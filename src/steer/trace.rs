//! Why: the trace of a decision, recorded only where somebody asked.

/// Receives the steps of a decision. With [`NoTrace`] all of it compiles to nothing.
pub trait Trace {
    /// Whether steps are kept at all; guards work done only to describe.
    const ON: bool;
}

/// Records nothing.
#[derive(Debug)]
pub struct NoTrace;

impl Trace for NoTrace {
    const ON: bool = false;
}

/// Records everything.
#[derive(Debug, Default)]
pub struct Recorder {}

impl Trace for Recorder {
    const ON: bool = true;
}
