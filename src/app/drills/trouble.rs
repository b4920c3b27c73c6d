//! What ends a running drill by itself.

use super::files::File;
use super::safety::{self, Present};
use super::world::{Ground, lesser};
use crate::app::orders::assess::assess_overrides;
use crate::drill::Charter;
use crate::health::State;
use crate::ids::EndpointId;
use crate::overrides::{InForce, Kind, Reach, Standing};
use crate::snapshot::View;
use crate::time::{Moment, Wall};

/// Fewer requests than this say nothing of a share of errors.
const ENOUGH: u64 = 20;

/// What proxies counted longer ago than this, in milliseconds, is not looked at.
const STALE_MS: u64 = 15_000;

/// What is looked at.
pub(super) struct Sight<'a> {
    pub(super) file: &'a File,
    /// The drill's order.
    pub(super) order: &'a InForce,
    /// What it is about; `None`: this configuration has no such thing.
    pub(super) ground: Option<&'a Ground>,
    pub(super) view: &'a View,
    pub(super) standing: &'a Standing,
    pub(super) present: Present,
    pub(super) wall: Wall,
    pub(super) now: Moment,
}

/// Why the drill must end now; `None`: it may go on. A rule that was broken knowingly at the beginning
/// is no reason.
pub(super) fn trouble(sight: &Sight<'_>) -> Option<String> {
    let Sight {
        file,
        order,
        view,
        standing,
        present,
        ..
    } = sight;
    let charter = &file.charter;
    let Some(ground) = sight.ground else {
        return Some(format!(
            "the configuration in force has no {} {} any more",
            charter.scope.word(),
            charter.name
        ));
    };
    let since_ms = order.record.stamp.ms;
    let minds = |rule: &str| !file.broke(rule);
    if minds(safety::ALONE)
        && let Some(other) = earlier(standing, order)
    {
        return Some(format!(
            "0 other drills may run, drill {other} began before"
        ));
    }
    if minds(safety::NO_ORDER) {
        let against = safety::conflicting(standing, ground, view, since_ms);
        if let Some(first) = against.first() {
            return Some(format!("an operator's order came about the same: {first}"));
        }
    }
    if minds(safety::QUORUM) && !present.is_enough() {
        return Some(format!(
            "{} of {} nodes must be there, {} are",
            present.needed(),
            present.all,
            present.alive
        ));
    }
    // A node that has just started has yet to hear of their health, and says nothing of it meanwhile.
    let awaited = |e: &EndpointId| {
        let state = view.board.verdict(*e).state;
        matches!(
            state,
            State::Unknown {
                counts_as_up: false
            }
        )
    };
    if ground.takers.iter().any(awaited) {
        return None;
    }
    if minds(safety::TAKERS) {
        let since = sight.wall.moment(since_ms);
        let failing = safety::failing(ground, view, Some(since));
        if let Some(first) = failing.first() {
            return Some(format!(
                "an endpoint that must take over is down since: {first}"
            ));
        }
    }
    let live = match charter.drill.reach {
        Reach::Everybody => Some(&view.live),
        Reach::Canary(_) | Reach::Label => {
            let mut scoped = view.scoped.iter();
            scoped.find(|s| s.id == charter.drill.id).map(|s| &s.live)
        }
    };
    // Only a view that has the drill shows what it does.
    let obeyed = view.drills.iter().any(|d| d.id == charter.drill.id);
    if let Some(live) = live.filter(|_| obeyed && minds(safety::CARRIED) && minds(safety::WELL))
        && let Some((name, how)) = lesser(live, view, &ground.names)
    {
        return Some(format!("{name} gives {how} under the drill"));
    }
    if obeyed
        && minds(safety::REMAINS)
        && let Some(broken) = short_of(charter, order, sight)
    {
        return Some(broken);
    }
    too_many_errors(file, sight.wall.unix_ms(sight.now))
}

/// The drill that began before this one and runs beside it.
fn earlier(standing: &Standing, order: &InForce) -> Option<String> {
    let own = &order.record.stamp;
    let mut drills = standing
        .0
        .iter()
        .filter(|o| matches!(o.kind, Kind::Drill(_)))
        .filter(|o| o.record.stamp < *own);
    drills.find_map(|o| o.record.drill.as_ref().map(|d| d.id.to_string()))
}

/// Whether less capacity remains than is demanded, or no region.
fn short_of(charter: &Charter, order: &InForce, sight: &Sight<'_>) -> Option<String> {
    let view = sight.view;
    // Without the drill, and with it.
    let mut without = view.parts();
    let own = |o: &InForce| o.record.stamp == order.record.stamp;
    let others = Standing(
        sight
            .standing
            .0
            .iter()
            .filter(|o| !own(o))
            .cloned()
            .collect(),
    );
    let steering = &view.snapshot.steering;
    let overrides = crate::snapshot::orders::resolve(&others, steering, sight.wall);
    without.overrides = overrides.into();
    without.drills = std::sync::Arc::default();
    let before = View::after(view, view.generation, sight.now, without);
    let after = super::world::laid_over(charter, &before);
    let broken = assess_overrides(&before, &after, charter.demand, sight.now).broken;
    broken.into_iter().next()
}

/// Whether proxies answer more requests with 5xx than is allowed.
fn too_many_errors(file: &File, now_ms: u64) -> Option<String> {
    if file.charter.drill.reach != Reach::Everybody {
        return None;
    }
    let recent = file.words.values().filter_map(|w| w.recent);
    let recent = recent.filter(|r| r.at_ms.abs_diff(now_ms) <= STALE_MS);
    let (requests, errors) = recent.fold((0, 0), |(r, e), one| (r + one.requests, e + one.errors));
    let most = u64::from(file.charter.max_errors);
    (requests >= ENOUGH && errors * 100 > most * requests).then(|| {
        format!(
            "{} % of {requests} requests of the last 10 s were answered with 5xx, {most} % are \
             allowed",
            errors * 100 / requests
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::files::Files;
    use super::super::word::tests::charter;
    use super::super::word::{Recent, Word};
    use super::*;

    #[test]
    fn errors_of_all_proxies_count_together_and_stale_ones_do_not() {
        let mut files = Files::default();
        let mut say = |node: &str, requests, errors, at_ms| {
            let mut word = Word::about(charter("x"));
            word.number = 1;
            word.recent = Some(Recent {
                requests,
                errors,
                at_ms,
            });
            files.hear(&node.into(), word);
        };
        say("a", 90, 4, 100_000);
        say("b", 10, 1, 101_000);
        say("c", 500, 500, 1_000);
        let file = &files.0["x"];
        assert_eq!(too_many_errors(file, 101_000), None, "5 of 100 are allowed");
        let mut worse = file.clone();
        let node = "b".into();
        let word = worse.words.get_mut::<std::sync::Arc<str>>(&node).unwrap();
        word.recent = Some(Recent {
            requests: 10,
            errors: 10,
            at_ms: 101_000,
        });
        let said = too_many_errors(&worse, 101_000).unwrap();
        assert!(said.starts_with("14 % of 100 requests"), "{said}");
    }
}
