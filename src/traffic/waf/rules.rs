//! The rules of a configuration.

use std::fmt;
use std::net::IpAddr;

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::{Findings, Inspector, Verdict, forms};
use crate::message::{Known, Method, Name, RequestHead};
use crate::traffic::route::{PathPattern, Pattern};

/// Octets that the expressions of one place may take together, compiled.
const MOST: usize = 16 << 20;

/// Whether a rule set is in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Requests at the threshold are refused.
    #[default]
    Block,
    /// They are noted only.
    Detect,
}

/// Where a rule looks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The path.
    Path,
    /// The query.
    Query,
    /// The values of all header fields.
    Headers,
    /// The value of one header field.
    Header(Name),
    /// The beginning of the body.
    Body,
}

/// Sizes that are too large, in octets; `None`: any will do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sizes {
    /// The path.
    pub path: Option<usize>,
    /// The query.
    pub query: Option<usize>,
    /// One field's value.
    pub header: Option<usize>,
    /// The body: as it is declared, or as much as was looked at.
    pub body: Option<u64>,
}

/// One rule: it matches a request for which all that it says holds.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rule {
    /// Its name.
    pub name: Box<str>,
    /// What a match adds to the request's score.
    pub score: u32,
    /// One of these methods; empty: any.
    pub methods: Vec<Method>,
    /// One of these paths; empty: any.
    pub paths: Vec<PathPattern>,
    /// Where the patterns are looked for.
    pub places: Vec<Place>,
    /// One of these is found in one of the places, in any of its [`forms`]; empty: nothing is asked.
    pub patterns: Vec<Pattern>,
    /// One of these is exceeded; all `None`: nothing is asked.
    pub larger: Sizes,
}

/// The patterns of one place, together.
#[derive(Clone, Default)]
struct Set {
    regexes: RegexSet,
    /// The rule of each.
    rules: Vec<u32>,
}

/// A rule set.
#[derive(Clone, Default)]
pub struct RuleSet {
    /// Its name.
    pub name: Box<str>,
    /// Whether it is in force.
    pub mode: Mode,
    /// The score at which a request is refused; at least 1.
    pub threshold: u32,
    /// The status of those.
    pub status: u16,
    /// Octets of the beginning of a body that are looked at; 0: none.
    pub inspect_body: usize,
    rules: Vec<Rule>,
    path: Set,
    query: Set,
    headers: Set,
    header: Vec<(Name, Set)>,
    body: Set,
    /// Whether some rule asks for the size of a body.
    body_size: bool,
}

/// All expressions of one place together take more than 16 MiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("has patterns that take more than 16 MiB together; the largest allowed is 16 MiB")]
pub struct RuleSetError;

impl Rule {
    fn names(&self, head: &RequestHead) -> bool {
        let path = head.path();
        (self.methods.is_empty() || self.methods.contains(&head.method))
            && (self.paths.is_empty() || self.paths.iter().any(|p| p.matches(path)))
    }

    /// Whether it asks for nothing but method and path.
    fn is_plain(&self) -> bool {
        self.patterns.is_empty() && self.larger == Sizes::default()
    }

    fn is_larger(&self, head: &RequestHead) -> bool {
        let over = |bound: Option<usize>, n: usize| bound.is_some_and(|bound| n > bound);
        over(self.larger.path, head.path().len())
            || over(self.larger.query, head.query().map_or(0, <[u8]>::len))
            || head
                .fields
                .iter()
                .any(|(_, value)| over(self.larger.header, value.len()))
            || self
                .larger
                .body
                .is_some_and(|bound| length(head).is_some_and(|n| n > bound))
    }
}

/// The declared length of a body.
fn length(head: &RequestHead) -> Option<u64> {
    let text = head.fields.get(Known::ContentLength)?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Set {
    fn new(rules: &[Rule], is: impl Fn(&Place) -> bool) -> Result<Set, RuleSetError> {
        let mut texts = Vec::new();
        let mut of = Vec::new();
        for (number, rule) in rules.iter().enumerate() {
            if rule.places.iter().any(&is) {
                texts.extend(rule.patterns.iter().map(Pattern::as_str));
                of.resize(texts.len(), number as u32);
            }
        }
        let mut builder = RegexSetBuilder::new(texts);
        let regexes = builder.unicode(false).size_limit(MOST).build();
        Ok(Set {
            regexes: regexes.map_err(|_| RuleSetError)?,
            rules: of,
        })
    }

    fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn look(&self, text: &[u8], mut matched: impl FnMut(u32)) {
        if self.is_empty() || text.is_empty() {
            return;
        }
        forms(text, |form| {
            for pattern in &self.regexes.matches(form) {
                matched(self.rules[pattern]);
            }
        });
    }
}

impl RuleSet {
    /// With these rules instead of those it has.
    ///
    /// # Errors
    /// When their patterns take too much memory.
    pub fn with(mut self, rules: Vec<Rule>) -> Result<RuleSet, RuleSetError> {
        self.path = Set::new(&rules, |p| *p == Place::Path)?;
        self.query = Set::new(&rules, |p| *p == Place::Query)?;
        self.headers = Set::new(&rules, |p| *p == Place::Headers)?;
        self.body = Set::new(&rules, |p| *p == Place::Body)?;
        self.header = Vec::new();
        for place in rules.iter().flat_map(|r| &r.places) {
            if let Place::Header(name) = place
                && !self.header.iter().any(|(n, _)| n == name)
            {
                let set = Set::new(&rules, |p| p == place)?;
                self.header.push((name.clone(), set));
            }
        }
        self.body_size = rules.iter().any(|r| r.larger.body.is_some());
        self.rules = rules;
        Ok(self)
    }

    /// Its rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Adds a rule whose pattern was found.
    fn found(&self, rule: u32, head: &RequestHead, findings: &mut Findings) {
        let of = &self.rules[rule as usize];
        if of.names(head) {
            findings.add(rule, of.score);
        }
    }
}

impl Inspector for RuleSet {
    fn head(&self, head: &RequestHead, _client: IpAddr, findings: &mut Findings) {
        for (number, rule) in self.rules.iter().enumerate() {
            let whole =
                rule.is_plain() || (rule.larger != Sizes::default() && rule.is_larger(head));
            if whole && rule.names(head) {
                findings.add(number as u32, rule.score);
            }
        }
        let mut found = |rule: u32| self.found(rule, head, findings);
        self.path.look(head.path(), &mut found);
        self.query
            .look(head.query().unwrap_or_default(), &mut found);
        for (name, set) in &self.header {
            for value in head.fields.all_named(name) {
                set.look(value, &mut found);
            }
        }
        if !self.headers.is_empty() {
            for (_, value) in head.fields.iter() {
                self.headers.look(value, &mut found);
            }
        }
    }

    fn wanted(&self, _head: &RequestHead) -> usize {
        match self.body.is_empty() && !self.body_size {
            true => 0,
            false => self.inspect_body,
        }
    }

    fn body(&self, head: &RequestHead, start: &[u8], _whole: bool, findings: &mut Findings) {
        for (number, rule) in self.rules.iter().enumerate() {
            let larger = rule
                .larger
                .body
                .is_some_and(|bound| start.len() as u64 > bound);
            if larger && rule.names(head) {
                findings.add(number as u32, rule.score);
            }
        }
        self.body
            .look(start, |rule| self.found(rule, head, findings));
    }

    fn longest(&self, head: &RequestHead, findings: &Findings) -> Option<u64> {
        if !self.body_size || self.mode == Mode::Detect {
            return None;
        }
        let decides = |(number, rule): (usize, &Rule)| {
            let bound = rule.larger.body?;
            let is_new = !findings.rules.contains(&(number as u32));
            let reaches = findings.score.saturating_add(rule.score) >= self.threshold;
            (is_new && reaches && rule.names(head)).then_some(bound)
        };
        self.rules.iter().enumerate().filter_map(decides).min()
    }

    fn verdict(&self, findings: &Findings) -> Verdict {
        match (findings.score >= self.threshold, self.mode) {
            (false, _) => Verdict::Pass,
            (true, Mode::Detect) => Verdict::Detected,
            (true, Mode::Block) => Verdict::Deny(self.status),
        }
    }

    fn rule(&self, number: u32) -> &str {
        self.rules.get(number as usize).map_or("", |r| &r.name)
    }
}

impl PartialEq for RuleSet {
    fn eq(&self, other: &RuleSet) -> bool {
        // The sets follow from the rules.
        self.name == other.name
            && self.mode == other.mode
            && (self.threshold, self.status) == (other.threshold, other.status)
            && self.inspect_body == other.inspect_body
            && self.rules == other.rules
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuleSet")
            .field("name", &self.name)
            .field("mode", &self.mode)
            .field("threshold", &self.threshold)
            .field("status", &self.status)
            .field("inspect_body", &self.inspect_body)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, score: u32) -> Rule {
        Rule {
            name: name.into(),
            score,
            ..Rule::default()
        }
    }

    fn patterns(name: &str, score: u32, places: &[Place], patterns: &[&str]) -> Rule {
        Rule {
            places: places.to_vec(),
            patterns: patterns.iter().map(|p| Pattern::new(p).unwrap()).collect(),
            ..rule(name, score)
        }
    }

    fn set(rules: Vec<Rule>) -> RuleSet {
        let set = RuleSet {
            threshold: 5,
            status: 403,
            inspect_body: 1024,
            ..RuleSet::default()
        };
        set.with(rules).unwrap()
    }

    fn request(method: Method, target: &str, fields: &[(&str, &str)]) -> RequestHead {
        RequestHead {
            method,
            target: target.into(),
            fields: fields.iter().copied().collect(),
            ..RequestHead::default()
        }
    }

    /// Names of the rules that match, and the verdict.
    fn judged(set: &RuleSet, head: &RequestHead, body: &[u8]) -> (Vec<String>, Verdict) {
        let mut findings = Findings::default();
        set.head(head, [192, 0, 2, 1].into(), &mut findings);
        if set.wanted(head) > 0 {
            set.body(head, body, true, &mut findings);
        }
        let names = findings.rules.iter().map(|r| set.rule(*r).to_owned());
        (names.collect(), set.verdict(&findings))
    }

    #[test]
    fn a_body_of_unknown_length_is_bounded_by_the_rules_that_would_decide() {
        let large = |name: &str, score, bound| Rule {
            larger: Sizes {
                body: Some(bound),
                ..Sizes::default()
            },
            ..rule(name, score)
        };
        let quote = patterns("quote", 4, &[Place::Query], &["'"]);
        let mut set = set(vec![large("large", 5, 1000), large("small", 1, 100), quote]);
        let longest = |set: &RuleSet, target| {
            let head = request(Method::Post, target, &[]);
            let mut findings = Findings::default();
            set.head(&head, [192, 0, 2, 1].into(), &mut findings);
            set.longest(&head, &findings)
        };
        assert_eq!(longest(&set, "/"), Some(1000));
        assert_eq!(longest(&set, "/?q='"), Some(100));
        set.mode = Mode::Detect;
        assert_eq!(longest(&set, "/"), None);
    }

    #[test]
    fn each_place_in_each_form() {
        let places = [Place::Path, Place::Query, Place::Headers, Place::Body];
        let set = set(vec![patterns("sqli", 5, &places, &[r"(?i)union\s+select"])]);
        let clean = request(Method::Get, "/a?q=union", &[("x", "select")]);
        assert_eq!(judged(&set, &clean, b"union of selectors").1, Verdict::Pass);
        for (target, field, body) in [
            ("/union%20select", "", ""),
            ("/?q=1+UNION+SELECT+2", "", ""),
            ("/?q=%2555nion%2520select", "", ""),
            ("/", "Union \t Select", ""),
            ("/", "", "x=1'+union%0aselect+1"),
        ] {
            let head = request(Method::Post, target, &[("x", field)]);
            let (names, verdict) = judged(&set, &head, body.as_bytes());
            assert_eq!(
                (names, verdict),
                (vec!["sqli".to_owned()], Verdict::Deny(403)),
                "{target}"
            );
        }
    }

    #[test]
    fn scores_add_up_and_each_rule_counts_once() {
        let set = set(vec![
            patterns("quote", 2, &[Place::Query], &["'"]),
            patterns("comment", 3, &[Place::Query], &["--", "#"]),
        ]);
        let one = request(Method::Get, "/?a='&b=''", &[]);
        assert_eq!(
            judged(&set, &one, b""),
            (vec!["quote".into()], Verdict::Pass)
        );
        let both = request(Method::Get, "/?a='--", &[]);
        let (names, verdict) = judged(&set, &both, b"");
        assert_eq!((names.len(), verdict), (2, Verdict::Deny(403)));
        let detect = RuleSet {
            mode: Mode::Detect,
            ..set
        };
        assert_eq!(judged(&detect, &both, b"").1, Verdict::Detected);
    }

    #[test]
    fn methods_paths_fields_and_sizes() {
        let trace = Rule {
            methods: vec![Method::Trace],
            ..rule("trace", 5)
        };
        let admin = Rule {
            paths: vec![PathPattern::Prefix(b"/admin"[..].into())],
            ..patterns(
                "agent",
                5,
                &[Place::Header(Name::new(b"user-agent"))],
                &["^curl/"],
            )
        };
        let long = Rule {
            larger: Sizes {
                query: Some(4),
                ..Sizes::default()
            },
            ..rule("long", 5)
        };
        let fat = Rule {
            larger: Sizes {
                body: Some(8),
                ..Sizes::default()
            },
            ..rule("fat", 5)
        };
        let set = set(vec![trace, admin, long, fat]);
        let names = |head: &RequestHead, body: &[u8]| judged(&set, head, body).0.concat();
        let agent = [("user-agent", "curl/8")];
        assert_eq!(names(&request(Method::Trace, "/", &[]), b""), "trace");
        assert_eq!(
            names(&request(Method::Get, "/admin/x", &agent), b""),
            "agent"
        );
        assert_eq!(names(&request(Method::Get, "/", &agent), b""), "");
        assert_eq!(names(&request(Method::Get, "/?1234", &[]), b""), "");
        assert_eq!(names(&request(Method::Get, "/?12345", &[]), b""), "long");
        assert_eq!(names(&request(Method::Get, "/", &[]), b"12345678"), "");
        assert_eq!(names(&request(Method::Get, "/", &[]), b"123456789"), "fat");
        let declared = request(Method::Post, "/", &[("content-length", "9")]);
        assert_eq!(names(&declared, b""), "fat");
    }

    #[test]
    fn a_body_is_held_up_only_when_a_rule_looks_at_it() {
        let head = request(Method::Post, "/", &[]);
        assert_eq!(
            set(vec![patterns("q", 5, &[Place::Query], &["x"])]).wanted(&head),
            0
        );
        assert_eq!(
            set(vec![patterns("b", 5, &[Place::Body], &["x"])]).wanted(&head),
            1024
        );
    }
}
