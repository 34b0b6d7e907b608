use super::Config;
use super::directories::Stored;
use crate::console::Console;
use std::path::Path;

/// `info`. The exit code is 1 when there are problems.
pub(super) fn show(config: &Config, console: &mut Console) -> i32 {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    let mut first: Option<Stored> = None;
    for directory in config.directories() {
        let path = Path::new(&directory);
        if !path.is_dir() {
            let what = if path.exists() { "is not a directory" } else { "does not exist" };
            problems.push(format!("{directory} {what}"));
            continue;
        }
        found.push(directory.clone());
        let file = path.join("meta.properties");
        if !file.exists() {
            problems.push(format!("{directory} is not formatted."));
            continue;
        }
        match (Stored::read(&file), &first) {
            (Err(error), _) => problems.push(format!("Error loading {}: {error}", file.display())),
            (Ok(stored), None) => first = Some(stored),
            (Ok(stored), Some(first)) if stored.cluster_id != first.cluster_id => {
                problems.push("Mismatched cluster IDs between storage directories.".to_owned());
            }
            (Ok(stored), Some(first)) if stored.node_id != first.node_id => {
                problems.push("Mismatched node IDs between storage directories.".to_owned());
            }
            (Ok(_), Some(_)) => {}
        }
    }
    if first.as_ref().is_some_and(|stored| stored.version == 0) {
        problems.push(
            "The kafka configuration file appears to be for a cluster in KRaft mode, but the directories are formatted for \
             legacy mode."
                .to_owned(),
        );
    }
    list(console, if found.len() == 1 { "Found log directory:" } else { "Found log directories:" }, &found);
    if let Some(stored) = first {
        console.line(&format!("Found metadata: {}\n", stored.shown()));
    }
    list(console, if problems.len() == 1 { "Found problem:" } else { "Found problems:" }, &problems);
    i32::from(!problems.is_empty())
}

fn list(console: &mut Console, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    console.line(title);
    for item in items {
        console.line(&format!("  {item}"));
    }
    console.line("");
}
