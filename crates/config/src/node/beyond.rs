//! What a configuration may ask for that this version can't do.

use super::{NodeConfig, Roles};
use std::path::Path;

impl NodeConfig {
    /// What this configuration asks for and this version can't do, as a sentence that says what to do; `None` if it can do all
    /// of it. A node that went on regardless would found a cluster of its own instead of joining one, let everybody do
    /// everything, or miss what lies elsewhere.
    pub fn beyond_this_version(&self) -> Option<String> {
        let Roles { broker, controller } = self.process_roles;
        let voters = self.quorum.voters.len();
        if !(broker && controller) {
            let role = if broker { "broker" } else { "controller" };
            let message = "clusters of several nodes are not built yet: let the node be broker and controller";
            return Some(format!("this node would be a {role} only, and {message}"));
        }
        if voters > 1 {
            return Some(format!(
                "controller.quorum.voters names {voters} nodes, and a quorum of several is not built yet"
            ));
        }
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
