//! May this request be tried again (requirement P1)? One pure rule.
//!
//! A request that reached a backend may have had its effect, so it is repeated only when its method is
//! idempotent (RFC 9110 section 9.2.2: "a client can retry those automatically"), when nothing of it was
//! sent or the backend says that it did nothing, or when the configuration says that a status means so.
//! What is more, the client must have got nothing of an answer yet, and the body must be there to be
//! sent once more.

use crate::health::backend::Fault;
use crate::message::Method;

/// Which requests are tried again.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RetryRules {
    /// Tries after the first one, 0 to 10.
    pub attempts: u32,
    /// No connection: nothing was sent.
    pub on_connect: bool,
    /// The connection ended before an answer began.
    pub on_reset: bool,
    /// No answer began in time.
    pub on_timeout: bool,
    /// Answers with these statuses, to idempotent requests.
    pub on_status: Vec<u16>,
    /// Answers with these statuses say that nothing was done: any request is tried again.
    pub undone_status: Vec<u16>,
    /// Octets of a body that are kept so that it can be sent again.
    pub keep_body: usize,
}

impl Default for RetryRules {
    /// Once more, when there was no connection or it ended before an answer.
    fn default() -> Self {
        RetryRules {
            attempts: 1,
            on_connect: true,
            on_reset: true,
            on_timeout: false,
            on_status: Vec::new(),
            undone_status: Vec::new(),
            keep_body: 64 << 10,
        }
    }
}

/// How a try ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failed {
    /// No connection, or no TLS session.
    Connect,
    /// The backend refused the request and did nothing of it: a stream refused, or above the last one
    /// it names in GOAWAY (RFC 9113 section 8.7).
    Refused,
    /// The connection ended before an answer began.
    Reset,
    /// No answer began in time.
    Timeout,
    /// It answered with this status, and nothing of the answer was passed on.
    Status(u16),
}

impl Failed {
    /// What it says of the backend's health; `None` when nothing.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Failed::Connect => Some(Fault::Connect),
            Failed::Refused => None,
            Failed::Reset => Some(Fault::Reset),
            Failed::Timeout => Some(Fault::Timeout),
            Failed::Status(status) => Fault::of_status(status),
        }
    }
}

/// What became of the request's body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodySent {
    /// It has none, or nothing of it was taken from the client yet.
    Untouched,
    /// All that was taken from the client is kept.
    Kept,
    /// Something was taken and is not kept.
    Gone,
}

/// A try that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Try<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// How many tries there were, this one among them.
    pub tries: u32,
    /// Whether anything of the request was written to the backend.
    pub sent: bool,
    /// Its body.
    pub body: BodySent,
    /// How it ended.
    pub failed: Failed,
}

/// Why a request is not tried again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum NoRetry {
    /// As often as configured already.
    #[error("tried as often as configured")]
    Exhausted,
    /// The configuration does not name this failure.
    #[error("not configured for this failure")]
    NotConfigured,
    /// It may have had its effect.
    #[error("the method is not idempotent and the backend may have acted")]
    Unsafe,
    /// Its body cannot be sent again.
    #[error("the body cannot be sent again")]
    BodyGone,
    /// Too many retries beside the requests.
    #[error("the retry budget is used up")]
    Budget,
}

/// Whether the request may be tried again, the budget left aside: that is asked last, since asking
/// takes from it.
///
/// # Errors
/// Says why not.
pub fn may_retry(t: &Try<'_>, rules: &RetryRules) -> Result<(), NoRetry> {
    if t.tries > rules.attempts {
        return Err(NoRetry::Exhausted);
    }
    let undone = match t.failed {
        // Refused by the backend itself: as good as no connection.
        Failed::Connect | Failed::Refused => rules.on_connect.then_some(true),
        Failed::Reset => rules.on_reset.then_some(!t.sent),
        Failed::Timeout => rules.on_timeout.then_some(!t.sent),
        Failed::Status(s) if rules.undone_status.contains(&s) => Some(true),
        Failed::Status(s) => rules.on_status.contains(&s).then_some(false),
    };
    let Some(undone) = undone else {
        return Err(NoRetry::NotConfigured);
    };
    if !undone && !t.method.is_idempotent() {
        return Err(NoRetry::Unsafe);
    }
    if t.body == BodySent::Gone {
        return Err(NoRetry::BodyGone);
    }
    Ok(())
}

/// Whether a connection whose backend took none may be given to another one, the budget left aside.
/// Nothing was sent, so nothing is repeated. `tries`: how many there were.
///
/// # Errors
/// Says why not.
pub fn may_connect_again(tries: u32, rules: &RetryRules) -> Result<(), NoRetry> {
    if tries > rules.attempts {
        Err(NoRetry::Exhausted)
    } else if !rules.on_connect {
        Err(NoRetry::NotConfigured)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules() -> RetryRules {
        RetryRules {
            attempts: 2,
            on_timeout: true,
            on_status: vec![502, 503],
            undone_status: vec![429],
            ..RetryRules::default()
        }
    }

    fn tried<'a>(method: &'a Method, sent: bool, failed: Failed) -> Try<'a> {
        Try {
            method,
            tries: 1,
            sent,
            body: BodySent::Untouched,
            failed,
        }
    }

    #[test]
    fn p1_what_may_have_had_its_effect_is_not_repeated() {
        use Failed::*;
        let r = rules();
        let table = [
            (Method::Get, true, Reset, Ok(())),
            (Method::Get, true, Timeout, Ok(())),
            (Method::Get, true, Status(503), Ok(())),
            (Method::Get, true, Status(500), Err(NoRetry::NotConfigured)),
            (Method::Put, true, Reset, Ok(())),
            (Method::Delete, true, Reset, Ok(())),
            (Method::Post, true, Reset, Err(NoRetry::Unsafe)),
            (Method::Post, true, Timeout, Err(NoRetry::Unsafe)),
            (Method::Post, true, Status(503), Err(NoRetry::Unsafe)),
            (Method::Patch, true, Reset, Err(NoRetry::Unsafe)),
            (Method::new(b"MKCOL"), true, Reset, Err(NoRetry::Unsafe)),
            // Nothing was sent, or the backend says that nothing was done.
            (Method::Post, false, Connect, Ok(())),
            (Method::Post, false, Reset, Ok(())),
            (Method::Post, true, Refused, Ok(())),
            (Method::Post, true, Status(429), Ok(())),
        ];
        for (method, sent, failed, expected) in table {
            let t = tried(&method, sent, failed);
            assert_eq!(may_retry(&t, &r), expected, "{t:?}");
        }
    }

    #[test]
    fn p1_what_is_not_configured_is_not_repeated() {
        let r = RetryRules {
            on_connect: false,
            on_reset: false,
            on_timeout: false,
            ..RetryRules::default()
        };
        for failed in [
            Failed::Connect,
            Failed::Refused,
            Failed::Reset,
            Failed::Timeout,
            Failed::Status(503),
        ] {
            let t = tried(&Method::Get, false, failed);
            assert_eq!(may_retry(&t, &r), Err(NoRetry::NotConfigured));
        }
    }

    fn method() -> impl Strategy<Value = Method> {
        prop::sample::select(vec![
            Method::Get,
            Method::Head,
            Method::Post,
            Method::Put,
            Method::Delete,
            Method::Options,
            Method::Trace,
            Method::Patch,
            Method::Connect,
            Method::Other((*b"LOCK").into()),
        ])
    }

    fn failed() -> impl Strategy<Value = Failed> {
        prop_oneof![
            Just(Failed::Connect),
            Just(Failed::Refused),
            Just(Failed::Reset),
            Just(Failed::Timeout),
            (400..600_u16).prop_map(Failed::Status),
        ]
    }

    proptest! {
        /// The rule in one sentence, over everything.
        #[test]
        fn p1_retries_only_where_safe_or_never_sent(
            method in method(), failed in failed(), sent in any::<bool>(), tries in 1..5_u32,
            body in prop::sample::select(vec![BodySent::Untouched, BodySent::Kept, BodySent::Gone]),
            attempts in 0..4_u32, configured in any::<[bool; 3]>(),
            on_status in proptest::collection::vec(400..600_u16, 0..200),
        ) {
            let [on_connect, on_reset, on_timeout] = configured;
            let r = RetryRules { attempts, on_connect, on_reset, on_timeout, on_status, ..rules() };
            let t = Try { method: &method, tries, sent, body, failed };
            if may_retry(&t, &r).is_ok() {
                prop_assert!(tries <= attempts);
                prop_assert!(body != BodySent::Gone);
                let nothing_done = matches!(failed, Failed::Connect | Failed::Refused | Failed::Status(429))
                    || (!sent && !matches!(failed, Failed::Status(_)));
                prop_assert!(method.is_idempotent() || nothing_done);
            }
        }
    }

    #[test]
    fn p1_a_connection_that_was_not_made_is_made_elsewhere_as_often_as_configured() {
        let often = |n: u32| RetryRules {
            attempts: n,
            ..RetryRules::default()
        };
        assert_eq!(may_connect_again(1, &often(0)), Err(NoRetry::Exhausted));
        assert_eq!(may_connect_again(1, &often(1)), Ok(()));
        assert_eq!(may_connect_again(2, &often(1)), Err(NoRetry::Exhausted));
        let not = RetryRules {
            on_connect: false,
            ..often(3)
        };
        assert_eq!(may_connect_again(1, &not), Err(NoRetry::NotConfigured));
    }
}
