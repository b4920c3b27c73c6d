//! Relative liveness: an endpoint that answers, but far slower than its peers, is as good as down.
//!
//! After Akamai's rule that a server is down whose score is worse than a multiple of the best one's.
//! Compared are the connect times of one pool, whose endpoints stand in one region: distance is no
//! illness.

use std::time::Duration;

use super::super::judge::Judge;
use super::super::observation::{Failure, Observation, Outcome};
use super::circles::Circles;
use crate::health::State;

/// Less than this is no difference, whatever the factor.
const LEAST: Duration = Duration::from_millis(10);

/// The failure that a pass is, where its endpoint is too slow beside those of its pool that are up.
pub(super) fn slow(
    circles: &Circles,
    judge: &Judge,
    observation: &Observation,
) -> Option<Observation> {
    let Outcome::Pass { rtt } = observation.outcome else {
        return None;
    };
    let target = observation.target.index();
    if target >= judge.targets() || !judge.monitor(target).kind.measures_distance() {
        return None;
    }
    let endpoint = judge.endpoints_of(target).next()?;
    let (factor, peers) = circles.peers(endpoint)?;
    let best = peers
        .filter_map(|peer| judge.target_of().get(peer.index()).copied().flatten())
        .filter(|peer| *peer != target && judge.state(*peer).0 == State::Up)
        .filter_map(|peer| judge.rtt(peer))
        .min()?;
    let allowed = best.mul_f64(factor).max(best + LEAST);
    (rtt > allowed).then(|| {
        let ms = |d: Duration| d.as_secs_f64() * 1000.0;
        Observation {
            outcome: Outcome::Fail(Failure::Unexpected(format!(
                "connected in {:.0} ms; the fastest of its pool takes {:.0} ms, and {:.0} ms are allowed",
                ms(rtt),
                ms(best),
                ms(allowed)
            ))),
            ..observation.clone()
        }
    })
}
