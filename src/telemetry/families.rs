//! A page in Prometheus text format, read: for those who pass metrics on in another form.

/// A metric with its samples.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Family {
    /// Name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it means.
    pub help: String,
    /// In the order of the page.
    pub samples: Vec<Sample>,
}

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub struct Sample {
    /// What stands after the family's name: `_bucket`, `_sum`, `_count` of histograms.
    pub suffix: String,
    /// Names and values of labels.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// The families of a page; lines that are none of this form are left out.
pub fn families(page: &str) -> Vec<Family> {
    let mut all: Vec<Family> = Vec::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            all.push(Family {
                name: name.to_owned(),
                help: help.to_owned(),
                ..Family::default()
            });
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            if let (Some(family), Some((name, kind))) = (all.last_mut(), rest.split_once(' '))
                && family.name == name
            {
                kind.clone_into(&mut family.kind);
            }
        } else if let Some(family) = all.last_mut() {
            family.samples.extend(sample(&family.name, line));
        }
    }
    all
}

fn sample(family: &str, line: &str) -> Option<Sample> {
    let rest = line.strip_prefix(family)?;
    let end = rest.find(['{', ' '])?;
    let (suffix, mut rest) = rest.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (name, after) = rest.split_once("=\"")?;
            let (value, after) = unescaped(after)?;
            labels.push((name.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    Some(Sample {
        suffix: suffix.to_owned(),
        labels,
        value: rest.trim().parse().ok()?,
    })
}

/// A label's value up to the quote that ends it, and what follows.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Page;
    use crate::telemetry::page::escape;
    use proptest::prelude::*;

    #[test]
    fn a_page_is_read_as_it_was_written() {
        let mut page = Page::default();
        page.family("a_total", "counter", "Counts things.");
        page.sample("a_total", "x=\"1\",y=\"b c\"", 3);
        page.family("t_seconds", "histogram", "Durations.");
        page.sample("t_seconds_bucket", "le=\"+Inf\"", 2);
        page.sample("t_seconds_sum", "", 0.5);
        page.family("g", "gauge", "Nothing yet.");
        let all = families(&page.into_text());
        assert_eq!(all.len(), 3);
        assert_eq!(
            (&*all[0].kind, &*all[0].help),
            ("counter", "Counts things.")
        );
        assert_eq!(all[0].samples[0].labels[1], ("y".into(), "b c".into()));
        assert_eq!(all[1].samples[0].suffix, "_bucket");
        assert_eq!(all[1].samples[1].value, 0.5);
        assert!(all[2].samples.is_empty());
    }

    proptest! {
        #[test]
        fn any_label_value_survives(value in any::<String>()) {
            let mut page = Page::default();
            page.family("a", "gauge", "A.");
            page.sample("a", &format!("x=\"{}\"", escape(&value)), 1);
            let text = page.into_text();
            // Other ends of lines than \n are the page's reader's, not ours, to mind.
            prop_assume!(!value.contains('\r'));
            let all = families(&text);
            prop_assert_eq!(&all[0].samples[0].labels[0].1, &value);
        }

        #[test]
        fn reading_never_panics(text in "(# (HELP|TYPE) )?[a-z{}=\"\\\\, 0-9\n]{0,80}") {
            let _ = families(&text);
        }
    }
}
