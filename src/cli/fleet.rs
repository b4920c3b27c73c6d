//! `tradewind fleet …`: the fleet's CA and the nodes' certificates.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use serde_json::Value;

use super::ask::Via;
use super::say::{list, shown, word};
use super::table::{Cell, Column, Table};
use super::terminal::{Look, Tone};
use crate::app::clock::RealClock;
use crate::config::{Report, load};
use crate::fleet::credentials::Roles;
use crate::fleet::identity::authority::{AUTHORITY_DAYS, NODE_DAYS};
use crate::fleet::identity::claims::{add_role, certificates, role_words, show_time};
use crate::fleet::identity::roster::roles_of;
use crate::fleet::identity::{Authority, Claims};
use crate::time::Clock as _;

/// What can be made and shown.
#[derive(Debug, Subcommand)]
pub(super) enum FleetCommand {
    /// Make the fleet's certificate authority: ca.pem for every node, ca.key for nobody.
    Init {
        /// Folder to write to; made when it is missing. Nothing in it is overwritten.
        #[arg(long)]
        out: PathBuf,
        /// Name of the cluster, the same as `[fleet] name`.
        #[arg(long, default_value = "tradewind")]
        name: String,
        /// Days that it is valid.
        #[arg(long, default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_525))]
        days: u32,
    },
    /// Make a node's certificate and key, NODE.pem and NODE.key; again to renew them.
    Issue {
        /// The node's name, as in the configuration.
        node: String,
        /// Configuration to take the roles from.
        #[arg(long, required_unless_present = "roles", conflicts_with = "roles")]
        config: Option<PathBuf>,
        /// Roles: dns, probe, proxy, admin.
        #[arg(long, value_delimiter = ',')]
        roles: Vec<String>,
        /// Folder of ca.pem and ca.key.
        #[arg(long)]
        ca: PathBuf,
        /// Folder to write to; made when it is missing.
        #[arg(long)]
        out: PathBuf,
        /// Days that it is valid.
        #[arg(long, default_value_t = NODE_DAYS, value_parser = clap::value_parser!(u32).range(1..=3_653))]
        days: u32,
    },
    /// Replace the CA in three steps: a second one beside the first, certificates of it, the first gone.
    RotateCa {
        /// Folder of ca.pem and ca.key.
        #[arg(long)]
        ca: PathBuf,
        /// The last step: take all CAs but the newest out of ca.pem.
        #[arg(long)]
        finish: bool,
        /// Days that the new one is valid.
        #[arg(long, default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_525))]
        days: u32,
    },
    /// Ask a running node how the nodes of the fleet are, and who runs another configuration.
    Status {
        #[command(flatten)]
        via: Via,
    },
    /// Say what certificates are in a file: who, which roles, until when, of which CA.
    Show {
        /// A PEM file.
        file: PathBuf,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; the exit code.
pub(super) fn fleet(command: &FleetCommand) -> ExitCode {
    let clock = RealClock::start();
    let now = clock.wall().unix(clock.now());
    match command {
        FleetCommand::Init { out, name, days } => super::done(init(out, name, *days, now)),
        FleetCommand::Issue {
            node,
            config,
            roles,
            ca,
            out,
            days,
        } => {
            let wanted = match config {
                Some(config) => of_config(config, node),
                None => of_words(roles).map(|roles| (roles, None)),
            };
            match wanted {
                Ok(wanted) => super::done(issue(node, wanted, ca, out, *days, now)),
                Err(Refused::Config(report)) => super::config_refused(&report),
                Err(Refused::Other(text)) => super::failed(text),
            }
        }
        FleetCommand::RotateCa { ca, finish, days } => super::done(match finish {
            true => finish_rotation(ca, now),
            false => start_rotation(ca, *days, now),
        }),
        FleetCommand::Status { via } => shown(via, "/v1/fleet", &[], status),
        FleetCommand::Show { file, json: false } => super::done(show(file, now)),
        FleetCommand::Show { file, json: true } => {
            super::done(show_json(file, now).map(|json| format!("{json:#}")))
        }
    }
}

/// Why roles are not known.
enum Refused {
    Config(Box<Report>),
    Other(String),
}

/// What is wrong, then a row for each node.
fn status(json: &Value, look: Look) -> String {
    let cluster = json["cluster"].as_str();
    let node = word(json, "node");
    let mut out = match cluster {
        Some(cluster) => format!("cluster {cluster}, as node {node} sees it\n"),
        None => format!("node {node} is in no fleet\n"),
    };
    let wrong = |text: &str| format!("{}\n", Tone::Bad.paint(&format!("! {text}"), look.colour));
    for differing in list(&json["differing"]).filter_map(Value::as_str) {
        out += &wrong(differing);
    }
    for refused in list(&json["refused"]) {
        out += &wrong(&format!("{}: {}", word(refused, "what"), refused["count"]));
    }
    let mut table = Table::new(&[
        Column::text("node"),
        Column::text("state"),
        Column::text("region"),
        Column::text("roles"),
        Column::text("config"),
        Column::number("generation"),
        Column::number("heard s ago"),
        Column::text(""),
    ]);
    for m in list(&json["members"]) {
        let roles: Vec<&str> = list(&m["roles"]).filter_map(Value::as_str).collect();
        let state = word(m, "state");
        let tone = match state {
            "this node" | "alive" => Tone::Good,
            "left" => Tone::Doubtful,
            _ => Tone::Bad,
        };
        let heard = m["heard_seconds_ago"].as_f64();
        let generation = m["generation"].as_u64();
        table.row([
            word(m, "node").into(),
            Cell::from(state).toned(tone),
            word(m, "region").into(),
            roles.join(",").into(),
            m["config"].as_str().unwrap_or("-").into(),
            generation.map(|g| g.to_string()).unwrap_or_default().into(),
            heard.map(|s| format!("{s:.0}")).unwrap_or_default().into(),
            match m["blind"] == true {
                true => Cell::from("blind: has no vote").toned(Tone::Doubtful),
                false => Cell::default(),
            },
        ]);
    }
    out += &table.text(look);
    out
}

fn init(out: &Path, name: &str, days: u32, now: u64) -> Result<String, String> {
    let (pem, key) = (out.join("ca.pem"), out.join("ca.key"));
    for file in [&pem, &key] {
        if file.exists() {
            return Err(format!(
                "`{}` is there already, and nothing was changed; to replace a CA use `tradewind \
                 fleet rotate-ca --ca {}`",
                file.display(),
                out.display()
            ));
        }
    }
    let made = Authority::make(name, now, days)?;
    make_dir(out)?;
    write(&key, made.key.as_bytes(), 0o600)?;
    write(&pem, made.certificate.as_bytes(), 0o644)?;
    Ok(format!(
        "{}\n{}: for every node, `[fleet] ca`\n{}: keep it offline; whoever has it can make nodes",
        line(&made.claims, now),
        pem.display(),
        key.display()
    ))
}

/// The node's roles and the cluster's name in a configuration.
fn of_config(config: &Path, node: &str) -> Result<(Roles, Option<String>), Refused> {
    // Zone files and databases need not be where the CA is: only what concerns the node is looked at.
    let loaded = load(config).map_err(|report| Refused::Config(Box::new(report)))?;
    if let Some(found) = loaded.spec.nodes.iter().find(|n| n.name.value == node) {
        let roles = roles_of(found.roles.iter().map(|r| &r.value));
        return Ok((roles, Some(loaded.spec.fleet.name)));
    }
    if loaded.spec.declared.nodes.contains(node) {
        let report = Report::new(loaded.diagnostics, loaded.sources);
        return Err(Refused::Config(Box::new(report)));
    }
    let names = loaded.spec.declared.nodes.iter().map(String::as_str);
    let help = match crate::config::nearest(node, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add a table [nodes.{node}]"),
    };
    Err(Refused::Other(format!(
        "`{}` has no node `{node}`; {help}",
        config.display()
    )))
}

fn of_words(words: &[String]) -> Result<Roles, Refused> {
    let mut roles = Roles::default();
    for word in words {
        if !add_role(&mut roles, word.trim()) {
            return Err(Refused::Other(format!(
                "`{word}` is no role; roles are dns, probe, proxy, admin"
            )));
        }
    }
    Ok(roles)
}

fn issue(
    node: &str,
    (roles, cluster): (Roles, Option<String>),
    ca: &Path,
    out: &Path,
    days: u32,
    now: u64,
) -> Result<String, String> {
    let authority = authority(ca)?;
    if let Some(cluster) = cluster.filter(|c| c != authority.cluster()) {
        return Err(format!(
            "the CA in `{}` is of cluster `{}`, and the configuration says `[fleet] name = \
             \"{cluster}\"`; make them the same",
            ca.display(),
            authority.cluster()
        ));
    }
    let made = authority.issue(node, roles, now, days)?;
    make_dir(out)?;
    let (pem, key) = (
        out.join(format!("{node}.pem")),
        out.join(format!("{node}.key")),
    );
    // A running node reads them when both fit together.
    write(&key, made.key.as_bytes(), 0o600)?;
    write(&pem, made.certificate.as_bytes(), 0o644)?;
    Ok(format!(
        "{}\n{}: `fleet.certificate` of the node\n{}: its `fleet.key`, for this node only",
        line(&made.claims, now),
        pem.display(),
        key.display()
    ))
}

fn start_rotation(ca: &Path, days: u32, now: u64) -> Result<String, String> {
    let old = authority(ca)?;
    let (pem, key) = (ca.join("ca.pem"), ca.join("ca.key"));
    let known = read(&pem)?;
    if certificates(&known)?.len() > 1 {
        return Err(format!(
            "`{}` has several CAs already: a rotation is under way; end it with `tradewind fleet \
             rotate-ca --ca {} --finish` once every node has a certificate of the newest",
            pem.display(),
            ca.display()
        ));
    }
    let made = Authority::make(old.cluster(), now, days)?;
    let mut both = known;
    if !both.ends_with(b"\n") {
        both.push(b'\n');
    }
    both.extend(made.certificate.as_bytes());
    // The old key stays until the new pair is whole, and under another name after that.
    write(&ca.join("ca.key.old"), &read(&key)?, 0o600)?;
    write(&pem, &both, 0o644)?;
    write(&key, made.key.as_bytes(), 0o600)?;
    Ok(format!(
        "{}\nnow: 1. bring {} to every node; 2. issue every node's certificate again and bring it \
         there; 3. `tradewind fleet rotate-ca --ca {} --finish`, and ca.pem to every node again",
        line(&made.claims, now),
        pem.display(),
        ca.display()
    ))
}

fn finish_rotation(ca: &Path, now: u64) -> Result<String, String> {
    let newest = authority(ca)?;
    let pem = ca.join("ca.pem");
    let known = read(&pem)?;
    let blocks = String::from_utf8_lossy(&known);
    const END: &str = "-----END CERTIFICATE-----";
    let kept = blocks.split_inclusive(END).find(|block| {
        let found = certificates(block.as_bytes());
        found.is_ok_and(|all| all.first() == Some(newest.certificate()))
    });
    let Some(kept) = kept else {
        return Err(format!(
            "`{}` does not hold the newest CA as text",
            pem.display()
        ));
    };
    write(&pem, format!("{}\n", kept.trim()).as_bytes(), 0o644)?;
    Ok(format!(
        "{}\nnow: bring {} to every node; a node with a certificate of the old CA keeps its old \
         ca.pem, and says so in its log",
        line(newest.claims(), now),
        pem.display()
    ))
}

fn show(file: &Path, now: u64) -> Result<String, String> {
    let all = certificates(&read(file)?).map_err(|e| format!("`{}`: {e}", file.display()))?;
    let mut out = String::new();
    for (i, certificate) in all.iter().enumerate() {
        let claims = Claims::read(certificate).map_err(|e| format!("`{}`: {e}", file.display()))?;
        if i > 0 {
            out.push('\n');
        }
        out.push_str(&line(&claims, now));
    }
    Ok(out)
}

/// The same for programs.
fn show_json(file: &Path, now: u64) -> Result<Value, String> {
    let all = certificates(&read(file)?).map_err(|e| format!("`{}`: {e}", file.display()))?;
    let mut shown = Vec::new();
    for certificate in &all {
        let claims = Claims::read(certificate).map_err(|e| format!("`{}`: {e}", file.display()))?;
        shown.push(serde_json::json!({
            "node": claims.node,
            "cluster": claims.cluster,
            "authority": claims.is_authority,
            "roles": role_words(claims.roles),
            "subject": claims.subject,
            "issuer": claims.issuer,
            "serial": claims.serial.to_string(),
            "not-before": show_time(claims.not_before),
            "not-after": show_time(claims.not_after),
            "valid": (claims.not_before..=claims.not_after).contains(&now),
        }));
    }
    Ok(serde_json::json!({ "certificates": shown }))
}

/// A certificate for people.
fn line(claims: &Claims, now: u64) -> String {
    let mut out = match (&claims.node, &claims.cluster) {
        (Some(node), Some(cluster)) => format!(
            "node `{node}` of cluster `{cluster}`, roles {}",
            role_words(claims.roles).join(", ")
        ),
        (None, Some(cluster)) if claims.is_authority => {
            format!("CA `{}` of cluster `{cluster}`", claims.subject)
        }
        _ => format!("`{}`, of no fleet", claims.subject),
    };
    let word = if now < claims.not_before {
        "not valid yet"
    } else if now > claims.not_after {
        "EXPIRED"
    } else {
        "valid"
    };
    // Writing into a String cannot fail.
    let _ = write!(
        out,
        "\n  {word}, from {} to {}\n  signed by `{}`, serial {}",
        show_time(claims.not_before),
        show_time(claims.not_after),
        claims.issuer,
        claims.serial
    );
    out
}

fn authority(ca: &Path) -> Result<Authority, String> {
    let (pem, key) = (ca.join("ca.pem"), ca.join("ca.key"));
    let key = String::from_utf8_lossy(&read(&key)?).into_owned();
    Authority::read(&read(&pem)?, &key).map_err(|e| format!("the CA in `{}`: {e}", ca.display()))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|e| format!("cannot read `{}`: {e}", file.display()))
}

fn make_dir(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|e| format!("cannot make the folder `{}`: {e}", dir.display()))
}

/// Writes beside the file under another name, then renames: a reader sees the old or the new.
fn write(file: &Path, bytes: &[u8], mode: u32) -> Result<(), String> {
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut out| {
            out.write_all(bytes)?;
            out.sync_all()
        })
        .and_then(|()| fs::rename(&temporary, file));
    written.map_err(|e: io::Error| {
        // What is half written is of no use; that it cannot be removed changes nothing for the user.
        drop(fs::remove_file(&temporary));
        format!(
            "cannot write `{}`: {e}; the file there, if any, is unchanged",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_in_the_fleet_stands_before_its_nodes() {
        let json = json!({
            "cluster": "lab", "node": "eu1",
            "members": [
                { "node": "eu1", "region": "eu", "roles": ["dns", "probe"], "state": "this node",
                  "config": "aa", "generation": 19, "blind": false },
                { "node": "us1", "region": "us", "roles": ["probe"], "state": "silent",
                  "config": null, "heard_seconds_ago": 31.4, "blind": true },
            ],
            "differing": ["us1 runs configuration bb, this node aa"],
            "refused": [{ "what": "tradewind_fleet_strangers_total{}", "count": 2 }],
        });
        assert_eq!(
            status(&json, Look::default()),
            "cluster lab, as node eu1 sees it\n\
             ! us1 runs configuration bb, this node aa\n\
             ! tradewind_fleet_strangers_total{}: 2\n\
             node  state      region  roles      config  generation  heard s ago\n\
             eu1   this node  eu      dns,probe  aa              19\n\
             us1   silent     us      probe      -                            31  blind: has no vote\n"
        );
    }
}
