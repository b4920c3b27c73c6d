//! `tradewind export`: configurations of programs that work beside a node.

mod keepalived;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use crate::app::readiness::SOCKET;
use crate::compile::{Compiled, Node, compile};
use crate::config::Report;
use crate::config::load::load;

use keepalived::{Check, Keepalived};

/// What can be written.
#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Write the keepalived.conf of a node: VRRP for its VIPs, with a check that asks the node.
    Keepalived {
        /// A TOML file, or a folder of them.
        #[arg(long)]
        config: PathBuf,
        /// The node whose file it is.
        #[arg(long)]
        node: String,
        /// Where the node has this program.
        #[arg(long, default_value = "/usr/bin/tradewind")]
        program: PathBuf,
        /// Who runs the check there: the user of the node's process.
        #[arg(long, default_value = "tradewind")]
        user: String,
        /// Also check that this upstream has a usable backend; several times for several.
        #[arg(long, value_name = "NAME")]
        upstream: Vec<String>,
        /// File to write; standard output when there is none.
        #[arg(long, conflicts_with = "json")]
        out: Option<PathBuf>,
        /// The file's text in JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Writes it.
pub(super) fn export(command: &ExportCommand) -> ExitCode {
    let ExportCommand::Keepalived {
        config,
        node,
        program,
        user,
        upstream,
        out,
        json,
    } = command;
    let compiled = match compiled(config, node) {
        Ok(compiled) => compiled,
        Err(report) => return super::config_refused(&report),
    };
    let traffic = &compiled.snapshot.traffic;
    for name in upstream {
        if !traffic.upstreams.iter().any(|u| *u.name == **name) {
            return super::failed(format!("node `{node}` has no upstream `{name}`"));
        }
    }
    let written = compiled
        .node
        .as_ref()
        .ok_or_else(|| "no node given".to_owned())
        .and_then(|of| {
            let check = Check {
                program: word(program)?,
                asks: asks(of)?,
                upstreams: upstream.clone(),
                user: user.clone(),
            };
            let own = compiled.vips.iter();
            let own = own.filter(|v| v.place(&of.name).is_some()).collect();
            Keepalived::new(&of.name, own, check)
        });
    match (written, out) {
        (Err(e), _) => super::failed(e),
        (Ok(text), None) => {
            match json {
                true => {
                    let text = text.to_string();
                    println!("{:#}", serde_json::json!({ "node": node, "text": text }));
                }
                false => print!("{text}"),
            }
            ExitCode::SUCCESS
        }
        (Ok(text), Some(path)) => match std::fs::write(path, text.to_string()) {
            Ok(()) => {
                println!("{} written", path.display());
                ExitCode::SUCCESS
            }
            Err(e) => super::failed(format!("{}: {e}", path.display())),
        },
    }
}

/// The configuration as `node` has it. Unlike a start it does not look at the node's certificates, which
/// may be nowhere else.
fn compiled(config: &Path, node: &str) -> Result<Compiled, Report> {
    let loaded = load(config)?;
    let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, Some(node));
    let mut all = loaded.diagnostics;
    all.extend(found);
    let report = Report::new(all, loaded.sources);
    match compiled {
        Some(compiled) if !report.has_errors() => {
            eprint!("{}", report.render(false));
            Ok(compiled)
        }
        _ => Err(report),
    }
}

/// How the check reaches the node's process: by the socket in its state directory, or by its admin API.
fn asks(node: &Node) -> Result<String, String> {
    if let Some(dir) = &node.state_dir {
        let dir = std::path::absolute(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        // sun_path of unix(7) has 108 octets, the last of them zero, and a process adds its number.
        let socket = dir.join(SOCKET);
        let longest = 107 - ".4194304".len();
        if socket.as_os_str().len() > longest {
            return Err(format!(
                "the socket {} has a path of {} octets; the largest allowed number is {longest}: \
                 choose a shorter `state-dir`",
                socket.display(),
                socket.as_os_str().len()
            ));
        }
        return Ok(format!("--state-dir {}", word(&dir)?));
    }
    match node.admin_listen {
        // A check that runs every second speaks no TLS.
        Some(admin) if admin.port() != 0 && !node.admin_tls => {
            Ok(format!("--server http://{admin}"))
        }
        _ => Err(format!(
            "nobody can ask node `{}` whether it is ready: give it a `state-dir`, or the role `admin` \
             with a port of its own and without TLS",
            node.name
        )),
    }
}

/// A path as one word of a keepalived script, which it takes apart at spaces and quotes.
fn word(path: &Path) -> Result<String, String> {
    let text = path.to_str().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+:,=@".contains(&b);
    if text.is_empty() || !text.bytes().all(plain) {
        return Err(format!(
            "`{}` cannot stand in a script of keepalived: it has other octets than letters, digits \
             and `/._-+:,=@`",
            path.display()
        ));
    }
    Ok(text.to_owned())
}
