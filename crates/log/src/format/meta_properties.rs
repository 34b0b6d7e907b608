use super::{FormatError, text_lines};
use ottla_types::{DirectoryId, NodeId};

/// The contents of `meta.properties`: which node of which cluster a log directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The id of the cluster; usually, not always, the text of a UUID.
    pub cluster_id: String,
    /// The node that the directory belongs to.
    pub node_id: NodeId,
    /// The id of the directory itself. Directories formatted by early releases have none.
    pub directory_id: Option<DirectoryId>,
}

/// Longer values are no ids.
const VALUE_LENGTH_MAX: usize = 1024;

impl MetaProperties {
    /// Reads `meta.properties`. Both versions are read: 0, of the time of ZooKeeper, names the node `broker.id`.
    /// Unknown keys are left alone; a key that appears twice is refused, since it is not clear which one to believe.
    pub fn parse(contents: &[u8]) -> Result<Self, FormatError> {
        let mut version = None;
        let mut cluster = None;
        let mut node = None;
        let mut directory = None;
        for (line, text) in text_lines(contents)? {
            let text = text.trim_start();
            if text.is_empty() || text.starts_with(['#', '!']) {
                continue;
            }
            let expected = FormatError::Line { line, expected: "key=value" };
            let (key, value) = text.split_once(['=', ':']).ok_or(expected)?;
            let (slot, name) = match key.trim() {
                "version" => (&mut version, "version"),
                "cluster.id" => (&mut cluster, "cluster.id"),
                "node.id" | "broker.id" => (&mut node, "node.id"),
                "directory.id" => (&mut directory, "directory.id"),
                _ => continue,
            };
            // Java's writer escapes these; ids have no other characters that it would.
            let value = value.trim().replace('\\', "");
            if value.len() > VALUE_LENGTH_MAX || slot.replace(value).is_some() {
                return Err(FormatError::Key(name));
            }
        }
        match version.as_deref().map(str::parse::<i64>) {
            Some(Ok(0 | 1)) => {}
            Some(Ok(other)) => return Err(FormatError::Version(other)),
            _ => return Err(FormatError::Key("version")),
        }
        let node_id = node.and_then(|id| id.parse().ok()).filter(|id| *id >= 0).ok_or(FormatError::Key("node.id"))?;
        let directory_id = match directory {
            None => None,
            Some(text) => {
                let id = text.parse::<DirectoryId>().map_err(|_| FormatError::Key("directory.id"))?;
                // The reserved ids (0: unassigned, 1: lost, ...) can't be the id of a directory.
                if id.as_u128() < 100 {
                    return Err(FormatError::Key("directory.id"));
                }
                Some(id)
            }
        };
        let cluster_id = cluster.filter(|id| !id.is_empty()).ok_or(FormatError::Key("cluster.id"))?;
        Ok(Self { cluster_id, node_id: NodeId(node_id), directory_id })
    }

    /// Writes version 1 of the file.
    pub fn format(&self) -> String {
        let mut text = format!("#\nnode.id={}\n", self.node_id);
        if let Some(id) = self.directory_id {
            text.push_str(&format!("directory.id={id}\n"));
        }
        text.push_str(&format!("version=1\ncluster.id={}\n", self.cluster_id));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> MetaProperties {
        MetaProperties {
            cluster_id: "MkU3OEVBNTcwNTJENDM2Qg".to_owned(),
            node_id: NodeId(7),
            directory_id: Some(DirectoryId::from_u128(1 << 100)),
        }
    }

    #[test]
    fn meta_properties_read_back_as_written() {
        assert_eq!(MetaProperties::parse(sample().format().as_bytes()), Ok(sample()));
        let without = MetaProperties { directory_id: None, ..sample() };
        assert_eq!(MetaProperties::parse(without.format().as_bytes()), Ok(without));
    }

    #[test]
    fn the_file_of_an_early_release_is_read() {
        let read =
            MetaProperties::parse(b"#\n#Tue Nov 24\nbroker.id=7\nversion=0\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\n");
        assert_eq!(read, Ok(MetaProperties { directory_id: None, ..sample() }));
    }

    #[test]
    fn meta_properties_that_contradict_themselves_are_refused() {
        assert_eq!(MetaProperties::parse(b"version=1\ncluster.id=x\n"), Err(FormatError::Key("node.id")));
        assert_eq!(
            MetaProperties::parse(b"version=1\ncluster.id=x\nnode.id=1\nnode.id=2\n"),
            Err(FormatError::Key("node.id"))
        );
        assert_eq!(MetaProperties::parse(b"version=9\ncluster.id=x\nnode.id=1\n"), Err(FormatError::Version(9)));
        assert_eq!(MetaProperties::parse(b"version=1\nnode.id=1\n"), Err(FormatError::Key("cluster.id")));
        assert!(MetaProperties::parse(b"nonsense").is_err());
    }
}
