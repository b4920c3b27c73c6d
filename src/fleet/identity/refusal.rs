//! Connections and messages that are refused: counted by reason, and told in words, once in a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error};

use crate::time::{Clock, Moment};

/// The same refusal of the same node is logged once in so long; it is always counted.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// So many refusals are remembered for that; a stranger may come under any name.
const REMEMBERED: usize = 1024;

/// Who refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// This node.
    Here,
    /// The other end, which said so.
    There,
}

/// Declares the reasons with their words in metrics.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $word:literal;)*) => {
        /// Why something was refused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them, in metric order.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// Its word in metrics.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Reason::$name => $word,)*
                }
            }
        }
    };
}

reasons! {
    /// The certificate is of another authority.
    OtherAuthority => "other-ca";
    /// The certificate has expired.
    Expired => "expired";
    /// The certificate is not valid yet; or a clock is wrong.
    NotYetValid => "not-yet-valid";
    /// No certificate was shown.
    NoCertificate => "no-certificate";
    /// The certificate cannot be used for something else.
    BadCertificate => "bad-certificate";
    /// The certificate is of another cluster.
    OtherCluster => "other-cluster";
    /// The certificate names no node, or one that the configuration does not have.
    UnknownNode => "unknown-node";
    /// The certificate lacks a role that the configuration gives the node.
    MissingRole => "missing-role";
    /// A node wrote a key that its roles do not allow.
    KeyNotAllowed => "key-not-allowed";
    /// Another node of the same name is connected.
    DuplicateName => "duplicate-name";
    /// What came is no message of this protocol, or too large.
    Malformed => "malformed";
    /// What came is of a release this one does not understand.
    UnknownVersion => "unknown-version";
}

/// All refusals of a node.
pub struct Refusals {
    clock: Arc<dyn Clock>,
    counts: [[AtomicU64; Reason::ALL.len()]; 2],
    told: Mutex<HashMap<(Side, Reason, String), Moment>>,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusals")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl Refusals {
    /// None so far.
    pub fn new(clock: Arc<dyn Clock>) -> Refusals {
        Refusals {
            clock,
            counts: Default::default(),
            told: Mutex::default(),
        }
    }

    /// Counts a refusal, and logs it unless the same was logged within the last minute. `who` is the
    /// other end: a name or an address. `text` says what happened and what to do.
    pub fn refuse(&self, side: Side, reason: Reason, who: &str, text: &str) {
        self.counts[side as usize][reason as usize].fetch_add(1, Ordering::Relaxed);
        if !self.is_news(side, reason, who) {
            return;
        }
        let reason = reason.word();
        match side {
            Side::Here => tracing::warn!(reason, peer = who, "fleet: refused: {text}"),
            Side::There => {
                tracing::error!(
                    reason,
                    peer = who,
                    "fleet: the other end refused us: {text}"
                );
            }
        }
    }

    /// Whether this was not told within the last minute; it is told now.
    fn is_news(&self, side: Side, reason: Reason, who: &str) -> bool {
        let now = self.clock.now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (side, reason, who.to_owned());
        let is_fresh = |at: &Moment| now.since(*at) < TELL_EVERY;
        if told.get(&key).is_some_and(is_fresh) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, at| is_fresh(at));
        }
        // Still full: strangers under a thousand names; they are counted.
        if told.len() >= REMEMBERED {
            return false;
        }
        told.insert(key, now);
        true
    }

    /// How often that happened.
    pub fn count(&self, side: Side, reason: Reason) -> u64 {
        self.counts[side as usize][reason as usize].load(Ordering::Relaxed)
    }

    /// All counts, in metric order.
    pub fn counts(&self) -> impl Iterator<Item = (Side, Reason, u64)> + '_ {
        let sides = [Side::Here, Side::There].into_iter();
        sides.flat_map(move |side| {
            let reasons = Reason::ALL.iter();
            reasons.map(move |reason| (side, *reason, self.count(side, *reason)))
        })
    }

    /// Notes what `who` said when it ended a TLS handshake or connection of ours: `alert` is its
    /// number (RFC 8446 section 6.2).
    pub fn alert(&self, who: &str, alert: AlertDescription) {
        let (reason, text) = of_alert(alert);
        self.refuse(Side::There, reason, who, &text);
    }

    /// Notes why a TLS connection with `who` failed, as far as one end refused the other. What this
    /// end refused was noted when it looked at the certificate.
    pub fn tls(&self, who: &str, error: &Error) {
        match error {
            Error::AlertReceived(alert) => self.alert(who, *alert),
            Error::NoCertificatesPresented => self.refuse(
                Side::Here,
                Reason::NoCertificate,
                who,
                "it shows no certificate; members show one of `tradewind fleet issue`",
            ),
            _ => {}
        }
    }

    /// The same of a QUIC connection, where alerts travel as error codes 0x100 to 0x1ff (RFC 9001
    /// section 4.8).
    pub fn quic(&self, who: &str, error: &quinn::ConnectionError) {
        let quinn::ConnectionError::ConnectionClosed(close) = error else {
            return;
        };
        let code = u64::from(close.error_code);
        if let Ok(alert) = u8::try_from(code.wrapping_sub(0x100)) {
            self.alert(who, AlertDescription::from(alert));
        }
    }
}

/// An alert in words: the other end's judgement on our certificate.
fn of_alert(alert: AlertDescription) -> (Reason, String) {
    let (reason, text) = match alert {
        AlertDescription::UnknownCA => (
            Reason::OtherAuthority,
            "our certificate is of no CA that it knows; both must be of one fleet: compare \
             `tradewind fleet show` of `ca.pem` on both nodes",
        ),
        AlertDescription::CertificateExpired => (
            Reason::Expired,
            "our certificate has expired or is not valid yet, or one of the clocks is wrong; renew \
             it with `tradewind fleet issue`",
        ),
        AlertDescription::CertificateRequired => (
            Reason::NoCertificate,
            "it wants a certificate; set `fleet.certificate` and `fleet.key` of this node",
        ),
        AlertDescription::CertificateUnknown
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => (
            Reason::BadCertificate,
            "it does not take our certificate; make a new one with `tradewind fleet issue`",
        ),
        other => {
            return (
                Reason::Malformed,
                format!("it ended the TLS handshake: {other:?}"),
            );
        }
    };
    (reason, text.to_owned())
}

/// What is wrong with a certificate, of the error of the TLS library.
pub(super) fn of_certificate(error: &Error) -> (Reason, String) {
    use super::claims::show_time;
    let Error::InvalidCertificate(why) = error else {
        return (Reason::BadCertificate, error.to_string());
    };
    match why {
        CertificateError::UnknownIssuer => (
            Reason::OtherAuthority,
            "its certificate is of no CA in our `ca.pem`; both must be of one fleet".to_owned(),
        ),
        CertificateError::Expired => (
            Reason::Expired,
            "its certificate has expired; renew it with `tradewind fleet issue`".to_owned(),
        ),
        CertificateError::ExpiredContext { time, not_after } => (
            Reason::Expired,
            format!(
                "its certificate expired on {}; it is {}; renew it with `tradewind fleet issue`",
                show_time(not_after.as_secs()),
                show_time(time.as_secs())
            ),
        ),
        CertificateError::NotValidYet => (
            Reason::NotYetValid,
            "its certificate is not valid yet; look at the clocks of both nodes".to_owned(),
        ),
        CertificateError::NotValidYetContext { time, not_before } => (
            Reason::NotYetValid,
            format!(
                "its certificate is not valid before {}; it is {} here; look at the clocks of both \
                 nodes",
                show_time(not_before.as_secs()),
                show_time(time.as_secs())
            ),
        ),
        other => (
            Reason::BadCertificate,
            format!("its certificate cannot be used: {other}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::SimClock;

    #[test]
    fn refusals_are_told_once_a_minute_and_counted_always() {
        let clock: Arc<SimClock> = Arc::default();
        let refusals = Refusals::new(clock.clone());
        let (side, reason) = (Side::Here, Reason::Malformed);
        refusals.refuse(side, reason, "a", "text");
        assert!(!refusals.is_news(side, reason, "a"));
        assert!(refusals.is_news(Side::There, reason, "a"));
        assert!(refusals.is_news(side, reason, "b"));
        clock.advance(TELL_EVERY);
        assert!(refusals.is_news(side, reason, "a"));
        // Strangers under many names fill neither the memory nor the log.
        let told = (0..5000).filter(|n| refusals.is_news(side, reason, &n.to_string()));
        assert!(told.count() <= REMEMBERED);
        for _ in 0..5000 {
            refusals.refuse(side, reason, "a", "text");
        }
        assert_eq!(refusals.count(side, reason), 5001);
        assert_eq!(refusals.count(Side::There, reason), 0);
    }

    #[test]
    fn every_alert_has_words() {
        for alert in 0..=u8::MAX {
            let (_, text) = of_alert(AlertDescription::from(alert));
            assert!(text.len() > 20, "{alert}: {text}");
        }
        let words: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|r| r.word()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
    }
}
