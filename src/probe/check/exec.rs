//! The check by a command: passes when it ends with code 0.
//!
//! The command runs without a shell, with an environment of its own, in a process group of its own
//! that is killed whole when the run ends, however it ends: at the timeout, at a reload that removes
//! it, or with children left behind. A process that leaves its group (`setsid`) gets away.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::expect::shown;
use crate::health::{ExecCheck, Failure, Monitor};
use crate::time::Clock;

/// Commands that run at once, at most, in the whole process.
const AT_ONCE: usize = 16;
static RUNNING: Semaphore = Semaphore::const_new(AT_ONCE);

/// Where commands find programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Once the command has ended and its group is killed its output ends too, unless a process got away
/// with it.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// One target's check by a command.
#[derive(Debug)]
pub struct ExecProbe {
    check: ExecCheck,
    addr: SocketAddr,
    monitor: Box<str>,
    timeout: Duration,
}

impl ExecProbe {
    /// The check `check` of `monitor` for the target `addr`.
    pub fn new(check: &ExecCheck, monitor: &Monitor, addr: SocketAddr) -> ExecProbe {
        ExecProbe {
            check: check.clone(),
            addr,
            monitor: monitor.name.clone(),
            timeout: monitor.timeout,
        }
    }

    /// Runs the command once; gives the time it took.
    ///
    /// # Errors
    /// With the first line of its output when it ends otherwise than with code 0;
    /// [`Failure::Unable`] when it cannot be started or too many others run.
    pub async fn run(&self, clock: &dyn Clock) -> Result<Duration, Failure> {
        let begun = clock.now();
        if let Ok(turn) = RUNNING.try_acquire() {
            self.run_now(turn).await?;
            return Ok(begun.until(clock.now()));
        }
        let busy = |what: &str| {
            Failure::Unable(format!(
                "{AT_ONCE} commands of monitors already run; {what}"
            ))
        };
        let turn = tokio::time::timeout(self.timeout / 2, RUNNING.acquire())
            .await
            .map_err(|_| busy("this one got no turn"))?
            .map_err(|_| busy("no more are started"))?;
        let start = clock.now();
        // A little before the caller's limit, which would count against the target.
        let left = self.timeout.saturating_sub(begun.until(start)) * 9 / 10;
        tokio::time::timeout(left, self.run_now(turn))
            .await
            .map_err(|_| busy("this one had to wait and did not end in time"))??;
        Ok(start.until(clock.now()))
    }

    async fn run_now(&self, _turn: SemaphorePermit<'_>) -> Result<(), Failure> {
        let (mut child, mut group, mut output) = self.start()?;
        let mut text = Vec::new();
        let mut open = true;
        let status = loop {
            tokio::select! {
                read = output.read_buf(&mut text), if open => {
                    open = read.is_ok_and(|n| n > 0);
                    self.bound(&text)?;
                }
                status = child.wait() => break status,
            }
        };
        // The leader is gone and its number free, but nobody else gets that of a group which lives.
        group.kill();
        let status = status.map_err(|e| Failure::Unable(format!("lost its command: {e}")))?;
        let rest = async {
            while open && output.read_buf(&mut text).await.is_ok_and(|n| n > 0) {
                self.bound(&text)?;
            }
            Ok(())
        };
        tokio::time::timeout(LAST_WORDS, rest)
            .await
            .unwrap_or(Ok(()))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::Unexpected(words(status, &text)))
    }

    fn bound(&self, text: &[u8]) -> Result<(), Failure> {
        if text.len() <= self.check.max_output {
            return Ok(());
        }
        Err(Failure::Unexpected(format!(
            "the command wrote more than the {} octets of `max-output`: {}",
            self.check.max_output,
            first_line(text)
        )))
    }

    fn start(&self) -> Result<(Child, Group, Receiver), Failure> {
        let unable = |e: std::io::Error| {
            let program = self.check.command.first().map_or("", |p| p);
            Failure::Unable(format!("cannot start `{program}`: {e}"))
        };
        let (reader, writer) = std::io::pipe().map_err(unable)?;
        let output = Receiver::from_owned_fd(reader.into()).map_err(unable)?;
        let (program, arguments) = self
            .check
            .command
            .split_first()
            .ok_or_else(|| Failure::Unable("there is no command".to_owned()))?;
        let mut command = Command::new(&**program);
        command
            .args(arguments.iter().map(|a| &**a))
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("TRADEWIND_ADDRESS", self.addr.ip().to_string())
            .env("TRADEWIND_MONITOR", &*self.monitor)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(unable)?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true);
        if self.addr.port() != 0 {
            command.env("TRADEWIND_PORT", self.addr.port().to_string());
        }
        let child = command.spawn().map_err(unable)?;
        let pid = child.id().and_then(|id| Pid::from_raw(id as i32));
        // Our ends for writing are closed with the command, so that the output can end.
        drop(command);
        Ok((child, Group(pid), output))
    }
}

/// A process group that lives no longer than this.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(pid) = self.0.take() {
            // There may be nobody left in it.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn first_line(text: &[u8]) -> String {
    let lines = text.split(|octet| *octet == b'\n');
    let spoken = |line: &&[u8]| !line.trim_ascii().is_empty();
    match lines.map(<[u8]>::trim_ascii).find(spoken) {
        Some(line) => match std::str::from_utf8(line) {
            Ok(line) => line.chars().filter(|c| !c.is_control()).take(200).collect(),
            Err(_) => shown(line),
        },
        None => "no output".to_owned(),
    }
}

/// How the command ended, in words.
fn words(status: ExitStatus, output: &[u8]) -> String {
    use std::os::unix::process::ExitStatusExt;
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    };
    format!("{how}: {}", first_line(output))
}

#[cfg(test)]
mod tests;
