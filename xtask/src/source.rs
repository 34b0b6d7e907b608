//! Just enough of Rust's syntax to find code, functions and their lengths.

/// A function as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, counted from 1.
    pub line: usize,
    /// How many lines it takes from `fn` to its closing brace.
    pub lines: usize,
}

/// `text` with comments, strings and character literals blanked out; lines stay where they are.
pub fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(is_word);
        let skipped = comment(rest)
            .or_else(|| if after_word { None } else { raw_string(rest) })
            .or_else(|| if first == '"' { Some(quoted(rest, '"')) } else { None })
            .or_else(|| character(rest));
        match skipped {
            Some(bytes) => {
                let (gone, left) = rest.split_at(bytes.min(rest.len()));
                code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                rest = left;
            }
            None => {
                code.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    code
}

/// The length of the comment that `text` begins with. Block comments nest.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let mut depth = 0usize;
    let mut bytes = 0;
    while let Some(rest) = text.get(bytes..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            bytes += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            bytes += 2;
            if depth == 0 {
                return Some(bytes);
            }
        } else {
            bytes += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    Some(text.len())
}

/// The length of the raw string that `text` begins with: `r"`, `r#"`, `br"` and so on.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let rest = text.get(prefix.len()..)?;
    let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
    let body = rest.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let head = prefix.len() + hashes + 1;
    Some(body.find(&end).map_or(text.len(), |bytes| head + bytes + end.len()))
}

/// The length of the literal that `text` begins with, between two `quote`s, with escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return index + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// The length of the character literal that `text` begins with; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    if chars.next() != Some('\'') {
        return None;
    }
    match (chars.next()?, chars.next()) {
        ('\\', _) => Some(quoted(text, '\'')),
        (one, Some('\'')) if one != '\'' => Some(2 + one.len_utf8()),
        _ => None,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `code` contains `word` as a word of its own, and on which line first.
pub fn line_of_word(code: &str, word: &str) -> Option<usize> {
    words(code).find(|(_, found)| *found == word).map(|(index, _)| line_at(code, index))
}

/// All words of `code` with their positions.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(|word| {
        // The words are slices of `code`.
        (word.as_ptr() as usize - code.as_ptr() as usize, word)
    })
}

fn line_at(code: &str, index: usize) -> usize {
    1 + code.as_bytes().iter().take(index).filter(|byte| **byte == b'\n').count()
}

/// All functions with bodies in `code`, which [`code_only`] made.
pub fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut words = words(code).peekable();
    while let Some((index, word)) = words.next() {
        if word != "fn" {
            continue;
        }
        // `fn(` is a type; a function has its name right after the keyword.
        let Some(&(name_index, name)) = words.peek() else { break };
        if !code.get(index + 2..name_index).is_some_and(|between| between.trim().is_empty()) {
            continue;
        }
        if let Some(end) = body_end(code, name_index) {
            let line = line_at(code, index);
            found.push(Function { name: name.to_owned(), line, lines: line_at(code, end) - line + 1 });
        }
    }
    found
}

/// The position of the brace that closes the body of the function whose name is at `start`; `None` without a body.
fn body_end(code: &str, start: usize) -> Option<usize> {
    let mut round = 0i32;
    let mut braces = 0i32;
    for (index, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b';' if round == 0 && braces == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces -= 1;
                if braces == 0 && round == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_characters_are_no_code() {
        let text = "a // b\n/* c /* d */ e */ f \"g \\\" h\" 'i' '\\'' r#\"j \" k\"# l br\"m\" 'n: o";
        let words: Vec<_> = words(&code_only(text)).map(|(_, word)| word.to_owned()).collect();
        assert_eq!(words, ["a", "f", "l", "n", "o"]);
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "/* 1\n2\n*/\nunsafe";
        assert_eq!(line_of_word(&code_only(text), "unsafe"), Some(4));
        assert_eq!(line_of_word("not_unsafe unsafely", "unsafe"), None);
    }

    #[test]
    fn functions_are_found_with_their_lengths() {
        let text = "trait T { fn none(&self); }\nfn one() {}\nimpl X {\n  fn two<F: Fn(u8)>(f: F) -> [u8; 2]\n  where F: Copy {\n    \
                    { \"}\" }\n  }\n}\ntype P = fn(u8);\n";
        let names: Vec<_> = functions(&code_only(text))
            .into_iter()
            .map(|function| (function.name, function.line, function.lines))
            .collect();
        assert_eq!(names, [("one".to_owned(), 2, 1), ("two".to_owned(), 4, 4)]);
    }
}
