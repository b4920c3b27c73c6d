//! Keeps the flows over a restart: a text file, one entry a line. What cannot be read or written costs
//! the memory of the day, and nothing else.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::table::{Flow, Table};

/// The file in the state directory.
const FILE: &str = "flows.txt";

/// The first line: what this is, and in which form.
const HEAD: &str = "tradewind flows 1";

/// Later hours are none: years have four digits.
const LAST_HOUR: u64 = 253_402_300_799 / 3600;

/// A file longer than this is none of ours.
const MOST_OCTETS: u64 = 256 << 20;

/// Where the file of a state directory is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// The table as text.
pub fn text(table: &Table) -> String {
    let mut out = String::from(HEAD);
    out.push('\n');
    for (hour, f, queries) in table.entries() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{hour} {f} {queries}");
    }
    out
}

/// Reads such a text; says how many lines made no sense.
pub fn read(text: &str, table: &mut Table) -> usize {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) {
        return 1;
    }
    let mut bad = 0;
    for line in lines {
        match entry(line, table) {
            Some((hour, flow, queries)) => table.add(hour, flow, queries, &|_| None),
            None => bad += 1,
        }
    }
    bad
}

fn entry(line: &str, table: &mut Table) -> Option<(u64, Flow, f64)> {
    let mut words = line.split(' ');
    // Of a file that is damaged; hours are counted with from here on.
    let hour: u64 = words.next()?.parse().ok().filter(|h| *h <= LAST_HOUR)?;
    let name = words.next()?;
    let network = words.next()?.parse().ok()?;
    let mut part = || words.next().map(|w| if w == "-" { "" } else { w });
    let (region, pool) = (part()?, part()?);
    let queries: f64 = words.next()?.parse().ok()?;
    if !(queries.is_finite() && queries > 0.0) || words.next().is_some() {
        return None;
    }
    let flow = Flow {
        name: table.text(name),
        network,
        region: table.text(region),
        pool: table.text(pool),
    };
    Some((hour, flow, queries))
}

/// Loads what was kept.
///
/// # Errors
/// When there is a file and it cannot be read.
pub fn load(path: &Path, table: &mut Table) -> io::Result<usize> {
    let len = match std::fs::metadata(path) {
        Ok(found) => found.len(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(e),
    };
    if len > MOST_OCTETS {
        return Err(io::Error::other(format!(
            "it has {len} octets; at most {MOST_OCTETS} are read"
        )));
    }
    let octets = std::fs::read(path)?;
    Ok(read(&String::from_utf8_lossy(&octets), table))
}

/// Writes the file anew; the old one stays until the new one is whole.
///
/// # Errors
/// When the disk does not take it.
pub fn save(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // A part of a file on a full disk is in the way of everything else there.
        drop(std::fs::remove_file(&new));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_damage_costs_its_line_only() {
        let mut table = Table::default();
        for (hour, network, region, queries) in [
            (500_000, "192.0.2.0/24", "eu", 12.5),
            (500_001, "2001:db8::/48", "", 3.0),
        ] {
            let flow = Flow {
                name: table.text("www.example."),
                network: network.parse().unwrap(),
                region: table.text(region),
                pool: table.text(region),
            };
            table.add(hour, flow, queries, &|_| None);
        }
        let kept = text(&table);
        let mut again = Table::default();
        assert_eq!(read(&kept, &mut again), 0);
        assert_eq!(
            again.window(24, 500_001, 0.0),
            table.window(24, 500_001, 0.0)
        );
        let damaged = kept.replace("12.5", "12.x")
            + "500001 www.example. 192.0.2.0/24 eu eu NaN\n"
            + &format!("{} www.example. 192.0.2.0/24 eu eu 1\n", u64::MAX);
        let mut again = Table::default();
        assert_eq!(read(&damaged, &mut again), 3);
        assert_eq!(again.size(), 1);
        assert_eq!(read("something else\n", &mut Table::default()), 1);
    }

    #[test]
    fn a_disk_that_takes_nothing_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = path(dir.path());
        save(&file, "tradewind flows 1\n").unwrap();
        // In place of a full disk: the new file cannot be made.
        std::fs::create_dir(file.with_extension("new")).unwrap();
        assert!(save(&file, "x").is_err());
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            "tradewind flows 1\n"
        );
        assert_eq!(load(&file, &mut Table::default()).unwrap(), 0);
        assert_eq!(
            load(&dir.path().join("none"), &mut Table::default()).unwrap(),
            0
        );
    }
}
