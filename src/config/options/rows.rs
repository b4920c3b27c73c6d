//! The rows, in the order of the reference page; one file for what belongs together.

mod admin;
mod caches;
mod clients;
mod conditions;
mod connections;
mod dns;
mod expect;
mod exports;
mod features;
mod fleet;
mod health;
mod history;
mod layer4;
mod listeners;
mod monitors;
mod nodes;
mod proxy_tls;
mod resilience;
mod routes;
mod sessions;
mod sni;
mod steering;
mod telemetry;
mod udp;
mod upstreams;
mod vips;
mod waf;
mod xdp;
mod zones;

use std::time::Duration;

use super::{Applies, Kind, OptionRow, Presence};

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

const DAY: Duration = secs(86_400);
const HOUR: Duration = secs(3_600);
const WEEK: Duration = secs(7 * 86_400);
const YEAR: Duration = secs(366 * 86_400);
const YEARS_10: Duration = secs(3_660 * 86_400);

const fn opt(
    path: &'static str,
    kind: Kind,
    presence: Presence,
    doc: &'static str,
    example: &'static str,
) -> OptionRow {
    OptionRow {
        path,
        kind,
        presence,
        applies: Applies::Reload,
        doc,
        example,
    }
}

impl OptionRow {
    const fn restart(mut self) -> OptionRow {
        self.applies = Applies::Restart;
        self
    }
}

/// Half the Earth's circumference in kilometres, rounded up: no two places are farther apart.
const FARTHEST: f64 = 20_100.0;
const CONTINENTS: &[&str] = &["AF", "AN", "AS", "EU", "NA", "OC", "SA"];
const WEIGHT: Kind = Kind::Integer(0, 1_000_000);

const PARTS: &[&[OptionRow]] = &[
    dns::ROWS,
    telemetry::ROWS,
    exports::ROWS,
    nodes::ROWS,
    admin::ROWS,
    clients::ROWS,
    vips::NODE,
    fleet::ROWS,
    zones::ROWS,
    history::ROWS,
    health::ROWS,
    monitors::ROWS,
    steering::ROWS,
    listeners::ROWS,
    layer4::ROWS,
    udp::ROWS,
    sni::ROWS,
    xdp::ROWS,
    conditions::ROUTE,
    conditions::MATCH,
    conditions::NESTED,
    routes::ROWS,
    waf::ROWS,
    upstreams::ROWS,
    caches::ROWS,
    resilience::ROWS,
    proxy_tls::ROWS,
    features::ROWS,
    sessions::ROWS,
    connections::ROWS,
    vips::ROWS,
    expect::ROWS,
];

const COUNT: usize = {
    let (mut count, mut part) = (0, 0);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
};

/// Every option.
pub static ROWS: &[OptionRow] = &{
    let mut all = [PARTS[0][0]; COUNT];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            all[at] = PARTS[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    all
};
