//! The house rules, read off the sources: layers, purity, where serde and unsafe may be.
//!
//! Reads text, not syntax: a macro that expands to a path escapes it. Code under `#[cfg(test)]` and
//! comments are exempt.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::demo::package;

/// Modules by layer, lowest first. A module names only lower layers; neighbours are strangers.
const LAYERS: &[&[&str]] = &[
    &[
        "ids",
        "units",
        "time",
        "tls",
        "net",
        "dns",
        "message",
        "telemetry",
        "chunked",
    ],
    &[
        "zone",
        "geo",
        "balance",
        "health",
        "dnssec",
        "limit",
        "overrides",
        "caching",
        "history",
    ],
    &["steer", "traffic", "drill"],
    &["snapshot"],
    &["engine", "config", "plan"],
    &["compile", "sys"],
    &["server", "probe", "fleet", "proxy", "admin"],
    &["app"],
    &["cli"],
];

/// Layer 0 is one vocabulary: its modules may name each other.
const VOCABULARY: usize = 0;

/// Modules that get everything as arguments.
const PURE: &[&str] = &[
    "ids",
    "units",
    "time",
    "tls",
    "net",
    "dns",
    "message",
    "telemetry",
    "chunked",
    "caching",
    "traffic",
    "zone",
    "geo",
    "balance",
    "health",
    "dnssec",
    "limit",
    "overrides",
    "history",
    "steer",
    "drill",
    "snapshot",
    "plan",
    "engine",
    "compile",
];

/// What a pure module never names.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "fs::",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "UdpSocket",
    "TcpListener",
    "TcpStream",
    "Instant::now",
    "SystemTime",
    "thread_rng",
    "rand::",
    "std::env",
    "std::process",
];

/// Where text meets the outside, and so `Serialize` or `Deserialize` may stand.
const SERDE: &[&str] = &[
    "config/spec",
    "admin/view",
    "admin/problem",
    "admin/etag",
    "admin/route",
    "fleet/protocol",
    "geo/mmdb",
    "geo/networks",
    "app/keeper/record",
    "app/keeper/request",
    "app/drills/word",
];

/// One breach, for a person.
#[derive(Debug, PartialEq)]
struct Breach {
    file: String,
    line: usize,
    what: String,
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

/// The text with comments, string literals and `#[cfg(test)]` items blanked out, lines kept.
pub(crate) fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let bytes: Vec<char> = text.chars().collect();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        let starts = |s: &str| rest.iter().take(s.len()).collect::<String>() == s;
        if starts("//") {
            while i < bytes.len() && bytes[i] != '\n' {
                i += 1;
            }
        } else if starts("/*") {
            while i < bytes.len() && !(bytes[i] == '*' && bytes.get(i + 1) == Some(&'/')) {
                if bytes[i] == '\n' {
                    out.push('\n');
                }
                i += 1;
            }
            i = (i + 2).min(bytes.len());
        } else if let Some(hashes) = raw_string(rest) {
            let close: String = std::iter::once('"')
                .chain("#".repeat(hashes).chars())
                .collect();
            i += hashes + 2;
            while i < bytes.len()
                && bytes[i..].iter().take(close.len()).collect::<String>() != close
            {
                if bytes[i] == '\n' {
                    out.push('\n');
                }
                i += 1;
            }
            i = (i + close.len()).min(bytes.len());
            out.push_str("\"\"");
        } else if bytes[i] == '"' {
            i += 1;
            while i < bytes.len() && bytes[i] != '"' {
                if bytes[i] == '\\' {
                    i += 1;
                }
                if bytes.get(i) == Some(&'\n') {
                    out.push('\n');
                }
                i += 1;
            }
            i += 1;
            out.push_str("\"\"");
        } else if bytes[i] == '\'' && bytes.get(i + 2) == Some(&'\'') {
            i += 3; // a character such as '"'
        } else if bytes[i] == '\'' && bytes.get(i + 1) == Some(&'\\') {
            i += 2;
            while i < bytes.len() && bytes[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else {
            out.push(bytes[i]);
            i += 1;
        }
    }
    without_tests(&out)
}

fn raw_string(rest: &[char]) -> Option<usize> {
    if rest.first() != Some(&'r') {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    (rest.get(1 + hashes) == Some(&'"')).then_some(hashes)
}

/// Blanks every item after `#[cfg(test)]`: to its closing brace, or to the `;`.
fn without_tests(text: &str) -> String {
    let mut out = text.to_owned();
    while let Some(at) = out.find("#[cfg(test)]") {
        let rest = &out[at..];
        let mut depth = 0usize;
        let mut end = rest.len();
        for (i, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => {
                    depth -= 1;
                    if depth == 0 {
                        end = i + 1;
                        break;
                    }
                }
                ';' if depth == 0 => {
                    end = i + 1;
                    break;
                }
                _ => {}
            }
        }
        let blank: String = rest[..end].chars().filter(|c| *c == '\n').collect();
        out.replace_range(at..at + end, &blank);
    }
    out
}

/// Top-level modules that a piece of code names through `crate::`, with the line.
fn names(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = code[from..].find("crate::") {
        let at = from + at;
        from = at + "crate::".len();
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[from..].trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            // `use crate::{a::b, c as d, e::{f, g}}`: the heads at depth 1.
            let mut depth = 1;
            let mut head = String::new();
            let mut in_head = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 || (depth == 1 && c == ',') {
                    if !head.is_empty() {
                        found.push((line, std::mem::take(&mut head)));
                    }
                    in_head = true;
                    if depth == 0 {
                        break;
                    }
                } else if depth == 1 && in_head {
                    if c.is_alphanumeric() || c == '_' {
                        head.push(c);
                    } else if !head.is_empty() {
                        in_head = false;
                    }
                }
            }
        } else {
            let head: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            found.push((line, head));
        }
    }
    found
}

/// Top-level modules that a piece of code names by climbing to the root with `super::`, with the
/// line. `depth` is the number of modules around the code, itself included.
fn climbs(code: &str, depth: usize) -> Vec<(usize, String)> {
    let chain = "super::".repeat(depth);
    code.match_indices(&chain)
        .filter(|(at, _)| !code[..*at].ends_with("super::"))
        .filter(|(at, _)| !code[at + chain.len()..].starts_with("super::"))
        .map(|(at, _)| {
            let rest = code[at + chain.len()..].chars();
            let head = rest
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            (code[..at].matches('\n').count() + 1, head)
        })
        .collect()
}

/// All breaches of one file; `path` is relative to `src`.
fn breaches(path: &str, text: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut breach = |line: usize, what: String| {
        found.push(Breach {
            file: path.to_owned(),
            line,
            what,
        });
    };
    if !text.trim_start().starts_with("//!") {
        breach(
            1,
            "does not begin with a `//!` doc: say what this file is for".to_owned(),
        );
    }
    let module = path.split(['/', '.']).next().unwrap_or(path);
    if module == "lib" || module == "main" {
        return found;
    }
    let code = code_only(text);
    let Some(own) = layer_of(module) else {
        breach(1, format!("module `{module}` is in no layer"));
        return found;
    };
    let depth = module_path(path).len();
    for (line, named) in names(&code).into_iter().chain(climbs(&code, depth)) {
        if named.is_empty() || named == "self" {
            breach(line, "names the whole crate: name the modules".to_owned());
        }
        let Some(layer) = layer_of(&named) else {
            continue;
        };
        if named == module || layer < own || (layer == own && own == VOCABULARY) {
            continue;
        }
        let why = if layer == own {
            "neighbours are strangers"
        } else {
            "it is of a higher layer"
        };
        breach(line, format!("`{module}` names `{named}`: {why}"));
    }
    for (i, l) in code.lines().enumerate() {
        let line = i + 1;
        if PURE.contains(&module) {
            for word in IMPURE {
                if has_word(l, word) {
                    breach(line, format!("`{word}` in the pure module `{module}`"));
                    break;
                }
            }
        }
        if module == "config" && !path.starts_with("config/load") && has_word(l, "fs::") {
            breach(line, "files are read in `config::load` only".to_owned());
        }
        if l.contains("#[allow(") || l.contains("#![allow(") {
            breach(
                line,
                "`allow` outlives its reason: use `expect` with one".to_owned(),
            );
        }
        let derives = has_word(l, "Serialize") || has_word(l, "Deserialize");
        if derives && !SERDE.iter().any(|p| path.starts_with(p)) {
            breach(
                line,
                "serde away from the edges: a serialisable type is a promise".to_owned(),
            );
        }
        if has_word(l, "unsafe") && !path.starts_with("sys/") {
            breach(line, "`unsafe` outside sys".to_owned());
        }
        if l.contains("Snapshot {")
            && !l.contains("struct")
            && !l.contains("impl")
            && !l.contains("->")
            && module != "compile"
        {
            breach(line, "a Snapshot is built outside `compile`".to_owned());
        }
    }
    found
}

/// Whether `word` stands in `line` with no identifier character before it.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let ident = |c: char| c.is_alphanumeric() || c == '_';
        !before.is_some_and(ident) && (word.ends_with(':') || !after.is_some_and(ident))
    })
}

/// The modules that a file stands for: `engine/testkit/world.rs` → engine, testkit, world.
fn module_path(path: &str) -> Vec<&str> {
    let stem = path.strip_suffix(".rs").unwrap_or(path);
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    stem.split('/').collect()
}

/// Whether the file, or a module around it, is declared under `#[cfg(test)]`. `read` gives the text
/// of a file relative to `src`, where there is one.
fn is_for_tests(path: &str, read: &dyn Fn(&str) -> Option<String>) -> bool {
    let modules = module_path(path);
    (1..=modules.len()).any(|n| {
        let (name, parents) = modules[..n].split_last().expect("at least one module");
        let parent = match parents {
            [] => read("lib.rs"),
            _ => read(&format!("{}/mod.rs", parents.join("/")))
                .or_else(|| read(&format!("{}.rs", parents.join("/")))),
        };
        let parent = parent.unwrap_or_default();
        let mut under_test = false;
        for line in parent.lines().map(str::trim) {
            if line.starts_with("#[") {
                under_test |= line == "#[cfg(test)]";
            } else if !line.is_empty() && !line.starts_with("//") {
                if under_test && line.ends_with(&format!("mod {name};")) {
                    return true;
                }
                under_test = false;
            }
        }
        false
    })
}

fn sources(dir: &Path, list: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, list);
        } else if path.extension().is_some_and(|e| e == "rs") {
            list.push(path);
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let src = package().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    files.sort();
    assert!(files.len() > 60, "only {} sources found", files.len());
    let mut all = Vec::new();
    for file in &files {
        let path = file
            .strip_prefix(&src)
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        if is_for_tests(&path, &|parent| fs::read_to_string(src.join(parent)).ok()) {
            continue;
        }
        all.extend(breaches(&path, &fs::read_to_string(file).unwrap()));
    }
    let lines: Vec<String> = all
        .iter()
        .map(|b| format!("src/{}:{}: {}", b.file, b.line, b.what))
        .collect();
    assert!(
        lines.is_empty(),
        "{} breaches:\n{}",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn paths_named_in_the_architecture_exist() {
    let text = fs::read_to_string(package().join("src/docs/architecture.md")).unwrap();
    let mut checked = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let is_path = word.starts_with("src/") || word.starts_with("tests/");
        if is_path && !word.contains('*') {
            assert!(package().join(word).exists(), "{word} does not exist");
            checked += 1;
        }
    }
    assert!(checked > 10, "only {checked} paths checked");
}

#[test]
fn files_are_of_readable_size() {
    let src = package().join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let sizes: BTreeMap<PathBuf, usize> = files
        .into_iter()
        .map(|f| (f.clone(), fs::read_to_string(&f).unwrap().lines().count()))
        .collect();
    let large: Vec<String> = sizes
        .iter()
        .filter(|(_, n)| **n > 900)
        .map(|(f, n)| format!("{} has {n} lines", f.display()))
        .collect();
    assert!(large.is_empty(), "split by concept: {large:#?}");
}

fn whats(path: &str, text: &str) -> Vec<String> {
    breaches(path, text)
        .into_iter()
        .map(|b| format!("{}: {}", b.line, b.what))
        .collect()
}

#[test]
fn planted_breaches_are_found() {
    let one = |path: &str, body: &str, want: &str| {
        let found = whats(path, &format!("//! Doc.\n{body}\n"));
        assert_eq!(found.len(), 1, "{body}: {found:?}");
        assert!(found[0].contains(want), "{body}: {found:?}");
    };
    one(
        "engine/x.rs",
        "use crate::config::Spec;",
        "`engine` names `config`: neighbours",
    );
    one(
        "config/x.rs",
        "use crate::{dns as d, engine as e};",
        "2: `config` names `engine`",
    );
    one(
        "zone/x.rs",
        "fn f() { crate::steer::decide(); }",
        "`zone` names `steer`: it is of a higher",
    );
    one(
        "admin/x.rs",
        "use crate::{\n  snapshot::{View, publish},\n  probe::spawn,\n};",
        "`admin` names `probe`",
    );
    one(
        "health/x.rs",
        "fn f() { let t = std::time::Instant::now(); }",
        "Instant::now",
    );
    one("steer/x.rs", "use std::fs;", "std::fs");
    one("compile/x.rs", "use tokio::sync::mpsc;", "tokio");
    one("dns/x.rs", "#[derive(Serialize)]\nstruct X;", "serde");
    one("server/udp.rs", "fn f() { unsafe { g() } }", "unsafe");
    one("app/x.rs", "let s = Snapshot { zones };", "built outside");
    one("attic/x.rs", "struct X;", "in no layer");
    one(
        "engine/x.rs",
        "use super::super::config::Spec;",
        "`engine` names `config`",
    );
    one(
        "engine/x/y.rs",
        "fn f() { super::super::super::app::run() }",
        "`engine` names `app`",
    );
    one(
        "engine/mod.rs",
        "use super::config;",
        "`engine` names `config`",
    );
    one("zone/x.rs", "use crate::*;", "the whole crate");
    one("zone/x.rs", "use crate::{self as all};", "the whole crate");
    one(
        "config/tree.rs",
        "fn f() { std::fs::read(p) }",
        "config::load",
    );
    one(
        "zone/x.rs",
        "#[allow(dead_code)]\nfn f() {}",
        "use `expect`",
    );
    assert_eq!(whats("zone/x.rs", "struct X;").len(), 1, "no module doc");
}

#[test]
fn innocent_code_is_left_alone() {
    let none = |path: &str, body: &str| {
        let found = whats(path, &format!("//! Doc.\n{body}\n"));
        assert!(found.is_empty(), "{body}: {found:?}");
    };
    none(
        "engine/x.rs",
        "// use crate::config::Spec;\nuse crate::snapshot::View;",
    );
    none(
        "engine/x.rs",
        "const S: &str = \"crate::config tokio unsafe\";",
    );
    none("engine/x.rs", "const S: &str = r#\"use crate::config;\"#;");
    none(
        "zone/x.rs",
        "#[cfg(test)]\nmod tests {\n  use std::fs;\n  fn f() { if true { crate::steer::x() } }\n}",
    );
    none(
        "zone/x.rs",
        "#[cfg(test)]\nuse crate::steer::X;\nuse crate::dns::name::WireName;",
    );
    none("sys/mod.rs", "fn f() { unsafe { g() } }");
    none("net/x.rs", "use crate::dns::name::WireName;");
    none("health/x.rs", "use std::net::IpAddr;\nfn tokio_like() {}");
    none(
        "steer/x.rs",
        "fn f(c: char) -> bool { c == '\"' }\nuse crate::geo::Code;",
    );
    none("engine/x/y.rs", "use super::super::resolve;\nuse super::z;");
    none("config/load.rs", "use std::fs;\nfn f() { fs::read(p) }");
    none("app/x.rs", "fn f(s: &Snapshot) -> Snapshot { g(s) }");
}

#[test]
fn only_what_is_declared_for_tests_is_exempt() {
    let read = |path: &str| {
        let text = match path {
            "lib.rs" => "pub mod zone;\npub mod engine;\n",
            "engine/mod.rs" => {
                "mod answer;\n#[cfg(test)]\n/// Doc.\npub(crate) mod testkit;\nmod open;\n"
            }
            "engine/testkit/mod.rs" => "mod world;\n",
            "engine/answer.rs" => "#[cfg(test)]\nmod tests;\n",
            _ => return None,
        };
        Some(text.to_owned())
    };
    for path in [
        "engine/testkit/mod.rs",
        "engine/testkit/world.rs",
        "engine/answer/tests.rs",
    ] {
        assert!(is_for_tests(path, &read), "{path}");
    }
    for path in [
        "engine/mod.rs",
        "engine/answer.rs",
        "engine/open.rs",
        "zone/tests.rs",
    ] {
        assert!(!is_for_tests(path, &read), "{path}");
    }
}

#[test]
fn a_breach_after_a_test_module_is_still_found() {
    let text = "//! Doc.\n#[cfg(test)]\nmod tests {\n  fn f() {}\n}\nuse crate::steer::decide;\n";
    assert_eq!(
        whats("zone/x.rs", text),
        ["6: `zone` names `steer`: it is of a higher layer"]
    );
}
