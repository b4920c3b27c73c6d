//! Rates, error pages and authorisations, and who refers to them.

use hashbrown::HashMap;

use crate::config::load::Inputs;
use crate::config::spec::{ErrorPagesSpec, FeaturesSpec};
use crate::config::{Diagnostic, Spec, not_a_template};
use crate::ids::{AuthId, ErrorPagesId, RateLimitId, UpstreamId};
use crate::traffic::Features;
use crate::traffic::fields::Template;
use crate::traffic::guards::{ForwardAuth, RateRule};
use crate::traffic::pages::{ErrorPages, Page};

use super::Problems;

/// Octets of an error page, at most.
const PAGE_MOST: usize = 256 << 10;

/// What features refer to, by id, and the ids by name.
#[derive(Debug, Default)]
pub(super) struct Shared<'s> {
    pub(super) rate_limits: Vec<RateRule>,
    pub(super) error_pages: Vec<ErrorPages>,
    pub(super) auths: Vec<ForwardAuth>,
    rates: HashMap<&'s str, RateLimitId>,
    pages: HashMap<&'s str, ErrorPagesId>,
    auth: HashMap<&'s str, AuthId>,
}

/// Everything that features refer to.
pub(super) fn shared<'s>(
    spec: &'s Spec,
    inputs: &Inputs,
    upstreams: &HashMap<&str, UpstreamId>,
    p: &mut Problems,
) -> Shared<'s> {
    let mut out = Shared::default();
    for s in &spec.rate_rules {
        let id = RateLimitId::from_index(out.rate_limits.len());
        out.rates.insert(&s.name, id);
        out.rate_limits.push(s.rule.clone());
    }
    for s in &spec.error_pages {
        let id = ErrorPagesId::from_index(out.error_pages.len());
        out.pages.insert(&s.name, id);
        out.error_pages.push(pages(s, inputs, p));
    }
    for s in &spec.auths {
        let Some(upstream) = upstreams.get(s.upstream.as_str()) else {
            p.dangling();
            continue;
        };
        let id = AuthId::from_index(out.auths.len());
        out.auth.insert(&s.name, id);
        out.auths.push(ForwardAuth {
            upstream: *upstream,
            ..s.settings.clone()
        });
    }
    out
}

fn pages(s: &ErrorPagesSpec, inputs: &Inputs, p: &mut Problems) -> ErrorPages {
    let mut pages = Vec::new();
    for page in &s.pages {
        // A file that cannot be read is reported already.
        let bytes = inputs.bytes(&page.file.value);
        let file = page.file.value.display();
        if bytes.len() > PAGE_MOST {
            let kib = bytes.len().div_ceil(1024);
            p.error(
                page.file.span,
                format!("error page `{file}` has {kib} KiB; the largest allowed size is 256 KiB"),
            )
            .help = Some("let the page refer to its images and styles by URL".to_owned());
            continue;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            p.error(
                page.file.span,
                format!("error page `{file}` is not UTF-8 text"),
            );
            continue;
        };
        match Template::text(text) {
            Ok(body) => pages.extend(page.statuses.iter().map(|statuses| Page {
                statuses: *statuses,
                media: page.media.as_str().into(),
                body: body.clone(),
            })),
            Err(e) => {
                let what = format!("error page `{file}`");
                p.push(not_a_template(Diagnostic::error, page.file.span, &what, &e));
            }
        }
    }
    ErrorPages {
        name: s.name.as_str().into(),
        pages,
        intercept: s.intercept,
    }
}

impl Shared<'_> {
    /// What a listener or route does, with ids for names.
    pub(super) fn features(&self, spec: &FeaturesSpec, p: &mut Problems) -> Option<Box<Features>> {
        let mut features = spec.settings.clone();
        let mut missing = false;
        for name in &spec.rate_limits {
            match self.rates.get(name.as_str()) {
                Some(id) => features.rates.push(*id),
                None => missing = true,
            }
        }
        if let Some(name) = &spec.error_pages {
            features.error_pages = self.pages.get(name.as_str()).copied();
            missing |= features.error_pages.is_none();
        }
        if let Some(name) = &spec.auth {
            features.auth = self.auth.get(name.as_str()).copied();
            missing |= features.auth.is_none();
        }
        if missing {
            p.dangling();
        }
        features.some()
    }
}

/// What nothing refers to is probably a mistake.
pub(super) fn unused(spec: &Spec, p: &mut Problems) {
    let of_routes = spec.routes.iter().map(|r| &r.features);
    let all: Vec<&FeaturesSpec> = spec
        .listeners
        .iter()
        .map(|l| &l.features)
        .chain(of_routes)
        .collect();
    let mut tell = |name: &crate::config::Marked<String>, word: &str, used: bool| {
        if !used {
            p.warning(
                name.span,
                format!(
                    "{word} `{}` is used by no listener and no route",
                    name.value
                ),
            )
            .help = Some("use it, or remove it".to_owned());
        }
    };
    for s in &spec.rate_rules {
        let used = all
            .iter()
            .any(|f| f.rate_limits.iter().any(|n| n.value == s.name.value));
        tell(&s.name, "rate limit", used);
    }
    for s in &spec.error_pages {
        let same = |f: &&FeaturesSpec| {
            f.error_pages
                .as_ref()
                .is_some_and(|n| n.value == s.name.value)
        };
        tell(&s.name, "error pages", all.iter().any(same));
    }
    for s in &spec.auths {
        let same = |f: &&FeaturesSpec| f.auth.as_ref().is_some_and(|n| n.value == s.name.value);
        tell(&s.name, "authorisation", all.iter().any(same));
    }
}
