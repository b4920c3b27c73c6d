//! Certificates for tests of TLS: an authority, what it issues and revokes; OpenSSL as a client.

use std::fs::Permissions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};

/// An authority.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    key: String,
}

/// A certificate with its key, as PEM.
pub struct Pair {
    pub chain: String,
    pub key: String,
    serial: Option<SerialNumber>,
}

impl Ca {
    pub fn new(name: &str) -> Ca {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let text = key.serialize_pem();
        Ca {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            key: text,
        }
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's private key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A certificate for these names, with this common name; `serial` in one octet.
    pub fn issue(&self, common: &str, names: &[&str], serial: u8) -> Pair {
        self.issue_until(common, names, serial, 2049)
    }

    /// The same, valid up to the first day of a year.
    pub fn issue_until(&self, common: &str, names: &[&str], serial: u8, year: i32) -> Pair {
        let key = KeyPair::generate().unwrap();
        self.issue_for(&key, (common, year), names, serial)
    }

    /// The same with an RSA key, which OpenSSL makes.
    pub fn issue_rsa(&self, common: &str, names: &[&str], serial: u8) -> Pair {
        let made = Command::new("openssl")
            .args(["genpkey", "-quiet", "-algorithm", "RSA"])
            .args(["-pkeyopt", "rsa_keygen_bits:2048"])
            .output()
            .unwrap();
        let text = String::from_utf8(made.stdout).unwrap();
        let key = KeyPair::from_pem(&text).unwrap();
        self.issue_for(&key, (common, 2049), names, serial)
    }

    fn issue_for(
        &self,
        key: &KeyPair,
        (common, year): (&str, i32),
        names: &[&str],
        serial: u8,
    ) -> Pair {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common);
        params.serial_number = Some(SerialNumber::from(u64::from(serial)));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let made = params.signed_by(key, &self.issuer).unwrap();
        Pair {
            chain: made.pem(),
            key: key.serialize_pem(),
            serial: params.serial_number,
        }
    }

    /// A revocation list of these.
    pub fn revoke(&self, pairs: &[&Pair]) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2049, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: pairs
                .iter()
                .map(|pair| RevokedCertParams {
                    serial_number: pair.serial.clone().unwrap(),
                    revocation_time: date_time_ymd(2020, 1, 2),
                    reason_code: None,
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Pair {
    /// `STEM.pem` and `STEM.key` in `dir`, the key first, each put there by rename.
    pub fn write(&self, dir: &Path, stem: &str) {
        put(dir, &format!("{stem}.key"), self.key.as_bytes());
        put(dir, &format!("{stem}.pem"), self.chain.as_bytes());
    }
}

/// A file that only its owner may read, put in its place by rename.
pub fn put(dir: &Path, name: &str, octets: &[u8]) {
    let new = dir.join("new.tmp");
    std::fs::write(&new, octets).unwrap();
    std::fs::set_permissions(&new, Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(new, dir.join(name)).unwrap();
}

/// What `openssl s_client -brief` says of a connection on which `input` is sent, both of its streams.
pub fn s_client(addr: SocketAddr, args: &[&str], input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-connect", &addr.to_string()])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A server that hangs up first is no fault of the test.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let text = [done.stdout, done.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// What curl says; the status of its exit and its output.
pub fn curl(args: &[&str]) -> (bool, String) {
    let done = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "15"])
        .args(args)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A path as an argument.
pub fn text(path: &Path) -> String {
    path.display().to_string()
}
