//! Clients of an endpoint that is let in by steps (requirement F9): it gets its share of those it would
//! get, the others of its tier get the rest; where all of a tier are let in by steps, the next tier does.

use crate::ids::EndpointId;

use super::facts::Lane;
use super::offer::Candidate;
use super::resolve::GroupNow;

/// Shares smaller than this are made finer first, so that one percent of them is not nothing.
const FINE: u32 = 20;

impl GroupNow<'_> {
    /// Takes from those of `out`, who are of `tiers[t]`, what they do not get yet. Returns the last tier
    /// that takes part.
    pub(super) fn ramp(
        &self,
        tiers: &[Vec<u16>],
        t: usize,
        lane: Lane,
        out: &mut Vec<Candidate>,
    ) -> usize {
        let share = |e: EndpointId| {
            let pool = self.facts.steering.endpoints[e.index()].pool;
            let mut members = self.group.members.iter().zip(&self.members);
            let whole = members.find(|(m, _)| m.pool == pool);
            let own = self.facts.endpoint(e, self.name).share;
            whole.map_or(own, |(_, now)| own.min(now.share))
        };
        if !self.ramps || out.iter().all(|c| share(c.endpoint) >= 100) {
            return t;
        }
        let mut reach = t;
        let mut rest = Vec::new();
        if out.iter().all(|c| share(c.endpoint) < 100)
            && let Some(next) =
                (t + 1..tiers.len()).find(|n| tiers[*n].iter().any(|m| self.at(*m).whole))
        {
            self.fill_whole(&tiers[next], lane, &mut rest);
            reach = self.ramp(tiers, next, lane, &mut rest);
        }
        blend(out, share, &rest);
        reach
    }
}

/// Scales the candidates that get less than all of their clients; what they lose goes to the others
/// among them, or else to `rest`, or else to nobody: then all keep their proportion.
fn blend(out: &mut Vec<Candidate>, share: impl Fn(EndpointId) -> u8, rest: &[Candidate]) {
    let apart = |all: &[Candidate]| -> Vec<(EndpointId, u128)> {
        let mut before = 0;
        let part = |c: &Candidate| {
            let own = c.upto - std::mem::replace(&mut before, c.upto);
            (c.endpoint, u128::from(own) << FINE)
        };
        all.iter().map(part).collect()
    };
    let mut parts = apart(out);
    let (mut lost, mut full) = (0_u128, 0_u128);
    for (e, part) in &mut parts {
        match share(*e) {
            100.. => full += *part,
            percent => {
                let kept = (*part * u128::from(percent) / 100).max(1);
                lost += *part - kept;
                *part = kept;
            }
        }
    }
    for (e, part) in &mut parts {
        // Those that are let in whole take over by their weight.
        if share(*e) >= 100 {
            *part += (lost * *part).checked_div(full).unwrap_or_default();
        }
    }
    if full == 0 {
        let others = apart(rest);
        let all: u128 = others.iter().map(|(_, part)| part).sum();
        let given = |part: u128| (lost * part).checked_div(all).unwrap_or(0).max(1);
        parts.extend(others.iter().map(|(e, part)| (*e, given(*part))));
    }
    // Back to 64 bits: no finer than they hold.
    let sum: u128 = parts.iter().map(|(_, part)| part).sum();
    let shift = (128 - sum.leading_zeros()).saturating_sub(62);
    out.clear();
    let mut upto = 0_u64;
    for (endpoint, part) in parts {
        upto += u64::try_from(part >> shift).unwrap_or(u64::MAX >> 8).max(1);
        out.push(Candidate { endpoint, upto });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::weighted;

    fn candidates(parts: &[u64]) -> Vec<Candidate> {
        let mut upto = 0;
        let sum = |(i, part): (usize, &u64)| {
            upto += part;
            Candidate {
                endpoint: EndpointId::from_index(i),
                upto,
            }
        };
        parts.iter().enumerate().map(sum).collect()
    }

    /// How often each of five is drawn in 100,000, and by what chance it should be.
    fn assert_drawn(out: &[Candidate], want: [f64; 5]) {
        let mut got = [0_u32; 5];
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for _ in 0..100_000 {
            random = crate::balance::mix::mix(random);
            let mut pick = [0];
            weighted::draw(out.len(), |i| out[i].upto, random, &mut pick);
            got[out[pick[0]].endpoint.index()] += 1;
        }
        let mut chi = 0.0;
        for (got, want) in got.iter().zip(want) {
            let want = want * 1000.0;
            if want > 0.0 {
                chi += (f64::from(*got) - want).powi(2) / want;
            } else {
                assert_eq!(*got, 0);
            }
        }
        // 4 degrees of freedom: one in 100,000 is larger.
        assert!(chi < 28.5, "{got:?} for {want:?}: chi-square {chi}");
    }

    #[test]
    fn f9_one_that_ramps_gets_its_share_of_its_clients() {
        // The first would get half of them; its tier takes the rest.
        let mut out = candidates(&[2, 1, 1]);
        blend(&mut out, |e| if e.0 == 0 { 25 } else { 100 }, &[]);
        assert_drawn(&out, [12.5, 43.75, 43.75, 0.0, 0.0]);
        // Nobody else in the tier: the next one takes the rest.
        let mut out = candidates(&[1, 3]);
        let mut rest = candidates(&[1, 3]);
        for c in &mut rest {
            c.endpoint.0 += 3;
        }
        blend(&mut out, |e| if e.0 == 0 { 5 } else { 25 }, &rest);
        let left = 100.0 - 25.0 * 0.05 - 75.0 * 0.25;
        assert_drawn(&out, [1.25, 18.75, 0.0, left / 4.0, left * 0.75]);
        // Nobody else at all.
        let mut out = candidates(&[1 << 50, 3 << 50]);
        blend(&mut out, |_| 5, &[]);
        assert_drawn(&out, [25.0, 75.0, 0.0, 0.0, 0.0]);
    }
}
