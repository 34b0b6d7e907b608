use ottla_config::properties;
use ottla_types::DirectoryId;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// No `meta.properties` is longer.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What `meta.properties` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// 0 in the time of ZooKeeper, 1 since.
    pub(super) version: i32,
    pub(super) cluster_id: Option<String>,
    pub(super) node_id: Option<i32>,
    pub(super) directory_id: Option<DirectoryId>,
}

impl Stored {
    /// Reads the file.
    ///
    /// # Errors
    /// It can't be read, or is not what it should be; the sentence says what.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
        if length > FILE_BYTES_MAX {
            return Err(format!("{length} bytes are too many for it"));
        }
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let properties = properties::parse(bytes, "meta.properties").map_err(|error| error.to_string())?;
        let number = |key: &str| match properties.get(key).map(str::trim) {
            None => Ok(None),
            Some(text) => text.parse::<i32>().map(Some).map_err(|_| format!("{key} is {text}, which is no number")),
        };
        let version = match number("version")? {
            Some(version @ (0 | 1)) => version,
            Some(other) => return Err(format!("Unknown meta.properties version number {other}")),
            None => return Err("version was not found.".to_owned()),
        };
        let node_key = if version == 0 { "broker.id" } else { "node.id" };
        let directory_id = match properties.get("directory.id") {
            None => None,
            Some(text) => Some(text.trim().parse().map_err(|_| format!("directory.id is {text}, which is no id"))?),
        };
        let cluster_id = properties.get("cluster.id").map(str::to_owned);
        let stored = Self { version, cluster_id, node_id: number(node_key)?, directory_id };
        match &stored {
            Self { version: 1, cluster_id: None, .. } => Err("cluster.id was not found.".to_owned()),
            Self { version: 1, node_id: None, .. } => Err("node.id was not found.".to_owned()),
            _ => Ok(stored),
        }
    }

    /// The entries by key, as the tool shows them.
    pub(super) fn shown(&self) -> String {
        let node_key = if self.version == 0 { "broker.id" } else { "node.id" };
        let entries: BTreeMap<_, _> = [
            ("cluster.id", self.cluster_id.clone()),
            ("directory.id", self.directory_id.map(|id| id.to_string())),
            (node_key, self.node_id.map(|id| id.to_string())),
            ("version", Some(self.version.to_string())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
        let shown: Vec<_> = entries.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{{{}}}", shown.join(", "))
    }
}

/// What a directory is before it is formatted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Formatted(Stored),
    /// It is not there, or has no `meta.properties`.
    Unformatted,
    /// It can't be read, or not understood.
    Unreadable,
}

/// Looks at a directory.
pub(super) fn look_at(directory: &str) -> Found {
    let path = Path::new(directory);
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Found::Unformatted,
        Ok(metadata) if metadata.is_dir() => {}
        _ => return Found::Unreadable,
    }
    let file = path.join("meta.properties");
    match file.try_exists() {
        Ok(false) => Found::Unformatted,
        Ok(true) => Stored::read(&file).map_or(Found::Unreadable, Found::Formatted),
        Err(_) => Found::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_and_shown_by_key() {
        let new =
            Stored::parse(b"#\nnode.id=1\ndirectory.id=JEXY6aqzQY-32P5TStzaFg\nversion=1\ncluster.id=c\n").unwrap();
        assert_eq!(new.shown(), "{cluster.id=c, directory.id=JEXY6aqzQY-32P5TStzaFg, node.id=1, version=1}");
        let old = Stored::parse(b"broker.id=1\nversion=0\ncluster.id=c\n").unwrap();
        assert_eq!(old.shown(), "{broker.id=1, cluster.id=c, version=0}");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let error = |text: &str| Stored::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error("version=7"), "Unknown meta.properties version number 7");
        assert!(error("version=1\ncluster.id=c").contains("node.id"));
        assert!(error("version=1\nnode.id=x\ncluster.id=c").contains("node.id"));
        assert!(error("").contains("version"));
    }
}
