//! The lines of a scenario.

use std::time::Duration;

use tradewind::health::{Guard, State, Verdict};

use super::world::{Finding, World};

/// Plays the lines; says which one is not as it should be.
pub(super) fn run(world: &mut World, script: &str) -> Result<(), String> {
    for (n, line) in script.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        step(world, line).map_err(|wrong| format!("line {}: `{line}`: {wrong}", n + 1))?;
    }
    Ok(())
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let n: f64 = digits.parse().map_err(|_| format!("no time: {text}"))?;
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("no unit: {other}")),
    };
    Ok(Duration::from_secs_f64(n * unit))
}

fn step(world: &mut World, line: &str) -> Result<(), String> {
    let (at, what) = line.split_once(char::is_whitespace).ok_or("no order")?;
    world.run_until(duration(at)?);
    let words: Vec<&str> = what.split_whitespace().collect();
    match words.as_slice() {
        ["cut", node, "from", whom @ ..] => world.cut(node, whom),
        ["heal", node] => world.heal(node),
        ["stop", node] => world.stop(node),
        ["start", node] => world.start(node, false),
        ["start", node, "warm"] => world.start(node, true),
        ["clock", node, jump] => {
            let (forward, by) = match jump.strip_prefix('-') {
                Some(by) => (false, by),
                None => (true, jump.trim_start_matches('+')),
            };
            world.jump(node, duration(by)?, forward)
        }
        ["release", endpoint] => world.release(endpoint),
        ["expect", node, endpoint, state, marks @ ..] => {
            let node = node.trim_end_matches(':');
            for (name, v) in world.verdicts(node, endpoint)? {
                fits(&v, state, marks).map_err(|wrong| format!("on {name}: {wrong}"))?;
            }
            Ok(())
        }
        ["ask", node, name, wanted @ ..] => {
            let name = name.trim_end_matches(':');
            for (node, got) in world.ask(node, name)? {
                let mut wanted: Vec<&str> = wanted.to_vec();
                wanted.sort_unstable();
                if got != wanted {
                    return Err(format!("{node} answers {got:?}"));
                }
            }
            Ok(())
        }
        ["changes", node, endpoint, "<=", most] => {
            let most: usize = most.parse().map_err(|_| "no number")?;
            for (node, count) in world.changes(node, endpoint)? {
                if count > most {
                    return Err(format!("{count} on {node}"));
                }
            }
            Ok(())
        }
        [endpoints @ .., "passes"] => world.finds(endpoints, Finding::Passes),
        [endpoints @ .., "fails"] => world.finds(endpoints, Finding::Fails),
        [endpoints @ .., "loses", percent] => {
            let percent = percent.trim_end_matches('%');
            let percent = percent.parse().map_err(|_| "no percentage")?;
            world.finds(endpoints, Finding::Loses(percent))
        }
        [endpoints @ .., "takes", time] => {
            let time = duration(time)?;
            world.finds(endpoints, Finding::Takes(time))
        }
        _ => Err("not understood".to_owned()),
    }
}

fn fits(v: &Verdict, state: &str, marks: &[&str]) -> Result<(), String> {
    let is = match v.state {
        State::Up => "up",
        State::Down => "down",
        State::Unknown { .. } => "unknown",
    };
    if is != state {
        return Err(format!("it is {v:?}"));
    }
    for mark in marks {
        let found = match *mark {
            "stale" => v.stale,
            "fresh" => !v.stale,
            "free" => v.held.is_none() && v.share == 100,
            "held" => v.held == Some(Guard::Brake),
            "suspect" => v.held == Some(Guard::Suspect),
            "hold" => matches!(v.held, Some(Guard::Hold { .. })),
            "flapping" => matches!(v.held, Some(Guard::Flapping { .. })),
            "manual" => v.held == Some(Guard::Manual),
            share => share == format!("{}%", v.share),
        };
        if !found {
            return Err(format!("not {mark}: {v:?}"));
        }
    }
    Ok(())
}
