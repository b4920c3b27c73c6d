//! Tests of the console's files: that all are there, unchanged where they are others', and guarded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use axum::body::to_bytes;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/console")
}

fn walk(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_none_or(|e| e != "rs") {
            let below = path.strip_prefix(folder()).unwrap();
            found.insert(below.to_string_lossy().replace('\\', "/"));
        }
    }
}

fn on_disk() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(&folder(), &mut found);
    found
}

fn file(path: &str) -> &'static File {
    FILES.iter().find(|f| f.path == path).unwrap()
}

fn text(path: &str) -> &'static str {
    std::str::from_utf8(file(path).octets).unwrap()
}

async fn asked(path: &str, fields: &[(header::HeaderName, &str)]) -> Response {
    let fields = fields.iter();
    let headers = fields.map(|(n, v)| (n.clone(), HeaderValue::from_str(v).unwrap()));
    page(path.to_owned(), headers.collect()).await
}

#[test]
fn every_file_of_the_folder_is_served() {
    let served: BTreeSet<String> = FILES.iter().map(|f| f.path.to_owned()).collect();
    assert_eq!(served, on_disk());
    assert_eq!(served.len(), FILES.len(), "a file stands there twice");
}

#[test]
fn libraries_are_as_their_record_says() {
    let record = text("vendor/README.md");
    let mut recorded = BTreeSet::new();
    for row in record.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, name, _, version, _, licence, digest, _] = cells[..] else {
            panic!("not a row: {row}");
        };
        let name = name.trim_matches('`');
        let octets = file(&format!("vendor/{name}")).octets;
        let found = ring::digest::digest(&ring::digest::SHA256, octets);
        let found = data_encoding::HEXLOWER.encode(found.as_ref());
        assert_eq!(
            found,
            digest.trim_matches('`'),
            "{name} is not version {version}"
        );
        let link = licence
            .split('(')
            .next_back()
            .unwrap()
            .trim_end_matches(')');
        assert!(
            text(&format!("vendor/{link}")).contains("Copyright"),
            "{name}: {link}"
        );
        recorded.insert(format!("vendor/{name}"));
    }
    let libraries = on_disk().into_iter().filter(|p| {
        p.starts_with("vendor/") && !p.ends_with(".LICENSE") && !p.ends_with("README.md")
    });
    assert_eq!(recorded, libraries.collect());
}

/// The policy would stop them in the browser; this says where they stand.
#[test]
fn own_files_have_nothing_inline_and_name_no_other_host() {
    for f in FILES.iter().filter(|f| !f.path.starts_with("vendor/")) {
        let text = std::str::from_utf8(f.octets).unwrap();
        for (i, line) in text.lines().enumerate() {
            let at = format!("{}:{}: {line}", f.path, i + 1);
            let named = line.replace("http://www.w3.org/2000/svg", "");
            assert!(
                !named.contains("http://") && !named.contains("https://"),
                "{at}"
            );
            assert!(
                !line.contains("innerHTML") && !line.contains("eval("),
                "{at}"
            );
            if f.path.ends_with(".html") {
                assert!(
                    !line.contains(" style=") && !line.contains(" onclick="),
                    "{at}"
                );
                let script = line.contains("<script") && !line.contains("src=");
                assert!(!script && !line.contains("<style"), "{at}");
            }
            if f.path.ends_with(".css") {
                assert!(!line.contains("url(") && !line.contains("@import"), "{at}");
            }
        }
    }
}

#[test]
fn what_modules_import_is_there() {
    for f in FILES
        .iter()
        .filter(|f| f.path.ends_with(".js") && !f.path.starts_with("vendor/"))
    {
        let base = Path::new(f.path).parent().unwrap();
        for line in std::str::from_utf8(f.octets).unwrap().lines() {
            let Some(target) = line
                .split("from \"")
                .nth(1)
                .and_then(|r| r.split('"').next())
            else {
                continue;
            };
            let mut path: Vec<&str> = base.iter().map(|p| p.to_str().unwrap()).collect();
            for part in target.split('/') {
                match part {
                    "." => {}
                    ".." => drop(path.pop()),
                    part => path.push(part),
                }
            }
            let path = path.join("/");
            assert!(
                FILES.iter().any(|f| f.path == path),
                "{} imports {path}",
                f.path
            );
        }
    }
}

#[tokio::test]
async fn a_file_is_sent_with_its_kind_tag_and_guards() {
    let response = asked("index.html", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let headers = response.headers();
    assert_eq!(headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(headers.contains_key(header::ETAG));
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(&body[..], file("index.html").octets);
}

#[tokio::test]
async fn who_has_the_file_is_not_sent_it_again() {
    let etag = asked("app.js", &[]).await.headers()[header::ETAG].clone();
    let etag = etag.to_str().unwrap();
    for sent in [etag.to_owned(), format!("\"x\", {etag}"), "*".to_owned()] {
        let response = asked("app.js", &[(header::IF_NONE_MATCH, &sent)]).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{sent}");
        assert!(
            response
                .headers()
                .contains_key(header::CONTENT_SECURITY_POLICY)
        );
    }
    let other = asked("app.js", &[(header::IF_NONE_MATCH, "\"x\"")]).await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn gzip_is_sent_to_those_who_take_it_and_unpacks_to_the_file() {
    use std::io::Read;

    let plain = asked("app.js", &[(header::ACCEPT_ENCODING, "br, gzip;q=0")]).await;
    assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
    let packed = asked("app.js", &[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")]).await;
    assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
    let body = to_bytes(packed.into_body(), usize::MAX).await.unwrap();
    assert!(body.len() < file("app.js").octets.len() / 2);
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&body[..]);
    decoder.read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, file("app.js").octets);
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_that_names_it() {
    for path in [
        "nothing.js",
        "../server.rs",
        "",
        "vendor/",
        "console.rs",
        "tests.rs",
    ] {
        let response = asked(path, &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(
            response
                .headers()
                .contains_key(header::CONTENT_SECURITY_POLICY)
        );
    }
}
