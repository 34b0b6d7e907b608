use super::failure::Failure;

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    /// All was right.
    Done,
    /// Not tried: the library has no way to do it, for this reason.
    Lacking(String),
    /// Something was wrong.
    Failed(Failure),
}

/// What one client did at one server.
#[derive(Debug)]
pub struct Report {
    /// The library's name.
    pub client: String,
    /// The library's version.
    pub version: String,
    /// By the names of the features, in their order.
    pub outcomes: Vec<(&'static str, Outcome)>,
}

impl Report {
    /// The features whose jobs failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = |(name, outcome): &(&'static str, Outcome)| matches!(outcome, Outcome::Failed(_)).then_some(*name);
        self.outcomes.iter().filter_map(failed).collect()
    }
}
