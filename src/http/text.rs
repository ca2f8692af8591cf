//! Short texts from outside: names, keys, sources.

use crate::domain::event::MAX_TEXT;

/// Says what is wrong with a text, if anything: it has 1 to 255 characters and none of them
/// controls anything (Postgres cannot store NUL, and line breaks forge log lines).
pub fn check(text: &str) -> Result<(), String> {
    let length = text.chars().count();
    if !(1..=MAX_TEXT).contains(&length) {
        Err(format!(
            "must be 1 to {MAX_TEXT} characters long, not {length}"
        ))
    } else if text.chars().any(char::is_control) {
        Err("must not hold control characters".to_owned())
    } else {
        Ok(())
    }
}

/// A name from outside, short enough to be repeated in an answer.
pub fn cut(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_bounds() {
        for good in ["a", "é ü", &"é".repeat(255)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "a\0", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(256)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(500)).chars().count(), 61);
    }
}
