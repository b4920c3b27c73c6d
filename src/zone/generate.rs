//! `$GENERATE`: many records from one line, as BIND, NSD and Knot read it. It is in no RFC.

use super::parse::ZoneProblem;
use super::scan::Token;

/// Records that one line may make.
const MAX: u64 = 65_536;

/// `$GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE DATA`, where `$` stands for the number and
/// `${OFFSET,WIDTH,BASE}` for it in another form.
#[derive(Debug)]
pub(super) struct Generate<'t> {
    start: u64,
    stop: u64,
    step: u64,
    template: &'t [Token<'t>],
}

impl<'t> Generate<'t> {
    /// `word` is the directive, `rest` what follows it.
    pub(super) fn new(
        word: &Token<'_>,
        rest: &'t [Token<'t>],
    ) -> Result<Generate<'t>, ZoneProblem> {
        let Some((range, template)) = rest.split_first().filter(|(_, t)| t.len() >= 3) else {
            return Err(word.problem(
                "$GENERATE needs a range and a record: `$GENERATE 1-10 host$ A 192.0.2.$`",
            ));
        };
        let (span, step) = range.raw.split_once('/').unwrap_or((range.raw, "1"));
        let number = |text: &str| {
            let plain = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| plain)
        };
        let numbers = span
            .split_once('-')
            .and_then(|(start, stop)| Some((number(start)?, number(stop)?, number(step)?)));
        let (start, stop, step) = numbers
            .filter(|(start, stop, step)| start <= stop && *step > 0)
            .ok_or_else(|| {
                range.problem(format!(
                    "`{}` is not a range; it is `START-STOP` or `START-STOP/STEP`, rising, such as `1-10`",
                    range.raw
                ))
            })?;
        let count = (stop - start) / step + 1;
        if count > MAX {
            return Err(range.problem(format!(
                "`{}` makes {count} records; the limit is {MAX} for one $GENERATE",
                range.raw
            )));
        }
        Ok(Generate {
            start,
            stop,
            step,
            template,
        })
    }

    /// The numbers.
    pub(super) fn values(&self) -> impl Iterator<Item = u64> + use<> {
        // The range has at most 65,536 numbers, so that the step fits.
        (self.start..=self.stop).step_by(usize::try_from(self.step).unwrap_or(usize::MAX))
    }

    /// The words of the record, before the number is put in.
    pub(super) fn template(&self) -> &'t [Token<'t>] {
        self.template
    }

    /// The words of the record for a number.
    pub(super) fn words(&self, number: u64) -> Result<Vec<String>, ZoneProblem> {
        self.template.iter().map(|w| fill(w, number)).collect()
    }
}

/// The word with the number in place of each `$`.
fn fill(word: &Token<'_>, number: u64) -> Result<String, ZoneProblem> {
    let mut out = String::with_capacity(word.raw.len() + 8);
    let mut rest = word.raw;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if rest.as_bytes()[at] == b'\\' {
            // `\$` and every other escape stays for the reader of the record.
            let len = after.chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[at..=at + len]);
            rest = &after[len..];
        } else if let Some(after) = after.strip_prefix('$') {
            out.push_str("\\$");
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let form = inner.split_once('}').and_then(|(form, after)| {
                rest = after;
                shown(form, number)
            });
            out.push_str(&form.ok_or_else(|| {
                word.problem(format!(
                    "`{}` has a `${{…}}` that is not `${{OFFSET,WIDTH,BASE}}`: BASE is d, o, x, X, n or N, WIDTH at most 255, and number and OFFSET together not negative",
                    word.raw
                ))
            })?);
        } else {
            out.push_str(&number.to_string());
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// `number` in the form `OFFSET[,WIDTH[,BASE]]`.
fn shown(form: &str, number: u64) -> Option<String> {
    let mut parts = form.split(',');
    let offset: i64 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().unwrap_or("0").parse().ok()?;
    let base = parts.next().unwrap_or("d");
    let value = i64::try_from(number).ok()?.checked_add(offset)?;
    if value < 0 || width > 255 || parts.next().is_some() {
        return None;
    }
    Some(match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        "n" => nibbles(&format!("{value:x}"), width),
        "N" => nibbles(&format!("{value:X}"), width),
        _ => return None,
    })
}

/// The digits from the last to the first with dots between, at least `width` characters: for the
/// names of `ip6.arpa`.
fn nibbles(digits: &str, width: usize) -> String {
    let count = digits.len().max(width.div_ceil(2));
    let padded = format!("{digits:0>count$}");
    let all: Vec<String> = padded.chars().rev().map(String::from).collect();
    all.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, number: u64) -> Result<String, String> {
        let word = Token {
            raw: text,
            line: 1,
            column: 1,
        };
        fill(&word, number).map_err(|e| e.message)
    }

    #[test]
    fn forms_of_the_number() {
        for (text, want) in [
            ("host$", "host7"),
            ("$.$", "7.7"),
            ("a\\$$", "a\\$7"),
            ("$$", "\\$"),
            ("${3}", "10"),
            ("${-7,3}", "000"),
            ("${0,3,d}x", "007x"),
            ("${20,0,x}${20,4,X}", "1b001B"),
            ("${1,0,o}", "10"),
            ("${20,6,n}.x", "b.1.0.x"),
            ("${20,7,N}", "B.1.0.0"),
            ("\"$ \\\"\"", "\"7 \\\"\""),
            ("é$\\é", "é7\\é"),
        ] {
            assert_eq!(filled(text, 7).as_deref(), Ok(want), "{text}");
        }
        for bad in [
            "${",
            "${x}",
            "${-8}",
            "${0,256}",
            "${0,1,q}",
            "${0,1,d,1}",
            "${}",
        ] {
            assert!(filled(bad, 7).is_err(), "{bad}");
        }
    }
}
