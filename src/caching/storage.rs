//! Which responses may be stored (RFC 9111 section 3).

use crate::message::{Known, Method, RequestHead, ResponseHead};

use super::directives::{RequestDirectives, ResponseDirectives};
use super::freshness::{self, Arrival, Terms};
use super::rules::Rules;
use super::validation;
use super::vary::{self, Selection};

/// Whether a response may be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Storing {
    /// It may, and this tells it apart from others of the same URL.
    Store {
        /// On what terms it may be used again.
        terms: Terms,
        /// What `Vary` names.
        selection: Selection,
    },
    /// It may not, and why.
    Pass(Reason),
}

/// Why a response is not stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Only responses to GET are.
    Method,
    /// It is a part, or not of its own.
    Status,
    /// `no-store`.
    NoStore,
    /// `private`.
    Private,
    /// The request bore credentials, and the response does not say that it is for all.
    Authorization,
    /// It sets a cookie, and the operator wants none of these.
    SetCookie,
    /// `Vary: *`, or more variants than are told apart.
    Vary,
    /// It is not fresh and can neither be validated nor be used stale.
    Useless,
}

/// Whether the response to `request` may be stored by a cache that many share.
pub fn judge(
    request: &RequestHead,
    response: &ResponseHead,
    arrival: Arrival,
    rules: &Rules,
) -> Storing {
    match judged(request, response, arrival, rules) {
        Ok((terms, selection)) => Storing::Store { terms, selection },
        Err(reason) => Storing::Pass(reason),
    }
}

fn judged(
    request: &RequestHead,
    response: &ResponseHead,
    arrival: Arrival,
    rules: &Rules,
) -> Result<(Terms, Selection), Reason> {
    if request.method != Method::Get {
        return Err(Reason::Method);
    }
    // A final status; parts and answers to conditions are not kept.
    if !(200..600).contains(&response.status) || matches!(response.status, 206 | 304 | 416) {
        return Err(Reason::Status);
    }
    let asked = RequestDirectives::of(&request.fields);
    let told = ResponseDirectives::of(&response.fields);
    if rules.client_directives && asked.no_store {
        return Err(Reason::NoStore);
    }
    if told.must_understand {
        // Section 5.2.2.3: who knows the status code may ignore `no-store`.
        if !is_understood(response.status) {
            return Err(Reason::Status);
        }
    } else if told.no_store {
        return Err(Reason::NoStore);
    }
    if told.private {
        return Err(Reason::Private);
    }
    let for_all = told.public || told.must_revalidate || told.s_maxage.is_some();
    if request.fields.has(Known::Authorization) && !for_all {
        return Err(Reason::Authorization);
    }
    if response.fields.has(Known::SetCookie) && !rules.store_set_cookie {
        return Err(Reason::SetCookie);
    }
    let selection = vary::select(&response.fields, request).ok_or(Reason::Vary)?;
    let terms = Terms::of(response, arrival, rules);
    if freshness::lifetime(response, &told, arrival, rules).is_none()
        && !(validation::has_validator(&response.fields)
            && freshness::is_heuristically_cacheable(response.status))
    {
        return Err(Reason::Useless);
    }
    let ever_fresh = !terms.always_validate && terms.initial_age < terms.lifetime;
    let ever_stale =
        !terms.never_stale && (!terms.while_revalidate.is_zero() || !terms.if_error.is_zero());
    // One that came stale may still serve a request with `max-stale`.
    let may_be_wanted = !terms.always_validate && !terms.lifetime.is_zero();
    if !(ever_fresh || ever_stale || may_be_wanted || validation::has_validator(&response.fields)) {
        return Err(Reason::Useless);
    }
    Ok((terms, selection))
}

/// Status codes whose meaning for caches is known here: all that RFC 9110 section 15 defines, but not
/// parts.
fn is_understood(status: u16) -> bool {
    matches!(
        status,
        200..=205 | 300..=305 | 307 | 308 | 400..=415 | 417 | 421 | 422 | 426 | 500..=505
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::{Moment, Wall};

    fn judge_with(
        method: Method,
        asked: &[(&str, &str)],
        status: u16,
        told: &[(&str, &str)],
        rules: &Rules,
    ) -> Result<(), Reason> {
        let request = RequestHead {
            method,
            fields: asked.iter().copied().collect(),
            ..RequestHead::default()
        };
        let response = ResponseHead {
            status,
            fields: told.iter().copied().collect(),
        };
        let arrival = Arrival {
            requested: Moment::ZERO,
            received: Moment::ZERO,
            wall: Wall::new(Moment::ZERO, Duration::from_secs(1_767_225_600)),
        };
        match judge(&request, &response, arrival, rules) {
            Storing::Store { .. } => Ok(()),
            Storing::Pass(reason) => Err(reason),
        }
    }

    fn get(asked: &[(&str, &str)], status: u16, told: &[(&str, &str)]) -> Result<(), Reason> {
        judge_with(Method::Get, asked, status, told, &Rules::default())
    }

    const FRESH: (&str, &str) = ("Cache-Control", "max-age=60");

    #[test]
    fn rfc9111_3_get_with_any_final_status_and_a_lifetime() {
        for status in [200, 204, 299, 301, 302, 400, 404, 499, 500, 503, 599] {
            assert_eq!(get(&[], status, &[FRESH]), Ok(()), "{status}");
        }
        for status in [206, 304, 416, 101] {
            assert_eq!(get(&[], status, &[FRESH]), Err(Reason::Status), "{status}");
        }
        for method in [Method::Post, Method::Head, Method::Put] {
            let said = judge_with(method, &[], 200, &[FRESH], &Rules::default());
            assert_eq!(said, Err(Reason::Method));
        }
        assert_eq!(get(&[], 200, &[]), Err(Reason::Useless));
        assert_eq!(get(&[], 200, &[("ETag", "\"a\"")]), Ok(()));
        assert_eq!(get(&[], 403, &[("ETag", "\"a\"")]), Err(Reason::Useless));
    }

    #[test]
    fn rfc9111_5_2_2_no_store_and_private_are_obeyed() {
        for (word, reason) in [
            ("no-store", Reason::NoStore),
            ("max-age=60, nO-StOrE", Reason::NoStore),
            ("private, max-age=60", Reason::Private),
            ("private=\"x\", max-age=60", Reason::Private),
            ("max-age=0", Reason::Useless),
            ("no-cache, max-age=60", Reason::Useless),
        ] {
            assert_eq!(
                get(&[], 200, &[("Cache-Control", word)]),
                Err(reason),
                "{word}"
            );
        }
        assert_eq!(
            get(&[("Cache-Control", "no-store")], 200, &[FRESH]),
            Err(Reason::NoStore)
        );
        let rules = Rules {
            client_directives: false,
            ..Rules::default()
        };
        let asked = [("Cache-Control", "no-store")];
        let said = judge_with(Method::Get, &asked, 200, &[FRESH], &rules);
        assert_eq!(said, Ok(()));
    }

    #[test]
    fn rfc9111_5_2_2_3_must_understand() {
        let told = [("Cache-Control", "max-age=60, must-understand, no-store")];
        assert_eq!(get(&[], 200, &told), Ok(()));
        assert_eq!(get(&[], 599, &told), Err(Reason::Status));
    }

    #[test]
    fn rfc9111_3_5_credentials() {
        let asked = [("Authorization", "Basic x")];
        assert_eq!(get(&asked, 200, &[FRESH]), Err(Reason::Authorization));
        for word in [
            "public, max-age=60",
            "must-revalidate, max-age=60",
            "s-maxage=60",
        ] {
            assert_eq!(
                get(&asked, 200, &[("Cache-Control", word)]),
                Ok(()),
                "{word}"
            );
        }
    }

    #[test]
    fn rfc9111_4_1_vary_star_is_not_stored() {
        assert_eq!(
            get(&[], 200, &[FRESH, ("Vary", "Foo, *")]),
            Err(Reason::Vary)
        );
        assert_eq!(get(&[], 200, &[FRESH, ("Vary", "Foo")]), Ok(()));
    }

    #[test]
    fn cookies_are_not_shared_unless_wanted() {
        let told = [FRESH, ("Set-Cookie", "sid=1")];
        assert_eq!(get(&[], 200, &told), Err(Reason::SetCookie));
        let rules = Rules {
            store_set_cookie: true,
            ..Rules::default()
        };
        assert_eq!(judge_with(Method::Get, &[], 200, &told, &rules), Ok(()));
    }
}
