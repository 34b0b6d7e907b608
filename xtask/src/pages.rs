//! Pages of `docs/` that are made from declarations.

use std::fs;
use std::path::Path;

/// The generated pages: path and text.
fn pages() -> [(&'static str, String); 2] {
    [
        ("docs/configuration.md", ottla_config::document::configuration_page()),
        ("docs/metrics.md", ottla_metrics::document::metrics_page()),
    ]
}

/// Writes all pages. Gives what went wrong.
pub fn write(workspace: &Path) -> Vec<String> {
    let failed = |(path, text): (&str, String)| {
        fs::write(workspace.join(path), text).err().map(|error| format!("can't write {path}: {error}"))
    };
    pages().into_iter().filter_map(failed).collect()
}

/// Names the pages that differ from what would be written.
pub fn stale(workspace: &Path) -> Vec<String> {
    let is_stale = |(path, text): (&str, String)| {
        let same = fs::read_to_string(workspace.join(path)).is_ok_and(|there| there == text);
        (!same).then(|| format!("{path} is not up to date: run cargo xtask pages"))
    };
    pages().into_iter().filter_map(is_stale).collect()
}
