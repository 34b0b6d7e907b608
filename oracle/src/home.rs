use crate::{KAFKA_VERSION, OracleError};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// An installed Apache Kafka.
#[derive(Clone, Debug)]
pub struct Oracle {
    home: PathBuf,
}

impl Oracle {
    /// Where everything lies: `$ORACLE_HOME`, else `target/oracle` of the workspace. Nothing is installed by this.
    pub fn at_home() -> Self {
        let home = match std::env::var_os("ORACLE_HOME") {
            Some(home) => PathBuf::from(home),
            None => Self::workspace().join("target/oracle"),
        };
        Self { home }
    }

    /// The workspace that this crate was built in.
    pub fn workspace() -> &'static Path {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        own.parent().unwrap_or(own)
    }

    /// The directory of all the oracle's files.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The directory of the jars.
    pub fn jars(&self) -> PathBuf {
        self.home.join(format!("lib-{KAFKA_VERSION}"))
    }

    /// The directory of the node `name`.
    pub fn node_directory(&self, name: &str) -> PathBuf {
        self.home.join("nodes").join(name)
    }

    /// Takes the lock `name`, for work that two test programs must not do at once. Released when the file is dropped.
    pub(crate) fn lock(&self, name: &str) -> Result<File, OracleError> {
        fs::create_dir_all(&self.home).map_err(OracleError::file("create", &self.home))?;
        let path = self.home.join(format!("{name}.lock"));
        let file = File::create(&path).map_err(OracleError::file("create", &path))?;
        file.lock().map_err(OracleError::file("lock", &path))?;
        Ok(file)
    }

    /// Writes `text` to `name` in the oracle's directory if it differs from what is there.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, OracleError> {
        let path = self.home.join(name);
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::write(&path, text).map_err(OracleError::file("write", &path))?;
        }
        Ok(path)
    }
}
