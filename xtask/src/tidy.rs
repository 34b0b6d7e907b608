//! House rules that no compiler checks.
//!
//! - A crate depends on crates of a lower rank only, a pure crate on pure ones only.
//! - `unsafe` stands in the listed modules only.
//! - Files and functions keep to their lengths, or are on a list that may only shrink.
//! - No file is named after a pattern instead of its subject; no stub, no ignored test, no path of one machine is left.
//! - Tests that pages name are there.

mod crates;
mod exceptions;
mod files;
mod lengths;
mod named_tests;

use std::path::Path;

/// Everything in `workspace` that is against the rules, one sentence each, in order.
pub fn problems(workspace: &Path) -> Vec<String> {
    let mut problems = crates::problems(workspace);
    match files::list(workspace) {
        Ok(files) => {
            problems.extend(files.iter().flat_map(files::problems));
            problems.extend(lengths::problems(workspace, &files));
            problems.extend(named_tests::problems(&files));
        }
        Err(error) => problems.push(error),
    }
    problems.sort();
    problems
}
