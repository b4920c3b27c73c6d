//! `tradewind admin token`: makes the tokens of the admin API.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use ring::rand::{SecureRandom, SystemRandom};

use crate::app::clock::RealClock;
use crate::config::quantity::parse_duration;
use crate::net::Prefix;
use crate::time::{Clock as _, utc};

/// What every token begins with, so that programs that look for leaked secrets find it.
const PREFIX: &str = "tradewind_";

/// What can be made.
#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Make a token: it is printed once and kept nowhere; its hash goes into the configuration.
    Token {
        /// Whose it is; the audit record calls its holder so.
        #[arg(value_parser = name)]
        name: String,
        /// viewer, operator or admin.
        #[arg(long, default_value = "viewer", value_parser = ["viewer", "operator", "admin"])]
        role: String,
        /// How long it is valid, such as 90d.
        #[arg(long, value_name = "DURATION", default_value = "90d")]
        expires: String,
        /// A network that it may be used from; may be given several times. Without it: anywhere.
        #[arg(long, value_name = "NETWORK")]
        from: Vec<Prefix>,
        /// Write the token to this file, which nobody else can read, instead of printing it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command; the exit code.
pub(super) fn admin(command: &AdminCommand) -> ExitCode {
    let clock = RealClock::start();
    let AdminCommand::Token {
        name,
        role,
        expires,
        from,
        out,
        json,
    } = command;
    let made = parse_duration(expires)
        .filter(|d| d.as_secs() > 0)
        .ok_or_else(|| format!("--expires `{expires}` is no duration such as 90d or 12h"))
        .and_then(|lasts| {
            let ends = clock.wall().unix(clock.now()) + lasts.as_secs();
            let token = token()?;
            let lines = lines(name, &token, role, ends, from);
            told(&token, lines, out.as_deref(), *json)
        });
    super::done(made)
}

/// A token of 256 random bits.
fn token() -> Result<String, String> {
    let mut octets = [0; 32];
    SystemRandom::new()
        .fill(&mut octets)
        .map_err(|_| "the system has no randomness".to_owned())?;
    Ok(format!(
        "{PREFIX}{}",
        data_encoding::HEXLOWER.encode(&octets)
    ))
}

/// What goes into the configuration.
fn lines(name: &str, token: &str, role: &str, ends: u64, from: &[Prefix]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, token.as_bytes());
    let hash = data_encoding::HEXLOWER.encode(hash.as_ref());
    let mut text = format!(
        "[admin.tokens.{name}]\nhash = \"sha256:{hash}\"\nrole = \"{role}\"\nexpires = \"{}\"",
        utc::show(ends)
    );
    if !from.is_empty() {
        let from: Vec<String> = from.iter().map(|p| format!("\"{p}\"")).collect();
        // Writing to a String cannot fail.
        let _ = write!(text, "\nfrom = [{}]", from.join(", "));
    }
    text
}

fn told(token: &str, lines: String, out: Option<&Path>, json: bool) -> Result<String, String> {
    let Some(file) = out else {
        if json {
            return Ok(format!(
                "{:#}",
                serde_json::json!({ "token": token, "configuration": lines })
            ));
        }
        return Ok(format!(
            "{token}\n\n# The token is above, and nowhere else. Add this to the configuration of every \
             node, and reload:\n{lines}"
        ));
    };
    let made = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut f| writeln!(f, "{token}"));
    made.map_err(|e| format!("cannot write `{}`: {e}", file.display()))?;
    Ok(match json {
        true => format!("{:#}", serde_json::json!({ "configuration": lines })),
        false => lines,
    })
}

/// A name as the configuration takes it.
fn name(text: &str) -> Result<String, String> {
    let fits = (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    fits.then(|| text.to_owned())
        .ok_or_else(|| "a name has letters, digits, `-` and `_`, at most 63".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_a_token_is_256_bits_and_only_its_hash_is_to_be_pasted() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), PREFIX.len() + 64);
        let from = [
            "192.0.2.0/24".parse().unwrap(),
            "2001:db8::/32".parse().unwrap(),
        ];
        let text = lines("ci", "tradewind_00", "operator", 1_767_225_600, &from);
        assert_eq!(
            text,
            "[admin.tokens.ci]\n\
             hash = \"sha256:027991157591e8fa5452119a6ed79a1d74a6c9d30c32dd73f3af573f3dfca5e7\"\n\
             role = \"operator\"\n\
             expires = \"2026-01-01T00:00:00Z\"\n\
             from = [\"192.0.2.0/24\", \"2001:db8::/32\"]"
        );
    }

    #[test]
    fn s1_a_token_file_is_its_owners_alone_and_overwrites_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        let said = told("tradewind_00", "lines".to_owned(), Some(&file), false).unwrap();
        assert_eq!(said, "lines");
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "tradewind_00\n");
        assert!(told("x", String::new(), Some(&file), false).is_err());
    }
}
