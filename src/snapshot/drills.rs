//! Drills in a view: what each orders, and for those with a scope what everything offers under it.
//!
//! A drill with a scope never touches what the view offers to all others. Its own offers are resolved
//! by the same functions from the same health, with the drill's orders laid over the operators'.

use std::sync::Arc;

use crate::health::{Override, Overrides};
use crate::overrides::{Kind, Reach, Standing};
use crate::steer::{Known, Live, Steering};
use crate::time::{Moment, Wall};
use crate::units::Generation;

use super::orders;

/// Most drills with a scope that a view obeys: each takes offers of its own. Rules let only one run
/// at a time; breaking them, several can be begun.
pub const MAX_SCOPED: usize = 4;

/// What a drill orders.
#[derive(Clone, PartialEq, Debug)]
pub struct DrillOrders {
    /// Its name.
    pub id: Arc<str>,
    /// Whom it concerns.
    pub reach: Reach,
    /// Its end at the latest; bounds TTLs (requirement T3).
    pub ends: Moment,
    /// What it lays over the operators' orders.
    pub orders: Vec<Override>,
}

/// A drill with a scope.
#[derive(Clone, Debug)]
pub struct ScopedDrill {
    /// Its name.
    pub id: Arc<str>,
    /// `drill-ID` as one label of a name on the wire.
    pub label: Box<[u8]>,
    /// Whom it concerns.
    pub reach: Reach,
    /// Its end at the latest.
    pub ends: Moment,
    /// Its own orders, and the operators' over them.
    pub overrides: Arc<Overrides>,
    /// What each plan offers under it.
    pub live: Live,
}

/// Most drills whose coming and going a view remembers.
const MARKS: usize = 8;

/// The views in which a drill came and went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrillMark {
    /// The drill.
    pub id: Arc<str>,
    /// The first view that has it, and when that was published.
    pub begun: (Generation, Moment),
    /// The first view that has it no more.
    pub over: Option<(Generation, Moment)>,
}

/// The marks of a view with `drills`, from those of the view before.
pub(super) fn marks(
    before: &[DrillMark],
    drills: &[DrillOrders],
    generation: Generation,
    now: Moment,
) -> Box<[DrillMark]> {
    if before.is_empty() && drills.is_empty() {
        return Box::default();
    }
    let here = |id: &str| drills.iter().any(|d| *d.id == *id);
    let mut marks: Vec<DrillMark> = before
        .iter()
        .map(|mark| DrillMark {
            over: mark
                .over
                .or_else(|| (!here(&mark.id)).then_some((generation, now))),
            ..mark.clone()
        })
        .collect();
    for drill in drills {
        if !marks.iter().any(|m| m.id == drill.id) {
            marks.push(DrillMark {
                id: drill.id.clone(),
                begun: (generation, now),
                over: None,
            });
        }
    }
    let many = marks.len().saturating_sub(MARKS);
    marks.drain(..many);
    marks.into()
}

/// The drills in force, in the order of their beginning.
pub fn of(standing: &Standing, steering: &Steering, wall: Wall) -> Arc<[DrillOrders]> {
    let drills = standing.0.iter();
    let drills = drills.filter(|o| matches!(o.kind, Kind::Drill(_)));
    let mut begun: Vec<_> = drills
        .filter_map(|o| o.record.drill.as_ref().map(|d| (&o.record.stamp, d, o)))
        .collect();
    begun.sort_by(|a, b| a.0.cmp(b.0));
    let mut out: Vec<DrillOrders> = Vec::new();
    for (_, drill, order) in begun {
        let one = orders::one(order, steering, wall);
        match out.iter_mut().find(|d| d.id == drill.id) {
            Some(known) => known.orders.extend(one),
            None => out.push(DrillOrders {
                id: drill.id.clone(),
                reach: drill.reach,
                ends: wall.moment(order.record.expires.unwrap_or(u64::MAX)),
                orders: one.into_iter().collect(),
            }),
        }
    }
    out.into()
}

/// Resolves the drills that have a scope; `before` are those of the view before, with what was known
/// then, where it is of the same configuration.
pub(super) fn resolve(
    drills: &[DrillOrders],
    steering: &Steering,
    known: Known<'_>,
    now: Moment,
    before: Option<(&[ScopedDrill], Known<'_>)>,
) -> Box<[ScopedDrill]> {
    let scoped = drills.iter().filter(|d| d.reach.is_scoped());
    let scoped = scoped.take(MAX_SCOPED).map(|drill| {
        let overrides = under_orders(&drill.orders, known.overrides);
        let under = Known {
            overrides: &overrides,
            ..known
        };
        let was = before.and_then(|(all, was)| {
            let same = all.iter().find(|s| s.id == drill.id)?;
            Some((same, was))
        });
        let live = match was {
            Some((same, was)) => {
                let was = Known {
                    overrides: &same.overrides,
                    ..was
                };
                same.live.renew(steering, was, under, now)
            }
            None => Live::resolve(
                steering,
                under.board,
                under.measurements,
                under.overrides,
                now,
            ),
        };
        ScopedDrill {
            id: drill.id.clone(),
            label: label(&drill.id),
            reach: drill.reach,
            ends: drill.ends,
            overrides: Arc::new(overrides),
            live,
        }
    });
    scoped.collect()
}

/// A drill's orders, with the operators' over them: of two about one scope's state the operator's own
/// stands, as where the drill is for everybody.
pub fn under_orders(drill: &[Override], operators: &Overrides) -> Overrides {
    Overrides(drill.iter().chain(&operators.0).cloned().collect())
}

/// `drill-ID` on the wire.
fn label(id: &str) -> Box<[u8]> {
    let text = format!("drill-{id}");
    // A name of at most 16 octets: checked where the order was read.
    let len = u8::try_from(text.len()).unwrap_or(0).min(63);
    let mut out = vec![len];
    out.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
    out.into()
}

impl ScopedDrill {
    /// The name that `name`, lower-cased and on the wire, stands for under this drill: what follows
    /// its label.
    #[inline]
    pub fn strip<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        match self.reach {
            Reach::Label => name.strip_prefix(&*self.label),
            Reach::Everybody | Reach::Canary(_) => None,
        }
    }
}
