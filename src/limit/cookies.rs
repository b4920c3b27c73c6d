//! Server cookies of version 1 (RFC 9018 section 4): made from secrets that a whole fleet can share,
//! verified without keeping anything per client.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use siphasher::sip::SipHasher24;

use crate::dns::edns::cookie::{CLIENT, SERVER};
use crate::dns::edns::{Cookie, FullCookie};

/// The version made and accepted here.
const VERSION: u8 = 1;

/// RFC 9018 section 4.3: "The DNS server SHOULD allow cookies within a 1-hour period in the past …",
/// seconds.
const PAST: i32 = 3_600;

/// "… and a 5-minute period into the future", seconds.
const FUTURE: i32 = 300;

/// RFC 9018 section 4.3: "The DNS server SHOULD generate a new Server Cookie at least if the received
/// Server Cookie from the client is more than half an hour old", seconds.
const RENEW: i32 = 1_800;

/// A secret of 128 bits. Never shown.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Secret([u8; 16]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// The secret of these bits.
    pub const fn new(bits: [u8; 16]) -> Secret {
        Secret(bits)
    }

    /// The bits, for whoever makes signatures with them.
    pub const fn bits(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A text is not 32 hexadecimal digits. It may be a secret with a typing mistake, so it is not shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a cookie secret has 32 hexadecimal digits (128 bits)")]
pub struct NotASecret;

impl FromStr for Secret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Secret, NotASecret> {
        let digits = text.as_bytes();
        let mut bits = [0; 16];
        if digits.len() != 2 * bits.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(NotASecret);
        }
        for (octet, pair) in bits.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
            *octet = value(pair[0]) << 4 | value(pair[1]);
        }
        Ok(Secret(bits))
    }
}

/// The secrets in force: the first makes cookies, all verify them. None: cookies are not answered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Secrets(Box<[Secret]>);

/// What a client's cookie is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The client was given this server cookie, lately, at the address it asks from.
    pub valid: bool,
    /// To send back.
    pub reply: FullCookie,
}

impl Secrets {
    /// These secrets.
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Secrets {
        Secrets(secrets.into_iter().collect())
    }

    /// Verifies what a client at `addr` sent at `unix` seconds since 1970, and makes what to send
    /// back: the same server cookie while it is fresh, else a new one. `None` without secrets.
    pub fn check(&self, cookie: &Cookie<'_>, addr: IpAddr, unix: u64) -> Option<Checked> {
        let first = self.0.first()?;
        // RFC 9018 section 4.3: times are compared by serial number arithmetic (RFC 1982), so 32 bits
        // serve beyond the year 2106.
        let now = unix as u32;
        if let Ok(server) = <&[u8; SERVER]>::try_from(cookie.server)
            && server[0] == VERSION
            && let Some(age) = accepted_age(server, now)
            && let Some(by) = self
                .0
                .iter()
                .position(|s| s.made(cookie.client, server, addr))
        {
            let server = if by == 0 && age <= RENEW {
                *server
            } else {
                first.make(cookie.client, addr, now)
            };
            return Some(Checked {
                valid: true,
                reply: FullCookie {
                    client: *cookie.client,
                    server,
                },
            });
        }
        Some(Checked {
            valid: false,
            reply: FullCookie {
                client: *cookie.client,
                server: first.make(cookie.client, addr, now),
            },
        })
    }
}

/// Seconds since the cookie was made, where that is acceptable.
fn accepted_age(server: &[u8; SERVER], now: u32) -> Option<i32> {
    let made = u32::from_be_bytes([server[4], server[5], server[6], server[7]]);
    let age = now.wrapping_sub(made).cast_signed();
    (-FUTURE..=PAST).contains(&age).then_some(age)
}

impl Secret {
    /// A new server cookie.
    fn make(&self, client: &[u8; CLIENT], addr: IpAddr, now: u32) -> [u8; SERVER] {
        let mut server = [0; SERVER];
        server[0] = VERSION;
        server[4..8].copy_from_slice(&now.to_be_bytes());
        let hash = self.hash(client, &server, addr);
        server[8..].copy_from_slice(&hash);
        server
    }

    /// Whether the server cookie was made with this secret for this client.
    fn made(&self, client: &[u8; CLIENT], server: &[u8; SERVER], addr: IpAddr) -> bool {
        // The reserved octets count as they came (RFC 9018 section 4.2).
        self.hash(client, server, addr) == server[8..]
    }

    /// RFC 9018 section 4.4: "Hash = ( Client Cookie | Version | Reserved | Timestamp | Client-IP,
    /// Server Secret )", SipHash-2-4 of 64 bits.
    fn hash(&self, client: &[u8; CLIENT], server: &[u8; SERVER], addr: IpAddr) -> [u8; 8] {
        let mut input = [0; CLIENT + 8 + 16];
        input[..CLIENT].copy_from_slice(client);
        input[CLIENT..CLIENT + 8].copy_from_slice(&server[..8]);
        let end = match addr {
            IpAddr::V4(a) => {
                input[16..20].copy_from_slice(&a.octets());
                20
            }
            IpAddr::V6(a) => {
                input[16..32].copy_from_slice(&a.octets());
                32
            }
        };
        SipHasher24::new_with_key(&self.0)
            .hash(&input[..end])
            .to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
            .collect()
    }

    fn secrets(list: &[&str]) -> Secrets {
        Secrets::new(list.iter().map(|s| s.parse().unwrap()))
    }

    /// What is answered to `sent` by a client at `addr`, and whether it was good.
    fn check(secrets: &Secrets, sent: &str, addr: &str, unix: u64) -> (bool, Vec<u8>) {
        let sent = hex(sent);
        let cookie = Cookie::read(&sent).unwrap();
        let checked = secrets.check(&cookie, addr.parse().unwrap(), unix).unwrap();
        let FullCookie { client, server } = checked.reply;
        (checked.valid, [&client[..], &server].concat())
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    /// RFC 9018 appendix A.1: "Learning a New Server Cookie".
    #[test]
    fn rfc9018_a_1() {
        let (valid, reply) = check(
            &secrets(&[SECRET]),
            "2464c4abcf10c957",
            "198.51.100.100",
            1_559_731_985,
        );
        assert!(!valid);
        assert_eq!(
            reply,
            hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480")
        );
    }

    /// RFC 9018 appendix A.2: "The Same Client Learning a Renewed (Fresh) Server Cookie".
    #[test]
    fn rfc9018_a_2() {
        let (valid, reply) = check(
            &secrets(&[SECRET]),
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            "198.51.100.100",
            1_559_734_385,
        );
        assert!(valid);
        assert_eq!(
            reply,
            hex("2464c4abcf10c957010000005cf7a871d4a564a1442aca77")
        );
    }

    /// RFC 9018 appendix A.3: "Another Client Learning a Renewed Server Cookie", whose reserved octets
    /// are not zero. The one it sent is older than an hour.
    #[test]
    fn rfc9018_a_3() {
        let sent = "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5";
        let s = secrets(&[SECRET]);
        let (valid, reply) = check(&s, sent, "203.0.113.203", 1_559_734_700);
        assert!(!valid);
        assert_eq!(
            reply,
            hex("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e")
        );
        let (valid, reply) = check(&s, sent, "203.0.113.203", 0x5cf7_8f71 + 60);
        assert!(valid, "its own hash covers the reserved octets");
        assert_eq!(reply, hex(sent));
    }

    /// RFC 9018 appendix A.4: "IPv6 Query with Rolled Over Secret".
    #[test]
    fn rfc9018_a_4() {
        let s = secrets(&[
            "445536bcd2513298075a5d379663c962",
            "dd3bdf9344b678b185a6f5cb60fca715",
        ]);
        let (valid, reply) = check(
            &s,
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            0x5cf7_c609,
        );
        assert!(valid, "the old secret still verifies");
        assert_eq!(
            reply,
            hex("22681ab97d52c298010000005cf7c609a6bb79d16625507a")
        );
    }

    #[test]
    fn rfc9018_4_3_ages() {
        let s = secrets(&[SECRET]);
        let sent = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let made = 0x5cf7_9f11_u64;
        for (at, valid, same) in [
            (made, true, true),
            (made + 1_800, true, true),
            (made + 1_801, true, false),
            (made + 3_600, true, false),
            (made + 3_601, false, false),
            (made - 300, true, true),
            (made - 301, false, false),
        ] {
            let (got, reply) = check(&s, sent, "198.51.100.100", at);
            assert_eq!((got, reply == hex(sent)), (valid, same), "{at}");
            assert!(
                check(&s, &text(&reply), "198.51.100.100", at).0,
                "what is sent is good"
            );
        }
    }

    fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn rfc9018_4_3_time_wraps_in_2106() {
        let s = secrets(&[SECRET]);
        let at = u64::from(u32::MAX) - 10;
        let (_, reply) = check(&s, "0102030405060708", "192.0.2.1", at);
        assert!(check(&s, &text(&reply), "192.0.2.1", at + 60).0);
    }

    #[test]
    fn a_cookie_is_bound_to_client_address_and_secret() {
        let s = secrets(&[SECRET]);
        let sent = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        let at = 0x5cf7_9f11;
        assert!(check(&s, sent, "198.51.100.100", at).0);
        assert!(!check(&s, sent, "198.51.100.101", at).0);
        assert!(!check(&s, &sent.replacen('2', "3", 1), "198.51.100.100", at).0);
        assert!(!check(&secrets(&[&"0".repeat(32)]), sent, "198.51.100.100", at).0);
        // Another version, and another server's length.
        assert!(!check(&s, &sent.replacen("0100", "0200", 1), "198.51.100.100", at).0);
        assert!(!check(&s, &format!("{sent}00"), "198.51.100.100", at).0);
    }

    #[test]
    fn rfc9018_5_a_secret_rolls_over_in_three_steps() {
        let (old, new) = (SECRET, "445536bcd2513298075a5d379663c962");
        let steps = [vec![old], vec![old, new], vec![new, old], vec![new]];
        // Nodes are at most one step apart, and every cookie that one gives is good at the other.
        for pair in steps.windows(2) {
            for (giver, taker) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let (_, given) = check(&secrets(giver), "0102030405060708", "192.0.2.1", 5_000);
                let (valid, _) = check(&secrets(taker), &text(&given), "192.0.2.1", 5_001);
                assert!(valid, "{giver:?} → {taker:?}");
            }
        }
    }

    #[test]
    fn without_secrets_cookies_are_not_answered() {
        let cookie = Cookie {
            client: &[1; 8],
            server: &[],
        };
        assert_eq!(
            Secrets::default().check(&cookie, IpAddr::from([192, 0, 2, 1]), 0),
            None
        );
    }

    #[test]
    fn secrets_are_never_shown() {
        let shown = format!("{:?}", secrets(&[SECRET]));
        assert!(!shown.contains("e5") && !shown.contains("229"), "{shown}");
        let error = "e5e973e5a6b2a43f48e7dc849e37bfcx"
            .parse::<Secret>()
            .unwrap_err();
        assert!(!error.to_string().contains("e5e9"));
        for bad in ["", "e5", &"g".repeat(32), &"é".repeat(16)] {
            assert!(bad.parse::<Secret>().is_err());
        }
    }
}
