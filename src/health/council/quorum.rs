//! Counting votes by failure domain (requirement H3).

use super::super::board::VantageNow;
use super::super::vote::Vote;
use super::rules::{Quorum, Rules};
use super::seat::counts;

/// Votes counted: first inside each site, then over the sites.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Sites that say "up".
    pub up: u32,
    /// Sites that say "down".
    pub down: u32,
    /// Vantages whose vote counts.
    pub voters: u32,
}

/// What the votes say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Finding {
    /// Enough sites say "up".
    Up,
    /// Enough say "down".
    Down,
    /// As `Down`, but only one voice is left of several: it needs twice the evidence.
    LoneDown,
    /// A tie, or too few for either: what was believed stays.
    Undecided,
    /// Nobody has a vote: what was believed stays, and is stale (requirement H4).
    Silent,
}

/// Counts the votes of the vantages: by their index, `true` for "up".
#[derive(Debug, Default)]
pub(super) struct Counter {
    /// By site: up, down.
    sites: Vec<(u32, u32)>,
}

impl Counter {
    pub(super) fn count(
        &mut self,
        rules: &Rules,
        votes: impl Iterator<Item = (usize, bool)>,
    ) -> Count {
        self.sites.clear();
        self.sites.resize(rules.sites.len(), (0, 0));
        let mut count = Count::default();
        for (vantage, up) in votes {
            let site = &mut self.sites[rules.vantages[vantage].site.index()];
            *(if up { &mut site.0 } else { &mut site.1 }) += 1;
            count.voters += 1;
        }
        for (up, down) in &self.sites {
            // A site that is divided in halves has no vote.
            match up.cmp(down) {
                std::cmp::Ordering::Greater => count.up += 1,
                std::cmp::Ordering::Less => count.down += 1,
                std::cmp::Ordering::Equal => {}
            }
        }
        count
    }
}

/// Counts votes by vantage, each for what its word is worth.
pub fn tally(rules: &Rules, votes: &[Option<Vote>], vantages: &[VantageNow]) -> Count {
    let votes = votes.iter().zip(vantages).enumerate();
    let votes = votes.filter_map(|(v, (vote, now))| Some((v, counts(*vote, now.worth)?)));
    Counter::default().count(rules, votes)
}

impl Count {
    /// Sites that vote.
    pub fn voting(self) -> u32 {
        self.up + self.down
    }

    /// How many of them must say "down".
    pub fn needed(self, quorum: Quorum) -> u32 {
        quorum.needed(self.voting())
    }

    /// What follows under `rules`.
    pub fn finding(self, rules: &Rules) -> Finding {
        if self.voters == 0 {
            return Finding::Silent;
        }
        let needed = self.needed(rules.quorum);
        if self.down >= needed {
            // Of several vantages or sites one is left: nobody else can say whether it is the target
            // that fails or the vantage that is cut off.
            let lone = match self.voting() {
                1 => rules.sites.len() > 1 || (self.voters == 1 && rules.vantages.len() > 1),
                _ => false,
            };
            return if lone {
                Finding::LoneDown
            } else {
                Finding::Down
            };
        }
        let tied = self.up == self.down;
        let ties_hold = match rules.quorum {
            Quorum::Majority => true,
            Quorum::Share(_) => self.voting() <= 2,
            Quorum::Number(_) => false,
        };
        if self.up == 0 || (tied && ties_hold) {
            Finding::Undecided
        } else {
            Finding::Up
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{Site, Vantage};
    use super::*;
    use crate::ids::SiteId;

    /// `sites[i]` vantages in site `i`.
    fn rules(quorum: Quorum, sites: &[usize]) -> Rules {
        let mut vantages = Vec::new();
        for (site, count) in sites.iter().enumerate() {
            for _ in 0..*count {
                vantages.push(Vantage {
                    name: format!("v{}", vantages.len()).into(),
                    site: SiteId::from_index(site),
                });
            }
        }
        Rules {
            vantages,
            sites: (0..sites.len())
                .map(|s| Site {
                    region: format!("r{s}").into(),
                    asn: None,
                })
                .collect(),
            quorum,
            ..Rules::default()
        }
    }

    /// One letter for each vantage: `+` up, `-` down, `.` no vote.
    fn finding(rules: &Rules, votes: &str) -> Finding {
        let votes = votes
            .chars()
            .enumerate()
            .filter(|(_, c)| *c != '.')
            .map(|(i, c)| (i, c == '+'));
        Counter::default().count(rules, votes).finding(rules)
    }

    #[test]
    fn h3_majority_of_sites() {
        let three = rules(Quorum::Majority, &[1, 1, 1]);
        let table = [
            ("...", Finding::Silent),
            ("+++", Finding::Up),
            ("-++", Finding::Up),
            ("--+", Finding::Down),
            ("---", Finding::Down),
            ("-+.", Finding::Undecided),
            ("--.", Finding::Down),
            ("-..", Finding::LoneDown),
            ("+..", Finding::Up),
        ];
        for (votes, want) in table {
            assert_eq!(finding(&three, votes), want, "{votes}");
        }
        let two = rules(Quorum::Majority, &[1, 1]);
        assert_eq!(finding(&two, "-+"), Finding::Undecided);
        assert_eq!(finding(&two, "--"), Finding::Down);
    }

    #[test]
    fn h3_a_crowded_site_has_one_vote() {
        let crowded = rules(Quorum::Majority, &[5, 1, 1]);
        assert_eq!(finding(&crowded, "-----++"), Finding::Up);
        assert_eq!(finding(&crowded, "---++-+"), Finding::Down);
        assert_eq!(
            finding(&crowded, "--++.-+"),
            Finding::Undecided,
            "site 0 is divided"
        );
        // One site alone: the majority of its vantages.
        let one = rules(Quorum::Majority, &[3]);
        assert_eq!(finding(&one, "--+"), Finding::Down);
        assert_eq!(finding(&one, "-+."), Finding::Undecided);
        assert_eq!(finding(&one, "-.."), Finding::LoneDown);
        // The only vantage there is decides.
        assert_eq!(finding(&rules(Quorum::Majority, &[1]), "-"), Finding::Down);
    }

    #[test]
    fn h3_shares_and_numbers() {
        // Route 53: healthy while more than 18 % say so.
        let share = rules(Quorum::Share(82), &[1; 16]);
        assert_eq!(finding(&share, "-------------+++"), Finding::Up);
        assert_eq!(finding(&share, "--------------++"), Finding::Down);
        let share = rules(Quorum::Share(30), &[1; 4]);
        assert_eq!(
            finding(&share, "-+++"),
            Finding::Up,
            "one alone decides nothing"
        );
        assert_eq!(finding(&share, "--++"), Finding::Down);
        assert_eq!(finding(&share, "-+.."), Finding::Undecided);
        let number = rules(Quorum::Number(3), &[1; 5]);
        assert_eq!(finding(&number, "--+++"), Finding::Up);
        assert_eq!(finding(&number, "---++"), Finding::Down);
        assert_eq!(
            finding(&number, "--..."),
            Finding::Undecided,
            "too few vote"
        );
        assert_eq!(
            finding(&rules(Quorum::Number(1), &[1; 5]), "-++++"),
            Finding::Down
        );
    }

    proptest::proptest! {
        /// Fewer "down" or more "up" never takes a target out.
        #[test]
        fn h3_a_vote_that_turns_to_up_never_brings_down(
            votes in proptest::collection::vec(0..3u8, 1..12),
            turned in 0..12usize,
            quorum in 0..5u8,
        ) {
            let quorum = match quorum {
                0 => Quorum::Majority,
                1 => Quorum::Share(30),
                2 => Quorum::Share(82),
                n => Quorum::Number(n.into()),
            };
            let r = rules(quorum, &vec![1; votes.len()]);
            let text = |votes: &[u8]| votes.iter().map(|v| ['+', '-', '.'][usize::from(*v)]).collect::<String>();
            let before = finding(&r, &text(&votes));
            let mut better = votes.clone();
            let turned = turned % votes.len();
            better[turned] = 0;
            let after = finding(&r, &text(&better));
            let is_down = |f| matches!(f, Finding::Down | Finding::LoneDown);
            if !is_down(before) && votes[turned] == 1 {
                proptest::prop_assert!(!is_down(after), "{:?} {:?}", before, after);
            }
            if before == Finding::Up && votes[turned] == 1 {
                proptest::prop_assert_eq!(after, Finding::Up);
            }
        }
    }
}
