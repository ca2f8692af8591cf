//! Values that never show themselves, and how they are masked where something must be shown.

use url::Url;

/// What stands where a secret would.
pub(super) const MASK: &str = "********";

/// A value that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps it.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

/// Query parameters of a database URL that are shown; any other may hold a password.
const SHOWN_PARAMETERS: [&str; 4] = ["sslmode", "sslrootcert", "application_name", "protocol"];

/// A URL with its password masked; masked whole where it is not certain what part is secret.
pub(super) fn mask_url(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        return MASK.to_owned();
    };
    // An `@` behind the host is one of an unescaped password that was cut in two.
    let tail = [Some(url.path()), url.query(), url.fragment()];
    if url.cannot_be_a_base() || tail.into_iter().flatten().any(|part| part.contains('@')) {
        return MASK.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if !parameters.is_empty() {
        let mut query = url.query_pairs_mut();
        query.clear();
        for (name, value) in &parameters {
            let shown = SHOWN_PARAMETERS.contains(&name.as_str());
            query.append_pair(name, if shown { value } else { MASK });
        }
    }
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_keep_what_helps_and_hide_the_rest() {
        let cases = [
            (
                "postgres://relay:hunter2@db:5432/relay",
                "postgres://relay:********@db:5432/relay",
            ),
            (
                "redis://:hunter2@cache:6379/0",
                "redis://:********@cache:6379/0",
            ),
            (
                "postgres://db/relay?sslmode=require",
                "postgres://db/relay?sslmode=require",
            ),
            (
                "postgres://db/relay?password=hunter2&sslmode=require",
                "postgres://db/relay?password=********&sslmode=require",
            ),
            ("postgres://relay:hunter2@db:port/relay", MASK),
            ("postgres:relay:hunter2", MASK),
            ("postgres://relay:12/34@db/relay", MASK),
            ("hunter2", MASK),
        ];
        for (given, shown) in cases {
            assert_eq!(mask_url(given), shown, "{given}");
        }
    }

    #[test]
    fn a_secret_does_not_debug_itself() {
        assert_eq!(
            format!("{:?}", Some(Secret::new("hunter2"))),
            "Some(********)"
        );
    }
}
