//! What the README and the pages in docs/ tell people to type does what they say it does.
//!
//! A page is read as its reader reads it: from the top, every shell block run as it stands, in one
//! terminal, against a relay that was started as the README says. Only the ports are others:
//! 8080, 9000 and 9001 of this machine stand for three that are free.
//!
//! - `sh` runs, and every request in it is answered 2xx. `sh answers 404`: its last request is
//!   answered so. `sh in another terminal` goes on beside the others. `sh not run: WHY` is not run.
//! - `json` or `text` right below is the answer. What differs from run to run (ids, times,
//!   secrets, numbers with a fraction) has to be of the same kind, and an id the same everywhere;
//!   `…` stands for anything. An object without `…` has no other fields.
//! - `text in another terminal` is what comes to be seen there.
//! - A block that only looks is run again until it sees what is shown: people look again, too.

#![allow(
    clippy::disallowed_methods,
    reason = "how long a page may take is the test's own time"
)]

mod page;
mod run;
mod shown;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::Command;

use page::Page;
use serde_json::Value;

/// One test for each page, so that they run side by side; the list is held against the folder.
macro_rules! pages {
    ($($name:ident: $path:literal),* $(,)?) => {
        const PAGES: &[&str] = &[$($path),*];
        $(#[test]
        fn $name() {
            let text = std::fs::read_to_string(root().join($path)).unwrap();
            let faults = run::faults($path, &text);
            assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
        })*
    };
}

pages! {
    the_readme: "README.md",
    the_guide: "docs/api.md",
    errors: "docs/errors.md",
    event_types: "docs/event-types.md",
    keys: "docs/keys.md",
    operational_events: "docs/operational-events.md",
    operations: "docs/operations.md",
    performance: "docs/performance.md",
    reliability: "docs/reliability.md",
    routes: "docs/routes.md",
    search: "docs/search.md",
    signing: "docs/signing.md",
    statistics: "docs/statistics.md",
    stream: "docs/stream.md",
    tenants: "docs/tenants.md",
    test_sends: "docs/test-sends.md",
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every page there is, relative to the root.
fn all_pages() -> Vec<String> {
    let folder = std::fs::read_dir(root().join("docs")).unwrap();
    let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| name.ends_with(".md"));
    pages
        .map(|name| format!("docs/{name}"))
        .chain(["README.md".to_owned()])
        .collect()
}

#[test]
fn every_page_with_commands_is_run() {
    for path in all_pages() {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let page = Page::read(&text).unwrap_or_else(|faults| panic!("{path}: {faults:?}"));
        assert!(
            page.steps.is_empty() || PAGES.contains(&path.as_str()),
            "{path} has commands and is not in the list of pages"
        );
    }
}

#[test]
fn what_the_relay_prints_at_its_start_can_be_pasted() {
    let faults = run::faults_of_the_welcome();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Links between pages lead somewhere: to a file that is there, and in it to a heading.
#[test]
fn links_lead_somewhere() {
    for path in all_pages() {
        let folder = root().join(&path).parent().unwrap().to_owned();
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        for link in page::links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let file = match file {
                "" => root().join(&path),
                file => folder.join(file),
            };
            assert!(file.exists(), "{path} leads to {link}, which is not there");
            assert!(
                heading.is_empty() || has_heading(&file, heading),
                "{path} leads to {link}, which has no such heading"
            );
        }
    }
}

/// Every part of every path that the relay describes is named.
#[test]
fn the_list_of_routes_is_whole() {
    let described = Command::new(env!("CARGO_BIN_EXE_posthaste"))
        .arg("openapi")
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&described.stdout).unwrap();
    let list = std::fs::read_to_string(root().join("docs/routes.md")).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 30, "the description is not read right");
    for path in paths.keys() {
        let parts = path.strip_prefix("/api/v1").unwrap_or(path).split('/');
        for part in parts.filter(|part| !part.is_empty() && !part.starts_with('{')) {
            let is_there = list.contains(&format!("/{part}"));
            assert!(is_there, "{path} is not in docs/routes.md");
        }
    }
}

fn has_heading(file: &Path, anchor: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap();
    page::anchors(&text).iter().any(|found| found == anchor)
}
