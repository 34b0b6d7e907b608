//! Which dynamic configurations of brokers may be set.

use crate::error::ConfigError;
use crate::key::{Scope, UpdateMode};
use crate::keys;
use crate::node::NodeConfig;
use std::collections::BTreeMap;

/// Whom a dynamic configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicTarget {
    /// One broker.
    Broker,
    /// All brokers of the cluster.
    Cluster,
}

impl NodeConfig {
    /// Whether `configs` may become the whole dynamic configuration of this broker, or of all. Unknown keys may: plug-ins
    /// have keys of their own.
    ///
    /// # Errors
    /// Keys that can't change at run time or not for all brokers at once, a bad value, or values that contradict others.
    pub fn validate_dynamic(
        &self,
        target: DynamicTarget,
        configs: &BTreeMap<String, String>,
    ) -> Result<(), ConfigError> {
        let with_mode = |mode: UpdateMode| {
            let has_mode = |name: &&String| keys::find(Scope::Broker, name).is_some_and(|key| key.update_mode == mode);
            configs.keys().filter(has_mode).map(String::as_str).collect::<Vec<_>>().join(", ")
        };
        let fixed = with_mode(UpdateMode::ReadOnly);
        if !fixed.is_empty() {
            return Err(refused(format!("These configs can't change while a broker runs: {fixed}")));
        }
        let own = with_mode(UpdateMode::PerBroker);
        if target == DynamicTarget::Cluster && !own.is_empty() {
            return Err(refused(format!("These configs can't be set for all brokers at once, name a broker: {own}")));
        }
        let changed = match target {
            DynamicTarget::Broker => self.with_dynamic(self.layers.cluster(), configs),
            DynamicTarget::Cluster => self.with_dynamic(configs, self.layers.broker()),
        };
        match changed {
            Ok(_) => Ok(()),
            Err(errors) => Err(errors.0.into_iter().next().unwrap_or_else(|| refused("Invalid configs".to_owned()))),
        }
    }
}

fn refused(message: String) -> ConfigError {
    ConfigError::Conflict { place: None, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::Properties;

    fn validate(target: DynamicTarget, key: &str, value: &str) -> Result<(), String> {
        let (config, _) = NodeConfig::from_properties(Properties::default()).unwrap();
        let configs = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        config.validate_dynamic(target, &configs).map_err(|error| error.to_string())
    }

    #[test]
    fn what_a_restart_is_needed_for_is_refused() {
        for target in [DynamicTarget::Broker, DynamicTarget::Cluster] {
            let refused = validate(target, "num.partitions", "3").unwrap_err();
            assert_eq!(refused, "These configs can't change while a broker runs: num.partitions");
        }
    }

    #[test]
    fn what_is_of_one_broker_can_not_be_set_for_all() {
        let refused = validate(DynamicTarget::Cluster, "listeners", "PLAINTEXT://:1").unwrap_err();
        assert_eq!(refused, "These configs can't be set for all brokers at once, name a broker: listeners");
        assert_eq!(validate(DynamicTarget::Broker, "listeners", "PLAINTEXT://:1"), Ok(()));
    }

    #[test]
    fn bad_values_and_contradictions_are_refused() {
        for (key, value) in [("log.retention.ms", "abc"), ("log.retention.ms", "0"), ("log.segment.bytes", "1")] {
            assert!(validate(DynamicTarget::Broker, key, value).is_err(), "{key}={value}");
        }
        let refused = validate(DynamicTarget::Cluster, "log.retention.ms", "abc").unwrap_err();
        assert_eq!(refused, "Invalid value abc for configuration log.retention.ms: Not a number of type LONG");
    }

    #[test]
    fn unknown_keys_are_let_through() {
        assert_eq!(validate(DynamicTarget::Cluster, "my.plugin.key", "x"), Ok(()));
    }
}
