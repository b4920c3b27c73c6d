//! The own-networks file: a CSV with a header, read line by line so that each error knows its place.
//!
//! Quoting is that of RFC 4180, except that a field cannot go over several lines. Empty lines and
//! lines that start with `#` are skipped.

use hashbrown::HashMap;

use crate::net::Prefix;

use super::location::Code;
use super::networks::{OwnNetwork, OwnNetworks};
use super::networks_errors::{COLUMNS, NetworksError, NetworksErrors, Problem};
use super::{Coordinates, Location};

/// Continent codes as MaxMind writes them.
const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

impl OwnNetworks {
    /// Reads a whole file.
    ///
    /// # Errors
    /// All that is wrong with the file, at once.
    pub fn parse(bytes: &[u8]) -> Result<OwnNetworks, NetworksErrors> {
        let mut parser = Parser::default();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        for (n, line) in bytes.split(|b| *b == b'\n').enumerate() {
            parser.line = n + 1;
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match std::str::from_utf8(line) {
                Ok(text) if text.trim().is_empty() || text.starts_with('#') => {}
                Ok(text) => parser.line(text),
                Err(e) => {
                    let valid = String::from_utf8_lossy(&line[..e.valid_up_to()]);
                    parser.error(valid.chars().count() + 1, Problem::Encoding);
                }
            }
        }
        if parser.columns.is_none() && parser.errors.is_empty() {
            parser.line = 1;
            parser.error(1, Problem::NoHeader);
        }
        if parser.errors.is_empty() {
            Ok(OwnNetworks::from_rows(parser.rows))
        } else {
            parser.errors.sort_by_key(|e| (e.line, e.column));
            Err(NetworksErrors(parser.errors))
        }
    }
}

/// A field: where it starts, in characters counted from 1, and its text without quotes.
struct Field {
    column: usize,
    text: String,
}

#[derive(Default)]
struct Parser {
    line: usize,
    /// By position in the line: which of [`COLUMNS`], `None` for an unknown one.
    columns: Option<Vec<Option<usize>>>,
    /// Network → line.
    seen: HashMap<Prefix, usize>,
    rows: Vec<OwnNetwork>,
    errors: Vec<NetworksError>,
}

impl Parser {
    fn error(&mut self, column: usize, problem: Problem) {
        self.errors.push(NetworksError {
            line: self.line,
            column,
            problem,
        });
    }

    fn line(&mut self, text: &str) {
        let fields = match split(text) {
            Ok(fields) => fields,
            Err(column) => return self.error(column, Problem::Quotes),
        };
        match self.columns.take() {
            None => self.columns = Some(self.header(&fields)),
            Some(columns) => {
                self.row(&columns, &fields);
                self.columns = Some(columns);
            }
        }
    }

    fn header(&mut self, fields: &[Field]) -> Vec<Option<usize>> {
        let mut columns: Vec<Option<usize>> = Vec::new();
        for field in fields {
            let name = field.text.clone();
            let known = COLUMNS.iter().position(|c| *c == name);
            let first = columns.iter().position(|c| c.is_some() && *c == known);
            if let Some(first) = first {
                let first = first + 1;
                self.error(field.column, Problem::RepeatedColumn { name, first });
            } else if known.is_none() {
                self.error(field.column, Problem::UnknownColumn { name });
            }
            columns.push(known);
        }
        if !columns.contains(&Some(0)) {
            self.error(1, Problem::NoNetworkColumn);
        }
        columns
    }

    fn row(&mut self, columns: &[Option<usize>], fields: &[Field]) {
        if fields.len() != columns.len() {
            let extra = fields.get(columns.len()).or(fields.last());
            let problem = Problem::FieldCount {
                found: fields.len(),
                columns: columns.len(),
            };
            return self.error(extra.map_or(1, |f| f.column), problem);
        }
        let field = |column: &str| {
            let wanted = COLUMNS.iter().position(|c| *c == column);
            let at = columns.iter().position(|c| *c == wanted)?;
            Some(&fields[at]).filter(|f| !f.text.is_empty())
        };
        let before = self.errors.len();
        let prefix = self.prefix(field("network"), columns, fields);
        let continent = self.value(
            field("continent"),
            "continent",
            "one of AF, AN, AS, EU, NA, OC, SA",
            |t| Code::new(t).filter(|c| CONTINENTS.contains(&c.as_str())),
        );
        let country = self.value(
            field("country"),
            "country",
            "an ISO 3166-1 code of two letters, such as DE",
            |t| Code::new(t).filter(|_| t.len() == 2 && t.bytes().all(|b| b.is_ascii_alphabetic())),
        );
        let subdivision = self.value(
            field("subdivision"),
            "subdivision",
            "the part of an ISO 3166-2 code after the country, one to three letters or digits, \
             such as HE for DE-HE",
            |t| Code::new(t).filter(|_| t.len() <= 3),
        );
        let latitude = self.value(
            field("latitude"),
            "latitude",
            "a number of degrees between -90 and 90",
            |t| degrees(t, 90.0),
        );
        let longitude = self.value(
            field("longitude"),
            "longitude",
            "a number of degrees between -180 and 180",
            |t| degrees(t, 180.0),
        );
        for (given, missing) in [("latitude", "longitude"), ("longitude", "latitude")] {
            if let (Some(f), None) = (field(given), field(missing)) {
                self.error(f.column, Problem::HalfPoint { given, missing });
            }
        }
        let asn = self.value(
            field("asn"),
            "asn",
            "an AS number between 1 and 4294967295",
            |t| t.parse::<u32>().ok().filter(|asn| *asn != 0),
        );
        let place = self.value(
            field("place"),
            "place",
            "a name of at most 200 bytes",
            |t| (t.len() <= 200).then(|| t.into()),
        );
        if self.errors.len() > before {
            return;
        }
        let Some(prefix) = prefix else { return };
        self.rows.push(OwnNetwork {
            prefix,
            location: Location {
                continent,
                country,
                subdivision,
                coordinates: latitude
                    .zip(longitude)
                    .and_then(|(a, o)| Coordinates::new(a, o)),
                asn,
                ..Location::default()
            },
            place,
        });
    }

    fn prefix(
        &mut self,
        field: Option<&Field>,
        columns: &[Option<usize>],
        fields: &[Field],
    ) -> Option<Prefix> {
        let Some(field) = field else {
            // Without such a column the header has already been blamed.
            if let Some(at) = columns.iter().position(|c| *c == Some(0)) {
                self.error(fields[at].column, Problem::NoNetwork);
            }
            return None;
        };
        let prefix = match field.text.parse::<Prefix>() {
            Ok(prefix) => prefix,
            Err(e) => {
                self.error(field.column, Problem::Network(e));
                return None;
            }
        };
        if let Some(first) = self.seen.get(&prefix).copied() {
            self.error(field.column, Problem::Duplicate { prefix, first });
            return None;
        }
        self.seen.insert(prefix, self.line);
        Some(prefix)
    }

    fn value<T>(
        &mut self,
        field: Option<&Field>,
        column: &'static str,
        rule: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let field = field?;
        let value = read(&field.text);
        if value.is_none() {
            let value = field.text.clone();
            self.error(
                field.column,
                Problem::Value {
                    column,
                    value,
                    rule,
                },
            );
        }
        value
    }
}

fn degrees(text: &str, most: f64) -> Option<f64> {
    let degrees = text.parse::<f64>().ok()?;
    (-most..=most).contains(&degrees).then_some(degrees)
}

/// The fields of a line, without the blanks around them; on misplaced quotes, the column where the
/// field starts.
fn split(line: &str) -> Result<Vec<Field>, usize> {
    let mut fields = Vec::new();
    let mut chars = line.chars().enumerate().peekable();
    loop {
        while chars.next_if(|(_, c)| *c == ' ' || *c == '\t').is_some() {}
        let column = chars.peek().map_or(line.chars().count(), |(at, _)| *at) + 1;
        let mut text = String::new();
        if chars.next_if(|(_, c)| *c == '"').is_some() {
            loop {
                match chars.next() {
                    None => return Err(column),
                    Some((_, '"')) if chars.next_if(|(_, c)| *c == '"').is_some() => text.push('"'),
                    Some((_, '"')) => break,
                    Some((_, c)) => text.push(c),
                }
            }
            while chars.next_if(|(_, c)| *c == ' ' || *c == '\t').is_some() {}
        } else {
            while let Some((_, c)) = chars.next_if(|(_, c)| *c != ',') {
                if c == '"' {
                    return Err(column);
                }
                text.push(c);
            }
            text.truncate(text.trim_end().len());
        }
        fields.push(Field { column, text });
        match chars.next() {
            None => return Ok(fields),
            Some((_, ',')) => {}
            Some(_) => return Err(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let errors = OwnNetworks::parse(text.as_bytes()).unwrap_err();
        errors.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_columns_in_any_order_quotes_and_comments() {
        let text = "\u{feff}# ours\nplace, network ,asn\r\n\n\"Frankfurt, \"\"FRA\"\"\",192.0.2.0/24,64496\n,2001:db8::/32,\n";
        let own = OwnNetworks::parse(text.as_bytes()).unwrap();
        assert_eq!(own.rows().len(), 2);
        assert_eq!(own.rows()[0].place.as_deref(), Some("Frankfurt, \"FRA\""));
        assert_eq!(own.rows()[0].location.asn, Some(64496));
        assert_eq!(own.rows()[1].location, Location::default());
        let own = OwnNetworks::parse(b"network\n0.0.0.0/0\n").unwrap();
        assert_eq!(own.rows().len(), 1);
    }

    #[test]
    fn all_errors_of_a_file_come_at_once_with_line_and_column() {
        let text = "network,contry,latitude,longitude,continent\n\
                    192.0.2.1/24,x,91,8,EU\n\
                    ,,,,\n\
                    192.0.2.0/24,,50,,XX\n\
                    198.51.100.0/24,,,,\n\
                    198.51.100.0/24,,,,\n\
                    203.0.113.0/24\n\
                    2001:db8::/32,\"open,,,\n";
        assert_eq!(
            errors(text),
            [
                "1:9: unknown column `contry`; did you mean `country`?",
                "2:1: network: `192.0.2.1/24` has bits set beyond /24; did you mean `192.0.2.0/24`?",
                "2:16: latitude `91` is not a number of degrees between -90 and 90",
                "3:1: the network is missing; write a prefix such as `192.0.2.0/24`",
                "4:15: latitude is given without longitude; give both or neither",
                "4:19: continent `XX` is not one of AF, AN, AS, EU, NA, OC, SA",
                "6:1: network `198.51.100.0/24` is already given in line 5; keep one of the two lines",
                "7:1: 1 fields, but the header names 5 columns; put a field with a comma in double quotes, leave an unknown field empty",
                "8:15: a quoted field must begin and end with a double quote on one line, and a quote inside it is written twice",
            ]
        );
    }

    #[test]
    fn header_and_encoding_errors() {
        assert!(errors("")[0].starts_with("1:1: the file has no header"));
        assert!(errors("# only\n")[0].starts_with("1:1: the file has no header"));
        assert_eq!(
            errors("country,country\nDE,DE\n"),
            [
                "1:1: the header has no column `network`, which every file needs",
                "1:9: column `country` is named twice, the first time as column number 1",
            ]
        );
        assert!(errors("network,temperature\n")[0].ends_with(
            "the columns are network, continent, country, subdivision, latitude, longitude, asn, place"
        ));
        let bad = OwnNetworks::parse(b"network,place\n192.0.2.0/24,Z\xfcrich\n").unwrap_err();
        assert_eq!(
            bad.to_string(),
            "2:15: the line is not UTF-8 text; save the file as UTF-8"
        );
    }

    #[test]
    fn values_out_of_range_name_the_rule() {
        for (field, value) in [
            ("country", "DEU"),
            ("country", "1A"),
            ("subdivision", "DE-HE"),
            ("asn", "0"),
            ("asn", "4294967296"),
            ("asn", "AS1"),
            ("continent", "Europe"),
        ] {
            let text = format!("network,{field}\n192.0.2.0/24,{value}\n");
            let errors = errors(&text);
            assert!(
                errors[0].starts_with(&format!("2:14: {field} `{value}` is not ")),
                "{errors:?}"
            );
        }
        let nan = errors("network,latitude,longitude\n::/0,NaN,181\n");
        assert_eq!(nan.len(), 2, "{nan:?}");
    }

    proptest::proptest! {
        #[test]
        fn s4_any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = OwnNetworks::parse(&bytes);
            let _ = OwnNetworks::parse(&[b"network,place\n".as_slice(), &bytes].concat());
        }
    }
}
