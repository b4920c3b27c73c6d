//! What a sender's network is allowed.

use std::net::IpAddr;

use crate::net::{Family, Key, Prefix, RangeMap};

/// What is known of a sender from its address alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// It may not ask.
    pub denied: bool,
    /// Its rates are not limited.
    pub exempt: bool,
}

/// The lists that an operator writes.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessLists<'a> {
    /// Who may ask; empty: everybody.
    pub allow: &'a [Prefix],
    /// Who may not.
    pub deny: &'a [Prefix],
    /// Whose rates are not limited.
    pub exempt: &'a [Prefix],
}

/// The standing of every address: one lookup for all lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Networks {
    /// `None`: nothing is said about the family.
    v4: Option<RangeMap<u32, Standing>>,
    v6: Option<RangeMap<u128, Standing>>,
}

impl Networks {
    /// The longest network around an address decides whether it may ask, in whichever list it stands;
    /// an address in neither list may ask exactly when `allow` is empty.
    ///
    /// A network that stands in both lists is denied.
    pub fn new(lists: AccessLists<'_>) -> Networks {
        Networks {
            v4: family(&lists, |p| match p.addr() {
                IpAddr::V4(a) => Some(a.into()),
                IpAddr::V6(_) => None,
            }),
            v6: family(&lists, |p| match p.addr() {
                IpAddr::V4(_) => None,
                IpAddr::V6(a) => Some(a.into()),
            }),
        }
    }

    /// The standing of `addr`.
    #[inline]
    pub fn standing(&self, addr: IpAddr) -> Standing {
        match addr {
            IpAddr::V4(a) => self
                .v4
                .as_ref()
                .map_or_else(Standing::default, |map| map.get(a.into())),
            IpAddr::V6(a) => self
                .v6
                .as_ref()
                .map_or_else(Standing::default, |map| map.get(a.into())),
        }
    }

    /// Whether something is said about the family.
    pub fn knows(&self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4.is_some(),
            Family::V6 => self.v6.is_some(),
        }
    }
}

/// The map of one family; `key` is the first address of a prefix of that family.
fn family<K: Key>(
    lists: &AccessLists<'_>,
    key: impl Fn(&Prefix) -> Option<K>,
) -> Option<RangeMap<K, Standing>> {
    let of = |list: &[Prefix], value: bool| -> Vec<(K, u8, bool)> {
        let own = list.iter().filter_map(|p| Some((key(p)?, p.len(), value)));
        own.collect()
    };
    // Of equal networks the later one wins: deny.
    let access = [of(lists.allow, false), of(lists.deny, true)].concat();
    let denied = RangeMap::from_prefixes(!lists.allow.is_empty(), access);
    let exempt = RangeMap::from_prefixes(false, of(lists.exempt, true));
    let map = denied.join(&exempt, |denied, exempt| Standing { denied, exempt });
    (map.len() > 1 || map.get(K::default()) != Standing::default()).then_some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefixes(list: &[&str]) -> Vec<Prefix> {
        list.iter().map(|p| p.parse().unwrap()).collect()
    }

    fn networks(allow: &[&str], deny: &[&str], exempt: &[&str]) -> Networks {
        Networks::new(AccessLists {
            allow: &prefixes(allow),
            deny: &prefixes(deny),
            exempt: &prefixes(exempt),
        })
    }

    fn denied(n: &Networks, addr: &str) -> bool {
        n.standing(addr.parse().unwrap()).denied
    }

    #[test]
    fn nothing_said_means_everybody_may_ask() {
        let n = networks(&[], &[], &[]);
        assert_eq!(n, Networks::default());
        assert!(!n.knows(Family::V4) && !n.knows(Family::V6));
        assert!(!denied(&n, "192.0.2.1") && !denied(&n, "2001:db8::1"));
    }

    #[test]
    fn a_list_of_who_may_ask_shuts_out_all_others() {
        let n = networks(&["192.0.2.0/24"], &[], &[]);
        assert!(!denied(&n, "192.0.2.1") && denied(&n, "192.0.3.0"));
        assert!(denied(&n, "2001:db8::1"), "of the other family as well");
    }

    #[test]
    fn the_longest_network_decides() {
        let n = networks(
            &["10.0.0.0/8", "10.1.2.0/24"],
            &["10.1.0.0/16", "2001:db8::/32"],
            &["10.1.2.3", "::1"],
        );
        assert!(!denied(&n, "10.2.0.0") && denied(&n, "10.1.0.1") && !denied(&n, "10.1.2.1"));
        assert!(denied(&n, "11.0.0.0") && denied(&n, "2001:db8::1"));
        let me = n.standing("10.1.2.3".parse().unwrap());
        assert_eq!((me.denied, me.exempt), (false, true));
        assert!(!n.standing("10.1.2.4".parse().unwrap()).exempt);
        assert!(n.standing("::1".parse().unwrap()).exempt);
    }

    #[test]
    fn deny_wins_over_allow_for_one_network() {
        let n = networks(&["10.0.0.0/8"], &["10.0.0.0/8"], &[]);
        assert!(denied(&n, "10.0.0.1"));
    }
}
