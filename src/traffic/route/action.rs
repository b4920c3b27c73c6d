//! What is done with the requests of a route.

use std::net::IpAddr;

use bytes::Bytes;

use crate::balance::mix::scale;
use crate::ids::UpstreamId;
use crate::message::RequestHead;
use crate::traffic::HashKey;
use crate::traffic::fields::Template;

/// What is done with a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// A backend of the upstream answers it.
    Forward(UpstreamId),
    /// A backend of one of several upstreams answers it.
    Split(Split),
    /// The client is told to ask elsewhere.
    Redirect(Redirect),
    /// It is answered with this.
    Respond(Respond),
    /// It is refused with this status.
    Deny(u16),
    /// The client's connection is closed without an answer.
    Drop,
}

impl Action {
    /// The upstream that answers, where it is always the same.
    pub fn upstream(&self) -> Option<UpstreamId> {
        match self {
            Action::Forward(upstream) => Some(*upstream),
            _ => None,
        }
    }
}

/// Upstreams that share the requests of a route: canaries, A/B tests.
#[derive(Clone, PartialEq, Debug)]
pub struct Split {
    /// What keeps a client with one of them; `None`: each request is drawn anew.
    pub by: Option<HashKey>,
    /// Each with its share; not all shares are 0.
    pub shares: Vec<(UpstreamId, u32)>,
}

impl Split {
    /// The upstream of a request. `draw` is a random word.
    ///
    /// With `by` the choice hangs on the hash alone: it is the same in all routes and on all nodes, and
    /// when shares change, only as many clients move as must.
    pub fn pick(&self, head: &RequestHead, client: IpAddr, draw: u64) -> UpstreamId {
        let bits = match &self.by {
            Some(key) => key.hash(head, client),
            None => draw,
        };
        let total: u64 = self.shares.iter().map(|(_, share)| u64::from(*share)).sum();
        let mut at = scale(bits, total);
        for (id, share) in &self.shares {
            match at.checked_sub(u64::from(*share)) {
                Some(rest) => at = rest,
                None => return *id,
            }
        }
        self.shares.last().map_or(UpstreamId(0), |(id, _)| *id)
    }
}

/// A copy of the requests, whose answers nobody sees.
#[derive(Clone, PartialEq, Debug)]
pub struct Mirror {
    /// Where it goes.
    pub upstream: UpstreamId,
    /// Of how many in a hundred; 1 to 100.
    pub percent: u32,
}

impl Mirror {
    /// Whether a request is one of them. `draw` is a random word.
    pub fn takes(&self, draw: u64) -> bool {
        scale(draw, 100) < u64::from(self.percent)
    }
}

/// Where a client is told to ask.
#[derive(Clone, PartialEq, Debug)]
pub struct Redirect {
    /// The URL, or a path.
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Whether the request's path is put behind it.
    pub keep_path: bool,
    /// Whether the request's query is put behind it.
    pub keep_query: bool,
}

impl Redirect {
    /// Puts path and query of `head` behind `location`, which is `to` with its variables filled in, as
    /// far as they are kept.
    pub fn complete(&self, head: &RequestHead, location: &mut Vec<u8>) {
        let query = head.query().filter(|_| self.keep_query);
        if self.keep_path && head.path().starts_with(b"/") {
            let cut = location.iter().position(|b| matches!(b, b'?' | b'#'));
            let behind = cut.map(|cut| location.split_off(cut));
            while location.ends_with(b"/") && location.len() > "https://".len() {
                location.pop();
            }
            if location == b"/" {
                location.clear();
            }
            // A path that begins with two slashes names a host there.
            let path = head.path();
            let slashes = path.iter().take_while(|b| **b == b'/').count();
            let skip = if location.is_empty() { slashes - 1 } else { 0 };
            location.extend_from_slice(&path[skip..]);
            location.extend(behind.into_iter().flatten());
        }
        if let Some(query) = query {
            let joint = if location.contains(&b'?') { b'&' } else { b'?' };
            location.push(joint);
            location.extend_from_slice(query);
        }
    }
}

/// An answer that the configuration holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Respond {
    /// 200 to 599.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
    /// Its `content-type`.
    pub content_type: Box<str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::mix::nth;

    fn split(by: Option<HashKey>, stable: u32, canary: u32) -> Split {
        Split {
            by,
            shares: vec![(UpstreamId(0), stable), (UpstreamId(1), canary)],
        }
    }

    #[test]
    fn o7_a_split_draws_by_its_shares() {
        let split = split(None, 95, 5);
        let head = RequestHead::default();
        let client = [192, 0, 2, 1].into();
        let draws = 100_000_u32;
        let picked = (0..u64::from(draws)).map(|i| split.pick(&head, client, nth(7, i + 1)));
        let canary = picked.filter(|id| *id == UpstreamId(1)).count() as f64;
        let (stable, n) = (f64::from(draws) - canary, f64::from(draws));
        let chi =
            (canary - n * 0.05).powi(2) / (n * 0.05) + (stable - n * 0.95).powi(2) / (n * 0.95);
        assert!(
            chi < 10.83,
            "chi-square {chi} with one degree of freedom, canary {canary}"
        );
        assert!(
            !split
                .pick(&head, client, 0)
                .eq(&split.pick(&head, client, u64::MAX))
        );
    }

    #[test]
    fn o6_a_client_stays_and_a_larger_share_only_adds() {
        let by = || Some(HashKey::Cookie(b"uid"[..].into()));
        let (before, after) = (split(by(), 95, 5), split(by(), 80, 20));
        let mut moved = 0;
        for i in 0..10_000_u64 {
            let mut head = RequestHead::default();
            head.fields.push(b"cookie", format!("uid={i}").as_bytes());
            let client = [192, 0, 2, 1].into();
            let first = before.pick(&head, client, i);
            assert_eq!(first, before.pick(&head, [198, 51, 100, 9].into(), !i));
            let then = after.pick(&head, client, i);
            assert!(first == UpstreamId(0) || then == UpstreamId(1));
            moved += u32::from(first != then);
        }
        assert!((1_300..1_700).contains(&moved), "{moved} of 1,500 expected");
    }

    #[test]
    fn a_share_of_zero_gets_nothing() {
        let split = split(None, 0, 1);
        let head = RequestHead::default();
        for draw in [0, 1, u64::MAX] {
            let picked = split.pick(&head, [192, 0, 2, 1].into(), draw);
            assert_eq!(picked, UpstreamId(1));
        }
    }

    #[test]
    fn mirrors_take_their_share() {
        let mirror = |percent| Mirror {
            upstream: UpstreamId(0),
            percent,
        };
        assert!(mirror(100).takes(u64::MAX) && mirror(1).takes(0));
        assert!(!mirror(99).takes(u64::MAX));
    }

    #[test]
    fn locations() {
        for (to, keep_path, keep_query, target, want) in [
            (
                "https://new.example",
                true,
                true,
                "/a?b=c",
                "https://new.example/a?b=c",
            ),
            (
                "https://new.example/",
                true,
                false,
                "/a?b=c",
                "https://new.example/a",
            ),
            (
                "https://new.example/x/",
                true,
                true,
                "/a/",
                "https://new.example/x/a/",
            ),
            ("/x", false, true, "/a?b", "/x?b"),
            ("/x?y=1", false, true, "/a?b", "/x?y=1&b"),
            ("/x?y=1#z", true, false, "/a?b", "/x/a?y=1#z"),
            ("/", true, false, "//evil.example/", "/evil.example/"),
            ("/x", false, false, "/a?b", "/x"),
            ("/x", true, true, "*", "/x"),
        ] {
            let redirect = Redirect {
                to: Template::field(to).unwrap(),
                status: 308,
                keep_path,
                keep_query,
            };
            let head = RequestHead {
                target: target.into(),
                ..RequestHead::default()
            };
            let mut location = to.as_bytes().to_vec();
            redirect.complete(&head, &mut location);
            assert_eq!(String::from_utf8(location).unwrap(), want);
        }
    }
}
