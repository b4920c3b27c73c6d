//! Templates and changes of fields.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::message::{Known, Name, RequestHead, ResponseHead, Scheme};

fn head() -> RequestHead {
    let mut head = RequestHead {
        authority: b"shop.example:8443".to_vec(),
        target: b"/a/b?x=1&y=%0d%0aEvil:1".to_vec(),
        scheme: Scheme::Https,
        ..RequestHead::default()
    };
    head.fields.push(b"X-User", b"ann");
    head.fields.push(b"Cookie", b"sid=42; theme=dark");
    head
}

fn render(template: &str, head: &RequestHead, escape: Escape) -> String {
    let mut facts = Facts::new(head, "192.0.2.7:4711".parse().unwrap());
    facts.listener = "web";
    facts.route = "api";
    facts.request_id = b"abc";
    let mut out = Vec::new();
    let template = Template::text(template).unwrap();
    template.render(&facts, escape, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn variables_stand_for_what_is_known() {
    let head = head();
    let text = |t: &str| render(t, &head, Escape::Field);
    assert_eq!(text("plain"), "plain");
    assert_eq!(text("${client-ip}:${client-port}"), "192.0.2.7:4711");
    assert_eq!(
        text("${scheme}://${host}${path}?${query}"),
        "https://shop.example/a/b?x=1&y=%0d%0aEvil:1"
    );
    assert_eq!(
        text("${header:x-user}/${header:Host}"),
        "ann/shop.example:8443"
    );
    assert_eq!(text("${cookie:theme} ${query:x}"), "dark 1");
    assert_eq!(text("[${upstream}${tls-sni}${header:absent}]"), "[]");
    assert_eq!(
        text("${listener} ${route} ${request-id} ${method}"),
        "web api abc GET"
    );
    assert_eq!(text("costs $5, $${path} and $"), "costs $5, ${path} and $");
}

#[test]
fn what_is_no_template_says_why() {
    let fault = |t: &str| Template::field(t).unwrap_err();
    assert_eq!(
        fault("${client-pi}"),
        TemplateError::Unknown("client-pi".into())
    );
    assert_eq!(
        fault("${header:}"),
        TemplateError::Argument("header:".into())
    );
    assert_eq!(fault("${header}"), TemplateError::Argument("header".into()));
    assert_eq!(
        fault("${header:a b}"),
        TemplateError::Argument("header:a b".into())
    );
    assert_eq!(fault("a ${host"), TemplateError::Unclosed);
    assert_eq!(fault("a\r\nb"), TemplateError::Control(b'\r'));
    assert_eq!(fault("${}").to_string(), "has the unknown variable `${}`");
}

#[test]
fn every_variable_has_a_name_that_parses() {
    for name in Variable::names() {
        let text = match name.strip_suffix(':') {
            Some(_) => format!("${{{name}x}}"),
            None => format!("${{{name}}}"),
        };
        assert!(Template::field(&text).is_ok(), "{text}");
    }
}

#[test]
fn addresses_and_numbers_are_written_as_the_standard_library_does() {
    use super::variable::{write_ip, write_number};
    for ip in [
        "0.0.0.0",
        "255.255.255.255",
        "10.9.100.1",
        "2001:db8::1",
        "::1",
    ] {
        let mut out = Vec::new();
        write_ip(ip.parse().unwrap(), &mut out);
        assert_eq!(out, ip.as_bytes());
    }
    let mut out = Vec::new();
    write_ip("::ffff:192.0.2.1".parse().unwrap(), &mut out);
    assert_eq!(out, b"192.0.2.1", "a client of a dual-stack socket");
    for n in [0, 9, 10, 65_535, u32::MAX] {
        let mut out = Vec::new();
        write_number(n, &mut out);
        assert_eq!(out, n.to_string().into_bytes());
    }
}

#[test]
fn pages_cannot_be_made_to_hold_markup() {
    let mut head = head();
    head.target = b"/<script>\"x\"&'".to_vec();
    assert_eq!(
        render("<p>${path}</p>", &head, Escape::Html),
        "<p>/&lt;script&gt;&quot;x&quot;&amp;&#39;</p>"
    );
    head.target = b"/a\"b\\c".to_vec();
    assert_eq!(
        render(r#"{"p":"${path}"}"#, &head, Escape::Json),
        r#"{"p":"/a\"b\\c"}"#
    );
    head.target = b"/\xff\xfe".to_vec();
    assert_eq!(render("${path}", &head, Escape::Plain), "/??");
}

fn pairs(list: &[(&str, &str)]) -> Vec<(Name, Template)> {
    let pair = |(n, t): &(&str, &str)| (Name::new(n.as_bytes()), Template::field(t).unwrap());
    list.iter().map(pair).collect()
}

#[test]
fn changes_see_the_message_as_it_came() {
    let changes = FieldChanges {
        remove: vec![Name::new(b"X-User")],
        set: pairs(&[
            ("X-Who", "${header:x-user}@${host}"),
            ("Host", "inner.${host}:80"),
        ]),
        default: pairs(&[("Cookie", "none"), ("X-Fixed", "1")]),
        add: pairs(&[("X-Who", "second")]),
    };
    let mut head = head();
    let mut rendered = Rendered::default();
    changes.render(
        &Facts::new(&head, "192.0.2.7:1".parse().unwrap()),
        &mut rendered,
    );
    changes.apply_to_request(&mut head, &rendered);
    let who = Name::new(b"x-who");
    let values: Vec<_> = head.fields.all_named(&who).collect();
    assert_eq!(values, [&b"ann@shop.example"[..], b"second"]);
    assert_eq!(head.authority, b"inner.shop.example:80");
    assert_eq!(
        head.fields.get(Known::Cookie),
        Some(&b"sid=42; theme=dark"[..])
    );
    assert_eq!(
        head.fields.get_named(&Name::new(b"x-fixed")),
        Some(&b"1"[..])
    );
    assert_eq!(head.fields.get_named(&Name::new(b"x-user")), None);
    assert!(!head.fields.has(Known::Host), "the authority is no field");
}

#[test]
fn a_host_that_cannot_be_one_changes_nothing() {
    let changes = FieldChanges {
        set: pairs(&[("Host", "${header:x-user} x")]),
        ..FieldChanges::default()
    };
    let mut head = head();
    let mut rendered = Rendered::default();
    changes.render(
        &Facts::new(&head, "192.0.2.7:1".parse().unwrap()),
        &mut rendered,
    );
    changes.apply_to_request(&mut head, &rendered);
    assert_eq!(head.authority, b"shop.example:8443");
}

#[test]
fn changes_of_a_route_win_over_those_of_its_listener() {
    let listener = FieldChanges {
        set: pairs(&[("a", "listener"), ("b", "listener")]),
        ..FieldChanges::default()
    };
    let route = FieldChanges {
        set: pairs(&[("a", "route")]),
        ..FieldChanges::default()
    };
    let both = listener.and(&route);
    assert_eq!(both.set, pairs(&[("b", "listener"), ("a", "route")]));
}

#[test]
fn security_headers_leave_the_backends_word_alone() {
    let preset = security_headers();
    let mut response = ResponseHead::new(200);
    response.fields.push(b"X-Frame-Options", b"DENY");
    response.fields.push(b"X-Powered-By", b"PHP/5");
    let request = head();
    let mut rendered = Rendered::default();
    preset.render(
        &Facts::new(&request, "192.0.2.7:1".parse().unwrap()),
        &mut rendered,
    );
    preset.apply_to_response(&mut response, &rendered);
    let get = |n: &str| response.fields.get_named(&Name::new(n.as_bytes()));
    assert_eq!(get("x-frame-options"), Some(&b"DENY"[..]));
    assert_eq!(get("x-content-type-options"), Some(&b"nosniff"[..]));
    assert_eq!(get("x-powered-by"), None);
}

#[test]
fn hsts_is_written_as_rfc_6797_says() {
    let year = Duration::from_secs(31_536_000);
    assert_eq!(Hsts::new(year, false, false).value(), b"max-age=31536000");
    assert_eq!(
        Hsts::new(year, true, true).value(),
        b"max-age=31536000; includeSubDomains; preload"
    );
}

proptest! {
    /// Whatever a request holds, a value made from it stays one value of one field.
    #[test]
    fn no_variable_can_end_a_field(target in any::<Vec<u8>>(), host in any::<Vec<u8>>(),
                                   subject in any::<String>()) {
        let mut head = head();
        head.target = target;
        head.authority = host;
        let mut facts = Facts::new(&head, "192.0.2.7:1".parse().unwrap());
        facts.tls.client_subject = &subject;
        for escape in [Escape::Field, Escape::Plain, Escape::Html, Escape::Json] {
            let mut out = Vec::new();
            let t = Template::field("${target}|${path}|${query}|${host}|${query:x}|${client-cert-subject}");
            t.unwrap().render(&facts, escape, &mut out);
            prop_assert!(!out.iter().any(u8::is_ascii_control));
            prop_assert!(escape == Escape::Field || std::str::from_utf8(&out).is_ok());
            if escape == Escape::Html {
                prop_assert!(!out.iter().any(|b| b"<>\"'".contains(b)));
            }
        }
    }
}
