//! OCSP responses (RFC 6960), as far as whoever staples one must know them: for which certificate it
//! is, what it says, and until when.
//!
//! Its signature is not verified: the client does that, and nobody else is hurt by a wrong one.

use x509_parser::time::ASN1Time;

/// A response that may be stapled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OcspResponse {
    der: Vec<u8>,
    next_update: Option<u64>,
}

/// Why a file is no response that may be stapled.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OcspError {
    /// It is no response in DER.
    #[error("it is no OCSP response in DER form")]
    Form,
    /// The responder refused to answer (RFC 6960 section 4.2.1, `OCSPResponseStatus`).
    #[error("the responder refused: its status is {0}, and only 0 (successful) can be stapled")]
    Refused(u8),
    /// Not for the certificate it stands beside.
    #[error("it is for another certificate: no answer in it has this one's serial number")]
    OtherCertificate,
    /// The responder says that the certificate is revoked, or that it does not know it.
    #[error("it says that the certificate is {0}")]
    NotGood(&'static str),
}

impl OcspResponse {
    /// Reads a response in DER for the certificate with this serial number.
    ///
    /// # Errors
    /// [`OcspError`].
    pub fn read(der: &[u8], serial: &[u8]) -> Result<OcspResponse, OcspError> {
        let basic = basic(der)?;
        let single = single(basic, serial).ok_or(OcspError::Form)?;
        let (status, rest) = single.ok_or(OcspError::OtherCertificate)?;
        match status & 0x1F {
            0 => {}
            1 => return Err(OcspError::NotGood("revoked")),
            _ => return Err(OcspError::NotGood("unknown")),
        }
        Ok(OcspResponse {
            der: der.to_vec(),
            next_update: next_update(rest).ok_or(OcspError::Form)?,
        })
    }

    /// As it is stapled.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Last second at which it may be stapled, in seconds since 1970-01-01T00:00:00Z; `None`: newer
    /// information is always available (RFC 6960 section 4.2.2.1), so that it does not expire.
    pub fn next_update(&self) -> Option<u64> {
        self.next_update
    }

    /// Whether it may be stapled at `now`, in seconds since 1970-01-01T00:00:00Z.
    pub fn is_valid_at(&self, now: u64) -> bool {
        self.next_update.is_none_or(|until| now <= until)
    }
}

/// One value: its tag and content, and what follows.
fn value(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = octets.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let digits = usize::from(first & 0x7F);
        if digits == 0 || digits > 4 {
            return None;
        }
        let (len, after) = rest.split_at_checked(digits)?;
        length = len.iter().fold(0, |n, d| n << 8 | usize::from(*d));
        rest = after;
    }
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// One value that must have this tag.
fn expect(tag: u8, octets: &[u8]) -> Option<(&[u8], &[u8])> {
    value(octets)
        .filter(|(t, _, _)| *t == tag)
        .map(|(_, content, rest)| (content, rest))
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const ENUMERATED: u8 = 0x0A;
const OID: u8 = 0x06;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`.
const CONTEXT_0: u8 = 0xA0;

/// The `BasicOCSPResponse` within an `OCSPResponse`.
fn basic(der: &[u8]) -> Result<&[u8], OcspError> {
    let (response, _) = expect(SEQUENCE, der).ok_or(OcspError::Form)?;
    let (status, rest) = expect(ENUMERATED, response).ok_or(OcspError::Form)?;
    match status {
        [0] => {}
        [other] => return Err(OcspError::Refused(*other)),
        _ => return Err(OcspError::Form),
    }
    let inner = || {
        let (bytes, _) = expect(CONTEXT_0, rest)?;
        let (bytes, _) = expect(SEQUENCE, bytes)?;
        let (_, bytes) = expect(OID, bytes)?;
        let (basic, _) = expect(OCTET_STRING, bytes)?;
        Some(basic)
    };
    inner().ok_or(OcspError::Form)
}

/// Tag of `certStatus`, and what follows it, in the answer about the certificate with this serial.
fn single<'d>(basic: &'d [u8], serial: &[u8]) -> Option<Option<(u8, &'d [u8])>> {
    let (basic, _) = expect(SEQUENCE, basic)?;
    let (mut data, _) = expect(SEQUENCE, basic)?;
    if let Some((_, rest)) = expect(CONTEXT_0, data) {
        data = rest; // version
    }
    let (_, _, data) = value(data)?; // responderID
    let (_, data) = expect(GENERALIZED_TIME, data)?; // producedAt
    let (mut responses, _) = expect(SEQUENCE, data)?;
    while !responses.is_empty() {
        let (one, rest) = expect(SEQUENCE, responses)?;
        responses = rest;
        let (id, answer) = expect(SEQUENCE, one)?;
        let (_, id) = expect(SEQUENCE, id)?; // hashAlgorithm
        let (_, id) = expect(OCTET_STRING, id)?; // issuerNameHash
        let (_, id) = expect(OCTET_STRING, id)?; // issuerKeyHash
        let (number, _) = expect(INTEGER, id)?;
        if number == serial {
            let (tag, _, rest) = value(answer)?;
            return Some(Some((tag, rest)));
        }
    }
    Some(None)
}

/// `nextUpdate` behind `certStatus` and `thisUpdate`.
#[expect(
    clippy::option_option,
    reason = "a form error, or a time that may be absent"
)]
fn next_update(rest: &[u8]) -> Option<Option<u64>> {
    let (_, rest) = expect(GENERALIZED_TIME, rest)?;
    match expect(CONTEXT_0, rest) {
        None => Some(None),
        Some((time, _)) => {
            use x509_parser::prelude::FromDer;
            let (_, time) = ASN1Time::from_der(time).ok()?;
            Some(Some(u64::try_from(time.timestamp()).ok()?))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let mut all = vec![tag];
        if content.len() < 0x80 {
            all.push(content.len() as u8);
        } else {
            all.push(0x82);
            all.extend_from_slice(&(content.len() as u16).to_be_bytes());
        }
        all.extend_from_slice(&content);
        all
    }

    /// A response about `serial`; `status` is the context tag of `certStatus`.
    pub(crate) fn response(serial: &[u8], status: u8, next_update: Option<&str>) -> Vec<u8> {
        let time = |t: &str| tagged(GENERALIZED_TIME, &[t.as_bytes()]);
        let hash = tagged(OCTET_STRING, &[&[7; 20]]);
        let algorithm = tagged(SEQUENCE, &[&tagged(OID, &[&[0x2B, 0x0E, 3, 2, 0x1A]])]);
        let id = tagged(
            SEQUENCE,
            &[&algorithm, &hash, &hash, &tagged(INTEGER, &[serial])],
        );
        let revoked = time("20260101000000Z");
        let status = tagged(status, &[if status == 0xA1 { &revoked } else { &[] }]);
        let next = next_update.map_or_else(Vec::new, |t| tagged(CONTEXT_0, &[&time(t)]));
        let single = tagged(SEQUENCE, &[&id, &status, &time("20260101000000Z"), &next]);
        let responder = tagged(0xA2, &[&hash]);
        let data = tagged(
            SEQUENCE,
            &[
                &responder,
                &time("20260101000000Z"),
                &tagged(SEQUENCE, &[&single]),
            ],
        );
        let basic = tagged(SEQUENCE, &[&data, &algorithm, &tagged(0x03, &[&[0; 65]])]);
        let bytes = tagged(
            SEQUENCE,
            &[
                &tagged(OID, &[&[0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1]]),
                &tagged(OCTET_STRING, &[&basic]),
            ],
        );
        tagged(
            SEQUENCE,
            &[&tagged(ENUMERATED, &[&[0]]), &tagged(CONTEXT_0, &[&bytes])],
        )
    }

    #[test]
    fn rfc_6960_4_2_1_a_good_answer_is_stapled_until_its_next_update() {
        let der = response(&[1, 2], 0x80, Some("20260102030405Z"));
        let read = OcspResponse::read(&der, &[1, 2]).unwrap();
        assert_eq!(read.der(), der);
        let until = 1_767_323_045; // 2026-01-02T03:04:05Z
        assert_eq!(read.next_update(), Some(until));
        assert!(read.is_valid_at(until) && !read.is_valid_at(until + 1));
        let der = response(&[1, 2], 0x80, None);
        assert!(
            OcspResponse::read(&der, &[1, 2])
                .unwrap()
                .is_valid_at(u64::MAX)
        );
    }

    #[test]
    fn rfc_6960_4_2_1_what_is_not_stapled() {
        let good = response(&[1, 2], 0x80, None);
        let read = |der: &[u8]| OcspResponse::read(der, &[1, 2]);
        assert_eq!(
            OcspResponse::read(&good, &[9]),
            Err(OcspError::OtherCertificate)
        );
        let of = |status| read(&response(&[1, 2], status, None));
        assert_eq!(of(0xA1), Err(OcspError::NotGood("revoked")));
        assert_eq!(of(0x82), Err(OcspError::NotGood("unknown")));
        // tryLater
        assert_eq!(read(&[0x30, 3, 0x0A, 1, 3]), Err(OcspError::Refused(3)));
        assert_eq!(read(b"-----BEGIN OCSP RESPONSE-----"), Err(OcspError::Form));
        for n in 0..good.len() {
            assert!(read(&good[..n]).is_err(), "{n}");
        }
    }
}
