//! TSIG against vectors of another implementation, and its own rules.

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, RecordType, TSigner};

use super::*;
use crate::dns::message::{NameBuf, parse};

const NOW: u64 = 1_790_000_000;
const SECRET: &str = "c2VjcmV0IG9jdGV0cyBvZiBhIHRlc3Q=";

fn key(algorithm: Algorithm) -> TsigKey {
    TsigKey::new(
        "Axfr-Key.example".parse().unwrap(),
        algorithm,
        Secret::from_base64(SECRET).unwrap(),
    )
}

fn request() -> Vec<u8> {
    b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x00\x00\xfc\x00\x01".to_vec()
}

fn signed(key: &TsigKey, at: u64) -> (Vec<u8>, Mac) {
    let mut out = request();
    let len = out.len();
    out.resize(512, 0);
    let mut chain = Chain::request();
    let len = chain.sign(key, &Tail::at(at), &mut out, len).unwrap();
    out.truncate(len);
    (out, chain.mac().unwrap())
}

fn tsig(message: &[u8]) -> Tsig<'_> {
    let mut name = NameBuf::default();
    let mut copy = message.to_vec();
    copy[2] &= 0x7f; // `parse` reads no responses
    let at = parse(&copy, &mut name).unwrap().tsig.unwrap();
    Tsig::read(message, at).unwrap()
}

fn check(message: &[u8], keys: &[TsigKey], now: u64) -> Checked {
    verify(message, &tsig(message), keys, now)
}

/// Regression vectors made with dnspython 2.9 (`dns.tsig.sign` of the request above, at the same time and
/// with fudge 300): an implementation that shares nothing with ours.
#[test]
fn rfc8945_4_3_macs_are_those_of_another_implementation() {
    for (algorithm, vector) in include_str!("vectors.txt")
        .lines()
        .filter_map(|l| l.split_once(' '))
    {
        let key = key(algorithm.parse().unwrap());
        let (message, mac) = signed(&key, 1_700_000_000);
        let hex = data_encoding::HEXLOWER.encode(mac.as_bytes());
        assert_eq!(hex, vector, "{algorithm}");
        assert_eq!(tsig(&message).mac, mac.as_bytes());
    }
}

/// What hickory-proto signs is good here; it compresses the key's name.
#[test]
fn rfc8945_5_2_a_request_of_another_implementation_is_good() {
    for (ours, theirs) in [
        (Algorithm::HmacSha256, TsigAlgorithm::HmacSha256),
        (Algorithm::HmacSha384, TsigAlgorithm::HmacSha384),
        (Algorithm::HmacSha512, TsigAlgorithm::HmacSha512),
    ] {
        let mut m = Message::new(77, MessageType::Query, OpCode::Query);
        m.add_query(Query::query(
            Name::from_ascii("example.").unwrap(),
            RecordType::AXFR,
        ));
        let signer = TSigner::new(
            data_encoding::BASE64.decode(SECRET.as_bytes()).unwrap(),
            theirs,
            Name::from_ascii("axfr-key.example.").unwrap(),
            300,
        )
        .unwrap();
        m.finalize(&signer, NOW).unwrap();
        let bytes = m.to_vec().unwrap();
        assert_eq!(check(&bytes, &[key(ours)], NOW + 299), Checked::Good(0));
    }
}

#[test]
fn rfc8945_5_2_key_then_mac_then_time_then_length() {
    let k = key(Algorithm::HmacSha256);
    let keys = [key(Algorithm::HmacSha512), k.clone()];
    let (good, _) = signed(&k, NOW);
    assert_eq!(check(&good, &keys, NOW), Checked::Good(1));
    // The ID may be changed on the way: the original one is signed.
    let mut relayed = good.clone();
    relayed[0] ^= 0xff;
    assert_eq!(check(&relayed, &keys, NOW), Checked::Good(1));
    assert_eq!(
        check(&good, &keys[..1], NOW),
        Checked::Bad(Error::BadKey, None),
        "the name alone does not make the key"
    );
    let mut forged = good.clone();
    forged[13] ^= 1;
    assert_eq!(
        check(&forged, &keys, NOW + 9999),
        Checked::Bad(Error::BadSig, Some(1))
    );
    for (now, want) in [
        (NOW + 300, Checked::Good(1)),
        (NOW - 300, Checked::Good(1)),
        (NOW + 301, Checked::Bad(Error::BadTime, Some(1))),
        (NOW - 301, Checked::Bad(Error::BadTime, Some(1))),
    ] {
        assert_eq!(check(&good, &keys, now), want);
    }
}

/// The MAC of `good` cut to `len` octets.
fn cut(good: &[u8], len: usize) -> Vec<u8> {
    let t = tsig(good);
    let (start, head, mac) = (t.start, t.key.as_bytes().len() + 10, t.mac.to_vec());
    let mac_at = start + head + t.algorithm.len() + 10;
    let mut out = good[..mac_at - 2].to_vec();
    out.extend((len as u16).to_be_bytes());
    out.extend(mac.iter().chain(&[0; 8]).take(len));
    out.extend(&good[mac_at + mac.len()..]);
    let rdlen_at = start + head - 2;
    let rdlen = (out.len() - rdlen_at - 2) as u16;
    out[rdlen_at..rdlen_at + 2].copy_from_slice(&rdlen.to_be_bytes());
    out
}

#[test]
fn rfc8945_5_2_2_1_cut_macs() {
    let k = [key(Algorithm::HmacSha256)];
    let (good, _) = signed(&k[0], NOW);
    for (len, want) in [
        (33, Checked::Malformed),
        (32, Checked::Good(0)),
        (31, Checked::Bad(Error::BadTrunc, Some(0))),
        (16, Checked::Bad(Error::BadTrunc, Some(0))),
        (15, Checked::Malformed),
        (0, Checked::Malformed),
    ] {
        assert_eq!(check(&cut(&good, len), &k, NOW), want, "{len}");
    }
}

#[test]
fn rfc8945_5_1_only_as_the_last_record_and_only_once() {
    let (good, _) = signed(&key(Algorithm::HmacSha256), NOW);
    let mut name = NameBuf::default();
    let mut twice = good.clone();
    twice[11] = 2;
    twice.extend(&good[request().len()..]);
    let fault = parse(&twice, &mut name).unwrap().fault;
    assert_eq!(fault, Some(crate::dns::message::Fault::Tsig));
    let mut before_opt = good.clone();
    before_opt[11] = 2;
    before_opt.extend(b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00");
    let fault = parse(&before_opt, &mut name).unwrap().fault;
    assert_eq!(fault, Some(crate::dns::message::Fault::Tsig));
}

/// No cut or changed record makes the reader panic, and none that differs is taken for good.
#[test]
fn a8_a_mangled_tsig_is_never_good() {
    let k = [key(Algorithm::HmacSha256)];
    let (good, _) = signed(&k[0], NOW);
    let start = request().len();
    for at in start..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let Some(t) = Tsig::read(&bad, start) else {
                continue;
            };
            // The case of a name is not signed, and the original ID stands in for the header's.
            let same = t.algorithm.eq_ignore_ascii_case(tsig(&good).algorithm)
                && Tsig {
                    algorithm: tsig(&good).algorithm,
                    ..t
                } == tsig(&good);
            assert!(
                same || verify(&bad, &t, &k, NOW) != Checked::Good(0),
                "{at} {bit}"
            );
        }
        assert_eq!(Tsig::read(&good[..at], start), None);
    }
}

#[test]
fn rfc8945_5_4_answers_are_checked_over_the_request() {
    let k = key(Algorithm::HmacSha256);
    let (bytes, mac) = signed(&k, NOW);
    let asked = tsig(&bytes);
    let mut out = request();
    out[2] |= 0x80;
    let len = out.len();
    out.resize(512, 0);
    let mut chain = Chain::answering(&asked);
    let len = chain.sign(&k, &Tail::at(NOW), &mut out, len).unwrap();
    let answer = &out[..len];
    let t = tsig(answer);
    assert_eq!(verify_answer(answer, &t, &k, &mac, NOW), Ok(()));
    assert!(verify_answer(answer, &t, &k, &mac, NOW + 301).is_err());
    let other = signed(&k, NOW + 1).1;
    assert!(verify_answer(answer, &t, &k, &other, NOW).is_err());
    let room = len - Chain::octets(&k, &Tail::at(NOW));
    let mut small = out[..len - 1].to_vec();
    small[11] = 0;
    assert_eq!(
        Chain::answering(&asked).sign(&k, &Tail::at(NOW), &mut small, room),
        None
    );
}

#[test]
fn s1_secrets_have_no_text() {
    let k = key(Algorithm::HmacSha256);
    let text = format!("{k:?} {:?}", Secret::from_base64(SECRET).unwrap());
    assert_eq!(text, "TsigKey(axfr-key.example hmac-sha256) Secret(…)");
    assert_eq!(
        Secret::from_base64("c2hvcnQ=\n").unwrap_err(),
        key::SecretError::Short(5)
    );
    let e = Secret::from_base64("no base64!").unwrap_err().to_string();
    assert!(!e.contains("no base64!"), "{e}");
}
