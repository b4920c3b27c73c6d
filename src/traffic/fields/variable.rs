//! The variables of templates.

use std::net::IpAddr;

use crate::message::Name;

use super::Facts;

/// A variable: what it stands for depends on the exchange.
#[derive(Clone, PartialEq, Debug)]
pub enum Variable {
    /// One without an argument.
    Plain(Plain),
    /// `header:NAME`: the first such field of the request.
    Header(Name),
    /// `response-header:NAME`: the first such field of the response.
    ResponseHeader(Name),
    /// `cookie:NAME`: the first such cookie of the request.
    Cookie(Box<[u8]>),
    /// `query:NAME`: the first such parameter, as it was sent.
    Query(Box<[u8]>),
}

macro_rules! plain {
    ($($variant:ident = $text:literal,)*) => {
        /// A variable without an argument.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Plain { $($variant,)* }

        impl Plain {
            /// All of them, with their names.
            const ALL: &'static [(&'static str, Plain)] = &[$(($text, Plain::$variant),)*];
        }
    };
}

plain! {
    Backend = "backend",
    ClientCertSubject = "client-cert-subject",
    ClientIp = "client-ip",
    ClientPort = "client-port",
    Host = "host",
    Listener = "listener",
    ListenerPort = "listener-port",
    Method = "method",
    Node = "node",
    Path = "path",
    Query = "query",
    Region = "region",
    RequestId = "request-id",
    Route = "route",
    Scheme = "scheme",
    Status = "status",
    Target = "target",
    TlsCipher = "tls-cipher",
    TlsSni = "tls-sni",
    TlsVersion = "tls-version",
    Upstream = "upstream",
}

/// Names of the variables with an argument.
const WITH_ARGUMENT: [&str; 4] = ["header", "response-header", "cookie", "query"];

/// Why a word is no variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum NotVariable {
    /// No variable has this name.
    Unknown,
    /// It has an argument that must be a field or cookie name, and is not.
    Argument,
}

impl Variable {
    /// The names of all variables; one with an argument ends with `:`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let plain = Plain::ALL.iter().map(|(name, _)| *name);
        plain.chain(["header:", "response-header:", "cookie:", "query:"])
    }

    /// The variable that `text` names.
    pub(super) fn parse(text: &str) -> Result<Variable, NotVariable> {
        let Some((name, argument)) = text.split_once(':') else {
            let found = Plain::ALL.iter().find(|(name, _)| *name == text);
            return match found {
                Some((_, plain)) => Ok(Variable::Plain(*plain)),
                None if WITH_ARGUMENT.contains(&text) => Err(NotVariable::Argument),
                None => Err(NotVariable::Unknown),
            };
        };
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let token = !argument.is_empty() && argument.bytes().all(is_token);
        let graphic = !argument.is_empty() && argument.bytes().all(|b| b.is_ascii_graphic());
        match name {
            "header" if token => Ok(Variable::Header(Name::new(argument.as_bytes()))),
            "response-header" if token => {
                Ok(Variable::ResponseHeader(Name::new(argument.as_bytes())))
            }
            "cookie" if token => Ok(Variable::Cookie(argument.as_bytes().into())),
            "query" if graphic => Ok(Variable::Query(argument.as_bytes().into())),
            _ if WITH_ARGUMENT.contains(&name) => Err(NotVariable::Argument),
            _ => Err(NotVariable::Unknown),
        }
    }

    /// Appends what it stands for, as it is; nothing when that is not known.
    pub(super) fn write(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let found = match self {
            Variable::Plain(plain) => return plain.write(facts, out),
            // The host is not among the fields.
            Variable::Header(Name::Known(crate::message::Known::Host)) => {
                Some(&facts.head.authority[..])
            }
            Variable::Header(name) => facts.head.fields.get_named(name),
            Variable::ResponseHeader(name) => facts.response.and_then(|r| r.fields.get_named(name)),
            Variable::Cookie(name) => facts.head.cookie(name),
            Variable::Query(name) => facts.head.parameter(name),
        };
        out.extend_from_slice(found.unwrap_or_default());
    }
}

impl Plain {
    fn write(self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        let text: &[u8] = match self {
            Plain::ClientIp => return write_ip(facts.client.ip(), out),
            Plain::ClientPort => return write_number(u32::from(facts.client.port()), out),
            Plain::ListenerPort => return write_number(u32::from(facts.port), out),
            Plain::Status => return write_number(u32::from(facts.status), out),
            Plain::Host => facts.head.host(),
            Plain::Path => facts.head.path(),
            Plain::Query => facts.head.query().unwrap_or_default(),
            Plain::Target => &facts.head.target,
            Plain::Method => facts.head.method.as_bytes(),
            Plain::Scheme => facts.head.scheme.as_str().as_bytes(),
            Plain::RequestId => facts.request_id,
            Plain::Listener => facts.listener.as_bytes(),
            Plain::Route => facts.route.as_bytes(),
            Plain::Upstream => facts.upstream.as_bytes(),
            Plain::Backend => facts.backend.as_bytes(),
            Plain::Node => facts.node.as_bytes(),
            Plain::Region => facts.region.as_bytes(),
            Plain::TlsVersion => facts.tls.version.as_bytes(),
            Plain::TlsCipher => facts.tls.cipher.as_bytes(),
            Plain::TlsSni => facts.tls.server_name.as_bytes(),
            Plain::ClientCertSubject => facts.tls.client_subject.as_bytes(),
        };
        out.extend_from_slice(text);
    }
}

/// Appends an address as text. IPv4 is written by hand: it stands in every forwarded request, and the
/// formatting machinery takes several times as long.
pub fn write_ip(ip: IpAddr, out: &mut Vec<u8>) {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                write_number(u32::from(octet), out);
            }
        }
        IpAddr::V6(v6) => {
            use std::io::Write;
            // Writing into a Vec cannot fail.
            let _ = write!(out, "{v6}");
        }
    }
}

/// Appends a number in decimal.
pub fn write_number(mut n: u32, out: &mut Vec<u8>) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
