//! `tradewind health`: whether the node on this machine is ready, for scripts that ask every second.
//!
//! No runtime and no HTTP library: a check that takes longer than what it checks is of no use.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::app::clock::RealClock;
use crate::app::readiness::SOCKET;
use crate::config::quantity::parse_duration;
use crate::time::{Clock as _, Moment};

/// Octets of an answer that are read at most.
const LONGEST: usize = 64 << 10;

/// What is asked, and of whom.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// Ask whether it is ready to carry traffic: started, listening, not stopping. Without it, only
    /// whether it lives.
    #[arg(long)]
    ready: bool,
    /// Also ask whether this upstream of the proxy has a backend that is usable; several times for
    /// several.
    #[arg(long, requires = "ready", value_name = "NAME")]
    upstream: Vec<String>,
    /// The node's admin API. The default is http://127.0.0.1:8053.
    #[arg(long, conflicts_with = "state_dir")]
    server: Option<String>,
    /// The node's state directory, whose socket answers on nodes without an admin API as well.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Longest wait for the whole answer.
    #[arg(long, default_value = "800ms", value_name = "DURATION")]
    timeout: String,
}

/// Asks; says in one line why not.
pub(super) fn health(args: &HealthArgs) -> ExitCode {
    match ask(args) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("not {}: {why}", if args.ready { "ready" } else { "alive" });
            ExitCode::FAILURE
        }
    }
}

fn ask(args: &HealthArgs) -> Result<String, String> {
    let timeout = parse_duration(&args.timeout)
        .filter(|t| *t > Duration::ZERO)
        .ok_or_else(|| format!("`{}` is no duration such as 800ms", args.timeout))?;
    let clock = RealClock::start();
    let until = Until {
        end: clock.now() + timeout,
        clock,
        timeout,
    };
    let server = args.server.as_deref().unwrap_or("http://127.0.0.1:8053");
    let (socket, host) = match &args.state_dir {
        Some(dir) => (local(&dir.join(SOCKET), &until)?, "localhost"),
        None => remote(server, &until)?,
    };
    let path = if args.ready { "/readyz" } else { "/livez" };
    let query = match args.upstream.join(",") {
        names if names.is_empty() => names,
        names => format!("?upstream={names}"),
    };
    if !query.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("`{query}` has names that no upstream can have"));
    }
    let request =
        format!("GET {path}{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = exchange(socket, request.as_bytes(), &until)?;
    read(&answer)
}

/// The end of all waiting.
struct Until {
    clock: RealClock,
    end: Moment,
    timeout: Duration,
}

impl Until {
    fn left(&self) -> Result<Duration, String> {
        let left = self.end.since(self.clock.now());
        if left.is_zero() {
            return Err(self.late());
        }
        Ok(left)
    }

    fn late(&self) -> String {
        format!("no answer within {} ms", self.timeout.as_millis())
    }
}

/// The socket in a state directory.
fn local(path: &Path, until: &Until) -> Result<Socket, String> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            format!("no node runs with {}", path.display())
        }
        // The queue of who waits is full.
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => until.late(),
        _ => format!("{}: {e}", path.display()),
    };
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    let address = SockAddr::unix(path).map_err(failed)?;
    socket
        .connect_timeout(&address, until.left()?)
        .map_err(failed)?;
    Ok(socket)
}

/// A connection to an admin API, and what to call it.
fn remote<'s>(server: &'s str, until: &Until) -> Result<(Socket, &'s str), String> {
    let host = server.strip_prefix("http://").unwrap_or(server);
    let host = host.strip_suffix('/').unwrap_or(host);
    let address: SocketAddr = host
        .to_socket_addrs()
        .ok()
        .and_then(|mut found| found.next())
        .ok_or_else(|| format!("`{server}` is no server such as http://127.0.0.1:8053"))?;
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("nothing listens on {address}"),
        std::io::ErrorKind::TimedOut => until.late(),
        _ => format!("{address}: {e}"),
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).map_err(failed)?;
    socket
        .connect_timeout(&address.into(), until.left()?)
        .map_err(failed)?;
    Ok((socket, host))
}

fn exchange(mut socket: Socket, request: &[u8], until: &Until) -> Result<Vec<u8>, String> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => until.late(),
        _ => e.to_string(),
    };
    socket
        .set_write_timeout(Some(until.left()?))
        .map_err(failed)?;
    socket.write_all(request).map_err(failed)?;
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    loop {
        socket
            .set_read_timeout(Some(until.left()?))
            .map_err(failed)?;
        match socket.read(&mut part).map_err(failed)? {
            0 => return Ok(answer),
            n => answer.extend_from_slice(&part[..n]),
        }
        if answer.len() > LONGEST {
            return Err("the answer has no end".to_owned());
        }
    }
}

/// What an HTTP answer says; an error unless its status is 200.
fn read(answer: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(answer);
    let no_http = || "what answers does not speak HTTP".to_owned();
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(no_http)?;
    let status = head
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1))
        .ok_or_else(no_http)?;
    if status == "200" {
        return Ok(body.trim_end().to_owned());
    }
    let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let detail = problem.and_then(|p| Some(p.get("detail")?.as_str()?.to_owned()));
    Err(detail.unwrap_or_else(|| format!("it answered with status {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_reasons_told() {
        let read = |text: &str| read(text.as_bytes());
        let ready = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n";
        assert_eq!(read(ready).unwrap(), "ready");
        let not = "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"detail\":\"it is stopping\"}";
        assert_eq!(read(not).unwrap_err(), "it is stopping");
        let other = "HTTP/1.1 404 Not Found\r\n\r\nnothing";
        assert_eq!(read(other).unwrap_err(), "it answered with status 404");
        for bad in ["", "SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 200 OK\r\n"] {
            assert_eq!(read(bad).unwrap_err(), "what answers does not speak HTTP");
        }
    }
}
