//! Imports point one way: main → cli → engine → {http, actors, feed, store, delivery} → domain.
//!
//! A scan of the paths in the source, not a compiler: it errs on the side of complaining. What
//! is not forbidden by name here is free.

use std::path::Path;

/// Used by every layer but the domain.
const SHARED: [&str; 7] = [
    "clock",
    "settings",
    "events",
    "faults",
    "metrics",
    "telemetry",
    "traces",
];

/// Which of our modules a module may name, beside itself, `domain` and the shared ones.
const LAYERS: [(&str, &[&str]); 14] = [
    ("main", &["cli"]),
    ("lib", &[]),
    ("cli", &["engine"]),
    (
        "engine",
        &[
            "http",
            "actors",
            "directory",
            "keyring",
            "limits",
            "sessions",
            "stream",
            "feed",
            "store",
            "delivery",
        ],
    ),
    (
        "http",
        &[
            "actors", "keyring", "limits", "sessions", "stream", "feed", "store", "delivery",
        ],
    ),
    ("stream", &["directory", "feed"]),
    (
        "actors",
        &[
            "directory",
            "keyring",
            "limits",
            "sessions",
            "feed",
            "store",
            "delivery",
        ],
    ),
    ("directory", &["store"]),
    ("keyring", &[]),
    ("limits", &["feed"]),
    ("sessions", &[]),
    ("delivery", &[]),
    ("feed", &[]),
    ("store", &[]),
];

/// Crates that stay behind a door: only these modules may name them.
const DOORS: [(&str, &[&str]); 20] = [
    ("sqlx", &["store", "engine"]),
    ("rusqlite", &["store"]),
    ("aes_gcm", &["store"]),
    ("argon2", &["http"]),
    ("redis", &["feed", "engine"]),
    ("ractor", &["actors", "engine"]),
    // The demo has receivers of its own.
    ("axum", &["http", "engine", "cli"]),
    ("tower", &["http", "engine"]),
    ("tower_http", &["http", "engine"]),
    ("clap", &["cli"]),
    ("reqwest", &["cli", "traces"]),
    ("utoipa", &["http", "domain"]),
    ("utoipa_swagger_ui", &["http"]),
    ("rust_embed", &["http"]),
    ("prometheus_client", &["metrics", "traces"]),
    ("opentelemetry", &["traces"]),
    ("opentelemetry_sdk", &["traces"]),
    ("opentelemetry_otlp", &["traces"]),
    ("rlimit", &["cli"]),
    ("tracing_subscriber", &["telemetry", "settings"]),
];

/// What the domain may not name at all: it decides, it does not do.
const IMPURE: [&str; 6] = [
    "tokio",
    "tokio_util",
    "hyper",
    "hyper_util",
    "rand",
    "tracing",
];

#[test]
fn imports_point_one_way() {
    let mut found = Vec::new();
    let mut files = 0;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path
                    .strip_prefix(&source)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.extend(violations(&name, &std::fs::read_to_string(path).unwrap()));
                files += 1;
            }
        }
    }
    assert!(files > 10, "the scan found only {files} files");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn the_scan_finds_what_it_is_for() {
    let bad = [
        ("domain/window.rs", "use tokio::sync::mpsc;", "tokio"),
        ("domain/window.rs", "use crate::clock;", "clock"),
        (
            "domain/window.rs",
            "fn f() { let x = crate::settings::Secret::new(); }",
            "settings",
        ),
        ("domain/mod.rs", "use super::store::Store;", "store"),
        (
            "domain/retry.rs",
            "use super::super::store::Store;",
            "store",
        ),
        (
            "http/events.rs",
            "async fn f(pool: &sqlx::PgPool) {}",
            "sqlx",
        ),
        ("http/events.rs", "use ractor as r;", "ractor"),
        (
            "http/mod.rs",
            "use crate::{domain::Id, engine::Engine};",
            "engine",
        ),
        (
            "http/mod.rs",
            "use crate::{\n domain::{Id, Event},\n cli,\n};",
            "cli",
        ),
        ("store/mod.rs", "use crate::feed::Feed;", "feed"),
        ("feed/redis.rs", "use crate::store::Store;", "store"),
        (
            "feed/redis.rs",
            "#[derive(sqlx::FromRow)] struct Row;",
            "sqlx",
        ),
        ("store/sqlite/mod.rs", "pub use redis;", "redis"),
        ("delivery/deliver.rs", "use ::axum::Router;", "axum"),
        (
            "delivery/deliver.rs",
            "use {axum::Router, std::fmt};",
            "axum",
        ),
        (
            "actors/mod.rs",
            "const C: char = '\"'; use crate::http::Api; const D: char = '\"';",
            "http",
        ),
        ("settings/mod.rs", "use crate::engine::Engine;", "engine"),
        ("cli/serve.rs", "use crate::store::Store;", "store"),
        (
            "main.rs",
            "fn main() { posthaste::engine::run() }",
            "engine",
        ),
        ("surprise.rs", "", "surprise"),
    ];
    for (file, source, culprit) in bad {
        let found = violations(file, source);
        assert_eq!(found.len(), 1, "{file}: {source}: {found:?}");
        assert!(found[0].contains(culprit), "{found:?}");
    }
}

#[test]
fn the_scan_leaves_the_rest_alone() {
    let good = [
        (
            "domain/window.rs",
            "use super::event::Event; use crate::domain::Id; use std::fmt;",
        ),
        (
            "domain/window.rs",
            "//! Unlike tokio::sync, crate::store and\n/* sqlx::Pool */",
        ),
        (
            "domain/window.rs",
            "const A: &str = \"tokio::spawn // crate::store\"; const B: &str = r#\"\"sqlx::x\"#;",
        ),
        (
            "store/postgres/events.rs",
            "use super::super::Store; use sqlx::PgPool; use crate::clock;",
        ),
        (
            "feed/mod.rs",
            "mod redis; pub use redis::RedisFeed; use self::memory::Memory;",
        ),
        (
            "engine.rs",
            "use crate::feed::{memory, redis::RedisFeed}; use crate::{http, store};",
        ),
        (
            "http/events.rs",
            "use axum::Json; use crate::actors::ingest; use crate::store::Store;",
        ),
        (
            "cli/serve.rs",
            "use crate::engine::Engine; use super::say; use clap::Args;",
        ),
        ("lib.rs", "pub mod store; pub mod feed;"),
    ];
    for (file, source) in good {
        assert_eq!(
            violations(file, source),
            Vec::<String>::new(),
            "{file}: {source}"
        );
    }
}

/// What a file names that it must not. `file` is relative to `src/`.
fn violations(file: &str, source: &str) -> Vec<String> {
    let mut modules: Vec<&str> = file.trim_end_matches(".rs").split('/').collect();
    modules.pop_if(|last| *last == "mod");
    let here = modules[0];
    let Some(allowed) = allowed(here) else {
        return vec![format!(
            "src/{file}: {here} has no place in tests/architecture.rs"
        )];
    };
    let code = without_comments_and_text(source);
    let tokens = tokens(&code);
    let mut found = Vec::new();
    for name in ours(&tokens, modules.len()) {
        let known = LAYERS.iter().any(|(layer, _)| *layer == name) || SHARED.contains(&name);
        if known && name != here && !allowed.contains(&name) {
            found.push(format!("src/{file} must not know crate::{name}"));
        }
    }
    for name in foreign(&tokens) {
        let door = DOORS.iter().find(|(krate, _)| *krate == name);
        let closed = door.is_some_and(|(_, doors)| !doors.contains(&here));
        if closed || (here == "domain" && IMPURE.contains(&name)) {
            found.push(format!("src/{file} must not name the crate {name}"));
        }
    }
    found
}

fn allowed(module: &str) -> Option<Vec<&'static str>> {
    if module == "domain" {
        return Some(Vec::new());
    }
    let below = if SHARED.contains(&module) {
        &[]
    } else {
        LAYERS.iter().find(|(layer, _)| *layer == module)?.1
    };
    Some(below.iter().copied().chain(SHARED).collect())
}

/// Our top-level modules named in paths from `crate`, from `posthaste`, or by enough `super`s
/// to reach the crate's root.
fn ours<'a>(tokens: &[&'a str], depth: usize) -> Vec<&'a str> {
    let mut names = Vec::new();
    for at in heads(tokens) {
        let mut next = at + 2;
        match tokens[at] {
            "crate" | "posthaste" => {}
            "super" => {
                let mut supers = 1;
                while tokens.get(next) == Some(&"super") {
                    supers += 1;
                    next += 2;
                }
                if supers < depth {
                    continue;
                }
            }
            _ => continue,
        }
        match tokens.get(next) {
            Some(&"{") => names.extend(group(&tokens[next + 1..])),
            Some(name) => names.push(name),
            None => {}
        }
    }
    names
}

/// First names of the paths of a group, up to its closing brace.
fn group<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let (mut names, mut depth, mut first) = (Vec::new(), 1, true);
    for token in tokens {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => first = true,
            name if first => {
                names.push(name);
                first = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// First names of paths, and names imported whole.
fn foreign<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let whole =
        (1..tokens.len()).filter(|at| tokens[at - 1] == "use" && tokens[at - 1..].len() > 2);
    let whole = whole
        .filter(|at| tokens[at + 1] != "::")
        .map(|at| tokens[at]);
    heads(tokens).map(|at| tokens[at]).chain(whole).collect()
}

/// Where paths of more than one segment begin. `::name` begins at the name.
fn heads(tokens: &[&str]) -> impl Iterator<Item = usize> {
    (0..tokens.len()).filter(|&at| {
        let is_name = tokens[at].starts_with(|c: char| c.is_alphabetic() || c == '_');
        let continues = at >= 2
            && tokens[at - 1] == "::"
            && tokens[at - 2].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>')
            && tokens[at - 2] != "use";
        is_name && tokens.get(at + 1) == Some(&"::") && !continues
    })
}

fn tokens(source: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn without_comments_and_text(source: &str) -> String {
    let mut kept = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            text_length(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#") {
            raw_text_length(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else if rest.starts_with("'\\\"'") {
            4
        } else {
            0
        };
        if skipped == 0 {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            kept.push(' ');
            rest = &rest[skipped..];
        }
    }
    kept
}

fn text_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// 0 where it is no raw text after all (`r#type`).
fn raw_text_length(text: &str) -> usize {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let open = hashes + 2;
    text[open..]
        .find(&close)
        .map_or(text.len(), |end| open + end + close.len())
}
