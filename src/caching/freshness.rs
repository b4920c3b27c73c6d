//! How long a response is fresh, and how old it is (RFC 9111 section 4.2).

use std::time::Duration;

use crate::message::{Known, ResponseHead};
use crate::time::{Moment, Wall};

use super::date;
use super::directives::{ResponseDirectives, delta_seconds};
use super::rules::Rules;

/// When a response was asked for and when its head came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// When the request was sent.
    pub requested: Moment,
    /// When the response's head came.
    pub received: Moment,
    /// The calendar.
    pub wall: Wall,
}

/// On what terms a stored response may be used again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// When it came, or was validated last.
    pub received: Moment,
    /// Its age at that time (section 4.2.3).
    pub initial_age: Duration,
    /// How long it is fresh (section 4.2.1).
    pub lifetime: Duration,
    /// Never without validation: `no-cache`.
    pub always_validate: bool,
    /// Never stale: `must-revalidate`, `proxy-revalidate` or `s-maxage`.
    pub never_stale: bool,
    /// How long after its lifetime it serves while it is fetched anew.
    pub while_revalidate: Duration,
    /// How long after its lifetime it serves when the upstream fails.
    pub if_error: Duration,
}

impl Terms {
    /// The terms of a response that has just come.
    pub fn of(head: &ResponseHead, arrival: Arrival, rules: &Rules) -> Terms {
        let directives = ResponseDirectives::of(&head.fields);
        let never_stale = directives.must_revalidate
            || directives.proxy_revalidate
            || directives.s_maxage.is_some();
        Terms {
            received: arrival.received,
            initial_age: initial_age(head, arrival),
            lifetime: lifetime(head, &directives, arrival, rules).unwrap_or(Duration::ZERO),
            always_validate: directives.no_cache,
            never_stale,
            while_revalidate: directives
                .stale_while_revalidate
                .unwrap_or(rules.stale_while_revalidate),
            if_error: directives.stale_if_error.unwrap_or(rules.stale_if_error),
        }
    }

    /// The age at a time (`current_age` of section 4.2.3).
    pub fn age(&self, now: Moment) -> Duration {
        self.initial_age.saturating_add(now.since(self.received))
    }

    /// How long it has been stale; zero while it is fresh. The moment at which its lifetime ends counts
    /// as stale.
    pub fn staleness(&self, now: Moment) -> Option<Duration> {
        let age = self.age(now);
        (age >= self.lifetime).then(|| age - self.lifetime)
    }

    /// How long it is still fresh; zero when it is stale.
    pub fn remaining(&self, now: Moment) -> Duration {
        self.lifetime.saturating_sub(self.age(now))
    }

    /// The same terms on the clock of another process, where the response was last seen `resident`
    /// after it came.
    pub fn restored(self, resident: Duration, now: Moment) -> Terms {
        Terms {
            received: now,
            initial_age: self.initial_age.saturating_add(resident),
            ..self
        }
    }
}

/// `corrected_initial_age` (section 4.2.3).
fn initial_age(head: &ResponseHead, arrival: Arrival) -> Duration {
    let received = arrival.wall.unix(arrival.received);
    let date = date_of(head, received);
    let apparent = Duration::from_secs(received.saturating_sub(date));
    let delay = arrival.received.since(arrival.requested);
    // Of several values the first counts, and one that is no number is ignored (section 5.1).
    let age = head.fields.members(Known::Age).next();
    let age = age.and_then(delta_seconds).unwrap_or(0);
    apparent.max(Duration::from_secs(age).saturating_add(delay))
}

/// `date_value`: what the response says, or else when it came (RFC 9110 section 6.6.1).
fn date_of(head: &ResponseHead, received: u64) -> u64 {
    let date = head.fields.get(Known::Date);
    date.and_then(|d| date::parse(d, received))
        .unwrap_or(received)
}

/// `freshness_lifetime` (section 4.2.1): of `s-maxage`, `max-age` and `Expires` the first that is there,
/// then what can be guessed, then the operator's word. `None` when nothing is said.
pub(super) fn lifetime(
    head: &ResponseHead,
    directives: &ResponseDirectives,
    arrival: Arrival,
    rules: &Rules,
) -> Option<Duration> {
    if let Some(explicit) = explicit_lifetime(head, directives, arrival) {
        return Some(explicit);
    }
    if !(is_heuristically_cacheable(head.status) || directives.public) {
        return None;
    }
    let guess = heuristic_lifetime(head, arrival, rules);
    guess.or((!rules.default_ttl.is_zero()).then_some(rules.default_ttl))
}

/// What the response says itself.
pub(super) fn explicit_lifetime(
    head: &ResponseHead,
    directives: &ResponseDirectives,
    arrival: Arrival,
) -> Option<Duration> {
    if let Some(told) = directives.s_maxage.or(directives.max_age) {
        return Some(told);
    }
    let mut expires = head.fields.all(Known::Expires);
    let first = expires.next().filter(|_| !directives.targeted)?;
    let received = arrival.wall.unix(arrival.received);
    // What is no date lies in the past (section 5.3).
    let expires = date::parse(first, received).unwrap_or(0);
    let fresh = expires.saturating_sub(date_of(head, received));
    Some(Duration::from_secs(fresh))
}

/// A tenth of the time since it was changed (section 4.2.2), within the operator's bound.
fn heuristic_lifetime(head: &ResponseHead, arrival: Arrival, rules: &Rules) -> Option<Duration> {
    let received = arrival.wall.unix(arrival.received);
    let modified = date::parse(head.fields.get(Known::LastModified)?, received)?;
    let unchanged = date_of(head, received).saturating_sub(modified);
    let fresh = Duration::from_secs(unchanged / 10).min(rules.heuristic_ttl);
    (!rules.heuristic_ttl.is_zero()).then_some(fresh)
}

/// Status codes that may be kept without a word about freshness (RFC 9110 section 15.1). 206 is not
/// among them: parts are not kept here.
pub(super) fn is_heuristically_cacheable(status: u16) -> bool {
    matches!(
        status,
        200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caching::date::HttpDate;

    const UNIX: u64 = 1_767_225_600;

    fn arrival() -> Arrival {
        let received = Moment::ZERO + Duration::from_secs(100);
        Arrival {
            requested: received,
            received,
            wall: Wall::new(received, Duration::from_secs(UNIX)),
        }
    }

    fn terms(status: u16, fields: &[(&str, &str)]) -> Terms {
        let head = ResponseHead {
            status,
            fields: fields.iter().copied().collect(),
        };
        Terms::of(&head, arrival(), &Rules::default())
    }

    fn date(at: i64) -> String {
        HttpDate(UNIX.checked_add_signed(at).unwrap()).to_string()
    }

    fn lifetime_of(fields: &[(&str, &str)]) -> u64 {
        terms(200, fields).lifetime.as_secs()
    }

    #[test]
    fn rfc9111_4_2_1_s_maxage_before_max_age_before_expires() {
        let (now, later) = (date(0), date(300));
        let expires = [("Date", now.as_str()), ("Expires", later.as_str())];
        assert_eq!(lifetime_of(&expires), 300);
        assert_eq!(
            lifetime_of(&[expires[0], expires[1], ("Cache-Control", "max-age=5")]),
            5
        );
        assert_eq!(
            lifetime_of(&[expires[1], ("Cache-Control", "max-age=5, s-maxage=0")]),
            0
        );
        assert_eq!(lifetime_of(&[("Expires", later.as_str())]), 300);
        assert_eq!(
            lifetime_of(&[("Expires", later.as_str()), ("Date", "foo")]),
            300
        );
    }

    #[test]
    fn rfc9111_5_3_a_wrong_or_past_expires_is_stale() {
        let old = date(-10);
        let modified = date(-100_000);
        for expires in ["0", "-1", "tomorrow", old.as_str(), ""] {
            let fields = [("Expires", expires), ("Last-Modified", modified.as_str())];
            assert_eq!(lifetime_of(&fields), 0, "{expires}");
        }
    }

    #[test]
    fn rfc9111_4_2_2_a_tenth_of_the_time_since_the_last_change() {
        let (hour, long) = (date(-3600), date(-86_400 * 365));
        assert_eq!(lifetime_of(&[("Last-Modified", hour.as_str())]), 360);
        assert_eq!(lifetime_of(&[("Last-Modified", long.as_str())]), 86_400);
        let of = |status| {
            terms(status, &[("Last-Modified", hour.as_str())])
                .lifetime
                .as_secs()
        };
        for status in [201, 202, 302, 403, 500, 502, 503, 504, 599] {
            assert_eq!(of(status), 0, "{status}");
        }
        for status in [203, 204, 404, 405, 410, 414, 501] {
            assert_eq!(of(status), 360, "{status}");
        }
        let public = [
            ("Last-Modified", hour.as_str()),
            ("Cache-Control", "public"),
        ];
        assert_eq!(terms(599, &public).lifetime.as_secs(), 360);
    }

    #[test]
    fn rfc9111_4_2_3_age() {
        let age = |fields: &[(&str, &str)]| terms(200, fields).initial_age.as_secs();
        assert_eq!(age(&[]), 0);
        assert_eq!(age(&[("Age", "30")]), 30);
        let slow = date(-50);
        assert_eq!(age(&[("Age", "30"), ("Date", slow.as_str())]), 50);
        let fast = date(50);
        assert_eq!(age(&[("Age", "30"), ("Date", fast.as_str())]), 30);
        let mut arrival = arrival();
        arrival.requested = arrival.requested - Duration::from_secs(4);
        let head = ResponseHead {
            status: 200,
            fields: [("Age", "30")].into_iter().collect(),
        };
        let t = Terms::of(&head, arrival, &Rules::default());
        assert_eq!(t.initial_age.as_secs(), 34);
        assert_eq!(
            t.age(arrival.received + Duration::from_secs(6)).as_secs(),
            40
        );
    }

    #[test]
    fn rfc9111_5_1_of_several_ages_the_first_and_no_number_is_ignored() {
        let age = |value: &str| terms(200, &[("Age", value)]).initial_age.as_secs();
        assert_eq!(age("7200,0"), 7200);
        assert_eq!(age("0, 7200"), 0);
        for none in ["abc", "-7200", "7200.0", "7200;foo=1"] {
            assert_eq!(age(none), 0, "{none}");
        }
        assert_eq!(age("99999999999999999999"), 1 << 31);
    }

    #[test]
    fn fresh_until_its_age_is_its_lifetime() {
        let t = terms(200, &[("Cache-Control", "max-age=10"), ("Age", "4")]);
        let at = |s| t.received + Duration::from_secs(s);
        assert_eq!(t.staleness(at(5)), None);
        assert_eq!(t.remaining(at(5)).as_secs(), 1);
        assert_eq!(t.staleness(at(6)), Some(Duration::ZERO));
        assert_eq!(t.staleness(at(9)), Some(Duration::from_secs(3)));
        let moved = t.restored(Duration::from_secs(3), Moment::ZERO);
        assert_eq!(moved.age(Moment::ZERO).as_secs(), 7);
    }

    #[test]
    fn an_operators_word_counts_where_the_response_has_none() {
        let rules = Rules {
            default_ttl: Duration::from_secs(60),
            stale_if_error: Duration::from_secs(9),
            ..Rules::default()
        };
        let of = |status, fields: &[(&str, &str)]| {
            let fields = fields.iter().copied().collect();
            Terms::of(&ResponseHead { status, fields }, arrival(), &rules)
        };
        assert_eq!(of(200, &[]).lifetime.as_secs(), 60);
        assert_eq!(of(500, &[]).lifetime.as_secs(), 0);
        assert_eq!(
            of(200, &[("Cache-Control", "max-age=1")])
                .lifetime
                .as_secs(),
            1
        );
        assert_eq!(of(200, &[]).if_error.as_secs(), 9);
        let own = of(200, &[("Cache-Control", "stale-if-error=2")]);
        assert_eq!(own.if_error.as_secs(), 2);
    }
}
