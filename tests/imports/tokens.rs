//! The tokens of a source file, without comments, literals and test code.

/// A token, as far as paths need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// An identifier or a keyword.
    Word(String),
    /// `::`.
    PathSeparator,
    /// Any other character that is not white space.
    Mark(char),
}

impl Token {
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(is) if is == word)
    }

    pub fn is_mark(&self, mark: char) -> bool {
        *self == Self::Mark(mark)
    }
}

/// The tokens that a build without tests and without loom compiles.
pub fn of_product(source: &str) -> Vec<Token> {
    let all = all(source);
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        match test_attribute(&all[at..]) {
            Some(length) => at += length + item_length(&all[at + length..]),
            None => {
                kept.push(all[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// All tokens of a file, without literals, which contain no paths.
fn all(source: &str) -> Vec<Token> {
    let letters: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        let next = |offset: usize| letters.get(at + offset).copied();
        match letters[at] {
            '/' if next(1) == Some('/') => at = end_of_line(&letters, at),
            '/' if next(1) == Some('*') => at = end_of_comment(&letters, at),
            '"' => at = end_of_string(&letters, at),
            '\'' => at = end_of_character(&letters, at),
            ':' if next(1) == Some(':') => {
                tokens.push(Token::PathSeparator);
                at += 2;
            }
            letter if is_word(letter) => {
                let end = (at..letters.len()).find(|end| !is_word(letters[*end]));
                let end = end.unwrap_or(letters.len());
                let word: String = letters[at..end].iter().collect();
                let is_raw = matches!(&*word, "r" | "br" | "cr");
                at = match is_raw.then(|| end_of_raw_string(&letters, end)).flatten() {
                    Some(end) => end,
                    None => {
                        tokens.push(Token::Word(word));
                        end
                    }
                };
            }
            letter => {
                if !letter.is_whitespace() {
                    tokens.push(Token::Mark(letter));
                }
                at += 1;
            }
        }
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn end_of_line(letters: &[char], from: usize) -> usize {
    let length = letters[from..].iter().position(|letter| *letter == '\n');
    length.map_or(letters.len(), |length| from + length)
}

/// Block comments nest.
fn end_of_comment(letters: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at + 1 < letters.len() {
        match (letters[at], letters[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    letters.len()
}

fn end_of_string(letters: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < letters.len() {
        match letters[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    letters.len()
}

/// After `r`: the end of `#"…"#`, or `None` for a raw identifier or a word that begins with `r`.
fn end_of_raw_string(letters: &[char], from: usize) -> Option<usize> {
    let hashes = letters[from..].iter().take_while(|letter| **letter == '#');
    let hashes = hashes.count();
    if letters.get(from + hashes) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(vec!['#'; hashes]).collect();
    let inside = &letters[from + hashes + 1..];
    let length = inside.windows(close.len()).position(|end| end == close);
    Some(length.map_or(letters.len(), |length| {
        from + hashes + 1 + length + close.len()
    }))
}

/// The end of a character literal, or the position after the quote of a lifetime.
fn end_of_character(letters: &[char], from: usize) -> usize {
    match letters.get(from + 1) {
        Some('\\') => {
            let close = letters[from + 3..]
                .iter()
                .position(|letter| *letter == '\'');
            close.map_or(letters.len(), |length| from + 4 + length)
        }
        Some(_) if letters.get(from + 2) == Some(&'\'') => from + 3,
        _ => from + 1,
    }
}

/// The length of the attribute at the beginning, if it limits its item to tests or to loom.
fn test_attribute(tokens: &[Token]) -> Option<usize> {
    if !tokens.first()?.is_mark('#') || !tokens.get(1)?.is_mark('[') || !tokens.get(2)?.is("cfg") {
        return None;
    }
    let length = 1 + group_length(&tokens[1..]);
    let inside = &tokens[2..length];
    // `not(test)` and `any(test, …)` are compiled without tests, too.
    let is_built = inside
        .iter()
        .any(|token| token.is("not") || token.is("any"));
    let is_test = inside
        .iter()
        .any(|token| token.is("test") || token.is("loom"));
    (is_test && !is_built).then_some(length)
}

/// The length of a group with its brackets.
fn group_length(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The length of the item, statement or field at the beginning, with its attributes.
fn item_length(tokens: &[Token]) -> usize {
    const ITEMS: [&str; 14] = [
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "macro_rules",
        "mod",
        "pub",
        "static",
        "struct",
        "trait",
        "unsafe",
        "use",
    ];
    let mut at = 0;
    while tokens.get(at).is_some_and(|token| token.is_mark('#')) {
        at += 1 + group_length(&tokens[at + 1..]);
    }
    let is_item = tokens
        .get(at)
        .is_some_and(|token| ITEMS.iter().any(|item| token.is(item)));
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Mark(';') => return at + 1,
            Token::Mark(',') if !is_item => return at + 1,
            Token::Mark('{') => return at + group_length(&tokens[at..]),
            Token::Mark('(' | '[') => at += group_length(&tokens[at..]),
            // The end of the enclosing group.
            Token::Mark(')' | ']' | '}') => return at,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens, with spaces between them.
    fn text(source: &str) -> String {
        let text = |token: Token| match token {
            Token::Word(word) => word,
            Token::PathSeparator => "::".to_owned(),
            Token::Mark(mark) => mark.to_string(),
        };
        let texts: Vec<String> = of_product(source).into_iter().map(text).collect();
        texts.join(" ")
    }

    #[test]
    fn comments_and_literals_have_no_tokens() {
        for (source, tokens) in [
            ("a // b\nc", "a c"),
            ("a /* b /* c */ d */ e", "a e"),
            ("a \"b\\\"c\" d", "a d"),
            ("a r\"b\\\" c", "a c"),
            ("a r##\"b\"# \"c\"## d", "a d"),
            ("a b\"c\" b'd' e", "a b b e"),
            ("'x' '\\'' '\\u{2b}' '\"' a", "a"),
            ("fn f<'a>(x: &'a str)", "fn f < a > ( x : & a str )"),
            ("r#type a::b : c", "r # type a :: b : c"),
            ("a \"b\nc\" /* d", "a"),
        ] {
            assert_eq!(text(source), tokens, "{source}");
        }
    }

    #[test]
    fn test_code_has_no_tokens() {
        for (source, tokens) in [
            ("a; #[cfg(test)] mod tests { use b; } c", "a ; c"),
            ("#[cfg(test)]\nmod tests;\nc", "c"),
            (
                "#[cfg(test)] #[allow(x)] fn f(a: [u8; 2]) -> b { d } c",
                "c",
            ),
            ("#[cfg(all(loom, test))] use a::{b, c}; d", "; d"),
            ("struct S { #[cfg(test)] a: b, c: d }", "struct S { c : d }"),
            (
                "struct S { c: d, #[cfg(test)] a: b }",
                "struct S { c : d , }",
            ),
        ] {
            assert_eq!(text(source), tokens, "{source}");
        }
        for kept in [
            "#[cfg(not(test))] use a;",
            "#[cfg(not(loom))] use a;",
            "#[cfg(any(test, fuzzing))] use a;",
            "#[cfg(feature = \"x\")] use a;",
            "#[derive(Debug)] struct A;",
        ] {
            assert!(text(kept).contains("# ["), "{kept}");
        }
    }
}
