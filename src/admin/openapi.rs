//! The document that describes the API (OpenAPI 3.1), generated from the handlers.
//!
//! Handlers say what is particular to them. What all have in common is added here: problem documents
//! (RFC 9457) as the body of every refusal, who may ask, conditional requests, and a name for every
//! operation.

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use super::problem::Document;
use super::route::query::NoQuery;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tradewind",
        description = "The admin API of a node: what an operator sees and orders. Any node answers for \
                       the fleet. Refusals are problem documents (RFC 9457) that name the parameter at \
                       fault.",
        contact(name = "Tradewind"),
    ),
    components(schemas(Document)),
    tags(
        (name = "steering", description = "Names, pools and regions, and why an answer is what it is."),
        (name = "health", description = "Endpoints, monitors, votes and measured times."),
        (name = "orders", description = "Operators' orders, and the record of them."),
        (name = "drills", description = "Failures on purpose, for a set time."),
        (name = "fleet", description = "The nodes."),
        (name = "proxy", description = "What the proxy of the node that was asked does."),
        (name = "node", description = "The node that was asked."),
    )
)]
struct Head;

/// Methods of operations.
const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "patch", "head", "options", "trace",
];

/// Whoever asks for them need not be known.
const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// Why every operation may be refused, beside what the gate says.
const WRONG: &str = "A parameter is wrong or unknown; it is named";

/// The document without paths.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// The document with all that operations have in common.
pub(super) fn complete(document: &utoipa::openapi::OpenApi) -> Value {
    // What came out of our own types is JSON.
    let mut all = serde_json::to_value(document).unwrap_or_default();
    all["components"]["securitySchemes"]["certificate"] = json!({
        "type": "mutualTLS",
        "description": "A client certificate of an authority that the configuration names."
    });
    if let Some(ways) = all["security"].as_array_mut() {
        ways.push(json!({"certificate": []}));
    }
    let own = json!({
        "path": "/v1/openapi.json",
        "get": {
            "tags": ["node"],
            "summary": "This document.",
            "responses": {
                "200": {
                    "description": "The document",
                    "content": {"application/json": {"schema": {"type": "object"}}}
                }
            }
        }
    });
    let Some(paths) = all["paths"].as_object_mut() else {
        return all;
    };
    paths.insert(
        "/v1/openapi.json".to_owned(),
        json!({"get": own["get"].clone()}),
    );
    for (path, item) in paths.iter_mut() {
        let Some(item) = item.as_object_mut() else {
            continue;
        };
        for method in METHODS {
            if let Some(operation) = item.get_mut(method).and_then(Value::as_object_mut) {
                finish(path, method, operation);
            }
        }
    }
    // In an order that does not depend on where a handler was registered.
    paths.sort_keys();
    all
}

fn finish(path: &str, method: &str, operation: &mut Map<String, Value>) {
    let words = path.split(['/', '{', '}', '.']).filter(|w| !w.is_empty());
    let id: Vec<&str> = std::iter::once(method).chain(words).collect();
    operation.insert("operationId".to_owned(), id.join("-").into());
    operation.entry("tags").or_insert_with(|| json!(["node"]));
    if OPEN.contains(&path) {
        operation.insert("security".to_owned(), json!([]));
    }
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    let wrong = json!({"description": WRONG});
    responses.entry("400").or_insert(wrong);
    for (status, response) in responses.iter_mut() {
        let refusal = status.starts_with(['4', '5']);
        let Some(response) = response.as_object_mut().filter(|_| refusal) else {
            continue;
        };
        response.insert(
            "content".to_owned(),
            json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}),
        );
    }
    let fields = [
        (
            "304",
            "If-None-Match",
            "Tags that the client has: 304 where one of them stands for what is.",
        ),
        (
            "412",
            "If-Match",
            "The tag of what the client saw: nothing is changed where it is another now.",
        ),
    ];
    let given = fields.map(|field| (responses.contains_key(field.0), field));
    responses.sort_keys();
    for (_, (_, name, description)) in given.into_iter().filter(|(given, _)| *given) {
        let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(parameters) = parameters.as_array_mut() {
            parameters.push(json!({
                "name": name, "in": "header", "required": false, "description": description,
                "schema": {
                    "type": "string",
                    "pattern": r#"^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*"){0,31})$"#
                }
            }));
        }
    }
}

/// `PATH (METHODS)` of everything in a document, for people who asked for something else.
pub(super) fn paths(document: &Value) -> String {
    let paths = document["paths"].as_object().into_iter().flatten();
    let texts = paths.map(|(path, item)| {
        let methods = METHODS.iter().filter(|m| item.get(**m).is_some());
        let methods: Vec<String> = methods.map(|m| m.to_ascii_uppercase()).collect();
        match methods.join(", ").as_str() {
            "GET" => path.clone(),
            methods => format!("{path} ({methods})"),
        }
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// A handler that gives the document.
pub(super) fn serve(
    document: &Value,
) -> impl Fn(NoQuery) -> std::future::Ready<Response> + Clone + Send + 'static {
    let text: axum::body::Bytes = document.to_string().into();
    move |_: NoQuery| {
        let kind = HeaderValue::from_static("application/json");
        let response = ([(header::CONTENT_TYPE, kind)], text.clone());
        std::future::ready(response.into_response())
    }
}

#[cfg(test)]
mod tests;
