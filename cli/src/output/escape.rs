//! Escapes control and invisible characters in untrusted text.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Escapes bytes that need not be UTF-8, such as a path, to one printable line. The functions of
/// [`crate::output`] escape what they print; this is for building their texts from bytes.
pub fn harmless(text: &[u8]) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.utf8_chunks() {
        escape_into(&mut shown, part.valid());
        for byte in part.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

/// Escapes a path, which need not be UTF-8.
pub fn shown(path: &Path) -> String {
    harmless(path.as_os_str().as_bytes())
}

/// Escapes text. Escaping twice has no further effect.
pub fn escape(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    escape_into(&mut shown, text);
    shown
}

fn escape_into(shown: &mut String, text: &str) {
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
}

/// Escapes hidden characters in JSON text. They occur only in strings, except for the line feeds of the layout;
/// serde_json escapes line feeds in strings.
pub fn escape_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !is_hidden(character) {
            shown.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    }
    shown
}

/// Whether a terminal interprets a character or shows nothing for it: control characters (C0, DEL, C1), line and
/// paragraph separators, bidirectional formatting, and characters without a glyph (Unicode's
/// Default_Ignorable_Code_Point and the interlinear annotations).
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One character of each hidden kind.
    const HIDDEN: &str = "\0\x07\x08\t\n\r\x1b\x7f\u{80}\u{85}\u{9b}\u{9c}\u{9d}\u{ad}\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\
        \u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\
        \u{feff}\u{fff9}\u{e0001}\u{e0041}";

    #[test]
    fn what_came_from_elsewhere_cannot_steer_a_terminal() {
        assert_eq!(harmless("Größe 漢 ✓ a b".as_bytes()), "Größe 漢 ✓ a b");
        assert_eq!(harmless(b"\x1b[2J\n\xff"), "\\u{1b}[2J\\n\\xff");
        assert_eq!(harmless("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        // An overlong escape, and a C1 control as a single byte.
        assert_eq!(harmless(b"\xc0\x9b\x9b"), "\\xc0\\x9b\\x9b");
        for character in HIDDEN.chars() {
            let shown = escape(&format!("a{character}b"));
            assert!(shown.starts_with("a\\") && shown.ends_with('b') && shown.is_ascii());
            assert_eq!(escape(&shown), shown, "twice is as once");
        }
    }

    #[test]
    fn json_says_the_same_with_other_letters() {
        let text = format!("Grüße {HIDDEN}\"\\");
        for json in [
            serde_json::to_string(&text).unwrap(),
            serde_json::to_string_pretty(&[&text, &text]).unwrap(),
        ] {
            let shown = escape_json(&json);
            assert!(!shown.chars().any(|c| c != '\n' && is_hidden(c)), "{shown}");
            let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
            let back = value.as_str().or_else(|| value[1].as_str()).unwrap();
            assert_eq!(back, text);
        }
    }
}
