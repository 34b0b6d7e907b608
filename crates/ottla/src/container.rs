//! The configuration of a server in a container, made of the environment as Apache Kafka's image makes it (KIP-975).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};
use thiserror::Error;

/// Variables that begin like keys and are none.
const NO_KEYS: [&str; 11] = [
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_JMX_HOSTNAME",
];

/// Where the files of a container are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContainerOptions {
    /// What counts when nothing else is given.
    pub(crate) default: PathBuf,
    /// What a user has mounted, if it is there.
    pub(crate) mounted: PathBuf,
    /// What is written.
    pub(crate) written: PathBuf,
}

/// Why the configuration can't be made.
#[derive(Debug, Error)]
pub(crate) enum ContainerError {
    #[error("container-config needs --default, --mounted and --final, each with a file")]
    Arguments,
    #[error("can't use {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
}

impl ContainerOptions {
    /// Reads the arguments behind `container-config`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, ContainerError> {
        let mut files = [None, None, None];
        for pair in arguments.chunks(2) {
            let [name, file] = pair else { return Err(ContainerError::Arguments) };
            let place = match name.as_str() {
                "--default" => 0,
                "--mounted" => 1,
                "--final" => 2,
                _ => return Err(ContainerError::Arguments),
            };
            files[place] = Some(PathBuf::from(file));
        }
        match files {
            [Some(default), Some(mounted), Some(written)] => Ok(Self { default, mounted, written }),
            _ => Err(ContainerError::Arguments),
        }
    }

    /// Writes the configuration.
    pub(crate) fn write(&self, variables: impl Iterator<Item = (String, String)>) -> Result<(), ContainerError> {
        let mounted = self.mounted.exists().then(|| read(&self.mounted)).transpose()?;
        let mut text = compose(mounted.as_deref(), variables);
        if text.trim().is_empty() {
            text = read(&self.default)?;
        }
        fs::write(&self.written, text).map_err(|error| failed(&self.written, error))
    }
}

fn read(path: &Path) -> Result<String, ContainerError> {
    fs::read_to_string(path).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> ContainerError {
    ContainerError::File { path: path.to_owned(), error }
}

/// The mounted file, and behind it, so that they win, the keys of the environment in the order of their names.
fn compose(mounted: Option<&str>, variables: impl Iterator<Item = (String, String)>) -> String {
    let mut keys: Vec<(String, String)> =
        variables.filter_map(|(name, value)| key(&name).map(|key| (key, value))).collect();
    keys.sort();
    let mut text = mounted.unwrap_or_default().to_owned();
    text.push('\n');
    for (key, value) in keys {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}={value}");
    }
    text
}

/// The key that a variable stands for: `KAFKA_LOG_DIRS` for `log.dirs`, `__` for `_` and `___` for `-`.
fn key(variable: &str) -> Option<String> {
    let name = variable.strip_prefix("KAFKA_").filter(|_| !NO_KEYS.contains(&variable))?;
    Some(name.to_lowercase().replace('_', ".").replace("...", "-").replace("..", "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_stands_for_a_key() {
        for (variable, expected) in [
            ("KAFKA_LOG_DIRS", Some("log.dirs")),
            ("KAFKA_A__B___C", Some("a_b-c")),
            ("KAFKA_A____B", Some("a-.b")),
            ("KAFKA_HEAP_OPTS", None),
            ("CLUSTER_ID", None),
        ] {
            assert_eq!(key(variable).as_deref(), expected, "{variable}");
        }
    }

    #[test]
    fn the_environment_comes_behind_the_mounted_file() {
        let variables = [("KAFKA_NODE_ID", "7"), ("KAFKA_VERSION", "1"), ("PATH", "x"), ("KAFKA_LOG_DIRS", "/d")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(compose(Some("a=b"), variables.clone().into_iter()), "a=b\nlog.dirs=/d\nnode.id=7\n");
        assert_eq!(compose(None, variables.into_iter()), "\nlog.dirs=/d\nnode.id=7\n");
        assert!(compose(None, std::iter::empty()).trim().is_empty());
    }

    #[test]
    fn without_anything_the_default_counts() {
        let folder = std::env::temp_dir().join(format!("ottla-container-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        fs::write(folder.join("default"), "x=y\n").unwrap();
        let arguments = [
            "--default".to_owned(),
            file("default"),
            "--mounted".to_owned(),
            file("none"),
            "--final".to_owned(),
            file("f"),
        ];
        ContainerOptions::parse(&arguments).unwrap().write(std::iter::empty()).unwrap();
        assert_eq!(fs::read_to_string(folder.join("f")).unwrap(), "x=y\n");
        assert!(ContainerOptions::parse(&arguments[..4]).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
