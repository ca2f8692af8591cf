//! The settings in force, as people may see them.

use super::layers::{DEFAULTS, Layers};

/// One setting, secrets masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// As in `[section]` of `config/default.toml`.
    pub section: &'static str,
    /// Its name there.
    pub key: &'static str,
    /// As TOML has it.
    pub value: String,
    /// Where it came from; none where it is the default.
    pub source: Option<String>,
}

/// All of them, in the order of `config/default.toml`.
pub(super) fn shown(layers: &Layers) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut section = "";
    for line in DEFAULTS.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name;
        } else if let Some((key, _)) = key_of(line) {
            let path = format!("{section}.{key}");
            all.push(Shown {
                section,
                key,
                value: layers.shown(&path),
                source: (!layers.is_default(&path)).then(|| layers.source(&path).to_string()),
            });
        }
    }
    all
}

/// What is printed can be read again, secrets aside.
pub(super) fn masked_toml(layers: &Layers) -> String {
    let mut lines = Vec::new();
    let mut section = "";
    for one in shown(layers) {
        if one.section != section {
            if !section.is_empty() {
                lines.push(String::new());
            }
            section = one.section;
            lines.push(format!("[{section}]"));
        }
        let source = one.source.map(|source| format!(" # {source}"));
        lines.push(format!(
            "{} = {}{}",
            one.key,
            one.value,
            source.unwrap_or_default()
        ));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Key and value of a line that sets one.
pub(super) fn key_of(line: &str) -> Option<(&str, &str)> {
    line.split_once(" = ")
        .filter(|(key, _)| !key.starts_with('#'))
}
