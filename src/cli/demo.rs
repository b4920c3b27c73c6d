//! `tradewind demo`: a three-region world on loopback.
//!
//! The same code as `tradewind run`, reading `config/demo/`. Only the sample origins are the demo's
//! own: each is a child process, so that `kill -9` rehearses a real death.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::app::load::{Wanted, load_all};
use crate::app::{Options, Ready};
use crate::config::overlay::Overlay;

use super::DemoArgs;

/// The node that `config/demo/` describes.
const NODE: &str = "demo";

/// One sample origin.
struct Origin {
    name: String,
    listen: SocketAddr,
    child: Child,
    /// Open as long as the demo lives; the origin ends when it closes.
    _stdin: Option<ChildStdin>,
}

type Origins = Arc<Mutex<Vec<Origin>>>;

/// Runs the demo until Ctrl-C.
pub(super) fn demo(args: &DemoArgs) -> ExitCode {
    super::start_logging(false);
    let mut wanted = Wanted {
        config: args.config.clone(),
        node: Some(NODE.to_owned()),
        overlay: Overlay {
            state_dir: None,
            dns_port: Some(args.dns_port),
            admin_port: Some(args.admin_port),
            endpoint_ports: BTreeMap::new(),
        },
    };
    if !args.config.exists() {
        return super::failed(format!(
            "the demo's configuration `{}` is not here; run the demo from the root of the \
             repository, or say where it is with --config",
            args.config.display()
        ));
    }
    let loaded = match load_all(&wanted) {
        Ok(loaded) => loaded,
        Err(report) => return super::config_refused(&report),
    };
    let endpoints: Vec<(String, IpAddr)> = loaded
        .compiled
        .snapshot
        .steering
        .endpoints
        .iter()
        .filter_map(|e| Some((e.name.to_string(), e.address?)))
        .collect();
    let origins: Origins = Arc::default();
    for (name, address) in endpoints {
        match start(&name, SocketAddr::new(address, args.origin_port)) {
            Ok(origin) => {
                wanted
                    .overlay
                    .endpoint_ports
                    .insert(name, origin.listen.port());
                lock(&origins).push(origin);
            }
            Err(e) => {
                end(&origins);
                return super::failed(format!(
                    "cannot start the origin {name} on {address}:{}: {e}; if the port is taken, \
                     choose another with --origin-port (0 picks free ones)",
                    args.origin_port
                ));
            }
        }
    }
    let over = Arc::new(AtomicBool::new(false));
    let watcher = watch(origins.clone(), over.clone(), args.restart_origins);
    let options = Options {
        wanted,
        skip_missing_addresses: true,
        takeover: false,
    };
    let result = crate::app::run(options, |ready| announce(ready, &lock(&origins)));
    over.store(true, Ordering::Relaxed);
    end(&origins);
    drop(watcher.join());
    super::run::ended(result)
}

/// Starts one origin and reads back where it listens.
fn start(name: &str, listen: SocketAddr) -> Result<Origin, String> {
    let exe = std::env::current_exe().map_err(|e| format!("own program not found: {e}"))?;
    let mut child = Command::new(exe)
        .args([
            "origin",
            "--until-stdin-closes",
            "--name",
            name,
            "--listen",
            &listen.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let stdin = child.stdin.take();
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(|e| e.to_string())?;
    }
    match line
        .trim()
        .strip_prefix("listening on ")
        .and_then(|a| a.parse().ok())
    {
        Some(listen) => Ok(Origin {
            name: name.to_owned(),
            listen,
            child,
            _stdin: stdin,
        }),
        None => {
            drop(child.wait());
            Err("it ended at once; its message is above".to_owned())
        }
    }
}

/// Reaps origins that end and says so; starts them again where asked.
fn watch(origins: Origins, over: Arc<AtomicBool>, restart: bool) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut known_dead: Vec<u32> = Vec::new();
        while !over.load(Ordering::Relaxed) {
            for origin in lock(&origins).iter_mut() {
                let pid = origin.child.id();
                let Ok(Some(status)) = origin.child.try_wait() else {
                    continue;
                };
                if known_dead.contains(&pid) {
                    continue;
                }
                known_dead.push(pid);
                tracing::warn!(origin = %origin.name, pid, "origin ended: {status}");
                if restart {
                    match start(&origin.name, origin.listen) {
                        Ok(again) => {
                            tracing::info!(origin = %again.name, pid = again.child.id(), "origin started again");
                            *origin = again;
                        }
                        Err(e) => tracing::warn!(origin = %origin.name, "not started again: {e}"),
                    }
                }
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    })
}

/// Ends all origins and waits for them.
fn end(origins: &Origins) {
    for origin in lock(origins).iter_mut() {
        // Fails only when it has ended already.
        drop(origin.child.kill());
        drop(origin.child.wait());
    }
}

/// The origins, also after a panic in another thread.
fn lock(origins: &Origins) -> std::sync::MutexGuard<'_, Vec<Origin>> {
    origins.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints what is up and what to try.
fn announce(ready: &Ready, origins: &[Origin]) {
    println!("{ready}");
    println!("\norigins (each a process of its own):");
    for o in origins {
        println!(
            "  {:<6} http://{:<18} pid {}",
            o.name,
            o.listen,
            o.child.id()
        );
    }
    let Some(dns) = ready.dns.iter().find(|a| a.is_ipv4()).or(ready.dns.first()) else {
        return;
    };
    let at = format!("@{} -p {}", dns.ip(), dns.port());
    println!("\ntry, in another terminal:");
    println!("  dig {at} www.gslb.example +subnet=192.0.2.0/24 +short      # a client in eu");
    println!("  dig {at} www.gslb.example +subnet=198.51.100.0/24 +short   # a client in us");
    println!("  dig {at} www.gslb.example +subnet=203.0.113.0/24 +short    # a client in ap");
    println!("why?");
    println!("  dig {at} TXT _explain.www.gslb.example +subnet=198.51.100.0/24 +short");
    if let Some(admin) = ready.admin {
        let program = program();
        let port = admin.port();
        let server = if port == 8053 {
            String::new()
        } else {
            format!(" --server http://{admin}")
        };
        println!("  {program} explain www.gslb.example --client 198.51.100.0/24{server}");
        println!("  curl 'http://{admin}/v1/explain?name=www.gslb.example&client=198.51.100.0/24'");
        println!(
            "  curl http://{admin}/v1/health     # /v1/openapi.json describes all of it; /metrics"
        );
        println!("see all of it, and steer:");
        println!("  http://{admin}/ui/     # in a browser");
        println!("  {program} status{server}");
        println!("  {program} drill fail region eu --for 30s --reason rehearsal --watch{server}");
    }
    let of = |region: &str| {
        let pids: Vec<String> = origins
            .iter()
            .filter(|o| o.name.starts_with(region))
            .map(|o| o.child.id().to_string())
            .collect();
        pids.join(" ")
    };
    println!("make a failure real: kill the origins of a region, dig again, ask why again:");
    println!(
        "  kill -9 {}    # eu is dead; its clients go to the next best region",
        of("eu-")
    );
    println!("\nCtrl-C ends everything.");
}

/// How this program can be called from here.
fn program() -> String {
    let Ok(exe) = std::env::current_exe() else {
        return "tradewind".to_owned();
    };
    let here = std::env::current_dir().unwrap_or_default();
    exe.strip_prefix(here).unwrap_or(&exe).display().to_string()
}
