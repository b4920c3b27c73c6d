//! Pages of errors: the operator's, and plain ones where there are none.
//!
//! Which of several is sent is negotiated by `Accept` (RFC 9110 section 12.5.1).

mod accept;
mod plain;

pub use accept::{acceptable, quality};
pub use plain::{plain, reason};

use crate::message::Fields;

use super::fields::{Escape, Facts, Template};

/// `[error-pages.NAME]`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ErrorPages {
    /// Its name.
    pub name: Box<str>,
    /// The pages, in the order of the configuration.
    pub pages: Vec<Page>,
    /// Whether also errors that backends answer are replaced.
    pub intercept: bool,
}

/// One page.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// The statuses it is for: from, to.
    pub statuses: (u16, u16),
    /// Its media type, perhaps with parameters.
    pub media: Box<str>,
    /// Its text.
    pub body: Template,
}

impl Page {
    /// What its variables must not hold.
    pub fn escape(&self) -> Escape {
        let essence = self.media.split(';').next().unwrap_or_default().trim();
        match essence {
            "text/html"
            | "application/xhtml+xml"
            | "application/xml"
            | "text/xml"
            | "image/svg+xml" => Escape::Html,
            _ if essence.ends_with("json") => Escape::Json,
            _ => Escape::Plain,
        }
    }

    /// The page for an exchange.
    pub fn render(&self, facts: &Facts<'_>) -> Vec<u8> {
        let mut body = Vec::new();
        self.body.render(facts, self.escape(), &mut body);
        body
    }
}

impl ErrorPages {
    /// The page of a status that the client likes best: of those for the fewest statuses, the one that
    /// `Accept` prefers, then the first. `None` when there is none, or the client accepts none.
    pub fn find(&self, status: u16, request: &Fields) -> Option<&Page> {
        let pages = self.pages.iter().enumerate().filter_map(|(at, page)| {
            let (from, to) = page.statuses;
            let quality = quality(request, &page.media);
            let fits = (from..=to).contains(&status) && quality > 0;
            fits.then_some(((to - from, 1000 - quality, at), page))
        });
        pages.min_by_key(|(rank, _)| *rank).map(|(_, page)| page)
    }
}

#[cfg(test)]
mod tests;
