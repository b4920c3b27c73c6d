//! The stages that split tiers, each by what it looks at.

use std::time::Duration;

use crate::ids::RegionId;
use crate::net::Prefix;

use super::estimate::{ABSENT, Believed, Tolerance};
use super::refine::{Terrain, Tiers, Viewpoint};
use super::rules::best_match;
use super::step::Ranked;
use super::{GeoMode, GeoRule, Sight, Step, Trace};

/// `failover`.
pub(super) fn by_priority<T: Trace>(terrain: &Terrain<'_>, tiers: Tiers, trace: &mut T) -> Tiers {
    let priority = |m: u16| terrain.priorities.get(usize::from(m)).copied().unwrap_or(0);
    let after = Tiers(
        tiers
            .0
            .iter()
            .flat_map(|tier| split(tier, priority))
            .collect(),
    );
    tell(
        terrain,
        "failover",
        String::new(),
        &after,
        &[],
        trace,
        |m| format!("priority {}", priority(m)),
    );
    after
}

/// `geo`.
pub(super) fn by_rules<T: Trace>(
    terrain: &Terrain<'_>,
    viewpoint: &Viewpoint<'_>,
    mode: GeoMode,
    rules: &[GeoRule],
    network: Option<Prefix>,
    tiers: Tiers,
    trace: &mut T,
) -> Tiers {
    let matched = best_match(rules, viewpoint.location, network);
    let by = || match &matched {
        Some(m) => format!("rule {}", m.criterion),
        None => "no rule: none matches the client".to_owned(),
    };
    let named = |m: u16| {
        matched.as_ref().is_some_and(|found| {
            let region = terrain.regions_of[usize::from(m)];
            let pool = terrain.pools_of.get(usize::from(m));
            found
                .rules(rules)
                .any(|r| r.regions.contains(&region) || pool.is_some_and(|p| r.pools.contains(p)))
        })
    };
    let mut fenced = Vec::new();
    let after = match mode {
        GeoMode::Prefer => Tiers(
            tiers
                .0
                .iter()
                .flat_map(|tier| split(tier, |m| !named(m)))
                .collect(),
        ),
        GeoMode::Fence => {
            let mut after = Tiers::default();
            for tier in &tiers.0 {
                let (inside, outside): (Vec<u16>, Vec<u16>) = tier.iter().partition(|m| named(**m));
                fenced.extend(outside);
                if !inside.is_empty() {
                    after.0.push(inside);
                }
            }
            after
        }
    };
    let stage = match mode {
        GeoMode::Prefer => "geo prefer",
        GeoMode::Fence => "geo fence",
    };
    if T::ON {
        tell(terrain, stage, by(), &after, &fenced, trace, |m| {
            if named(m) { "named" } else { "not named" }.to_owned()
        });
    }
    after
}

/// Kilometres from the client to a member as `proximity` counts them: great circle less the bias of
/// the region, not below 0.
fn distance(
    terrain: &Terrain<'_>,
    viewpoint: &Viewpoint<'_>,
    bias_km: &[(RegionId, f64)],
    member: u16,
) -> Option<(f64, f64)> {
    let region = terrain.regions_of[usize::from(member)];
    let client = viewpoint.location.coordinates?;
    let km = client.km_to(terrain.regions[region.index()].coordinates);
    let bias = bias_km
        .iter()
        .find(|(r, _)| *r == region)
        .map_or(0.0, |(_, b)| *b);
    Some(((km - bias).max(0.0), bias))
}

/// [`distance`] in words.
fn distance_key(
    terrain: &Terrain<'_>,
    viewpoint: &Viewpoint<'_>,
    bias_km: &[(RegionId, f64)],
    member: u16,
) -> String {
    match distance(terrain, viewpoint, bias_km, member) {
        None => String::new(),
        Some((km, 0.0)) => format!("{km:.0} km"),
        Some((km, bias)) => format!("{km:.0} km (bias {bias:+.0})"),
    }
}

/// One tier by distance; where the client's place is not known, as it was.
fn nearest_first(
    terrain: &Terrain<'_>,
    viewpoint: &Viewpoint<'_>,
    band_km: f64,
    bias_km: &[(RegionId, f64)],
    tier: &[u16],
) -> Vec<Vec<u16>> {
    if viewpoint.location.coordinates.is_none() {
        return vec![tier.to_vec()];
    }
    banded(
        tier,
        |nearest| nearest + band_km,
        |m| distance(terrain, viewpoint, bias_km, m).map_or(f64::MAX, |(km, _)| km),
    )
}

/// `proximity`.
pub(super) fn by_distance<T: Trace>(
    terrain: &Terrain<'_>,
    viewpoint: &Viewpoint<'_>,
    band_km: f64,
    bias_km: &[(RegionId, f64)],
    tiers: Tiers,
    trace: &mut T,
) -> Tiers {
    let after = Tiers(
        tiers
            .0
            .iter()
            .flat_map(|tier| nearest_first(terrain, viewpoint, band_km, bias_km, tier))
            .collect(),
    );
    if T::ON {
        let by = match viewpoint.location.coordinates {
            None => "nothing: the client's coordinates are not known".to_owned(),
            Some(c) => format!("distance from {c}, band {band_km:.0} km"),
        };
        tell(terrain, "proximity", by, &after, &[], trace, |m| {
            distance_key(terrain, viewpoint, bias_km, m)
        });
    }
    after
}

/// The tier by round-trip time, if sites that are believed know that of every member; [`ABSENT`] ones
/// do not count.
pub(super) fn by_rtt(
    tier: &[u16],
    tolerance: Tolerance,
    sight: &Sight<'_>,
) -> Option<Vec<Vec<u16>>> {
    let believed = sight.believed(tier);
    if believed.sites().is_empty() {
        return None;
    }
    let value = |m| {
        let rtt = sight.estimate(&believed, m);
        rtt.map_or(f64::MAX, |d| d.as_secs_f64())
    };
    Some(banded(tier, |best| tolerance.limit(best), value))
}

/// `latency`.
pub(super) fn by_latency<T: Trace>(
    terrain: &Terrain<'_>,
    viewpoint: &Viewpoint<'_>,
    tolerance: Tolerance,
    fallback_band_km: f64,
    sight: &Sight<'_>,
    tiers: Tiers,
    trace: &mut T,
) -> Tiers {
    let mut after = Tiers::default();
    let mut by_time: Vec<(u16, Believed)> = Vec::new();
    for tier in &tiers.0 {
        let parts = match by_rtt(tier, tolerance, sight) {
            Some(parts) => {
                if T::ON {
                    let believed = sight.believed(tier);
                    by_time.extend(tier.iter().map(|m| (*m, believed)));
                }
                parts
            }
            None => nearest_first(terrain, viewpoint, fallback_band_km, &[], tier),
        };
        after.0.extend(match sight.clients {
            None => parts,
            Some(word) => word.order(&parts, |m| terrain.regions_of[usize::from(m)]),
        });
    }
    if T::ON {
        let all = by_time.len() == after.0.iter().map(Vec::len).sum::<usize>();
        let mut by = format!("round-trip time, tolerance {tolerance}");
        if !all {
            by.push_str("; by distance where not all are measured");
        }
        if sight.clients.is_some() {
            by.push_str("; clients' own first");
        }
        let sites = sight.key.sites().iter();
        let sites = sites.map(|s| (sight.label)(*s)).collect();
        trace.step(|| Step::Vantages { sites });
        tell(terrain, "latency", by, &after, &[], trace, |m| {
            let timed = by_time.iter().find(|(t, _)| *t == m);
            // A line has 255 characters: what clients measured is told in place of what vantages did.
            let measured = (sight.measured)(m);
            if !measured.is_empty() {
                return measured;
            }
            match timed.and_then(|(_, b)| sight.estimate(b, m)) {
                Some(d) if d != ABSENT && sight.key.sites().len() == 1 => {
                    format!("rtt {}", millis(d))
                }
                Some(d) if d != ABSENT => format!("rtt {} ({})", millis(d), heard(sight, m)),
                _ => {
                    let km = distance_key(terrain, viewpoint, &[], m);
                    let km = if km.is_empty() {
                        "distance unknown"
                    } else {
                        &km
                    };
                    match heard(sight, m) {
                        none if none.is_empty() => format!("rtt unknown, {km}"),
                        heard => format!("rtt {heard}, {km}"),
                    }
                }
            }
        });
    }
    after
}

fn millis(d: Duration) -> String {
    format!("{:.1} ms", d.as_secs_f64() * 1e3)
}

/// What the sites say of a member: `eu 12.3 ms, us 88.0 ms`.
fn heard(sight: &Sight<'_>, m: u16) -> String {
    let sites = sight.key.sites().iter();
    let said: Vec<String> = sites
        .filter_map(|s| {
            let rtt = (sight.rtt)(*s, m).filter(|d| *d != ABSENT)?;
            let label = (sight.label)(*s);
            let name = label.split(' ').next().unwrap_or_default();
            Some(format!("{name} {}", millis(rtt)))
        })
        .collect();
    said.join(", ")
}

/// Splits by a key, smallest first.
fn split<K: Ord + Copy>(tier: &[u16], key: impl Fn(u16) -> K) -> Vec<Vec<u16>> {
    let mut keys: Vec<K> = tier.iter().map(|m| key(*m)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .map(|k| tier.iter().copied().filter(|m| key(*m) == k).collect())
        .collect()
}

/// Splits by a quantity, smallest first; everything up to the `limit` that the smallest of a part sets
/// is in it.
fn banded(
    tier: &[u16],
    limit_of: impl Fn(f64) -> f64,
    value: impl Fn(u16) -> f64,
) -> Vec<Vec<u16>> {
    let mut all: Vec<(f64, u16)> = tier.iter().map(|m| (value(*m), *m)).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut parts: Vec<Vec<u16>> = Vec::new();
    let mut limit = f64::NEG_INFINITY;
    for (v, m) in all {
        match parts.last_mut() {
            Some(part) if v <= limit => part.push(m),
            _ => {
                limit = limit_of(v);
                parts.push(vec![m]);
            }
        }
    }
    for part in &mut parts {
        part.sort_unstable();
    }
    parts
}

/// Tells what a stage made of the tiers.
fn tell<T: Trace>(
    terrain: &Terrain<'_>,
    stage: &'static str,
    by: String,
    tiers: &Tiers,
    fenced: &[u16],
    trace: &mut T,
    key: impl Fn(u16) -> String,
) {
    trace.step(|| Step::Stage {
        stage,
        by,
        tiers: tiers
            .0
            .iter()
            .map(|tier| {
                tier.iter()
                    .map(|m| Ranked {
                        pool: (terrain.label)(*m),
                        key: key(*m),
                    })
                    .collect()
            })
            .collect(),
        fenced: fenced.iter().map(|m| (terrain.label)(*m)).collect(),
    });
}
