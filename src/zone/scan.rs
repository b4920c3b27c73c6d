//! Text of a master file to entries of tokens (RFC 1035 section 5.1), each token with its place.
//!
//! This is where parentheses, quotes, escapes and comments are understood, once, so that all later
//! steps see plain tokens and can point at the one that is wrong.

use super::parse::ZoneProblem;

/// One word of a master file as it is written, escapes and quotes included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token<'t> {
    /// The text, with quotes and escapes.
    pub(super) raw: &'t str,
    /// Line, from 1.
    pub(super) line: u32,
    /// Column in characters, from 1.
    pub(super) column: u32,
}

impl<'t> Token<'t> {
    /// A problem at this token.
    pub(super) fn problem(&self, message: impl Into<String>) -> ZoneProblem {
        ZoneProblem {
            line: self.line,
            column: self.column,
            message: message.into(),
        }
    }

    /// Whether the token stands in quotes.
    pub(super) fn is_quoted(&self) -> bool {
        self.raw.starts_with('"')
    }

    /// The text between the quotes, or all of it; escapes are still there.
    pub(super) fn content(&self) -> &'t str {
        self.raw
            .strip_prefix('"')
            .and_then(|s| s.strip_suffix('"'))
            .unwrap_or(self.raw)
    }
}

/// One record or directive: a line, or several held together by parentheses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry<'t> {
    /// Whether the line starts with white space: the owner is that of the record before.
    pub(super) inherits_owner: bool,
    /// The words; never empty.
    pub(super) tokens: Vec<Token<'t>>,
}

/// Walks over the entries of a text. After a problem it goes on with the next line.
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    column: u32,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Scanner<'t> {
        Scanner {
            // Editors on some systems put a byte order mark in front.
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
            at: 0,
            line: 1,
            column: 1,
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn step(&mut self, ch: char) {
        self.at += ch.len_utf8();
        if ch == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
    }

    fn skip_line(&mut self) {
        while let Some(ch) = self.peek().filter(|ch| *ch != '\n') {
            self.step(ch);
        }
    }

    /// The token that starts here.
    fn token(&mut self) -> Result<Token<'t>, ZoneProblem> {
        let (start, line, column) = (self.at, self.line, self.column);
        let mut quote: Option<(u32, u32)> = None;
        while let Some(ch) = self.peek() {
            match ch {
                '\n' => break,
                '"' => {
                    quote = match quote {
                        None => Some((self.line, self.column)),
                        Some(_) => None,
                    }
                }
                '\\' => {
                    self.step(ch);
                    match self.peek() {
                        None | Some('\n' | '\r') => {
                            return Err(ZoneProblem {
                                line: self.line,
                                column: self.column - 1,
                                message: "`\\` at the end of a line escapes nothing; remove it or write `\\\\`".into(),
                            });
                        }
                        Some(escaped) => {
                            self.step(escaped);
                            continue;
                        }
                    }
                }
                ' ' | '\t' | '\r' | ';' | '(' | ')' if quote.is_none() => break,
                ch if ch.is_control() && ch != '\t' && ch != '\r' => {
                    return Err(ZoneProblem {
                        line: self.line,
                        column: self.column,
                        message: format!(
                            "control character U+{:04X} in the text; write it as `\\{:03}`",
                            u32::from(ch),
                            u32::from(ch)
                        ),
                    });
                }
                _ => {}
            }
            self.step(ch);
            // A string ends at its closing quote, also where no space follows.
            if ch == '"' && quote.is_none() && self.text[start..].starts_with('"') {
                break;
            }
        }
        if let Some((line, column)) = quote {
            return Err(ZoneProblem {
                line,
                column,
                message: "this string has no closing `\"` on its line".into(),
            });
        }
        Ok(Token {
            raw: &self.text[start..self.at],
            line,
            column,
        })
    }

    /// The next entry, up to the end of its line.
    fn entry(&mut self) -> Result<Entry<'t>, ZoneProblem> {
        let mut entry = Entry {
            inherits_owner: matches!(self.peek(), Some(' ' | '\t')),
            tokens: Vec::new(),
        };
        let mut open: Vec<(u32, u32)> = Vec::new();
        while let Some(ch) = self.peek() {
            match ch {
                '\n' if open.is_empty() => break,
                ' ' | '\t' | '\r' | '\n' => self.step(ch),
                ';' => self.skip_line(),
                '(' => {
                    open.push((self.line, self.column));
                    self.step(ch);
                }
                ')' => {
                    let (line, column) = (self.line, self.column);
                    self.step(ch);
                    if open.pop().is_none() {
                        return Err(ZoneProblem {
                            line,
                            column,
                            message: "`)` closes nothing; the matching `(` is missing".into(),
                        });
                    }
                }
                _ => {
                    let token = self.token()?;
                    entry.tokens.push(token);
                }
            }
        }
        match open.first() {
            None => Ok(entry),
            Some(&(line, column)) => Err(ZoneProblem {
                line,
                column,
                message: "`(` is never closed; everything after it belongs to this record".into(),
            }),
        }
    }
}

impl<'t> Iterator for Scanner<'t> {
    type Item = Result<Entry<'t>, ZoneProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.peek()?;
            let entry = self.entry();
            if entry.is_err() {
                self.skip_line();
            }
            if let Some(newline) = self.peek() {
                self.step(newline);
            }
            match entry {
                Ok(entry) if entry.tokens.is_empty() => {}
                other => return Some(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<&str>> {
        Scanner::new(text)
            .map(|e| e.unwrap().tokens.iter().map(|t| t.raw).collect())
            .collect()
    }

    fn first_problem(text: &str) -> String {
        Scanner::new(text)
            .find_map(Result::err)
            .unwrap()
            .to_string()
    }

    #[test]
    fn tokens_of_one_line() {
        assert_eq!(
            words("a A 1.2.3.4;c\r\nb\tTXT \"x ; (y\" \"z\\\"\"\"w\" k=\"v w\"\n\n;only\n"),
            [
                vec!["a", "A", "1.2.3.4"],
                vec!["b", "TXT", "\"x ; (y\"", "\"z\\\"\"", "\"w\"", "k=\"v w\""]
            ]
        );
        assert_eq!(words("a\\;b\\(c x"), [["a\\;b\\(c", "x"]]);
    }

    #[test]
    fn parentheses_join_lines_and_keep_quotes() {
        assert_eq!(
            words("a TXT (\"b c\" ; one\n \"d\"\n)e\nf A x"),
            [
                vec!["a", "TXT", "\"b c\"", "\"d\"", "e"],
                vec!["f", "A", "x"]
            ]
        );
    }

    #[test]
    fn places_count_characters_from_one() {
        let entries: Vec<_> = Scanner::new("\u{feff}é A (\n  1 )\n  B")
            .map(Result::unwrap)
            .collect();
        let places: Vec<_> = entries
            .iter()
            .flat_map(|e| e.tokens.iter().map(|t| (t.line, t.column)))
            .collect();
        assert_eq!(places, [(1, 1), (1, 3), (2, 3), (3, 3)]);
        assert_eq!(
            entries.iter().map(|e| e.inherits_owner).collect::<Vec<_>>(),
            [false, true]
        );
    }

    #[test]
    fn problems_are_located_and_do_not_stop_the_rest() {
        assert!(first_problem("a TXT \"b\nc").starts_with("1:7: this string has no closing"));
        assert!(first_problem("a (\nb").starts_with("1:3: `(` is never closed"));
        assert!(first_problem("a\n b )").starts_with("2:4: `)` closes nothing"));
        assert!(first_problem("a b\\\n").starts_with("1:4: `\\` at the end"));
        assert!(first_problem("a \u{1}").starts_with("1:3: control character U+0001"));
        let all: Vec<_> = Scanner::new("a )\nb \"\nc d").collect();
        assert_eq!(
            all.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [false, false, true]
        );
    }
}
