//! Every rule between objects, told to a person: golden files in `tests/golden/compile`.

use std::path::{Path, PathBuf};

use super::compile;
use crate::config::load::load_texts;
use crate::config::{Report, Severity};

/// All that loading and compiling the folder's `*.toml` files says. A first line `# node: NAME` asks
/// for that node.
fn told(case: &Path) -> Report {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(case)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
        .collect();
    paths.sort();
    let files: Vec<(PathBuf, Vec<u8>)> = paths
        .iter()
        .map(|p| (p.file_name().unwrap().into(), std::fs::read(p).unwrap()))
        .collect();
    let node = String::from_utf8_lossy(&files[0].1)
        .lines()
        .find_map(|l| l.strip_prefix("# node: ").map(str::to_owned));
    let loaded = load_texts(files, &mut |path| std::fs::read(case.join(path)));
    let (compiled, found) = compile(
        &loaded.spec,
        &loaded.inputs,
        &loaded.sources,
        node.as_deref(),
    );
    let mut all = loaded.diagnostics;
    all.extend(found);
    let refused = all.iter().any(|d| d.severity == Severity::Error);
    assert!(compiled.is_none() || !refused || all.iter().all(|d| d.span.is_some()));
    // What compiles to nothing must say why.
    assert!(compiled.is_some() || refused, "{}", case.display());
    Report::new(all, loaded.sources)
}

#[test]
fn o4_rules_between_objects_are_told_in_full() {
    crate::config::golden::check("compile", 15, told);
}

/// Regression: looking names up one by one in lists made a configuration of this size take minutes.
#[test]
fn twenty_thousand_names_load_within_the_bound() {
    use std::fmt::Write;
    let mut text = String::from(
        "version = 1\n[regions.eu]\nlatitude = 50\nlongitude = 8\n\
         [zones.\"big.example\"]\nfile = \"big.zone\"\n\
         [monitors.web]\nport = 80\n[monitors.web.tcp]\n\
         [policies.any]\nstages = [{ failover = {} }, { weighted = {} }]\n",
    );
    for pool in 0..600 {
        let _ = writeln!(
            text,
            "[pools.p{pool}]\nregion = \"eu\"\nmonitor = \"web\"\nendpoints = ["
        );
        for e in 0..33 {
            let address = format!("10.{}.{}.{e}", pool / 256, pool % 256);
            let _ = writeln!(
                text,
                "{{ name = \"e{pool}-{e}\", address = \"{address}\" }},"
            );
        }
        let _ = writeln!(text, "]");
    }
    for name in 0..20_000 {
        let (a, b) = (name % 600, (name + 1) % 600);
        let _ = writeln!(
            text,
            "[names.\"n{name}.big.example\"]\npools = [\"p{a}\", \"p{b}\"]\npolicy = \"any\"\n\
             weights = {{ p{a} = 2, p{b} = 3 }}\nlast-resort = {{ endpoints = [\"e{a}-0\"] }}"
        );
    }
    let zone = b"$TTL 300\n@ SOA ns1 h 1 3600 600 86400 60\n@ NS ns1\nns1 A 192.0.2.1\n";
    let start = cpu_time();
    let loaded = load_texts(vec![("big.toml".into(), text.into_bytes())], &mut |_| {
        Ok(zone.to_vec())
    });
    let (compiled, found) = compile(&loaded.spec, &loaded.inputs, &loaded.sources, None);
    let took = cpu_time() - start;
    assert!(loaded.diagnostics.is_empty() && found.is_empty());
    assert_eq!(compiled.unwrap().snapshot.steering.names.len(), 20_000);
    // A debug build needs 3 s or so on a slow machine; list lookups needed more than a minute.
    assert!(took < 30.0, "{took} s of CPU");
}

/// CPU seconds of this thread, so that a busy machine does not matter.
fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}
