//! `[auth.NAME]`: another service is asked whether a request may pass.
//!
//! It is asked with the head of the request, never with its body, in the words that existing services
//! understand: `X-Forwarded-Method`, `-Uri`, `-Host`, `-Proto`, `-For`, and `X-Original-Method`, `-URL`.

use std::time::Duration;

use crate::ids::UpstreamId;
use crate::message::{Fields, Known, Method, Name, RequestHead, ResponseHead, Version};
use crate::traffic::fields::{Facts, is_framing, write_ip};

/// Octets of the configured path, at most.
pub const AUTH_PATH_MOST: usize = 1024;

/// An external authorisation.
#[derive(Clone, PartialEq, Debug)]
pub struct ForwardAuth {
    /// Its name.
    pub name: Box<str>,
    /// Who is asked.
    pub upstream: UpstreamId,
    /// What it is asked for.
    pub path: Box<[u8]>,
    /// How long it may take.
    pub timeout: Duration,
    /// Fields of its answer that the request is given. A client cannot set them itself.
    pub copy: Vec<Name>,
    /// Fields of the request that it is shown; `None`: all.
    pub show: Option<Vec<Name>>,
    /// Whether a request passes when it cannot be asked.
    pub allow_on_error: bool,
}

/// What its answer means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// The request passes.
    Pass,
    /// The client gets this answer instead.
    Answer,
    /// It has failed to say.
    Failed,
}

impl ForwardAuth {
    /// The question: a GET without a body.
    pub fn question(&self, facts: &Facts<'_>) -> RequestHead {
        let asked = facts.head;
        let mut fields = Fields::new();
        for (known, name, value) in asked.fields.iter_known() {
            let shown = self
                .show
                .as_ref()
                .is_none_or(|s| s.iter().any(|n| n.as_bytes() == name));
            let of_body = matches!(
                known,
                Some(Known::ContentEncoding | Known::ContentType | Known::Expect | Known::Range)
            );
            // They are about what the backend has; the service would say 304, which is no ruling.
            let is_condition = matches!(
                known,
                Some(
                    Known::IfMatch
                        | Known::IfModifiedSince
                        | Known::IfNoneMatch
                        | Known::IfRange
                        | Known::IfUnmodifiedSince
                )
            );
            let ours = is_ours(known, name);
            let framing = known.is_some_and(|k| is_framing(&Name::Known(k)));
            if shown && !of_body && !is_condition && !ours && !framing {
                fields.push(name, value);
            }
        }
        let mut ip = Vec::new();
        write_ip(facts.client.ip(), &mut ip);
        let mut url = Vec::new();
        for part in [
            asked.scheme.as_str().as_bytes(),
            b"://",
            &asked.authority,
            &asked.target,
        ] {
            url.extend_from_slice(part);
        }
        fields.push(b"x-forwarded-method", asked.method.as_bytes());
        fields.push_known(Known::XForwardedProto, asked.scheme.as_str().as_bytes());
        fields.push_known(Known::XForwardedHost, &asked.authority);
        fields.push(b"x-forwarded-uri", &asked.target);
        fields.push_known(Known::XForwardedFor, &ip);
        fields.push(b"x-original-method", asked.method.as_bytes());
        fields.push(b"x-original-url", &url);
        RequestHead {
            method: Method::Get,
            scheme: asked.scheme,
            version: Version::Http11,
            authority: asked.authority.clone(),
            target: self.path.to_vec(),
            fields,
        }
    }

    /// What an answer means: 2xx passes; 1xx and 5xx are no ruling.
    pub fn ruling(&self, status: u16) -> Ruling {
        match status {
            200..=299 => Ruling::Pass,
            300..=499 => Ruling::Answer,
            _ => Ruling::Failed,
        }
    }

    /// Takes what a client pretends out of its request. Always done, also when nobody can be asked.
    pub fn distrust(&self, request: &mut Fields) {
        for name in &self.copy {
            request.remove_named(name);
        }
        if !self.copy.is_empty() {
            request.remove_lookalikes(|n| self.copy.iter().any(|c| c.as_bytes() == n));
        }
    }

    /// Gives the request what the answer says of its client.
    pub fn copy_to(&self, answer: &ResponseHead, request: &mut Fields) {
        for name in &self.copy {
            for value in answer.fields.all_named(name) {
                request.push_named(name, value);
            }
        }
    }
}

/// Whether the proxy itself says what stands in a field, so that the client's word for it is not handed on.
fn is_ours(known: Option<Known>, name: &[u8]) -> bool {
    let starts = |with: &[u8]| {
        let start = name.get(..with.len());
        start.is_some_and(|s| {
            s.iter()
                .zip(with)
                .all(|(a, b)| a == b || (*a, *b) == (b'_', b'-'))
        })
    };
    matches!(known, Some(Known::Forwarded | Known::XRealIp))
        || starts(b"x-forwarded-")
        || starts(b"x-original-")
        || name == b"x_real_ip"
}
