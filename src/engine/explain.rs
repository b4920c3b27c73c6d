//! Explain: the same decision, with its trace.
