//! What the gate adds to the document that describes the API: how to say who asks, and what it refuses.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, OpenApi, Ref, ResponseBuilder, SecurityRequirement,
};

/// What every request may get.
const ALL: [(&str, &str); 5] = [
    (
        "401",
        "Nobody who is known: no credentials, or none that are good",
    ),
    (
        "403",
        "The role is too low, or the request may be another site's",
    ),
    ("414", "The target is too long"),
    (
        "429",
        "Too many requests from one source; `Retry-After` says when to come back",
    ),
    ("431", "The header fields are too long"),
];

/// What changes may get beside that.
const CHANGES: [(&str, &str); 5] = [
    ("400", "A parameter is wrong; `parameter` says which"),
    ("408", "The body did not come in time"),
    (
        "409",
        "The `Idempotency-Key` was seen before, or the order breaks a rule",
    ),
    ("413", "The body is too long"),
    ("415", "The body is no JSON by its own word"),
];

/// Adds it to every operation that says something of its own.
pub(in crate::admin) fn describe(document: &mut OpenApi) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let cookie = ApiKey::Cookie(ApiKeyValue::with_description(
        "__Host-tradewind",
        "What POST /v1/session gives for a token; without TLS it is called `tradewind`.",
    ));
    let components = document
        .components
        .take()
        .unwrap_or_else(|| ComponentsBuilder::new().build());
    let mut components = components;
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    document.components = Some(components);
    let none: [&str; 0] = [];
    document.security = Some(vec![
        SecurityRequirement::new("token", none),
        SecurityRequirement::new("session", none),
        // From the node's own machine, and with a client certificate.
        SecurityRequirement::default(),
    ]);
    for item in document.paths.paths.values_mut() {
        for (operation, is_change) in operations(item) {
            add(operation, &ALL);
            if is_change {
                add(operation, &CHANGES);
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let safe = [item.get.as_mut(), item.head.as_mut()];
    let changes = [
        item.put.as_mut(),
        item.post.as_mut(),
        item.delete.as_mut(),
        item.patch.as_mut(),
    ];
    let safe = safe.into_iter().flatten().map(|o| (o, false));
    safe.chain(changes.into_iter().flatten().map(|o| (o, true)))
}

fn add(operation: &mut Operation, all: &[(&str, &str)]) {
    for (status, description) in all {
        if operation.responses.responses.contains_key(*status) {
            continue;
        }
        let body = ContentBuilder::new()
            .schema(Some(Ref::from_schema_name("Problem")))
            .build();
        let response = ResponseBuilder::new()
            .description(*description)
            .content("application/problem+json", body)
            .build();
        let responses = &mut operation.responses.responses;
        responses.insert((*status).to_owned(), response.into());
    }
}
