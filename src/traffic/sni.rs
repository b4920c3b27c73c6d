//! Where a connection goes by what its TLS asks for, before anybody has answered it.

use std::time::Duration;

use hashbrown::HashMap;

use crate::tls::hello::Hello;

use super::route::HostPattern;
use super::tcp::Target;

/// One rule.
#[derive(Clone, PartialEq, Debug)]
pub struct SniRule {
    /// Hosts that it is for.
    pub names: Vec<HostPattern>,
    /// Protocols of which the client must offer one; empty: whatever it offers.
    pub alpn: Vec<Box<[u8]>>,
    /// Where its connections go.
    pub target: Target,
}

/// The rules of a listener. A lookup costs one hash of the name and one for each of its dots, however many
/// names there are.
#[derive(Clone, PartialEq, Debug)]
pub struct SniRules {
    /// How long a client may take until its hello is whole.
    pub timeout: Duration,
    /// Octets of the longest hello that is taken.
    pub most: usize,
    rules: Vec<Way>,
    /// Positions of rules, in the order in which they are asked.
    exact: HashMap<Box<[u8]>, Vec<u32>>,
    /// By what stands behind the `*.`.
    below: HashMap<Box<[u8]>, Vec<u32>>,
    any: Vec<u32>,
}

#[derive(Clone, PartialEq, Debug)]
struct Way {
    alpn: Vec<Box<[u8]>>,
    target: Target,
}

impl Way {
    fn is_for(&self, hello: &Hello) -> bool {
        self.alpn.is_empty() || self.alpn.iter().any(|p| hello.alpn.offers(p))
    }
}

impl SniRules {
    /// The rules in the order of the file.
    pub fn new(timeout: Duration, most: usize, rules: Vec<SniRule>) -> SniRules {
        let mut out = SniRules {
            timeout,
            most,
            rules: Vec::with_capacity(rules.len()),
            exact: HashMap::new(),
            below: HashMap::new(),
            any: Vec::new(),
        };
        // Who wants a protocol is asked before who does not.
        let (picky, plain): (Vec<_>, Vec<_>) =
            rules.into_iter().partition(|rule| !rule.alpn.is_empty());
        for (at, rule) in (0..).zip(picky.into_iter().chain(plain)) {
            for name in rule.names {
                let list = match name {
                    HostPattern::Any => &mut out.any,
                    HostPattern::Exact(name) => out.exact.entry(name).or_default(),
                    HostPattern::Below(suffix) => {
                        let parent = suffix.strip_prefix(b".").unwrap_or(&suffix);
                        out.below.entry(parent.into()).or_default()
                    }
                };
                list.push(at);
            }
            out.rules.push(Way {
                alpn: rule.alpn,
                target: rule.target,
            });
        }
        out
    }

    /// Everywhere that connections may go.
    pub fn targets(&self) -> impl Iterator<Item = Target> {
        self.rules.iter().map(|way| way.target)
    }

    /// Where a connection goes that begins so; `None`: no rule is for it. The most specific name for which
    /// there is a rule wins: the name itself, then the longest wildcard, then `*`. A rule whose protocols
    /// the client does not offer is not for it.
    pub fn find(&self, hello: &Hello) -> Option<Target> {
        let first = |list: &[u32]| {
            let mut ways = list.iter().filter_map(|at| self.rules.get(*at as usize));
            ways.find(|way| way.is_for(hello)).map(|way| way.target)
        };
        let Some(name) = hello.server_name.as_deref() else {
            return first(&self.any);
        };
        let name = name.as_bytes();
        let exact = self.exact.get(name).and_then(|list| first(list));
        let below = || {
            let dots = name.iter().enumerate().filter(|(_, octet)| **octet == b'.');
            // From the left: the longest suffix first.
            dots.map(|(at, _)| &name[at + 1..])
                .filter_map(|parent| self.below.get(parent))
                .find_map(|list| first(list))
        };
        exact.or_else(below).or_else(|| first(&self.any))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ListenerId, UpstreamId};
    use crate::tls::hello::Alpn;

    fn to(n: u32) -> Target {
        Target::Upstream(UpstreamId(n))
    }

    fn rule(names: &[&str], alpn: &[&str], target: Target) -> SniRule {
        SniRule {
            names: names
                .iter()
                .map(|n| HostPattern::parse(n).unwrap())
                .collect(),
            alpn: alpn.iter().map(|p| p.as_bytes().into()).collect(),
            target,
        }
    }

    fn rules(rules: Vec<SniRule>) -> SniRules {
        SniRules::new(Duration::from_secs(5), 16 << 10, rules)
    }

    fn hello(name: &str, alpn: &[&str]) -> Hello {
        Hello {
            server_name: Some(name.into()).filter(|_| !name.is_empty()),
            alpn: Alpn::of(alpn.iter().map(|p| p.as_bytes())),
        }
    }

    #[test]
    fn the_most_specific_name_wins_whatever_the_order() {
        let all = [
            rule(&["*.example.com"], &[], to(1)),
            rule(&["Mail.example.com", "other.example"], &[], to(2)),
            rule(&["*.b.example.com"], &[], to(3)),
        ];
        for shift in 0..all.len() {
            let mut turned = all.to_vec();
            turned.rotate_left(shift);
            let rules = rules(turned);
            for (name, target) in [
                ("mail.example.com", Some(to(2))),
                ("other.example", Some(to(2))),
                ("a.example.com", Some(to(1))),
                ("x.a.example.com", Some(to(1))),
                ("x.b.example.com", Some(to(3))),
                ("b.example.com", Some(to(1))),
                ("example.com", None),
                ("badexample.com", None),
                ("com", None),
                ("", None),
            ] {
                assert_eq!(rules.find(&hello(name, &[])), target, "{name}");
            }
        }
    }

    #[test]
    fn protocols_choose_among_the_rules_of_a_name() {
        let rules = rules(vec![
            rule(&["a.example"], &[], to(1)),
            rule(&["a.example"], &["h2", "h3"], to(2)),
            rule(&["only.example"], &["imap"], to(3)),
            rule(&["*"], &["acme-tls/1"], to(4)),
            rule(&["*.example"], &[], Target::Listener(ListenerId(0))),
        ]);
        let found = |name, alpn: &[&str]| rules.find(&hello(name, alpn));
        assert_eq!(found("a.example", &["http/1.1", "h2"]), Some(to(2)));
        assert_eq!(found("a.example", &["http/1.1"]), Some(to(1)));
        assert_eq!(found("a.example", &[]), Some(to(1)));
        // Without the protocol the rule is not there: the next less specific name is asked.
        assert_eq!(found("only.example", &["imap"]), Some(to(3)));
        let wider = Some(Target::Listener(ListenerId(0)));
        assert_eq!(found("only.example", &["h2"]), wider);
        assert_eq!(found("example.org", &["acme-tls/1"]), Some(to(4)));
        assert_eq!(found("", &["acme-tls/1"]), Some(to(4)));
        assert_eq!(found("example.org", &[]), None);
    }

    #[test]
    fn ten_thousand_names_are_found() {
        let name = |n: u32| format!("host{n}.tenant{}.example", n % 100);
        let many = (0..10_000)
            .map(|n| rule(&[&name(n)], &[], to(n)))
            .chain((0..100).map(|n| rule(&[&format!("*.tenant{n}.example")], &[], to(20_000 + n))))
            .collect();
        let rules = rules(many);
        for n in 0..10_000 {
            assert_eq!(rules.find(&hello(&name(n), &[])), Some(to(n)));
        }
        assert_eq!(
            rules.find(&hello("x.tenant7.example", &[])),
            Some(to(20_007))
        );
    }
}
