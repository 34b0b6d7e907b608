//! The house's own chores, run as `cargo xtask COMMAND`.

mod command;
mod foreign;
pub mod fuzz;
pub mod mistakes;
mod own_tests;
pub mod pages;
pub mod source;
pub mod stages;
pub mod tidy;

use std::path::Path;

/// The directory of the workspace.
pub fn workspace() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}
