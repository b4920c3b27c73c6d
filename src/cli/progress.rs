//! Progress of long work: on standard error, and only where that is a terminal.
//!
//! A pipe or a log file gets nothing, so that what a script reads is the result alone.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::terminal;

/// Drawn at most so often a second.
const DRAWN: u8 = 10;

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// Something under way. It vanishes when it is dropped.
#[derive(Debug)]
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Work whose end is not known: a spinner with the words.
    pub(super) fn spinner(what: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(None, target());
        bar.set_style(style(
            "{spinner} {msg} {elapsed}",
            "{spinner:.cyan} {msg} {elapsed:.dim}",
        ));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(TURN);
        Progress(bar)
    }

    /// Work of so many steps: a bar, how many of them are done, and how long the rest may take.
    pub(super) fn bar(what: &str) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(0), target());
        bar.set_style(style(
            "{msg} [{bar:30}] {human_pos}/{human_len} {eta}",
            "{msg} [{bar:30.cyan}] {human_pos}/{human_len} {eta:.dim}",
        ));
        bar.set_message(what.to_owned());
        Progress(bar)
    }

    /// So many steps are done of so many.
    pub(super) fn set(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn target() -> ProgressDrawTarget {
    match std::io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr_with_hz(DRAWN),
        false => ProgressDrawTarget::hidden(),
    }
}

fn style(plain: &str, coloured: &str) -> ProgressStyle {
    let template = match terminal::colours_stderr() {
        true => coloured,
        false => plain,
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_understood_and_nothing_is_drawn_into_a_pipe() {
        for template in [
            "{spinner:.cyan} {msg} {elapsed:.dim}",
            "{msg} [{bar:30.cyan}] {human_pos}/{human_len} {eta:.dim}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
        let bar = Progress::bar("probing");
        bar.set(2, 3);
        assert_eq!((bar.0.position(), bar.0.length()), (2, Some(3)));
        let hidden = !std::io::stderr().is_terminal();
        assert_eq!(bar.0.is_hidden(), hidden);
        drop(bar);
        drop(Progress::spinner("reading"));
    }
}
