//! What limits need beside the configuration: the table of rates, which outlives reloads, and the
//! secrets of cookies, drawn and renewed here where the configuration has none.

use std::sync::Arc;
use std::time::Duration;

use crate::limit::{RateTable, Rules, Secret, Secrets};
use crate::time::Moment;

/// Draws random bits.
type Draw = fn(&mut [u8]);

/// The state that limits share over all views.
#[derive(Debug)]
pub(super) struct Limits {
    draw: Draw,
    rates: Arc<RateTable>,
    /// As the configuration wants it; the table itself may be smaller.
    table_bytes: usize,
    /// This process's own secrets, newest first, and when the newest was drawn.
    own: Vec<Secret>,
    drawn: Moment,
    rotate: Duration,
    /// The secrets in force.
    secrets: Arc<Secrets>,
}

impl Limits {
    /// The state that `rules` want at `now`.
    pub(super) fn new(rules: &Rules, now: Moment) -> Limits {
        Limits::with(random, rules, now)
    }

    fn with(draw: Draw, rules: &Rules, now: Moment) -> Limits {
        let mut limits = Limits {
            draw,
            rates: Arc::default(),
            table_bytes: 0,
            own: Vec::new(),
            drawn: now,
            rotate: Duration::MAX,
            secrets: Arc::default(),
        };
        limits.adopt(rules, now);
        limits
    }

    /// Follows a new configuration.
    pub(super) fn adopt(&mut self, rules: &Rules, now: Moment) {
        if self.table_bytes != rules.table_bytes {
            let mut seed = [0; 16];
            (self.draw)(&mut seed);
            let bits = u128::from_ne_bytes(seed);
            let seed = [bits as u64, (bits >> 64) as u64];
            self.rates = Arc::new(RateTable::new(rules.table_bytes, seed));
            self.table_bytes = rules.table_bytes;
        }
        if let Some(secrets) = &rules.cookies.secrets {
            self.secrets = secrets.clone();
            self.own.clear();
            self.rotate = Duration::MAX;
            return;
        }
        self.rotate = rules.cookies.rotate;
        if self.own.is_empty() {
            self.renew(now);
        }
        self.tick(now);
    }

    /// Renews the own secret where that is due; says whether it was.
    pub(super) fn tick(&mut self, now: Moment) -> bool {
        let due = self.due() <= now;
        if due {
            self.renew(now);
        }
        due
    }

    /// When the own secret is to be renewed.
    pub(super) fn due(&self) -> Moment {
        self.drawn + self.rotate
    }

    fn renew(&mut self, now: Moment) {
        let mut bits = [0; 16];
        (self.draw)(&mut bits);
        // The one before stays good: its cookies are at most an hour old when they are last accepted.
        self.own.truncate(1);
        self.own.insert(0, Secret::new(bits));
        self.drawn = now;
        self.secrets = Arc::new(Secrets::new(self.own.iter().copied()));
    }

    /// The table of rates.
    pub(super) fn rates(&self) -> Arc<RateTable> {
        self.rates.clone()
    }

    /// The secrets in force.
    pub(super) fn secrets(&self) -> Arc<Secrets> {
        self.secrets.clone()
    }
}

/// Random bits of the system, through the provider that TLS uses as well.
pub(super) fn random(bits: &mut [u8]) {
    let provider = rustls::crypto::ring::default_provider();
    provider
        .secure_random
        .fill(bits)
        .expect("the system has random bits; without them no secret can be made");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::edns::Cookie;
    use crate::limit::CookieRules;
    use std::net::IpAddr;

    const HOUR: Duration = Duration::from_secs(3_600);
    const START: Moment = Moment(1_000_000_000);

    fn rules(bytes: usize, secret: Option<&str>) -> Rules {
        Rules {
            table_bytes: bytes,
            cookies: CookieRules {
                enforce: false,
                secrets: secret.map(|s| Arc::new(Secrets::new([s.parse().unwrap()]))),
                rotate: HOUR * 24,
            },
            ..Rules::default()
        }
    }

    const ADDR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn given(secrets: &Secrets) -> [u8; 16] {
        let cookie = Cookie {
            client: &[1; 8],
            server: &[],
        };
        secrets.check(&cookie, ADDR, 5_000).unwrap().reply.server
    }

    fn good(secrets: &Secrets, server: &[u8]) -> bool {
        let cookie = Cookie {
            client: &[1; 8],
            server,
        };
        secrets.check(&cookie, ADDR, 5_000).unwrap().valid
    }

    #[test]
    fn own_secrets_are_renewed_and_the_last_one_stays_good() {
        let mut limits = Limits::new(&rules(0, None), START);
        let first = given(&limits.secrets());
        assert!(!limits.tick(START + HOUR * 23));
        assert_eq!(limits.due(), START + HOUR * 24);
        assert!(limits.tick(START + HOUR * 24));
        assert_ne!(given(&limits.secrets()), first);
        assert!(good(&limits.secrets(), &first));
        assert!(limits.tick(START + HOUR * 48));
        assert!(
            !good(&limits.secrets(), &first),
            "two renewals later it is not"
        );
        assert!(!limits.tick(START + HOUR * 49));
    }

    #[test]
    fn two_processes_do_not_share_a_secret() {
        let [a, b] = [(); 2].map(|()| Limits::new(&rules(0, None), START));
        assert!(!good(&a.secrets(), &given(&b.secrets())));
    }

    #[test]
    fn configured_secrets_replace_the_own_one_and_back() {
        let mut limits = Limits::new(&rules(0, None), START);
        let own = given(&limits.secrets());
        let fleet = "e5e973e5a6b2a43f48e7dc849e37bfcf";
        limits.adopt(&rules(0, Some(fleet)), START);
        let shared = given(&limits.secrets());
        assert!(!good(&limits.secrets(), &own));
        assert!(
            !limits.tick(START + HOUR * 1_000),
            "nothing of ours is renewed"
        );
        assert_eq!(given(&limits.secrets()), shared);
        limits.adopt(&rules(0, None), START + HOUR * 1_000);
        assert!(!good(&limits.secrets(), &shared));
        assert!(limits.due() > START + HOUR * 1_000);
    }

    #[test]
    fn the_table_outlives_reloads_unless_its_size_changes() {
        let mut limits = Limits::new(&rules(4096, None), START);
        let table = limits.rates();
        assert_eq!(table.bytes(), 4096);
        limits.adopt(&rules(4096, None), START);
        assert!(Arc::ptr_eq(&table, &limits.rates()));
        limits.adopt(&rules(8192, None), START);
        assert_eq!(limits.rates().bytes(), 8192);
    }
}
