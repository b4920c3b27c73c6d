//! The lines for machines at the end of a comparison.

/// One line `ratio WORKLOAD tradewind/RIVAL VALUE`.
pub struct Ratio {
    pub workload: String,
    pub pair: String,
    pub value: f64,
}

/// The ratios at the end of what a comparison printed; nothing comes behind them.
///
/// # Panics
/// When there are none, or a line among them is none.
pub fn ratios(text: &str) -> Vec<Ratio> {
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|line| line.starts_with("ratio "));
    let first = first.unwrap_or_else(|| panic!("no ratios\n{text}"));
    let read = |line: &&str| {
        let words: Vec<&str> = line.split(' ').collect();
        let ["ratio", workload, pair, value] = words[..] else {
            panic!("`{line}` is not a ratio\n{text}");
        };
        Ratio {
            workload: workload.to_owned(),
            pair: pair.to_owned(),
            value: value.parse().unwrap(),
        }
    };
    lines[first..].iter().map(read).collect()
}
