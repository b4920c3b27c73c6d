//! Whether a stored response may answer a request (RFC 9111 section 4, RFC 5861).

use std::time::Duration;

use crate::time::Moment;

use super::directives::RequestDirectives;
use super::freshness::Terms;

/// What to do with a stored response that fits the request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reuse {
    /// It answers.
    Fresh,
    /// It answers although it is stale.
    Stale {
        /// Whether it is to be fetched anew meanwhile (RFC 5861 section 3).
        revalidate: bool,
    },
    /// The upstream is asked first whether it is still good.
    Validate {
        /// Whether it answers all the same when the upstream fails (RFC 5861 section 4).
        if_error: bool,
    },
}

/// What `terms` and the request's directives allow at a time.
pub fn decide(terms: &Terms, asked: &RequestDirectives, now: Moment) -> Reuse {
    let staleness = terms.staleness(now);
    let within = |bound: Duration| staleness.unwrap_or(Duration::ZERO) < bound;
    let validate = Reuse::Validate {
        if_error: !terms.never_stale && !terms.always_validate && within(terms.if_error),
    };
    // Section 4.3 and 5.2.1: the client wants the origin's word.
    let too_old = asked.max_age.is_some_and(|most| terms.age(now) > most);
    let soon_stale = asked
        .min_fresh
        .is_some_and(|least| terms.remaining(now) < least);
    if terms.always_validate || asked.no_cache || too_old || soon_stale {
        return validate;
    }
    let Some(stale_for) = staleness else {
        return Reuse::Fresh;
    };
    if terms.never_stale {
        return validate;
    }
    if within(terms.while_revalidate) {
        return Reuse::Stale { revalidate: true };
    }
    if asked.max_stale.is_some_and(|most| stale_for <= most) {
        return Reuse::Stale { revalidate: false };
    }
    validate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn terms() -> Terms {
        Terms {
            lifetime: secs(10),
            ..Terms::default()
        }
    }

    fn at(n: u64) -> Moment {
        Moment::ZERO + secs(n)
    }

    const VALIDATE: Reuse = Reuse::Validate { if_error: false };

    #[test]
    fn rfc9111_4_2_fresh_answers_stale_is_validated() {
        let none = RequestDirectives::default();
        assert_eq!(decide(&terms(), &none, at(9)), Reuse::Fresh);
        assert_eq!(decide(&terms(), &none, at(10)), VALIDATE);
        let no_cache = Terms {
            always_validate: true,
            ..terms()
        };
        assert_eq!(decide(&no_cache, &none, at(0)), VALIDATE);
    }

    #[test]
    fn rfc9111_5_2_1_what_requests_may_ask_for() {
        let asked = |f: fn(&mut RequestDirectives)| {
            let mut d = RequestDirectives::default();
            f(&mut d);
            d
        };
        let no_cache = asked(|d| d.no_cache = true);
        assert_eq!(decide(&terms(), &no_cache, at(0)), VALIDATE);
        let max_age = asked(|d| d.max_age = Some(secs(5)));
        assert_eq!(decide(&terms(), &max_age, at(5)), Reuse::Fresh);
        assert_eq!(decide(&terms(), &max_age, at(6)), VALIDATE);
        let min_fresh = asked(|d| d.min_fresh = Some(secs(5)));
        assert_eq!(decide(&terms(), &min_fresh, at(5)), Reuse::Fresh);
        assert_eq!(decide(&terms(), &min_fresh, at(6)), VALIDATE);
        let max_stale = asked(|d| d.max_stale = Some(secs(5)));
        let stale = Reuse::Stale { revalidate: false };
        assert_eq!(decide(&terms(), &max_stale, at(15)), stale);
        assert_eq!(decide(&terms(), &max_stale, at(16)), VALIDATE);
    }

    #[test]
    fn rfc9111_5_2_2_must_revalidate_is_never_stale() {
        let strict = Terms {
            never_stale: true,
            while_revalidate: secs(100),
            if_error: secs(100),
            ..terms()
        };
        let asked = RequestDirectives {
            max_stale: Some(Duration::MAX),
            ..RequestDirectives::default()
        };
        assert_eq!(decide(&strict, &asked, at(10)), VALIDATE);
    }

    #[test]
    fn rfc5861_stale_while_revalidate_and_if_error() {
        let lax = Terms {
            while_revalidate: secs(5),
            if_error: secs(20),
            ..terms()
        };
        let none = RequestDirectives::default();
        assert_eq!(
            decide(&lax, &none, at(14)),
            Reuse::Stale { revalidate: true }
        );
        assert_eq!(
            decide(&lax, &none, at(15)),
            Reuse::Validate { if_error: true }
        );
        assert_eq!(decide(&lax, &none, at(30)), VALIDATE);
    }
}
