//! What clients' own connections say about an order, and what they cannot say.
//!
//! A client's time to one region cannot be compared to what a vantage guesses of another: the guess lacks
//! the client's own line, and would win by that. So only this is known:
//!
//! - the time to a region that clients of the prefix were measured from;
//! - of any other region, that it is not nearer than light allows: a client that is `c` milliseconds from
//!   region A is within 100 km × `c` of it (light in fibre takes a millisecond there and back for 100 km),
//!   and so at least the rest of the way from region B.
//!
//! Region A *beats* B when A was measured, and B's time, or what it is at least, lies beyond the tolerance
//! around A's. Who is beaten gives its place to who beats it; nobody else moves ([`Word::order`]). So a
//! region that was never measured is never preferred to one that was, unless it was before.

use std::time::Duration;

use crate::health::clients::ClientTime;
use crate::ids::RegionId;

use super::{Region, Tolerance};

/// Kilometres that light in fibre covers there and back in a millisecond.
const KM_PER_MS: f64 = 100.0;

/// What the times of one client prefix say of the regions of a shape. Prefixes of which the same is said
/// share their orders, whatever their times are.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Word {
    /// The regions that were measured, ascending.
    measured: Vec<RegionId>,
    /// Who beats whom, ascending.
    beats: Vec<(RegionId, RegionId)>,
}

impl Word {
    /// What `times` say of `regions`, each of which comes once.
    pub(super) fn of(
        times: &[ClientTime],
        regions: &[RegionId],
        places: &[Region],
        tolerance: Tolerance,
    ) -> Word {
        let known: Vec<(RegionId, f64)> = regions
            .iter()
            .filter_map(|r| Some((*r, time(times, *r)?.as_secs_f64())))
            .collect();
        let place = |r: RegionId| places[r.index()].coordinates;
        // Of every time that counts, even to a region that is no member.
        let floor = |r: RegionId| {
            let all = times.iter().filter_map(|t| Some((t.region, t.rtt?)));
            let least = all.map(|(from, rtt)| {
                let km = place(from).km_to(place(r));
                km / KM_PER_MS / 1e3 - rtt.as_secs_f64()
            });
            least.fold(0.0, f64::max)
        };
        let mut word = Word::default();
        for (a, best) in &known {
            let limit = tolerance.limit(*best);
            for b in regions.iter().filter(|b| *b != a) {
                let value = time(times, *b).map_or_else(|| floor(*b), |d| d.as_secs_f64());
                if value > limit {
                    word.beats.push((*a, *b));
                }
            }
        }
        word.measured = known.into_iter().map(|(r, _)| r).collect();
        word.measured.sort_unstable();
        word.beats.sort_unstable();
        word
    }

    /// Whether no order can be another by it.
    pub(super) fn says_nothing(&self) -> bool {
        self.beats.is_empty() && self.measured.len() < 2
    }

    fn is_measured(&self, r: RegionId) -> bool {
        self.measured.binary_search(&r).is_ok()
    }

    fn beats(&self, a: RegionId, b: RegionId) -> bool {
        self.beats.binary_search(&(a, b)).is_ok()
    }

    /// The tier whose order without clients' times is `parts`, with them. Part by part: where every member
    /// that is left was measured or is beaten, those that nobody beats come next; else those of the next
    /// part come, and whoever of them is beaten gives its place to those who beat it. Members of one
    /// region keep their order.
    pub(super) fn order(
        &self,
        parts: &[Vec<u16>],
        region: impl Fn(u16) -> RegionId,
    ) -> Vec<Vec<u16>> {
        let mut rest: Vec<Vec<u16>> = parts.to_vec();
        let mut out = Vec::with_capacity(rest.len());
        while let Some(next) = rest.first() {
            let regions: Vec<RegionId> = rest.iter().flatten().map(|m| region(*m)).collect();
            let beaten = |r: RegionId| regions.iter().any(|a| self.beats(*a, r));
            let near = |r: RegionId| self.is_measured(r) && !beaten(r);
            let surely = regions.iter().all(|r| self.is_measured(*r) || beaten(*r));
            // The first of each near region, in the order there was.
            let nearest = || {
                let mut seen: Vec<RegionId> = Vec::new();
                let mut all = Vec::new();
                for part in &rest {
                    let of: Vec<u16> = part
                        .iter()
                        .copied()
                        .filter(|m| near(region(*m)) && !seen.contains(&region(*m)))
                        .collect();
                    seen.extend(of.iter().map(|m| region(*m)));
                    all.extend(of);
                }
                all
            };
            let mut part = if surely {
                nearest()
            } else if next.iter().any(|m| beaten(region(*m))) {
                let kept = next.iter().copied().filter(|m| !beaten(region(*m)));
                let mut part: Vec<u16> = kept.chain(nearest()).collect();
                part.sort_unstable();
                part.dedup();
                part
            } else {
                next.clone()
            };
            if part.is_empty() {
                // Nobody who beats can be beaten by all: but never answer less than there was.
                part = next.clone();
            }
            part.sort_unstable();
            for left in &mut rest {
                left.retain(|m| part.binary_search(m).is_err());
            }
            rest.retain(|left| !left.is_empty());
            out.push(part);
        }
        out
    }
}

fn time(times: &[ClientTime], region: RegionId) -> Option<Duration> {
    times.iter().find(|t| t.region == region)?.rtt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Coordinates;
    use proptest::prelude::*;

    /// Frankfurt, Virginia, Singapore, Paris.
    fn places() -> Vec<Region> {
        let all = [(50.1, 8.7), (38.9, -77.5), (1.4, 103.8), (48.9, 2.4)];
        let region = |(lat, lon)| Region {
            name: "r".into(),
            coordinates: Coordinates::new(lat, lon).unwrap(),
        };
        all.map(region).to_vec()
    }

    fn times(ms: &[(u32, u64)]) -> Vec<ClientTime> {
        let one = |(region, ms): &(u32, u64)| ClientTime {
            region: RegionId(*region),
            rtt: Some(Duration::from_millis(*ms)),
            latest: Duration::from_millis(*ms),
            connections: 5,
            age: Duration::ZERO,
            moving: false,
        };
        ms.iter().map(one).collect()
    }

    const RING: Tolerance = Tolerance {
        width: Duration::from_millis(5),
        percent: 10,
    };

    fn order(ms: &[(u32, u64)], parts: &[&[u16]]) -> Vec<Vec<u16>> {
        let regions: Vec<RegionId> = (0..4).map(RegionId).collect();
        let used: Vec<RegionId> = regions
            .into_iter()
            .filter(|r| parts.concat().contains(&(r.0 as u16)))
            .collect();
        let parts: Vec<Vec<u16>> = parts.iter().map(|p| p.to_vec()).collect();
        let word = Word::of(&times(ms), &used, &places(), RING);
        word.order(&parts, |m| RegionId(m.into()))
    }

    #[test]
    fn where_all_are_measured_the_times_alone_decide() {
        assert_eq!(order(&[(0, 90), (1, 20)], &[&[0], &[1]]), [[1], [0]]);
        assert_eq!(order(&[(0, 24), (1, 20)], &[&[0], &[1]]), [[0, 1]]);
        assert_eq!(order(&[(0, 26), (1, 20)], &[&[0, 1]]), [[1], [0]]);
    }

    #[test]
    fn one_measured_region_is_not_left_for_a_guess() {
        // However long the way to Frankfurt is: nobody knows that Paris is nearer.
        assert_eq!(order(&[(0, 900)], &[&[0], &[3]]), [[0], [3]]);
        assert_eq!(order(&[(0, 900)], &[&[0, 3]]), [[0, 3]]);
        assert_eq!(order(&[(0, 900)], &[&[3], &[0]]), [[3], [0]]);
    }

    #[test]
    fn what_light_rules_out_is_beaten_without_being_measured() {
        // 5 ms from Frankfurt is nowhere near Virginia, 6,500 km away: 65 - 5 ms at least.
        assert_eq!(order(&[(0, 5)], &[&[1], &[0]]), [[0], [1]]);
        // Paris, 450 km away, may well be nearer.
        assert_eq!(order(&[(0, 5)], &[&[3], &[0]]), [[3], [0]]);
        // 40 ms leave room for Virginia being nearer.
        assert_eq!(order(&[(0, 40)], &[&[1], &[0]]), [[1], [0]]);
    }

    #[test]
    fn who_is_beaten_gives_its_place_and_nobody_else_moves() {
        let known = [(0, 130), (2, 100)];
        assert_eq!(order(&known, &[&[0], &[1], &[2]]), [[2], [0], [1]]);
        assert_eq!(order(&known, &[&[1], &[0], &[2]]), [[1], [2], [0]]);
        // Beside one of which nothing is known.
        assert_eq!(order(&known, &[&[0, 1], &[2]]), [vec![1, 2], vec![0]]);
    }

    fn worlds() -> impl Strategy<Value = (Vec<(u32, u64)>, Vec<Vec<u16>>)> {
        let known = proptest::collection::vec(proptest::option::of(1..200_u64), 4);
        (
            known,
            proptest::collection::vec(0..4_usize, 4),
            any::<u64>(),
        )
            .prop_map(|(known, tiers, seed)| {
                let known = known.iter().zip(0..);
                let known = known.filter_map(|(ms, r)| Some((r, (*ms)?))).collect();
                let mut parts = vec![Vec::new(); 4];
                for (m, tier) in tiers.iter().enumerate() {
                    let at = (tier + seed as usize % 4) % 4;
                    parts[at].push(m as u16);
                }
                parts.retain(|p: &Vec<u16>| !p.is_empty());
                (known, parts)
            })
    }

    fn place(parts: &[Vec<u16>], m: u16) -> usize {
        parts.iter().position(|p| p.contains(&m)).unwrap()
    }

    proptest! {
        /// Nobody is lost or told twice; who was measured and is nearer than another that was comes no
        /// later; and who was not measured never gains on one that was, unless a third one beats that.
        #[test]
        fn no_guess_beats_a_measurement((known, parts) in worlds()) {
            let refs: Vec<&[u16]> = parts.iter().map(Vec::as_slice).collect();
            let after = order(&known, &refs);
            let mut all = after.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..4).collect::<Vec<u16>>());
            let ms = |m: u16| known.iter().find(|(r, _)| *r == u32::from(m)).map(|k| k.1);
            for a in 0..4 {
                for b in 0..4 {
                    let (pa, pb) = (place(&after, a), place(&after, b));
                    if let (Some(x), Some(y)) = (ms(a), ms(b))
                        && y as f64 > (x as f64 + 5.0).max(x as f64 * 1.1)
                    {
                        prop_assert!(pa <= pb, "{a} with {x} ms before {b} with {y} ms: {after:?}");
                    }
                    // `a` a guess, `b` the nearest of all that were measured.
                    let nearest = ms(b).is_some_and(|y| known.iter().all(|k| k.1 >= y));
                    if ms(a).is_none() && nearest && place(&parts, b) < place(&parts, a) {
                        prop_assert!(pb <= pa, "{b} was before {a}: {parts:?}, {after:?}");
                    }
                }
            }
        }

        /// The same said twice is the same said once.
        #[test]
        fn an_order_by_clients_times_stands((known, parts) in worlds()) {
            let refs: Vec<&[u16]> = parts.iter().map(Vec::as_slice).collect();
            let once = order(&known, &refs);
            let refs: Vec<&[u16]> = once.iter().map(Vec::as_slice).collect();
            let twice = order(&known, &refs);
            // Those of which everything is known may be told more finely, never otherwise.
            let first: Vec<u16> = once[0].clone();
            prop_assert!(twice[0].iter().all(|m| first.contains(m)));
        }
    }
}
