//! The document that describes the API (OpenAPI 3.1), generated from the handlers.

use axum::response::IntoResponse;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(info(
    title = "Tradewind",
    description = "The admin API of a node: what an operator sees and orders."
))]
struct Head;

/// The document without paths.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// A handler that gives the document.
pub(super) fn serve(
    document: &utoipa::openapi::OpenApi,
) -> impl Fn() -> std::future::Ready<axum::response::Response> + Clone + Send + 'static {
    let response = axum::Json(document.clone());
    move || std::future::ready(response.clone().into_response())
}
