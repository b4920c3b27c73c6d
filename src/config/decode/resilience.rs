//! `[upstreams.NAME]`: what is done about backends that fail or are full.

use std::hash::Hash;
use std::time::Duration;

use crate::config::Marked;
use crate::config::diagnostic::Diagnostic;
use crate::config::quantity::show_duration;
use crate::health::backend::{
    BudgetRules, CircuitRules, Fault, FaultSet, InitialState, OutlierRules, PassiveRules, SlowStart,
};
use crate::traffic::{DrainSticky, QueueRules, Resilience, RetryRules};

use super::context::Context;
use super::reader::Reader;
use super::value::FromDatum;

/// What a backend that comes back gets at once, in percent of its share.
const FLOOR: u32 = 10;

/// All of it but the monitor, which is a reference.
pub(super) fn resilience(cx: &mut Context<'_>, r: &Reader<'_>) -> Resilience {
    let instead = Resilience::default();
    let passive = r.sub(cx, "passive");
    let max_ejected = passive.get_or(cx, "max-ejected", 0_u32).value;
    let early: Option<Marked<Duration>> = passive.get(cx, "early-close");
    let retries = r.sub(cx, "retries");
    let queue = r.sub(cx, "queue");
    let ramp: Option<Marked<Duration>> = r.get(cx, "slow-start");
    Resilience {
        monitor: None,
        initial: initial(cx, r),
        max_ejected,
        passive: passive_rules(cx, &passive),
        early_close: early.map(|d| d.value),
        panic_percent: r.get_or(cx, "panic-threshold", 0_u32).value,
        slow_start: ramp.map(|ramp| SlowStart {
            ramp: ramp.value,
            floor_percent: FLOOR,
        }),
        budget: BudgetRules {
            percent: retries.get_or(cx, "budget", 0_u32).value,
            per_second: retries.get_or(cx, "min-per-second", 0_u32).value,
        },
        retries: retry_rules(cx, &retries),
        circuit: r.has("circuit").then(|| {
            let circuit = r.sub(cx, "circuit");
            circuit_rules(cx, &circuit)
        }),
        max_requests: number(cx, r, "max-requests"),
        max_connections: number(cx, r, "max-connections"),
        queue: QueueRules {
            size: queue.get_or(cx, "size", instead.queue.size).value,
            timeout: queue.get_or(cx, "timeout", instead.queue.timeout).value,
        },
        drain_timeout: r.get_or(cx, "drain-timeout", instead.drain_timeout).value,
        drain_sticky: match r.get_or(cx, "drain-sticky", String::new()).value.as_str() {
            "move" => DrainSticky::Move,
            _ => DrainSticky::Keep,
        },
    }
}

pub(super) fn number(cx: &mut Context<'_>, r: &Reader<'_>, key: &str) -> Option<u32> {
    r.get(cx, key).map(|n: Marked<u32>| n.value)
}

fn initial(cx: &mut Context<'_>, r: &Reader<'_>) -> InitialState {
    match r.get_or(cx, "initial-state", String::new()).value.as_str() {
        "up" => InitialState::Up,
        "down" => InitialState::Down,
        _ => InitialState::Unknown,
    }
}

fn values<T: FromDatum + Eq + Hash + Clone>(
    cx: &mut Context<'_>,
    r: &Reader<'_>,
    key: &str,
) -> Option<Vec<T>> {
    let list: Vec<Marked<T>> = r.list(cx, key)?;
    Some(list.into_iter().map(|m| m.value).collect())
}

fn faults(cx: &mut Context<'_>, r: &Reader<'_>, instead: FaultSet) -> FaultSet {
    let Some(words) = values::<String>(cx, r, "on") else {
        return instead;
    };
    let fault = |word: &String| match word.as_str() {
        "connect" => Fault::Connect,
        "timeout" => Fault::Timeout,
        "reset" => Fault::Reset,
        "gateway" => Fault::Gateway,
        _ => Fault::Server,
    };
    words.iter().map(fault).fold(FaultSet::NONE, FaultSet::with)
}

fn passive_rules(cx: &mut Context<'_>, r: &Reader<'_>) -> Option<PassiveRules> {
    let instead = PassiveRules::default();
    let ejection = r.get_or(cx, "ejection-time", instead.ejection);
    let longest = r.get_or(cx, "max-ejection-time", instead.longest_ejection);
    if longest.value < ejection.value {
        cx.push(
            Diagnostic::error(
                longest.span,
                format!(
                    "{} is {}, less than `ejection-time`, which is {}",
                    r.name_of("max-ejection-time"),
                    show_duration(longest.value),
                    show_duration(ejection.value)
                ),
            )
            .related(ejection.span, "`ejection-time` is set here")
            .help("make it as long or longer"),
        );
    }
    let max_fails = r.get_or(cx, "max-fails", instead.max_fails).value;
    let outlier = r.has("outlier").then(|| {
        let o = r.sub(cx, "outlier");
        OutlierRules {
            percent: (o.get_or(cx, "slower-than", 0.0).value * 100.0).round() as u32,
            interval: o.get_or(cx, "interval", Duration::ZERO).value,
            min_requests: o.get_or(cx, "min-requests", 0_u32).value,
        }
    });
    let rules = PassiveRules {
        max_fails,
        fail_timeout: r.get_or(cx, "fail-timeout", instead.fail_timeout).value,
        counts: faults(cx, r, instead.counts),
        consecutive: r.get_or(cx, "consecutive", false).value,
        ejection: ejection.value,
        longest_ejection: longest.value,
        outlier,
    };
    (max_fails > 0 || rules.outlier.is_some()).then_some(rules)
}

/// `retries` of an upstream or a route.
pub(super) fn retry_rules(cx: &mut Context<'_>, r: &Reader<'_>) -> RetryRules {
    let instead = RetryRules::default();
    let on: Vec<String> = values(cx, r, "on").unwrap_or_default();
    let has = |word: &str| on.iter().any(|w| w == word);
    RetryRules {
        attempts: r.get_or(cx, "attempts", instead.attempts).value,
        on_connect: has("connect"),
        on_reset: has("reset"),
        on_timeout: has("timeout"),
        on_status: values(cx, r, "on-status").unwrap_or_default(),
        undone_status: values(cx, r, "undone-status").unwrap_or_default(),
        keep_body: r.get_or(cx, "keep-body", instead.keep_body).value,
    }
}

fn circuit_rules(cx: &mut Context<'_>, r: &Reader<'_>) -> CircuitRules {
    let instead = CircuitRules::default();
    CircuitRules {
        failure_percent: r.get_or(cx, "failures", instead.failure_percent).value,
        min_requests: r.get_or(cx, "min-requests", instead.min_requests).value,
        window: r.get_or(cx, "window", instead.window).value,
        open: r.get_or(cx, "open-for", instead.open).value,
        trials: r.get_or(cx, "trials", instead.trials).value,
        counts: faults(cx, r, instead.counts),
    }
}
