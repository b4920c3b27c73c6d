//! Requests pass the rule set of their route: the head, then as much of the body's beginning as it
//! wants, which is held meanwhile and flows on afterwards with the rest.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::traffic::waf::{Findings, Inspector, Verdict};

use super::answers::Failure;
use super::body::{Body, BodyError, Frame, Source};
use super::message::Request;
use super::stats::count;
use super::worker::Worker;

/// Lines of the log in a row, and then one for so many: whoever provokes them must not fill the disk.
const LINES: u64 = 100;

/// Has the rule set look at a request.
///
/// # Errors
/// When it is refused, or its body ends early.
pub async fn inspect(
    worker: &Worker,
    inspector: &impl Inspector,
    route: &str,
    client: IpAddr,
    request: &mut Request,
) -> Result<(), Failure> {
    let mut findings = Findings::default();
    inspector.head(&request.head, client, &mut findings);
    let mut verdict = inspector.verdict(&findings);
    let wanted = inspector.wanted(&request.head);
    if wanted > 0 && !matches!(verdict, Verdict::Deny(_)) && request.body.length() != Some(0) {
        let (start, whole) = begin(&mut request.body, wanted).await?;
        inspector.body(&request.head, &start, whole, &mut findings);
        verdict = inspector.verdict(&findings);
    }
    if !matches!(verdict, Verdict::Deny(_))
        && request.body.length().is_none()
        && let Some(most) = inspector.longest(&request.head, &findings)
    {
        let body = std::mem::take(&mut request.body);
        request.body = Body::stream(None, Bounded { body, left: most });
    }
    match verdict {
        Verdict::Pass => Ok(()),
        Verdict::Detected => {
            count(&worker.stats.waf_detected);
            tell(worker, inspector, route, client, &findings, "detected");
            Ok(())
        }
        Verdict::Deny(status) => {
            count(&worker.stats.waf_denied);
            tell(worker, inspector, route, client, &findings, "denied");
            Err(Failure::Waf(status))
        }
    }
}

fn tell(
    worker: &Worker,
    inspector: &impl Inspector,
    route: &str,
    client: IpAddr,
    findings: &Findings,
    what: &str,
) {
    use std::sync::atomic::Ordering::Relaxed;
    let stats = &worker.stats;
    let times = stats.waf_detected.load(Relaxed) + stats.waf_denied.load(Relaxed);
    if times > LINES && !times.is_multiple_of(LINES) {
        return;
    }
    let rules: Vec<&str> = findings.rules.iter().map(|r| inspector.rule(*r)).collect();
    let (score, rules) = (findings.score, rules.join(","));
    tracing::warn!(route, %client, score, rules, times, "request {what} by the rules of the WAF");
}

/// Reads the first `wanted` octets of a body, which is afterwards as if nothing had been read. Whether
/// that is all of it.
async fn begin(body: &mut Body, wanted: usize) -> Result<(Bytes, bool), Failure> {
    if let Body::Whole(all) = body {
        let whole = all.len() <= wanted;
        return Ok((all.slice(..all.len().min(wanted)), whole));
    }
    let length = body.length();
    let mut rest = std::mem::take(body);
    let mut held = VecDeque::new();
    let mut start = Vec::new();
    let mut whole = false;
    while start.len() < wanted {
        match rest.frame().await {
            None => {
                whole = true;
                break;
            }
            Some(Ok(Frame::Data(data))) => {
                let part = data.len().min(wanted - start.len());
                start.extend_from_slice(&data[..part]);
                held.push_back(Frame::Data(data));
            }
            Some(Ok(trailers)) => {
                held.push_back(trailers);
                whole = true;
                break;
            }
            Some(Err(e)) => return Err(Failure::Body(e)),
        }
    }
    if whole {
        // The source is not to be asked again after its end.
        rest = Body::Empty;
    }
    *body = Body::stream(length, Held { held, rest });
    Ok((start.into(), whole))
}

/// What was held, and then the rest.
struct Held {
    held: VecDeque<Frame>,
    rest: Body,
}

impl Source for Held {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        match self.held.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.rest.poll_frame(cx),
        }
    }
}

/// A body that is cut where it becomes too long.
struct Bounded {
    body: Body,
    left: u64,
}

impl Source for Bounded {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let polled = self.body.poll_frame(cx);
        if let Poll::Ready(Some(Ok(Frame::Data(data)))) = &polled {
            match self.left.checked_sub(data.len() as u64) {
                Some(left) => self.left = left,
                None => return Poll::Ready(Some(Err(BodyError::TooLong))),
            }
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts of a body, one at a time.
    struct Parts(VecDeque<&'static str>);

    impl Source for Parts {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
            let next = self.0.pop_front();
            Poll::Ready(next.map(|text| Ok(Frame::Data(Bytes::from_static(text.as_bytes())))))
        }
    }

    #[tokio::test]
    async fn a_body_that_becomes_too_long_is_cut() {
        for (left, want) in [(6, Ok(6)), (5, Err(BodyError::TooLong))] {
            let body = Body::stream(None, Parts(["abc", "de", "f"].into()));
            let mut body = Body::stream(None, Bounded { body, left });
            assert_eq!(body.collect(100).await.map(|b| b.len()), want);
        }
    }

    #[tokio::test]
    async fn a_body_is_the_same_after_its_beginning_was_looked_at() {
        for (wanted, start, whole) in [
            (2, "ab", false),
            (3, "abc", false),
            (5, "abcde", false),
            (6, "abcdef", false),
            (7, "abcdef", true),
        ] {
            let parts = Parts(["abc", "de", "f"].into());
            let mut body = Body::stream(None, parts);
            let (read, all) = begin(&mut body, wanted).await.unwrap();
            assert_eq!((&read[..], all), (start.as_bytes(), whole), "{wanted}");
            assert_eq!(&body.collect(100).await.unwrap()[..], b"abcdef", "{wanted}");
        }
        let mut body = Body::Whole(Bytes::from_static(b"abc"));
        let (read, all) = begin(&mut body, 2).await.unwrap();
        assert_eq!((&read[..], all), (&b"ab"[..], false));
        assert_eq!(&body.collect(100).await.unwrap()[..], b"abc");
    }
}
