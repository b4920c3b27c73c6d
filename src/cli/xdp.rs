//! What is forwarded in the kernel, as lines for people.

use serde_json::Value;

/// The lines; none where nothing is forwarded there.
pub(super) fn lines(xdp: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let array = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let mut out = String::new();
    if xdp.is_null() {
        return out;
    }
    let interfaces = array(&xdp["interfaces"]).into_iter();
    let interfaces: Vec<String> = interfaces
        .map(|i| format!("{} ({})", text(&i["name"]), text(&i["mode"])))
        .collect();
    out += &format!(
        "xdp on {}: {} of {} flows, {} not remembered, {} packets without backend, {} fragments dropped\n",
        interfaces.join(", "),
        xdp["flows"],
        xdp["flows_max"],
        xdp["flows_unwritten"],
        xdp["no_backend"],
        xdp["fragments"],
    );
    for v in array(&xdp["vips"]) {
        out += &format!(
            "  vip {}/{} of {}: upstream {}, {} packets, {} octets\n",
            text(&v["address"]),
            text(&v["protocol"]),
            text(&v["listener"]),
            text(&v["upstream"]),
            v["packets"],
            v["octets"],
        );
    }
    for t in array(&xdp["tables"]) {
        out += &format!(
            "  table of {}: generation {}, {} slots moved\n",
            text(&t["upstream"]),
            t["generation"],
            t["slots_moved"],
        );
        for b in array(&t["backends"]) {
            let gets = match b["gets"].as_str() {
                Some("takes") => "takes new flows",
                Some("keeps") => "keeps its flows",
                _ => "gets nothing",
            };
            out += &format!(
                "    {:<20} {:<17} {gets}, {} packets, {} octets\n",
                text(&b["name"]),
                b["mac"].as_str().unwrap_or("no neighbour"),
                b["packets"],
                b["octets"],
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_forwarded_is_shown_by_address_and_backend() {
        let xdp = json!({
            "interfaces": [{ "name": "eth0", "mode": "native" }],
            "vips": [{ "listener": "web", "address": "192.0.2.1:80", "protocol": "tcp",
                       "upstream": "app", "packets": 7, "octets": 700 }],
            "tables": [{ "upstream": "app", "generation": 2, "slots_moved": 9, "backends": [
                { "name": "a", "mac": "02:00:00:00:00:0a", "gets": "takes", "packets": 7, "octets": 700 },
                { "name": "b", "gets": "none", "packets": 0, "octets": 0 },
            ] }],
            "flows": 1, "flows_max": 1024, "flows_made": 1, "flows_unwritten": 0,
            "no_backend": 0, "fragments": 0,
        });
        assert_eq!(
            lines(&xdp),
            "xdp on eth0 (native): 1 of 1024 flows, 0 not remembered, 0 packets without backend, 0 \
             fragments dropped\n  vip 192.0.2.1:80/tcp of web: upstream app, 7 packets, 700 octets\n  \
             table of app: generation 2, 9 slots moved\n    a                    02:00:00:00:00:0a takes \
             new flows, 7 packets, 700 octets\n    b                    no neighbour      gets nothing, 0 \
             packets, 0 octets\n"
        );
        assert_eq!(lines(&Value::Null), "");
    }
}
