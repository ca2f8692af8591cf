//! The settings in force, as people may see them.

use super::layers::{DEFAULTS, Layers};

/// In the order of `config/default.toml`; what is printed can be read again, secrets aside.
pub(super) fn masked_toml(layers: &Layers) -> String {
    let mut lines = Vec::new();
    let mut section = "";
    for line in DEFAULTS.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            if !section.is_empty() {
                lines.push(String::new());
            }
            section = name;
            lines.push(line.to_owned());
        } else if let Some((key, _)) = key_of(line) {
            let path = format!("{section}.{key}");
            let value = layers.shown(&path);
            lines.push(if layers.is_default(&path) {
                format!("{key} = {value}")
            } else {
                format!("{key} = {value} # {}", layers.source(&path))
            });
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Key and value of a line that sets one.
pub(super) fn key_of(line: &str) -> Option<(&str, &str)> {
    line.split_once(" = ")
        .filter(|(key, _)| !key.starts_with('#'))
}
