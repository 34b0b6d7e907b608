use std::fmt;
use std::io;

/// As much of what was seen as a failure shows.
const SHOWN_CHARACTERS: usize = 1_500;

/// Why a job is not done, in words for the person who reads the test's output.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }

    /// The same failure with what else is known.
    pub(super) fn with(self, more: &str) -> Self {
        Self(format!("{}\n{more}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string())
    }
}

/// What a step of a job gives.
pub(super) type Done<T = ()> = Result<T, Failure>;

/// A check of a job: fails with `what` unless it holds.
pub(super) fn check(holds: bool, what: impl FnOnce() -> String) -> Done {
    if holds { Ok(()) } else { Err(Failure::new(what())) }
}

/// A check of a job that two things are the same.
pub(super) fn check_same<T: PartialEq + fmt::Debug>(what: &str, got: &T, want: &T) -> Done {
    check(got == want, || format!("{what}: {} instead of {}", shown(got), shown(want)))
}

/// As much of a thing as a person reads.
pub(super) fn shown(thing: &impl fmt::Debug) -> String {
    let text = format!("{thing:?}");
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}... ({} characters)", &text[..end], text.len()),
        None => text,
    }
}
