//! What a configuration may ask for that this version can't do.

use super::NodeConfig;
use std::path::Path;

impl NodeConfig {
    /// What this configuration asks for and this version can't do, as a sentence that says what to do; `None` if it can do all
    /// of it. A node that went on regardless would let everybody do everything, or miss what lies elsewhere.
    pub fn beyond_this_version(&self) -> Option<String> {
        if !self.authorizer_class_name.is_empty() {
            return Some(format!(
                "authorizer.class.name asks for {}, and access rules are not obeyed yet: remove the key if everybody who can \
                 connect may do everything",
                self.authorizer_class_name
            ));
        }
        if self.remote_log_storage_system_enable {
            return Some(
                "remote.log.storage.system.enable asks for tiered storage, which is not built yet: what lies in it would be \
                 missed; let Apache Kafka serve this directory, or bring all topics back to local storage first"
                    .to_owned(),
            );
        }
        self.repeated_directory()
    }

    fn repeated_directory(&self) -> Option<String> {
        let repeated = self.log_dirs.iter().enumerate().find(|(number, directory)| {
            self.log_dirs.iter().take(*number).any(|earlier| Path::new(earlier) == Path::new(directory))
        });
        repeated.map(|(_, directory)| format!("log.dirs names {directory} twice: let each directory be named once"))
    }
}
