//! `tradewind dnssec …`: the keys of signed zones, as the state directory has them.

mod ds;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::app::clock::RealClock;
use crate::app::keeper::request::{Ordered, Request, order};
use crate::app::keeper::store::Store;
use crate::app::load::{Wanted, load_all};
use crate::compile::SignedZone;
use crate::config::overlay::Overlay;
use crate::dns::name::WireName;
use crate::dnssec::Role;
use crate::dnssec::rollover::ZoneState;
use crate::time::Clock as _;

/// What can be asked and ordered.
#[derive(Debug, Subcommand)]
pub(super) enum DnssecCommand {
    /// Show the keys of signed zones, where each is in its life, and what happens next.
    Status {
        /// Only this zone.
        zone: Option<String>,
        #[command(flatten)]
        place: Place,
        /// How far ahead the schedule looks.
        #[arg(long, default_value = "400d", value_parser = duration)]
        ahead: Duration,
        /// JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Print the DS records for the parent zone.
    Ds {
        /// The zone.
        zone: String,
        #[command(flatten)]
        place: Place,
        /// JSON instead of a part of a zone file.
        #[arg(long)]
        json: bool,
    },
    /// Start a roll-over now, whatever the schedule says.
    Roll {
        /// The zone.
        zone: String,
        /// Which key; may be left out where the zone has one role only.
        #[arg(value_parser = role)]
        key: Option<Role>,
        #[command(flatten)]
        place: Place,
    },
    /// Say that the parent's DS set is now what `tradewind dnssec ds` prints, on all its servers.
    DsSeen {
        /// The zone.
        zone: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the configuration and the state are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// A TOML file, or a folder of them.
    #[arg(long)]
    config: PathBuf,
    /// The node whose state directory it is.
    #[arg(long, required_unless_present = "state_dir")]
    node: Option<String>,
    /// State directory instead of the configured one.
    #[arg(long)]
    state_dir: Option<PathBuf>,
}

fn role(word: &str) -> Result<Role, String> {
    Role::from_word(word).ok_or_else(|| "one of ksk, zsk, csk is wanted".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::config::quantity::parse_duration(text)
        .ok_or_else(|| "a duration such as 400d is wanted".to_owned())
}

/// The zones and their state directory.
struct Signed {
    zones: Vec<SignedZone>,
    state_dir: PathBuf,
    now: u64,
}

impl Signed {
    fn load(place: &Place) -> Result<Signed, ExitCode> {
        let wanted = Wanted {
            config: place.config.clone(),
            node: place.node.clone(),
            overlay: Overlay {
                state_dir: place.state_dir.clone(),
                ..Overlay::default()
            },
        };
        let loaded = load_all(&wanted).map_err(|report| super::config_refused(&report))?;
        let of_node = loaded.compiled.node.and_then(|n| n.state_dir);
        let Some(state_dir) = place.state_dir.clone().or(of_node) else {
            return Err(super::failed(format!(
                "node `{}` has no `state-dir`; say it in the configuration or with --state-dir",
                place.node.as_deref().unwrap_or_default()
            )));
        };
        let clock = RealClock::start();
        Ok(Signed {
            zones: loaded.compiled.signed,
            state_dir,
            now: clock.wall().unix(clock.now()),
        })
    }

    fn zone(&self, name: &str) -> Result<&SignedZone, ExitCode> {
        let apex = name.parse::<WireName>();
        let found = self.zones.iter().find(|z| apex.as_ref() == Ok(&z.apex));
        found.ok_or_else(|| {
            let names: Vec<String> = self.zones.iter().map(|z| format!("`{}`", z.apex)).collect();
            super::failed(match &names[..] {
                [] => format!("zone `{name}` is not signed; no zone of the configuration is"),
                names => format!(
                    "zone `{name}` is not signed; signed are {}",
                    names.join(", ")
                ),
            })
        })
    }

    fn state(&self, zone: &SignedZone) -> Result<ZoneState, ExitCode> {
        match Store::new(&self.state_dir).load(&zone.apex) {
            Ok(Some(state)) => Ok(state),
            Ok(None) => Err(super::failed(format!(
                "zone `{}` has no keys in `{}` yet; they are made when the node starts",
                zone.apex,
                self.state_dir.display()
            ))),
            Err(e) => Err(super::failed(e)),
        }
    }
}

/// Runs the command; the exit code.
pub(super) fn dnssec(command: &DnssecCommand) -> ExitCode {
    let result = match command {
        DnssecCommand::Status {
            zone,
            place,
            ahead,
            json,
        } => status::status(zone.as_deref(), place, *ahead, *json),
        DnssecCommand::Ds { zone, place, json } => ds::ds(zone, place, *json),
        DnssecCommand::Roll { zone, key, place } => roll(zone, *key, place),
        DnssecCommand::DsSeen { zone, place } => Signed::load(place).and_then(|signed| {
            let zone = signed.zone(zone)?;
            carry_out(&signed, zone, Request::DsSeen)
        }),
    };
    result.map_or_else(|code| code, |()| ExitCode::SUCCESS)
}

fn roll(zone: &str, key: Option<Role>, place: &Place) -> Result<(), ExitCode> {
    let signed = Signed::load(place)?;
    let zone = signed.zone(zone)?;
    let role = match (key, zone.policy.layout.roles()) {
        (Some(role), _) => role,
        (None, [only]) => *only,
        (None, roles) => {
            let words: Vec<&str> = roles.iter().map(|r| r.word()).collect();
            return Err(super::failed(match &words[..] {
                [] => format!(
                    "zone `{}` is on its way to unsigned; nothing rolls",
                    zone.apex
                ),
                words => format!(
                    "zone `{}` has several keys; say which to roll: {}",
                    zone.apex,
                    words.join(" or ")
                ),
            }));
        }
    };
    carry_out(&signed, zone, Request::Roll(role))
}

fn carry_out(signed: &Signed, zone: &SignedZone, request: Request) -> Result<(), ExitCode> {
    match order(&signed.state_dir, zone, request, signed.now) {
        Ok(Ordered::Taken) => println!("the node has taken the order"),
        Ok(Ordered::Done) => println!("done; no node runs on this state directory"),
        Ok(Ordered::Waits(file)) => println!(
            "the node has not taken the order yet; it waits in `{}`",
            file.display()
        ),
        Err(e) => return Err(super::failed(e)),
    }
    let state = signed.state(zone)?;
    print!(
        "{}",
        status::text(zone, &state, signed.now, Duration::from_secs(400 * 86_400))
    );
    Ok(())
}
