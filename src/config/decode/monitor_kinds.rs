//! `[monitors.NAME.KIND]` of the kinds below HTTP.

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::dns::rcode::Rcode;
use crate::health::{
    DnsCheck, ExecCheck, Expect, IcmpCheck, MonitorKind, TcpCheck, Transport, UdpCheck,
};

use super::context::Context;
use super::monitors::{not_a_regex, text};
use super::reader::Reader;

/// The check of the table of `kind`.
pub(super) fn kind(cx: &mut Context<'_>, kind: &str, r: &Reader<'_>) -> Option<MonitorKind> {
    match kind {
        "tcp" => tcp(cx, r).map(MonitorKind::Tcp),
        "udp" => udp(cx, r).map(MonitorKind::Udp),
        "dns" => dns(cx, r).map(MonitorKind::Dns),
        "icmp" => Some(MonitorKind::Icmp(IcmpCheck {})),
        "exec" => exec(cx, r).map(MonitorKind::Exec),
        // A composite beside another kind: that there are two is reported.
        _ => None,
    }
}

fn octets(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<Box<[u8]>> {
    r.get::<Box<[u8]>>(cx, key).map(|o| o.value)
}

fn expect(cx: &mut Context<'_>, r: &Reader<'_>) -> Expect {
    let regex = text(cx, r, "expect-regex");
    if let Some(pattern) = &regex
        && let Err(e) = regex::bytes::Regex::new(pattern)
    {
        cx.push(not_a_regex(r, "expect-regex", "expect", &e));
    }
    Expect {
        contains: octets(cx, r, "expect"),
        regex,
    }
}

fn tcp(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<TcpCheck> {
    let send = octets(cx, r, "send");
    let expect = expect(cx, r);
    let max_answer: Option<Marked<usize>> = r.get(cx, "max-answer");
    if r.has("max-answer") && !r.has("expect") && !r.has("expect-regex") {
        cx.push(
            Diagnostic::warning(
                r.span_of("max-answer"),
                format!(
                    "{} has no effect: without `expect` or `expect-regex` nothing is read",
                    r.name_of("max-answer")
                ),
            )
            .help("add one of them or remove it"),
        );
    }
    Some(TcpCheck {
        send,
        expect,
        max_answer: max_answer?.value,
    })
}

fn udp(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<UdpCheck> {
    let send = octets(cx, r, "send");
    let expect = expect(cx, r);
    let max_answer: Option<Marked<usize>> = r.get(cx, "max-answer");
    Some(UdpCheck {
        send: send?,
        expect,
        max_answer: max_answer?.value,
    })
}

fn dns(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<DnsCheck> {
    let name = r.get(cx, "query");
    let rtype = r.get(cx, "type");
    let transport: Option<Marked<String>> = r.get(cx, "transport");
    let recursion: Option<Marked<bool>> = r.get(cx, "recursion-desired");
    let rcode: Option<Marked<String>> = r.get(cx, "expect-rcode");
    let answer = text(cx, r, "expect-answer");
    Some(DnsCheck {
        name: name?.value,
        rtype: rtype?.value,
        transport: match transport?.as_str() {
            "tcp" => Transport::Tcp,
            _ => Transport::Udp,
        },
        recursion: recursion?.value,
        rcode: rcode_called(&rcode?.value)?,
        answer,
    })
}

/// The response code of that name.
fn rcode_called(name: &str) -> Option<Rcode> {
    (0..16).map(Rcode).find(|code| code.to_string() == name)
}

fn exec(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<ExecCheck> {
    let command: Option<Vec<Marked<String>>> = r.list(cx, "command");
    let max_output: Option<Marked<usize>> = r.get(cx, "max-output");
    let command = command?;
    if let Some(program) = command.first().filter(|p| !p.starts_with('/')) {
        cx.push(
            Diagnostic::error(
                program.span,
                format!(
                    "{} starts with `{}`, which is not an absolute path",
                    r.name_of("command"),
                    program.value
                ),
            )
            .help("write the program's whole path; no shell looks for it"),
        );
    }
    for word in command.iter().filter(|w| w.contains('\0')) {
        let message = format!("{} has a NUL character", r.name_of("command"));
        cx.error(word.span, message);
    }
    Some(ExecCheck {
        command: command.into_iter().map(|w| w.value.into()).collect(),
        max_output: max_output?.value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::{Kind, ROWS};

    #[test]
    fn every_response_code_of_the_table_has_a_number() {
        let row = ROWS
            .iter()
            .find(|r| r.path == "monitors.NAME.dns.expect-rcode");
        let Some(Kind::Choice(names)) = row.map(|r| r.kind) else {
            panic!("no such row")
        };
        for name in names {
            assert!(rcode_called(name).is_some(), "{name}");
        }
    }
}
