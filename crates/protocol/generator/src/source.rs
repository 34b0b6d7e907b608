//! Rust source being written.

/// Lines of Rust, indented by their braces.
#[derive(Default)]
pub(crate) struct Source {
    text: String,
    depth: usize,
}

impl Source {
    /// Adds one line; a line that ends in an opening brace indents the following ones, one that starts with a closing
    /// brace stands further left.
    pub(crate) fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if line.starts_with(['}', ')']) {
            self.depth = self.depth.saturating_sub(1);
        }
        if !line.is_empty() {
            self.text.push_str(&"    ".repeat(self.depth));
            self.text.push_str(line);
        }
        self.text.push('\n');
        if line.ends_with(['{', '(']) {
            self.depth += 1;
        }
    }

    /// The whole text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}
