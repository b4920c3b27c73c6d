//! What a node tells of itself beside its answers and its log.

mod process;
