//! What is written to: a terminal or not, how wide it is, and whether it gets colour.
//!
//! Colour is where a terminal is, unless `NO_COLOR` is set to something (<https://no-color.org>);
//! `--color always` and `--color never` win over both.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// A terminal that does not say its width is taken to have this many columns.
const USUAL_WIDTH: usize = 80;

/// Whether output is coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(super) enum Colour {
    /// Where a terminal is and NO_COLOR is not set.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// What `--color` said; one command line is one process.
static WISH: OnceLock<Colour> = OnceLock::new();

/// Takes note of what `--color` said.
pub(super) fn choose(colour: Colour) {
    // Said once, at the start.
    let _ = WISH.set(colour);
}

/// How something is to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Look {
    /// Whether colours are written.
    pub(super) colour: bool,
    /// Columns that there are; `None`: no line is too long.
    pub(super) width: Option<usize>,
}

impl Look {
    /// For what goes to standard output.
    pub(super) fn of_stdout() -> Look {
        let out = std::io::stdout();
        Look {
            colour: colours(out.is_terminal()),
            width: out.is_terminal().then(|| width_of(&out)),
        }
    }
}

/// Whether standard error gets colours.
pub(super) fn colours_stderr() -> bool {
    colours(std::io::stderr().is_terminal())
}

fn colours(is_terminal: bool) -> bool {
    let wish = WISH.get().copied().unwrap_or_default();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    decide(wish, is_terminal, no_color || dumb)
}

fn decide(wish: Colour, is_terminal: bool, refused: bool) -> bool {
    match wish {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => is_terminal && !refused,
    }
}

fn width_of(terminal: impl std::os::fd::AsFd) -> usize {
    let size = rustix::termios::tcgetwinsize(terminal);
    let width = size.map_or(0, |s| usize::from(s.ws_col));
    if width == 0 { USUAL_WIDTH } else { width }
}

/// What a text means, for its colour. Colour never says anything that the words do not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Tone {
    /// Nothing particular.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Not as it should be, but it works.
    Doubtful,
    /// Broken.
    Bad,
    /// Of lesser weight.
    Faint,
    /// A heading.
    Head,
}

impl Tone {
    fn style(self) -> Style {
        let of = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Tone::Plain => Style::new(),
            Tone::Good => of(AnsiColor::Green),
            Tone::Doubtful => of(AnsiColor::Yellow),
            Tone::Bad => of(AnsiColor::Red).bold(),
            Tone::Faint => Style::new().dimmed(),
            Tone::Head => Style::new().bold(),
        }
    }

    /// The text in the tone's colour, or as it is.
    pub(super) fn paint(self, text: &str, colour: bool) -> String {
        if !colour || self == Tone::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

/// Between two looks at something that a person watches.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is waited for: the next picture is due after this time"
)]
pub(super) fn pause(length: std::time::Duration) {
    std::thread::sleep(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_where_a_terminal_is_unless_it_is_refused_or_asked_for() {
        assert!(decide(Colour::Auto, true, false));
        assert!(!decide(Colour::Auto, true, true), "NO_COLOR");
        assert!(!decide(Colour::Auto, false, false), "a pipe");
        assert!(decide(Colour::Always, false, true));
        assert!(!decide(Colour::Never, true, false));
    }

    #[test]
    fn paint_ends_where_it_began() {
        assert_eq!(Tone::Good.paint("up", false), "up");
        assert_eq!(Tone::Plain.paint("up", true), "up");
        let painted = Tone::Good.paint("up", true);
        assert!(
            painted.starts_with("\u{1b}[32m") && painted.ends_with("\u{1b}[0m"),
            "{painted:?}"
        );
    }
}
