//! What a configuration becomes where the error goldens say nothing.

use super::*;
use crate::config::load::load_texts;

const REST: &str = r#"
version = 1
[regions.eu]
latitude = 50
longitude = 8
[zones."x.test"]
file = "x.zone"
[policies.p]
stages = [{ weighted = {} }]
"#;

const ZONE: &[u8] = b"$TTL 60\n@ SOA ns1 admin 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n";

/// The compiled configuration, or all messages.
fn compiled(text: &str) -> (Option<Compiled>, Vec<String>) {
    let loaded = load_texts(
        vec![("t.toml".into(), format!("{REST}{text}").into())],
        &mut |_| Ok(ZONE.to_vec()),
    );
    let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, None);
    let all = loaded.diagnostics.iter().chain(&found);
    (compiled, all.map(|d| d.message.clone()).collect())
}

const NAME: &str = r#"
[names."www.x.test"]
pools = ["a"]
policy = "p"
"#;

fn pool(name: &str, enabled4: bool, enabled6: bool) -> String {
    format!(
        "[pools.{name}]\nregion = \"eu\"\nendpoints = [\
         {{ name = \"{name}4\", address = \"192.0.2.1\", enabled = {enabled4} }},\
         {{ name = \"{name}6\", address = \"2001:db8::1\", enabled = {enabled6} }}]\n"
    )
}

#[test]
fn a1_a_family_with_every_endpoint_disabled_is_no_family_of_the_name() {
    use crate::net::Family::{V4, V6};
    for (four, six, families) in [
        (true, true, vec![V4, V6]),
        (true, false, vec![V4]),
        (false, true, vec![V6]),
        // All of them: then it is for the last resort to answer.
        (false, false, vec![V4, V6]),
    ] {
        let (c, all) = compiled(&(pool("a", four, six) + NAME));
        let c = c.unwrap_or_else(|| panic!("{all:?}"));
        assert_eq!(c.snapshot.steering.groups[0].families, families, "{all:?}");
    }
}

#[test]
fn f1_a_last_resort_pool_needs_enabled_endpoints() {
    let spare = |enabled| pool("b", enabled, true).replace("192.0.2.1", "192.0.2.2");
    let name = format!("{NAME}last-resort = {{ pool = \"b\" }}\n");
    let (c, all) = compiled(&(pool("a", true, true) + &spare(true) + &name));
    assert!(c.is_some(), "{all:?}");
    let (c, all) = compiled(&(pool("a", true, true) + &spare(false) + &name));
    assert!(c.is_none());
    assert!(
        all.iter().any(|m| m.contains("no enabled IPv4 endpoint")),
        "{all:?}"
    );
}
