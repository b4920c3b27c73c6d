//! Signatures under orders: gossip relays what others wrote, so the author signs.

use std::time::Duration;

use ring::signature::{ED25519, UnparsedPublicKey};
use rustls::pki_types::{CertificateDer, UnixTime};

use super::claims::{Claims, role_words, show_time};
use super::credentials::Identity;
use super::refusal::of_certificate;
use crate::overrides::vouch::{Signed, Vouch, VouchError};

/// Set before what is signed, so that no signature of a TLS handshake (RFC 8446 section 4.4.3), made
/// with the same key, is ever one under an order.
const CONTEXT: &[u8] = b"tradewind order 1\0";

/// A clock may differ so much from that of the authority's machine, in seconds.
const SKEW: u64 = 300;

impl Vouch for Identity {
    fn sign(&self, bytes: &[u8]) -> Option<Signed> {
        let in_force = self.in_force.load();
        let material = &in_force.material;
        let signature = material.signer.sign(&[CONTEXT, bytes].concat());
        Some(Signed {
            certificate: material.chain.first()?.as_ref().into(),
            signature: signature.as_ref().into(),
        })
    }

    fn check(
        &self,
        author: &str,
        bytes: &[u8],
        signed: Option<&Signed>,
        unix_ms: u64,
    ) -> Result<(), VouchError> {
        let bad = |text: String| Err(VouchError(format!("an order of node `{author}`: {text}")));
        let Some(signed) = signed else {
            return bad("it is not signed".to_owned());
        };
        let claims = match Claims::read(&signed.certificate) {
            Ok(claims) => claims,
            Err(e) => return bad(e),
        };
        if claims.cluster.as_deref() != Some(&*self.cluster) {
            return bad("its certificate is of another cluster".to_owned());
        }
        if claims.node.as_deref() != Some(author) {
            let other = claims.node.as_deref().unwrap_or_default();
            return bad(format!("it is signed by node `{other}`"));
        }
        if !(claims.roles.dns || claims.roles.admin) {
            return bad(format!(
                "the node's certificate has the roles {}; orders need `dns` or `admin`",
                role_words(claims.roles).join(", ")
            ));
        }
        let certificate = CertificateDer::from(&*signed.certificate);
        let seconds = unix_ms / 1000;
        let in_force = self.in_force.load();
        let anchors = &in_force.material.anchors;
        let verify = |unix: u64| {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(unix));
            anchors.of_client(&certificate, &[], at).map(|_| ())
        };
        let at = [
            seconds,
            seconds.saturating_add(SKEW),
            seconds.saturating_sub(SKEW),
        ];
        let verdicts = at.map(verify);
        if let [Err(e), Err(_), Err(_)] = &verdicts {
            let (_, why) = of_certificate(e);
            return bad(format!("given at {}: {why}", show_time(seconds)));
        }
        let key = UnparsedPublicKey::new(&ED25519, &claims.public_key);
        if key
            .verify(&[CONTEXT, bytes].concat(), &signed.signature)
            .is_err()
        {
            return bad("its signature does not fit what it says".to_owned());
        }
        Ok(())
    }
}
