//! What a configuration may ask for that this version can't do.

use super::{LEADER_SELECTOR, NodeConfig, RACK_AWARE_SELECTOR};
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
        self.unknown_selector().or_else(|| self.repeated_directory())
    }

    fn unknown_selector(&self) -> Option<String> {
        let class = self.fetch.replica_selector_class.as_str();
        let is_known = matches!(class, "" | LEADER_SELECTOR | RACK_AWARE_SELECTOR);
        (!is_known).then(|| {
            format!(
                "replica.selector.class asks for {class}, which is Java code: remove the key to let consumers read from leaders, \
                 or name {RACK_AWARE_SELECTOR}"
            )
        })
    }

    fn repeated_directory(&self) -> Option<String> {
        let repeated = self.log_dirs.iter().enumerate().find(|(number, directory)| {
            self.log_dirs.iter().take(*number).any(|earlier| Path::new(earlier) == Path::new(directory))
        });
        repeated.map(|(_, directory)| format!("log.dirs names {directory} twice: let each directory be named once"))
    }
}
