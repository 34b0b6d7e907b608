//! Dynamic configurations: what may be set, and the records that set it.

mod alter;
mod loggers;
mod preprocess;
mod thread_pools;
mod validate;

pub use loggers::{LevelChange, ROOT_LOGGER, level_changes};
pub use preprocess::{
    BrokerConfigOrigin, Preprocessed, preprocess_alter_configs, preprocess_incremental_alter_configs,
};
