//! Rows of the record of what happened, as a damaged disk may give them back.

use tradewind::history::{Batch, Told};

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(batch) = Batch::read(text) {
        assert_eq!(Batch::read(&batch.text()), Some(batch.clone()));
        assert_eq!(Batch::read_time(text), Some(batch.at_ms));
        let mut state = tradewind::history::State::default();
        state.apply(&batch);
        // What a checkpoint says of it is the same state.
        let mut again = tradewind::history::State::default();
        again.apply(&Batch {
            facts: state.facts(),
            ..batch
        });
        assert_eq!(again, state);
    }
    if let Some(told) = Told::read(text) {
        assert_eq!(Told::read(&told.line()), Some(told));
    }
}
