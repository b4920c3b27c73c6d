//! Access lists, rates, cookies and what class CH says.

use std::sync::Arc;

use crate::config::{Marked, Spec};
use crate::limit::{AccessLists, CookieRules, Limit, Networks, Prefixes, Rules, Secrets};
use crate::net::Prefix;
use crate::snapshot::ChaosTexts;

use super::Node;

/// Who may ask, and how often.
pub(super) fn rules(spec: &Spec) -> Rules {
    let (access, rate, cookies) = (&spec.dns.access, &spec.dns.rate_limit, &spec.dns.cookies);
    let plain = |list: &[Marked<Prefix>]| -> Vec<Prefix> { list.iter().map(|p| p.value).collect() };
    let queries = Limit::per_second(rate.queries_per_second);
    let responses = Limit::per_second(rate.responses_per_second);
    // Without limits nobody needs to be looked for among the exempt.
    let exempt = match queries.is_some() || responses.is_some() || cookies.enforce {
        true => plain(&rate.exempt),
        false => Vec::new(),
    };
    Rules {
        networks: Networks::new(AccessLists {
            allow: &plain(&access.allow),
            deny: &plain(&access.deny),
            exempt: &exempt,
        }),
        drop_denied: access.drop,
        prefixes: Prefixes::new(rate.prefix4, rate.prefix6),
        queries,
        responses,
        slip: rate.slip,
        table_bytes: rate.table_size,
        cookies: CookieRules {
            enforce: cookies.enforce,
            secrets: (!cookies.secrets.is_empty())
                .then(|| Arc::new(Secrets::new(cookies.secrets.iter().map(|s| s.value)))),
            rotate: cookies.rotate,
        },
    }
}

/// What class CH says on `node`.
pub(super) fn chaos(spec: &Spec, node: Option<&Node>) -> ChaosTexts {
    let chaos = &spec.dns.chaos;
    let name = node.map_or("", |n| n.name.as_str());
    ChaosTexts {
        version: chaos.version.as_str().into(),
        id: chaos.id.as_deref().unwrap_or(name).into(),
    }
}
