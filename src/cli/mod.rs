//! The command line. Its exit codes stand in `docs/cli.md`: 0 done, 1 failed, 2 usage, 3 an order is in
//! force but not on every node, 4 a plan moves more clients than it may, 78 the configuration is wrong.
//! The command line. Exit codes: 0 done, 1 failed, 2 usage, 3 an order is in force but not on every
//! node, 4 a drill was aborted or rolled back, 78 the configuration is wrong.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line talks to a terminal"
)]

mod admin;
mod ask;
mod caches;
mod check;
mod credentials;
mod demo;
mod dnssec;
mod drill;
mod events;
mod expectations;
mod explain;
mod export;
mod fleet;
pub mod geoip;
mod health;
mod listen;
mod orders;
mod origin;
mod pages;
mod plan;
mod progress;
mod proxy;
#[cfg(test)]
mod reference;
mod reload;
mod route;
mod run;
mod say;
mod status;
mod table;
mod terminal;
mod traffic;
mod xdp;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

/// DNS-based global server load balancer with its own probes.
#[derive(Debug, Parser)]
#[command(version, about, disable_help_subcommand = true)]
struct Cli {
    /// Whether output is coloured.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "auto",
        value_name = "WHEN"
    )]
    color: terminal::Colour,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node of the fleet that the configuration describes.
    Run(RunArgs),
    /// Show how a node and its fleet stand, what is wrong first.
    Status(status::StatusArgs),
    /// Bring up a three-region world on loopback, with origins to kill.
    Demo(DemoArgs),
    /// Read a configuration and say all that is wrong with it. Exit code 78 when something is.
    Check {
        /// A TOML file, or a folder of them.
        path: PathBuf,
        /// Check as this node would start: with its certificate, which may be nowhere else.
        #[arg(long)]
        node: Option<String>,
        /// Treat warnings as errors.
        #[arg(long)]
        deny_warnings: bool,
        /// JSON instead of text: what it holds, and every problem with its place.
        #[arg(long)]
        json: bool,
    },
    /// Try what a configuration expects of its answers. Exit code 1 when it is broken, 78 when the
    /// configuration is wrong otherwise.
    Test(expectations::TestArgs),
    /// Ask a running node why a client gets the answer it gets.
    Explain(ExplainArgs),
    /// Show what happened: verdicts, orders, configurations, drills, members; with -f what happens.
    Events(events::EventsArgs),
    /// Let a node read its configuration again. Exit code 78 when it refuses it.
    Reload(reload::ReloadArgs),
    /// Say what another configuration would change in answers. Exit code 4 when more clients would be
    /// sent to another region than --max-shift allows.
    Plan(plan::PlanArgs),
    /// Say which route of a configuration takes a request, and why not the others.
    Route(RouteArgs),
    /// Say whether the node on this machine lives, or is ready; exit code 1 with the reason when not.
    Health(health::HealthArgs),
    /// Write the configuration of another program that works beside a node.
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// Send no new clients there; those connected may finish. Never comes back by the last resort.
    Drain(orders::OrderArgs),
    /// Take it out of service entirely. Never comes back by the last resort.
    Disable(orders::OrderArgs),
    /// End a drain, a disable or a force: probes decide again.
    Enable(orders::EnableArgs),
    /// Treat it as up or as down, whatever probes say.
    Force(orders::ForceArgs),
    /// The same as `force up`.
    #[command(hide = true)]
    ForceUp(orders::OrderArgs),
    /// The same as `force down`.
    #[command(hide = true)]
    ForceDown(orders::OrderArgs),
    /// Give it another weight.
    Weight(orders::WeightArgs),
    /// Let what passes its checks again and waits for its failback serve now.
    Failback(orders::OrderArgs),
    /// End the orders about an endpoint, pool, region or name.
    Clear(orders::ClearArgs),
    /// Give several orders as one: all of them or, when a rule would break, none.
    Switchover(orders::SwitchoverArgs),
    /// Let something fail or drain for a while, and see that others take over.
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// List the orders in force, with the real state beneath them.
    Overrides(ask::Via),
    /// Show what was ordered, changed and refused on all nodes, by whom, and what became of it.
    Audit(orders::AuditArgs),
    /// Make the tokens of the admin API.
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Show, roll and hand over the DNSSEC keys of signed zones.
    #[command(subcommand)]
    Dnssec(dnssec::DnssecCommand),
    /// Make and show the certificates of a fleet's nodes.
    #[command(subcommand)]
    Fleet(fleet::FleetCommand),
    /// Show the backends of a node's proxy, drain, weigh, add and remove them; purge its caches.
    #[command(subcommand)]
    Proxy(proxy::ProxyCommand),
    /// Build and ask GeoIP databases.
    #[command(subcommand)]
    Geoip(GeoipCommand),
    /// Write a script that lets a shell complete commands and options.
    Completions(pages::CompletionsArgs),
    /// Write manual pages.
    Man(pages::ManArgs),
    /// A sample HTTP origin: answers /healthz, and says its name everywhere else.
    Origin(OriginArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// A TOML file, or a folder of them.
    #[arg(long)]
    config: PathBuf,
    /// Which of the configuration's nodes this is.
    #[arg(long)]
    node: String,
    /// DNS port on all of the node's DNS addresses instead of the configured ones; 0 picks free ones.
    #[arg(long)]
    dns_port: Option<u16>,
    /// Admin port instead of the configured one; 0 picks a free one.
    #[arg(long)]
    admin_port: Option<u16>,
    /// State directory instead of the configured one.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Take over from the running process of the same node and state directory: its sockets come with
    /// what waits in them, no request is lost, and it ends. Without one it is a usual start.
    #[arg(long)]
    takeover: bool,
    /// Log as JSON, one object a line.
    #[arg(long)]
    log_json: bool,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// The demo's configuration.
    #[arg(long, default_value = "config/demo")]
    config: PathBuf,
    /// DNS port on both loopback addresses; 0 picks free ones.
    #[arg(long, default_value_t = 5300)]
    dns_port: u16,
    /// Admin port on 127.0.0.1; 0 picks a free one.
    #[arg(long, default_value_t = 8053)]
    admin_port: u16,
    /// Port of the sample origins on 127.1.0.x, 127.2.0.x, 127.3.0.x; 0 picks free ones.
    #[arg(long, default_value_t = 8080)]
    origin_port: u16,
    /// Start an origin again when it has ended.
    #[arg(long)]
    restart_origins: bool,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The steered name.
    name: String,
    /// The client: an address, or a network as it stands in EDNS Client Subnet.
    #[arg(long)]
    client: String,
    /// A, AAAA or HTTPS.
    #[arg(long = "type", default_value = "A")]
    qtype: String,
    /// The resolver that sends the network; decides where the network cannot.
    #[arg(long)]
    resolver: Option<String>,
    /// Replay this draw (hex, from an earlier explain).
    #[arg(long)]
    draw: Option<String>,
    /// As of this time: RFC 3339, or so long ago, such as -15m.
    #[arg(long, allow_hyphen_values = true)]
    at: Option<String>,
    #[command(flatten)]
    via: ask::Via,
}

#[derive(Debug, Args)]
struct RouteArgs {
    /// A TOML file, or a folder of them.
    #[arg(long)]
    config: PathBuf,
    /// Which of the configuration's nodes gets the request.
    #[arg(long)]
    node: String,
    /// Its method.
    method: String,
    /// Its URL; the path is taken as it is written.
    url: String,
    /// A header field, such as "X-Beta: 1".
    #[arg(short = 'H', long = "header")]
    headers: Vec<String>,
    /// The client. The default is 127.0.0.1.
    #[arg(long)]
    source: Option<IpAddr>,
    /// The listener that is reached. The default is the node's first one.
    #[arg(long)]
    listener: Option<String>,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum GeoipCommand {
    /// Make a MaxMind-format database of a CSV of own networks.
    Build {
        /// The CSV.
        csv: PathBuf,
        /// The database to write.
        out: PathBuf,
    },
    /// Say what is known of an address, and from where.
    Lookup {
        /// The address.
        address: IpAddr,
        /// Databases, first wins. The default is the demo's, seen from the root of the repository.
        #[arg(long = "database", default_value = "geoip/demo.mmdb")]
        databases: Vec<PathBuf>,
        /// CSV of own networks; wins over databases.
        #[arg(long)]
        networks: Option<PathBuf>,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct OriginArgs {
    /// Address to listen on; port 0 picks a free one.
    #[arg(long)]
    listen: SocketAddr,
    /// What it calls itself.
    #[arg(long)]
    name: String,
    /// End when standard input ends, so that it does not outlive who started it.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Runs the command line; the exit code.
pub fn main() -> ExitCode {
    // The TLS implementation of all that follows; fails only when one is chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    terminal::choose(cli.color);
    let serves = matches!(
        cli.command,
        Command::Run(_) | Command::Demo(_) | Command::Origin(_)
    );
    if !serves {
        crate::sys::pipe::end_with_the_reader();
    }
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Status(args) => status::status(&args),
        Command::Reload(args) => reload::reload(&args),
        Command::Completions(args) => pages::completions(&args, Cli::command()),
        Command::Man(args) => pages::man(&args, Cli::command()),
        Command::Check {
            path,
            node,
            deny_warnings,
            json,
        } => check::check(&path, node, deny_warnings, json),
        Command::Test(args) => expectations::test(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Events(args) => events::events(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Route(args) => route::route(&args),
        Command::Health(args) => health::health(&args),
        Command::Export(command) => export::export(&command),
        Command::Drain(args) => orders::order("drain", args),
        Command::Disable(args) => orders::order("disable", args),
        Command::Enable(args) => orders::enable(args),
        Command::Force(args) => orders::force(args),
        Command::ForceUp(args) => orders::order("force-up", args),
        Command::ForceDown(args) => orders::order("force-down", args),
        Command::Weight(args) => orders::weight(args),
        Command::Failback(args) => orders::order("failback", args),
        Command::Clear(args) => orders::clear(args),
        Command::Switchover(args) => orders::switchover(args),
        Command::Drill(command) => drill::run(command),
        Command::Overrides(via) => orders::list(&via),
        Command::Audit(args) => orders::audit(&args),
        Command::Admin(command) => admin::admin(&command),
        Command::Dnssec(command) => dnssec::dnssec(&command),
        Command::Fleet(command) => fleet::fleet(&command),
        Command::Proxy(command) => proxy::proxy(command),
        Command::Geoip(GeoipCommand::Build { csv, out }) => {
            done(geoip::build(&csv, &out).map(|()| format!("{} written", out.display())))
        }
        Command::Geoip(GeoipCommand::Lookup {
            address,
            databases,
            networks,
            json: false,
        }) => done(geoip::lookup(address, &databases, networks.as_deref())),
        Command::Geoip(GeoipCommand::Lookup {
            address,
            databases,
            networks,
            json: true,
        }) => done(
            geoip::lookup_json(address, &databases, networks.as_deref())
                .map(|json| format!("{json:#}")),
        ),
        Command::Origin(args) => origin::origin(&args),
    }
}

/// Prints what a finished command has to say.
fn done<T: std::fmt::Display, E: std::fmt::Display>(result: Result<T, E>) -> ExitCode {
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(e) => failed(e),
    }
}

/// Prints an error; exit code 1.
fn failed(e: impl std::fmt::Display) -> ExitCode {
    eprintln!("error: {e}");
    ExitCode::FAILURE
}

/// Prints a report of the configuration; exit code 78 (EX_CONFIG of sysexits.h).
fn config_refused(report: &crate::config::Report) -> ExitCode {
    eprint!("{}", report.render(terminal::colours_stderr()));
    ExitCode::from(78)
}

/// Sends log lines to standard error; `RUST_LOG` chooses which, default `info`.
fn start_logging(json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,h2=error"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal::colours_stderr());
    if json {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
    // A panic is a line of the log like any other. No backtrace is taken: that costs seconds, and a
    // DNS worker that caught one has queries to answer.
    let count = std::sync::atomic::AtomicU64::new(1);
    std::panic::set_hook(Box::new(move |info| {
        // Whoever finds a way to cause panics must not fill the disk with them.
        let times = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if times > 100 && !times.is_power_of_two() {
            return;
        }
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let what = text.or(payload.downcast_ref::<String>().map(String::as_str));
        let what = what.unwrap_or("no message");
        tracing::error!(place, times, "panic, a bug: {what}");
    }));
}
