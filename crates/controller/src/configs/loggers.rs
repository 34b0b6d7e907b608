//! Changes of loggers' levels: the one configuration that is a process's own and that no record keeps.

use super::alter::Operation;
use crate::ApiError;
use ottla_config::LogLevel;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::incremental_alter_configs_request::AlterableConfig;

/// The logger that all others take their level from, while they have none of their own. It always has one.
pub const ROOT_LOGGER: &str = "root";

/// A change of one logger's level; without one the logger takes that of its parent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelChange {
    /// The logger.
    pub logger: String,
    /// Its new level.
    pub level: Option<LogLevel>,
}

/// The changes that a request asks for, in its order, if each of them can be made.
///
/// # Errors
/// The first change that can't be made, in Kafka's order of checks: operation, level, logger.
pub fn level_changes(configs: &[AlterableConfig], loggers: &[&str]) -> Result<Vec<LevelChange>, ApiError> {
    configs.iter().map(|config| level_change(config, loggers)).collect()
}

fn level_change(config: &AlterableConfig, loggers: &[&str]) -> Result<LevelChange, ApiError> {
    let logger = config.name.clone();
    let level = match Operation::from_code(config.config_operation)? {
        Operation::Set => {
            let text = config.value.as_deref().unwrap_or_default();
            let level = LogLevel::from_name(text).ok_or_else(|| {
                let levels = LogLevel::ALL.map(LogLevel::name).join(", ");
                invalid_config(format!("{text} is no level for the logger {logger}; levels are {levels}"))
            })?;
            known(&logger, loggers)?;
            Some(level)
        }
        Operation::Delete => {
            known(&logger, loggers)?;
            if logger == ROOT_LOGGER {
                let message = "the root logger must have a level: it can be set, not removed";
                return Err(ApiError::new(ErrorCode::InvalidRequest, message));
            }
            None
        }
        Operation::Append | Operation::Subtract => {
            let message = format!("{logger} can only be set or deleted, being a logger's level");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
    };
    Ok(LevelChange { logger, level })
}

fn known(logger: &str, loggers: &[&str]) -> Result<(), ApiError> {
    if loggers.contains(&logger) { Ok(()) } else { Err(invalid_config(format!("Logger {logger} does not exist!"))) }
}

fn invalid_config(message: String) -> ApiError {
    ApiError::new(ErrorCode::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, operation: i8, value: Option<&str>) -> Result<LevelChange, ErrorCode> {
        let value = value.map(str::to_owned);
        let config =
            AlterableConfig { name: name.to_owned(), config_operation: operation, value, ..Default::default() };
        level_change(&config, &["root", "a.b"]).map_err(|error| error.code)
    }

    #[test]
    fn a_level_is_set_and_removed_by_the_names_of_logger_and_level() {
        let changed = |logger: &str, level| Ok(LevelChange { logger: logger.to_owned(), level });
        assert_eq!(change("a.b", 0, Some("WARN")), changed("a.b", Some(LogLevel::Warn)));
        assert_eq!(change("root", 0, Some("TRACE")), changed("root", Some(LogLevel::Trace)));
        assert_eq!(change("a.b", 1, None), changed("a.b", None));
    }

    #[test]
    fn what_kafka_refuses_is_refused_with_its_codes() {
        assert_eq!(change("a.b", 0, Some("warn")), Err(ErrorCode::InvalidConfig));
        assert_eq!(change("a", 0, Some("WARN")), Err(ErrorCode::InvalidConfig));
        assert_eq!(change("ROOT", 1, None), Err(ErrorCode::InvalidConfig));
        assert_eq!(change("root", 1, None), Err(ErrorCode::InvalidRequest));
        assert_eq!(change("a.b", 2, Some("WARN")), Err(ErrorCode::InvalidRequest));
    }
}
