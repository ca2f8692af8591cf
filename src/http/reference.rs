//! `/docs`: the reference page, made of the OpenAPI document in the browser.
//!
//! All that it loads is part of this binary: Swagger UI, as its vendored package has it. The page
//! may load nothing from elsewhere, run no script but its own, and stand in no frame.

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_swagger_ui::Config;

use super::error::{ApiError, Problem, Result};
use super::path::PathName;

/// Styles inside of elements are how Swagger UI is written; its pictures are data.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";
/// It changes with the binary only; a browser asks again after that.
const CACHE: &str = "public, max-age=3600";

static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    let config = Config::new(["/api/v1/openapi.json"])
        .validator_url("none")
        .deep_linking(true)
        .default_models_expand_depth(0)
        .display_request_duration(true)
        .try_it_out_enabled(true);
    Arc::new(config)
});

/// `GET /docs`: its files stand below it.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "relay",
    operation_id = "docs",
    summary = "The reference page's short address",
    responses((status = 308, description = "It is at `/docs/`.", headers(("Location" = String))))
)]
pub async fn moved() -> Response {
    let place = HeaderValue::from_static("/docs/");
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, place)]).into_response()
}

/// `GET /docs/`.
#[utoipa::path(
    get,
    path = "/docs/",
    tag = "relay",
    operation_id = "docs_page",
    summary = "The reference page",
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"))
)]
pub async fn page() -> Result<Response> {
    serve("index.html")
}

/// `GET /docs/{file}`.
#[utoipa::path(
    get,
    path = "/docs/{file}",
    tag = "relay",
    operation_id = "docs_file",
    summary = "A file of the reference page",
    params(("file" = String, Path, description = "Its name, such as `swagger-ui.css`.", min_length = 1, max_length = 255)),
    responses(
        (status = 200, description = "The file.", content(
            (String = "text/html"),
            (String = "text/css"),
            (String = "text/javascript"),
            (Vec<u8> = "image/png"),
        )),
        (status = 404, description = "There is no such file."),
    )
)]
pub async fn file(PathName(name): PathName) -> Result<Response> {
    serve(&name)
}

fn serve(name: &str) -> Result<Response> {
    let found = utoipa_swagger_ui::serve(name, Arc::clone(&CONFIG)).map_err(|problem| {
        tracing::error!(%problem, "a file of the reference page cannot be made");
        ApiError::internal()
    })?;
    let file = found.ok_or_else(|| ApiError::new(Problem::NotFound, "There is no such file"))?;
    let media_type = HeaderValue::from_str(&file.content_type).map_err(|_| ApiError::internal())?;
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static(CACHE)),
    ];
    Ok((headers, Body::from(file.bytes.into_owned())).into_response())
}
