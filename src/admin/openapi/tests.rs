//! The document is what clients are promised.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{METHODS, complete, paths};
use crate::admin::server::described;

fn document() -> Value {
    let (_, mut document) = described().split_for_parts();
    crate::admin::gate::describe(&mut document);
    complete(&document)
}

/// Every operation with its path and method.
fn operations(document: &Value) -> Vec<(String, &'static str, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                all.push((path.clone(), method, operation));
            }
        }
    }
    all
}

#[test]
fn the_document_is_the_golden_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/openapi.json");
    let text = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{} differs from what the handlers say: UPDATE_GOLDEN=1 writes it anew; then look at what \
         changed for clients",
        path.display()
    );
}

#[test]
fn every_operation_is_told_in_words_and_refuses_with_problem_documents() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let whole = |what: &Value| what.as_str().is_some_and(|t| t.trim().len() > 3);
        assert!(whole(&operation["summary"]), "{method} {path}");
        assert_eq!(
            operation["tags"].as_array().map(Vec::len),
            Some(1),
            "{method} {path}"
        );
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(
                whole(&parameter["description"]),
                "{method} {path}: {parameter}"
            );
        }
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            assert!(whole(&response["description"]), "{method} {path} {status}");
            let has = |kind: &str| response["content"].get(kind).is_some();
            match status.as_bytes()[0] {
                b'4' | b'5' => assert!(has("application/problem+json"), "{method} {path} {status}"),
                b'2' if status != "204" => assert!(
                    response.get("content").is_some(),
                    "{method} {path} {status}"
                ),
                _ => {}
            }
        }
    }
}

#[test]
fn names_of_operations_are_different_and_what_is_named_is_there() {
    let document = document();
    let all = operations(&document);
    let names: BTreeSet<&str> = all
        .iter()
        .map(|(_, _, o)| o["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), all.len());
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }
}

/// A schema is known by its name alone, so that two types of one name would become one of them.
#[test]
fn no_two_types_have_the_same_name_in_the_document() {
    let mut seen = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin")];
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.is_dir() {
                folders.push(file);
                continue;
            }
            if file.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            for part in text.split("#[derive(").skip(1) {
                let (derives, rest) = part.split_once(")]").unwrap();
                if !derives.contains("ToSchema") {
                    continue;
                }
                let item = rest.split_once('{').unwrap().0;
                let renamed = item.split_once("schema(as = ").map(|(_, n)| n);
                let word = |text: &str| -> String {
                    text.chars().take_while(|c| c.is_alphanumeric()).collect()
                };
                let name = match renamed {
                    Some(name) => word(name),
                    None => {
                        let at = item.find("struct ").map(|i| i + 7);
                        let at = at.or(item.find("enum ").map(|i| i + 5)).unwrap();
                        word(&item[at..])
                    }
                };
                assert!(
                    seen.insert(name.clone()),
                    "{}: another type is called {name}; give this one `#[schema(as = …)]`",
                    file.display()
                );
            }
        }
    }
    assert!(seen.len() > 50);
}

#[test]
fn people_are_told_which_paths_there_are() {
    let told = paths(&document());
    for path in [
        "/v1/status",
        "/v1/overrides (GET, PUT, POST, DELETE)",
        "/v1/reload (POST)",
    ] {
        assert!(told.contains(path), "{path} in {told}");
    }
}

#[test]
fn the_page_for_people_has_every_operation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/api.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let mut table = String::from("| operation | |\n|---|---|\n");
    for (path, method, operation) in operations(&document()) {
        let summary = operation["summary"].as_str().unwrap().replace('|', "\\|");
        let method = method.to_ascii_uppercase();
        table.push_str(&format!("| `{method} {path}` | {summary} |\n"));
    }
    let (start, end) = (
        page.find("writes it -->\n").unwrap() + 14,
        page.find("<!-- end -->").unwrap(),
    );
    let told = format!("{}\n{table}\n{}", &page[..start], &page[end..]);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &told).unwrap();
    }
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(
        page == told,
        "src/docs/api.md misses operations: UPDATE_GOLDEN=1 writes them"
    );
}
