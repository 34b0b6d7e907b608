use ottla_config::{ValueSources, properties};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What values of a configuration may be fetched from: this process's environment and files.
#[derive(Clone, Copy, Debug)]
pub struct ProcessSources;

impl ValueSources for ProcessSources {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<Vec<u8>> {
        // One byte more than is allowed, so that it is seen.
        let length_max = properties::FILE_BYTES_MAX as u64 + 1;
        let mut bytes = Vec::new();
        File::open(path)?.take(length_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}
