//! Terminals that show ASCII only, by the locale (LANG=C).

use std::env;
use std::sync::LazyLock;

/// Whether the locale is one without UTF-8. Of the variables, the first one that is set counts (locale(7)).
pub fn is_ascii() -> bool {
    static IS_ASCII: LazyLock<bool> = LazyLock::new(|| {
        let variables = ["LC_ALL", "LC_CTYPE", "LANG"];
        let set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let locale = variables.iter().find(|name| set(name)).map(env::var_os);
        let locale = locale.flatten().unwrap_or_default();
        !is_utf8(&locale.to_string_lossy())
    });
    *IS_ASCII
}

fn is_utf8(locale: &str) -> bool {
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Writes our own signs by ASCII letters, and escapes the letters of others.
pub fn in_ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            _ if letter.is_ascii() => ascii.push(letter),
            '\u{b5}' => ascii.push('u'),
            '\u{2013}' | '\u{2014}' => ascii.push('-'),
            '\u{2026}' => ascii.push_str("..."),
            // Bars: a part of a block counts if it is at least a half.
            '\u{2588}'..='\u{258c}' => ascii.push('#'),
            '\u{258d}'..='\u{258f}' => ascii.push(' '),
            other => ascii.extend(other.escape_default()),
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_signs_have_ascii_forms() {
        let text =
            in_ascii("43.2 \u{b5}s \u{2013} 1 ms \u{2588}\u{2588}\u{258f} fe80::\u{2026} \u{fc}");
        assert_eq!(text, "43.2 us - 1 ms ##  fe80::... \\u{fc}");
    }

    #[test]
    fn locales_name_their_encoding() {
        for locale in ["C.UTF-8", "de_DE.utf8", "en_US.UTF-8@x"] {
            assert!(is_utf8(locale), "{locale}");
        }
        for locale in ["", "C", "POSIX", "de_DE", "de_DE.ISO-8859-1"] {
            assert!(!is_utf8(locale), "{locale}");
        }
    }
}
