//! What the table of routes knows about every operation, so that no handler has to say it:
//! where it stands, which scope it takes, what its path holds, and how it may be refused.

use axum::http::{Method, StatusCode};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{
    Content, Header, KnownFormat, OpenApi, Paths, Ref, RefOr, Required, Response,
};

use super::super::error::{ApiError, MEDIA_TYPE, Problem};
use super::super::routes::Route;
use crate::domain::access::Scope;

/// Names of the security schemes; a key is the same in each.
pub const SCHEMES: [&str; 3] = ["bearer", "apiKey", "serviceToken"];

/// The request that the examples of problems were answers to.
const A_REQUEST: &str = "0190b5a0-7a3c-7c1e-9d52-3f1b0c5d8e21";

/// The operation of one method of a path, where the document has it.
pub fn operation<'a>(item: &'a mut PathItem, method: &Method) -> Option<&'a mut Operation> {
    let place = match *method {
        Method::GET => &mut item.get,
        Method::POST => &mut item.post,
        Method::PUT => &mut item.put,
        Method::PATCH => &mut item.patch,
        Method::DELETE => &mut item.delete,
        _ => return None,
    };
    place.as_mut()
}

/// Completes the document that the handlers made. What stands in only one of the two stays as it
/// is, for the test to find.
pub fn complete<S>(document: &mut OpenApi, guarded: &[Route<S>], open: &[Route<S>]) {
    let mut drawn = std::mem::take(&mut document.paths);
    let mut paths = Paths::new();
    for route in guarded.iter().chain(open) {
        if let Some(item) = drawn.paths.get_mut(&route.described())
            && let Some(operation) = operation(item, &route.method)
        {
            of_route(operation, route);
        }
    }
    for (path, item) in drawn.paths {
        let mut routes = guarded.iter().chain(open);
        let known = routes.find(|route| route.described() == path);
        let canonical = known.map_or(path, Route::canonical);
        paths.paths.insert(canonical, item);
    }
    document.paths = paths;
}

fn of_route<S>(operation: &mut Operation, route: &Route<S>) {
    let name = operation.operation_id.take().unwrap_or_default();
    let tag = operation.tags.iter().flatten().next();
    let method = match route.method {
        // The one handler that two methods share.
        Method::PATCH => "_patch",
        _ => "",
    };
    let tag = tag.map_or(String::new(), |tag| format!("{tag}_"));
    operation.operation_id = Some(format!("{tag}{name}{method}"));
    let ids = path_parameters(operation, &route.described());
    match route.scope {
        Some(scope) => guard(operation, scope, route.or),
        None => operation.security = Some(Vec::new()),
    }
    let mut refusals = vec![Problem::Internal, Problem::Unavailable];
    if route.scope.is_some() {
        refusals.extend([
            Problem::NoKey,
            Problem::KeyEnded,
            Problem::MissingScope,
            Problem::InactiveTenant,
            Problem::TooManyRequests,
            Problem::TooManyKeys,
        ]);
    }
    if ids {
        refusals.push(Problem::NotFound);
    }
    let has_query = operation
        .parameters
        .iter()
        .flatten()
        .any(|one| matches!(one, RefOr::T(one) if one.parameter_in == ParameterIn::Query));
    if has_query {
        refusals.push(Problem::InvalidQuery);
    }
    if operation.request_body.is_some() {
        refusals.extend([
            Problem::InvalidBody,
            Problem::BodyTooLarge,
            Problem::UnsupportedMediaType,
            Problem::SlowBody,
        ]);
    }
    for problem in refusals {
        let status = problem.status().as_str().to_owned();
        let answers = &mut operation.responses.responses;
        let answer = answers
            .entry(status)
            .or_insert_with(|| RefOr::T(Response::new("")));
        if let RefOr::T(answer) = answer {
            add_problem(answer, problem);
        }
    }
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer {
            describe(answer, status);
        }
    }
}

/// Names the ids that stand in a path; says whether there are any parameters in it.
fn path_parameters(operation: &mut Operation, path: &str) -> bool {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut any = false;
    for name in names {
        any = true;
        let given = operation.parameters.get_or_insert_default();
        let is_known = given
            .iter()
            .any(|one| matches!(one, RefOr::T(one) if one.name == name));
        if !is_known {
            given.insert(0, RefOr::T(id_parameter(name)));
        }
    }
    any
}

fn id_parameter(name: &str) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some("The id (a UUID)."))
        .schema(Some(schema))
        .build()
}

/// Any one of the three headers, with a key of that scope, or of one of the others.
fn guard(operation: &mut Operation, scope: Scope, or: &[Scope]) {
    let scopes: Vec<&str> = std::iter::once(&scope)
        .chain(or)
        .map(|one| one.as_str())
        .collect();
    let needed = scopes
        .iter()
        .flat_map(|scope| SCHEMES.map(|scheme| SecurityRequirement::new(scheme, [*scope])));
    operation.security = Some(needed.collect());
    let text = operation.description.get_or_insert_default();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    let scopes = scopes.join("` or `");
    text.push_str(&format!("Takes a key with the scope `{scopes}`."));
}

/// Says that it may be answered for this reason too.
fn add_problem(answer: &mut Response, problem: Problem) {
    if !answer.description.is_empty() {
        answer.description.push_str("\n\n");
    }
    let reason = format!("`{}`: {}", problem.code(), problem.meaning());
    answer.description.push_str(&reason);
    let content = answer
        .content
        .entry(MEDIA_TYPE.into())
        .or_insert_with(|| RefOr::T(problem_content()));
    if let RefOr::T(content) = content {
        let body = ApiError::new(problem, problem.meaning()).to_json(A_REQUEST);
        let example = ExampleBuilder::new().value(Some(body)).build();
        content
            .examples
            .insert(problem.code().into(), RefOr::T(example));
    }
}

fn problem_content() -> Content {
    Content::new(Some(Ref::from_schema_name("Problem")))
}

/// What every answer carries, and the shape of those that are no success.
fn describe(answer: &mut Response, status: &str) {
    let headers = &mut answer.headers;
    headers.insert("X-Request-Id".into(), RefOr::T(request_id()));
    let code = status
        .parse()
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let Some(code) = code.filter(|code| code.is_client_error() || code.is_server_error()) else {
        return;
    };
    if code == StatusCode::SERVICE_UNAVAILABLE || code == StatusCode::TOO_MANY_REQUESTS {
        headers.insert("Retry-After".into(), RefOr::T(retry_after()));
    }
    if code == StatusCode::TOO_MANY_REQUESTS {
        for (name, meaning) in RATE_FIELDS {
            headers.insert(name.into(), RefOr::T(text_header(meaning)));
        }
    }
    // A refusal of the handler's own: its description says why, the example how.
    if answer.content.is_empty() {
        let told = std::mem::take(&mut answer.description);
        add_problem(answer, Problem::from(code));
        answer.description = told;
    }
}

fn request_id() -> Header {
    text_header("The request's name in the log: its own `X-Request-Id`, or a new one.")
}

/// What is told of the limits that a request counts towards (`limits` in the settings).
const RATE_FIELDS: [(&str, &str); 2] = [
    (
        "RateLimit-Policy",
        "The limits that count this request, as the draft of the IETF has it. Other answers carry it too.",
    ),
    (
        "RateLimit",
        "What is left of each, and the seconds until more is. Other answers carry it too.",
    ),
];

fn text_header(meaning: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(meaning))
        .build()
}

fn retry_after() -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::Integer)))
        .description(Some("Seconds after which another try may succeed."))
        .build()
}
