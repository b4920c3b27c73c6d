//! Retries: a failure is looked at again before it counts.
//!
//! All tries of a run share the monitor's timeout, so that the worst case of requirement O11 does not
//! depend on them: each may take its equal part of what is left, and what one leaves is there for the
//! others.

use std::time::Duration;

use crate::health::Failure;
use crate::time::Clock;

/// Runs `once` until it passes, at most `retries` times more than once, all within `timeout`. The last
/// try ends with the run, by the caller's limit.
///
/// # Errors
/// That of the last try. A probe that cannot be run ([`Failure::Unable`]) is not tried again.
pub(super) async fn within<F>(
    (retries, timeout): (u32, Duration),
    clock: &dyn Clock,
    mut once: impl FnMut() -> F,
) -> Result<Duration, Failure>
where
    F: Future<Output = Result<Duration, Failure>>,
{
    let begun = clock.now();
    for left in (1..=retries).rev() {
        let part = timeout.saturating_sub(begun.until(clock.now())) / (left + 1);
        match tokio::time::timeout(part, once()).await {
            Ok(Ok(rtt)) => return Ok(rtt),
            Ok(Err(unable @ Failure::Unable(_))) => return Err(unable),
            Ok(Err(_)) | Err(_) => {}
        }
    }
    once().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::testing::RuntimeClock;
    use std::cell::Cell;

    const S: Duration = Duration::from_secs(1);

    /// Runs tries that take so long and end so, under the limit of 6 s; gives the outcome, the tries
    /// begun and the time it took.
    async fn tries(
        retries: u32,
        script: &[(Duration, Result<Duration, Failure>)],
    ) -> (Option<Result<Duration, Failure>>, usize, Duration) {
        let clock = RuntimeClock::start();
        let count = Cell::new(0);
        let run = within((retries, S * 6), &clock, || {
            let (takes, outcome) = script[count.get()].clone();
            count.set(count.get() + 1);
            async move {
                tokio::time::sleep(takes).await;
                outcome
            }
        });
        let begun = clock.now();
        let outcome = tokio::time::timeout(S * 6, run).await.ok();
        (outcome, count.get(), begun.until(clock.now()))
    }

    fn failed() -> Result<Duration, Failure> {
        Err(Failure::Unexpected("no".to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_pass_ends_the_run_and_so_many_failures_fail_it() {
        let fast = (S / 100, failed());
        let (outcome, count, _) = tries(2, &[fast.clone(), (S / 100, Ok(S))]).await;
        assert_eq!((outcome, count), (Some(Ok(S)), 2));
        let (outcome, count, took) = tries(2, &[fast.clone(), fast.clone(), fast.clone()]).await;
        assert_eq!((outcome, count), (Some(failed()), 3));
        assert!(took < S / 10, "retries come at once: {took:?}");
        let (outcome, count, _) = tries(0, &[fast]).await;
        assert_eq!((outcome, count), (Some(failed()), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn o11_all_tries_share_one_timeout() {
        // Lost twice: the third try still has the time of a third, and what the first two leave.
        let lost = (S * 60, Ok(S));
        let (outcome, count, took) = tries(2, &[lost.clone(), lost.clone(), (S, Ok(S))]).await;
        assert_eq!((outcome, count), (Some(Ok(S)), 3));
        assert!(took.abs_diff(S * 5) < S / 10, "{took:?}");
        let (outcome, count, took) = tries(2, &[lost.clone(), lost.clone(), lost]).await;
        assert_eq!(
            (outcome, count),
            (None, 3),
            "the run's own limit ends the last"
        );
        assert!(took.abs_diff(S * 6) < S / 10, "{took:?}");
        // What fails fast leaves its time to the others.
        let slow = (S * 5, Ok(S));
        let (outcome, ..) = tries(1, &[(S / 10, failed()), slow]).await;
        assert_eq!(outcome, Some(Ok(S)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_run_is_not_tried_again() {
        let unable = Err(Failure::Unable("no right".to_owned()));
        let (outcome, count, _) = tries(5, &[(S / 10, unable.clone())]).await;
        assert_eq!((outcome, count), (Some(unable), 1));
    }
}
