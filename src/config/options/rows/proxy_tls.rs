//! Rows of `[listeners.NAME.tls]`, `[upstreams.NAME.tls]` and the PROXY protocol on both sides.

use std::time::Duration;

use super::super::Presence::{Default, Optional, Required};
use super::super::{Kind, OptionRow, Presence};
use super::{HOUR, ms, opt, secs};
use crate::traffic::tls::CIPHERS;

const VERSIONS: Kind = Kind::Choice(&["1.2", "1.3"]);

const SUITES: &[&str] = &{
    let mut names = [""; CIPHERS.len()];
    let mut at = 0;
    while at < CIPHERS.len() {
        names[at] = CIPHERS[at].0;
        at += 1;
    }
    names
};

const LOWEST: Presence = Default(r#""1.2""#);
const HIGHEST: Presence = Default(r#""1.3""#);
const ANY_SUITE: Presence = Optional("all, in the order of the client");
const SUITE_LIST: Kind = Kind::List(&Kind::Choice(SUITES), 1);
const SUITE_EXAMPLE: &str =
    r#"["TLS_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]"#;
const DAYS_3: Duration = secs(3 * 86_400);

pub(super) const ROWS: &[OptionRow] = &[
    opt(
        "listeners.NAME.tls.certificates",
        Kind::Tables(1),
        Required,
        "Certificates. A client gets the one for the name that it asks for (SNI): one for exactly this name, else one with a wildcard for its first label, else the first of the list. Where several fit, elliptic curves come before RSA. Changed files are noticed within seconds; connections stay.",
        r#"[{ certificate = "www.pem", key = "www.key" }]"#,
    ),
    opt(
        "listeners.NAME.tls.certificates[].certificate",
        Kind::Path,
        Required,
        "Chain, PEM, the server's own certificate first. Its subject alternative names are the names it is for.",
        r#""/etc/tradewind/www.pem""#,
    ),
    opt(
        "listeners.NAME.tls.certificates[].key",
        Kind::Path,
        Required,
        "Private key of the certificate, PEM, not encrypted.",
        r#""/etc/tradewind/www.key""#,
    ),
    opt(
        "listeners.NAME.tls.certificates[].ocsp",
        Kind::Path,
        Optional("nothing is stapled"),
        "OCSP response about the certificate, DER, stapled to handshakes until its `nextUpdate`. One that is expired, says anything but `good`, or is for another certificate is not stapled, with a warning.",
        r#""/etc/tradewind/www.ocsp""#,
    ),
    opt(
        "listeners.NAME.tls.min-version",
        VERSIONS,
        LOWEST,
        "Lowest version of TLS.",
        r#""1.2""#,
    ),
    opt(
        "listeners.NAME.tls.max-version",
        VERSIONS,
        HIGHEST,
        "Highest version of TLS.",
        r#""1.3""#,
    ),
    opt(
        "listeners.NAME.tls.ciphers",
        SUITE_LIST,
        ANY_SUITE,
        "Cipher suites, by their IANA names, the most wanted first. Each version that is allowed needs one.",
        SUITE_EXAMPLE,
    ),
    opt(
        "listeners.NAME.tls.strict-sni",
        Kind::Bool,
        Default("false"),
        "With `true` a client that names no host, or one that no certificate is for, is refused, instead of getting the first certificate.",
        "true",
    ),
    opt(
        "listeners.NAME.tls.handshake-timeout",
        Kind::Duration(ms(100), HOUR, false),
        Optional("`head-timeout`"),
        "For a whole TLS handshake; then the connection is closed.",
        r#""5s""#,
    ),
    opt(
        "listeners.NAME.tls.tickets.enabled",
        Kind::Bool,
        Default("true"),
        "Whether clients may resume sessions with tickets, which saves most of a handshake.",
        "true",
    ),
    opt(
        "listeners.NAME.tls.tickets.count",
        Kind::Integer(1, 8),
        Default("2"),
        "Tickets that a TLS 1.3 client is sent after a handshake; each is good for one connection.",
        "2",
    ),
    opt(
        "listeners.NAME.tls.tickets.rotation",
        Kind::Duration(secs(1), DAYS_3, false),
        Default(r#""12h""#),
        "How long one key makes tickets; it then opens them for as long again, and is forgotten.",
        r#""12h""#,
    ),
    opt(
        "listeners.NAME.tls.tickets.secrets",
        Kind::Path,
        Optional("a secret of the process"),
        "Secrets that the proxies of a region share, so that each resumes the sessions of the others: one of 64 hexadecimal digits (`openssl rand -hex 32`) a line. The first makes tickets, the others are accepted. Read again when it changes.",
        r#""/etc/tradewind/tickets""#,
    ),
    opt(
        "listeners.NAME.tls.client-auth",
        Kind::Choice(&["optional", "require"]),
        Optional("clients are not asked"),
        "Whether clients must show a certificate, or may. One that is shown must be valid either way.",
        r#""require""#,
    ),
    opt(
        "listeners.NAME.tls.client-ca",
        Kind::Path,
        Optional("required with `client-auth`"),
        "Authorities of the clients' certificates, PEM.",
        r#""/etc/tradewind/clients.pem""#,
    ),
    opt(
        "listeners.NAME.tls.client-crl",
        Kind::Path,
        Optional("nothing counts as revoked"),
        "Revocation lists of these authorities, PEM or DER: every authority that issues to clients needs one. A list past its `nextUpdate` goes on counting, with an error in the log.",
        r#""/etc/tradewind/clients.crl""#,
    ),
    opt(
        "listeners.NAME.tls.client-subject-header",
        Kind::Token,
        Optional("backends are not told"),
        "Request field that tells backends the subject of the client's certificate (RFC 4514). What clients of any listener send in it is removed.",
        r#""X-Client-Subject""#,
    ),
    opt(
        "listeners.NAME.proxy-protocol.from",
        Kind::List(&Kind::Network, 1),
        Required,
        "Proxies that say whom they speak for: every connection from here must begin with a PROXY protocol header of version 1 or 2, or is closed. The client that it names counts as the source from then on.",
        r#"["10.0.0.0/8"]"#,
    ),
    opt(
        "listeners.NAME.proxy-protocol.others",
        Kind::Choice(&["accept", "refuse"]),
        Default(r#""accept""#),
        "Connections from elsewhere: `accept` takes them as they are and believes no header in them, `refuse` closes them.",
        r#""refuse""#,
    ),
    opt(
        "listeners.NAME.proxy-protocol.timeout",
        Kind::Duration(ms(100), HOUR, false),
        Default(r#""5s""#),
        "For the whole header; then the connection is closed.",
        r#""5s""#,
    ),
    opt(
        "upstreams.NAME.tls.verify",
        Kind::Bool,
        Default("true"),
        "Whether backends must show a certificate that is valid for `server-name`. Without it anybody between can read and change everything.",
        "true",
    ),
    opt(
        "upstreams.NAME.tls.ca",
        Kind::Path,
        Optional("the authorities of the system"),
        "The only authorities that are trusted, PEM.",
        r#""/etc/tradewind/backends.pem""#,
    ),
    opt(
        "upstreams.NAME.tls.server-name",
        Kind::Text,
        Optional("the backend's address, and no SNI"),
        "Name that is sent as SNI and that the certificate must be for.",
        r#""api.internal.example""#,
    ),
    opt(
        "upstreams.NAME.tls.certificate",
        Kind::Path,
        Optional("none"),
        "Our own certificate chain, PEM, for backends that ask for one.",
        r#""/etc/tradewind/proxy.pem""#,
    ),
    opt(
        "upstreams.NAME.tls.key",
        Kind::Path,
        Optional("required with `certificate`"),
        "Private key of our own certificate, PEM, not encrypted.",
        r#""/etc/tradewind/proxy.key""#,
    ),
    opt(
        "upstreams.NAME.tls.min-version",
        VERSIONS,
        LOWEST,
        "Lowest version of TLS.",
        r#""1.3""#,
    ),
    opt(
        "upstreams.NAME.tls.max-version",
        VERSIONS,
        HIGHEST,
        "Highest version of TLS.",
        r#""1.3""#,
    ),
    opt(
        "upstreams.NAME.tls.ciphers",
        SUITE_LIST,
        ANY_SUITE,
        "Cipher suites, by their IANA names.",
        SUITE_EXAMPLE,
    ),
    opt(
        "upstreams.NAME.tls.resumption",
        Kind::Bool,
        Default("true"),
        "Whether sessions with backends are resumed.",
        "true",
    ),
    opt(
        "upstreams.NAME.proxy-protocol",
        Kind::Choice(&["v1", "v2"]),
        Optional("backends are not told"),
        "Version of the PROXY protocol that tells backends whom a connection is for. A connection then carries the requests of one client connection only.",
        r#""v2""#,
    ),
];
