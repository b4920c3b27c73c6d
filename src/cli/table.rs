//! Tables for people: a heading, columns as wide as they must be, numbers at the right.
//!
//! On a terminal the last column of text is wrapped where the line ends; elsewhere a row is a line,
//! whatever its length, so that `grep` and `awk` see all of it.

use unicode_width::UnicodeWidthStr as _;

use super::terminal::{Look, Tone};

/// Spaces between two columns.
const GAP: usize = 2;

/// A wrapped column is never narrower than this; rather the terminal breaks the line.
const NARROWEST: usize = 16;

/// A column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Column {
    heading: &'static str,
    right: bool,
}

impl Column {
    /// A column of words, at the left.
    pub(super) const fn text(heading: &'static str) -> Column {
        Column {
            heading,
            right: false,
        }
    }

    /// A column of numbers, at the right.
    pub(super) const fn number(heading: &'static str) -> Column {
        Column {
            heading,
            right: true,
        }
    }
}

/// What stands in one place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// The cell in a tone.
    #[must_use]
    pub(super) fn toned(mut self, tone: Tone) -> Cell {
        self.tone = tone;
        self
    }
}

impl<T: std::fmt::Display> From<T> for Cell {
    fn from(content: T) -> Cell {
        // What comes from the network must not steer the terminal.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        Cell {
            text: content.to_string().chars().map(plain).collect(),
            tone: Tone::Plain,
        }
    }
}

/// A table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    indent: usize,
}

impl Table {
    /// An empty table.
    pub(super) fn new(columns: &[Column]) -> Table {
        Table {
            columns: columns.to_vec(),
            rows: Vec::new(),
            indent: 0,
        }
    }

    /// All of it this many columns to the right.
    #[must_use]
    pub(super) fn indented(mut self, by: usize) -> Table {
        self.indent = by;
        self
    }

    /// Adds a row. Cells that are missing are empty; there are no more than columns.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().take(self.columns.len()).collect();
        self.rows.push(cells);
    }

    /// Whether it has no row.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, each with its end; none without a row. A column in which every row is empty is left
    /// out.
    pub(super) fn text(&self, look: Look) -> String {
        let mut out = String::new();
        if self.rows.is_empty() {
            return out;
        }
        let shown: Vec<usize> = (0..self.columns.len())
            .filter(|i| self.rows.iter().any(|r| !cell(r, *i).text.is_empty()))
            .collect();
        let widths = self.widths(&shown, look);
        let heading: Vec<Cell> = self
            .columns
            .iter()
            .map(|c| Cell::from(c.heading).toned(Tone::Head))
            .collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            self.line(&mut out, row, &shown, &widths, look.colour);
        }
        out
    }

    /// How wide each shown column is; the last one no wider than what is left.
    fn widths(&self, shown: &[usize], look: Look) -> Vec<usize> {
        let mut widths: Vec<usize> = shown
            .iter()
            .map(|i| {
                let cells = self.rows.iter().map(|r| cell(r, *i).text.width());
                let heading = self.columns.get(*i).map_or(0, |c| c.heading.width());
                cells.fold(heading, usize::max)
            })
            .collect();
        let before: usize =
            self.indent + widths.iter().rev().skip(1).map(|w| w + GAP).sum::<usize>();
        let last_is_text = shown
            .last()
            .and_then(|i| self.columns.get(*i))
            .is_some_and(|c| !c.right);
        if let (Some(width), Some(last), true) = (look.width, widths.last_mut(), last_is_text) {
            *last = (*last).min(width.saturating_sub(before).max(NARROWEST));
        }
        widths
    }

    fn line(
        &self,
        out: &mut String,
        row: &[Cell],
        shown: &[usize],
        widths: &[usize],
        colour: bool,
    ) {
        let mut line = " ".repeat(self.indent);
        let mut before = self.indent;
        let mut rest = Vec::new();
        for (n, (i, width)) in shown.iter().zip(widths).enumerate() {
            let cell = cell(row, *i);
            let right = self.columns.get(*i).is_some_and(|c| c.right);
            let is_last = n + 1 == shown.len();
            let mut parts = match is_last && !right {
                true => wrapped(&cell.text, *width),
                false => vec![cell.text.clone()],
            };
            rest = parts.split_off(1);
            let text = parts.remove(0);
            let room = " ".repeat(width.saturating_sub(text.width()));
            let painted = cell.tone.paint(&text, colour);
            match right {
                true => line.extend([room, painted]),
                false => line.extend([painted, room]),
            }
            if !is_last {
                line.push_str(&" ".repeat(GAP));
                before += width + GAP;
            } else {
                let tone = cell.tone;
                rest = rest.iter().map(|t| tone.paint(t, colour)).collect();
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
        for more in rest {
            out.push_str(&" ".repeat(before));
            out.push_str(&more);
            out.push('\n');
        }
    }
}

fn cell(row: &[Cell], at: usize) -> Cell {
    row.get(at).cloned().unwrap_or_default()
}

/// The text in lines of at most this width, broken at spaces; never empty.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.width() + 1 + word.width() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// `1 zone`, `2 zones`.
pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Octets for people: `17 B`, `4.0 KiB`, `1.5 GiB`.
pub(super) fn octets(n: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A span for people: `9 s`, `12 min`, `3 h`, `4 d`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: Look = Look {
        colour: false,
        width: None,
    };

    fn sample() -> Table {
        let mut table = Table::new(&[
            Column::text("endpoint"),
            Column::number("rtt ms"),
            Column::text("order"),
            Column::text("cause"),
        ]);
        table.row([
            "eu-1".into(),
            "9.50".into(),
            "".into(),
            "3 of 3 vantages".into(),
        ]);
        let bad = Cell::from("no answer within 2 s on any of the three last tries");
        table.row([
            "asia-pacific-1".into(),
            "120.00".into(),
            "".into(),
            bad.toned(Tone::Bad),
        ]);
        table
    }

    #[test]
    fn numbers_stand_at_the_right_and_empty_columns_are_left_out() {
        assert_eq!(
            sample().text(PLAIN),
            "endpoint        rtt ms  cause\n\
             eu-1              9.50  3 of 3 vantages\n\
             asia-pacific-1  120.00  no answer within 2 s on any of the three last tries\n"
        );
        assert_eq!(Table::new(&[Column::text("a")]).text(PLAIN), "");
    }

    #[test]
    fn on_a_terminal_the_last_column_is_wrapped() {
        let look = Look {
            width: Some(48),
            ..PLAIN
        };
        assert_eq!(
            sample().text(look),
            "endpoint        rtt ms  cause\n\
             eu-1              9.50  3 of 3 vantages\n\
             asia-pacific-1  120.00  no answer within 2 s on\n\
             \x20                       any of the three last\n\
             \x20                       tries\n"
        );
    }

    #[test]
    fn wide_characters_and_colours_keep_columns_straight() {
        let mut table = Table::new(&[Column::text("name"), Column::text("state")]);
        table.row(["東京".into(), Cell::from("up").toned(Tone::Good)]);
        table.row(["fra\u{1b}[31m".into(), "down".into()]);
        assert_eq!(
            table.text(PLAIN),
            "name      state\n東京      up\nfra [31m  down\n"
        );
        let painted = table.text(Look {
            colour: true,
            ..PLAIN
        });
        assert!(painted.contains("\u{1b}[32mup\u{1b}[0m"), "{painted:?}");
        assert!(!painted.contains("\u{1b}[31m"), "not from the data");
    }

    #[test]
    fn sizes_and_spans_are_for_people() {
        let sizes = [0, 1023, 1024, 1_048_575, 1_048_576, 1 << 40].map(octets);
        assert_eq!(
            sizes,
            ["0 B", "1023 B", "1.0 KiB", "1.0 MiB", "1.0 MiB", "1.0 TiB"]
        );
        let spans = [0, 119, 120, 7200, 200_000].map(span);
        assert_eq!(spans, ["0 s", "119 s", "2 min", "2 h", "2 d"]);
        assert_eq!(
            [counted(1, "zone"), counted(2, "zone")],
            ["1 zone", "2 zones"]
        );
    }

    proptest! {
        /// No line of a table on a terminal is longer than the terminal, as long as words and the
        /// other columns leave room; and no word is lost.
        #[test]
        fn wrapping_loses_nothing(words in prop::collection::vec("[a-z]{1,12}", 1..20), width in 40usize..120) {
            let mut table = Table::new(&[Column::text("a"), Column::text("b")]);
            table.row(["key".into(), words.join(" ").into()]);
            let text = table.text(Look { colour: false, width: Some(width) });
            prop_assert!(text.lines().all(|l| l.width() <= width), "{text}");
            let found: Vec<&str> = text.split_whitespace().skip(3).collect();
            prop_assert_eq!(found, words);
        }
    }
}
