//! Publication: one swap, and generations only grow (requirement F6).

use std::sync::Arc;

use tradewind::app::load::{Wanted, load_all};
use tradewind::health::{Board, Verdict};
use tradewind::snapshot::{Parts, Publisher, Snapshot, View};
use tradewind::time::Moment;
use tradewind::units::Generation;

use crate::support::demo::package;

fn snapshot() -> Arc<Snapshot> {
    let config = package().join("config/demo");
    let wanted = Wanted {
        config,
        ..Wanted::default()
    };
    load_all(&wanted)
        .unwrap_or_else(|r| panic!("{r}"))
        .compiled
        .snapshot
}

fn view(snapshot: &Arc<Snapshot>, generation: u64) -> View {
    let verdicts = vec![Verdict::unmonitored(); snapshot.steering.endpoints.len()];
    View::new(
        Generation(generation),
        Moment(generation),
        Parts::new(snapshot.clone(), Arc::new(Board::new(verdicts))),
    )
}

#[test]
fn f6_an_older_generation_never_replaces_a_newer() {
    let snapshot = snapshot();
    let publisher = Publisher::new(view(&snapshot, 1));
    let mut reader = publisher.reader();
    assert!(publisher.publish(view(&snapshot, 5)));
    assert!(!publisher.publish(view(&snapshot, 4)), "older");
    assert!(!publisher.publish(view(&snapshot, 5)), "the same again");
    assert_eq!(reader.view().generation, Generation(5));
    assert!(publisher.publish(view(&snapshot, 6)));
    assert_eq!(reader.view().generation, Generation(6));
    assert_eq!(publisher.latest().generation, Generation(6));
}

#[test]
fn f6_of_two_writers_the_newest_wins_and_readers_never_go_back() {
    let snapshot = snapshot();
    let publisher = Publisher::new(view(&snapshot, 1));
    std::thread::scope(|scope| {
        for offset in 0..2 {
            let (publisher, snapshot) = (publisher.clone(), &snapshot);
            scope.spawn(move || {
                for i in 1..100 {
                    publisher.publish(view(snapshot, 2 * i + offset));
                }
            });
        }
        let mut reader = publisher.reader();
        scope.spawn(move || {
            let mut last = Generation(0);
            for _ in 0..10_000 {
                let now = reader.view().generation;
                assert!(now >= last, "{now} after {last}");
                last = now;
            }
        });
    });
    assert_eq!(publisher.latest().generation, Generation(199));
}

#[test]
fn a_reader_that_goes_over_to_a_new_view_does_not_free_the_old_one() {
    let snapshot = snapshot();
    let publisher = Publisher::new(view(&snapshot, 1));
    let mut reader = publisher.reader();
    let old = Arc::downgrade(reader.view());
    assert!(publisher.publish(view(&snapshot, 2)));
    publisher.sweep();
    assert!(old.upgrade().is_some(), "the reader still holds it");
    assert!(publisher.has_retired());
    assert_eq!(reader.view().generation, Generation(2));
    assert!(old.upgrade().is_some(), "left for the sweep");
    publisher.sweep();
    assert!(old.upgrade().is_none());
    assert!(!publisher.has_retired());
}
