mod quota;
mod rate;
mod throttled_replicas;

pub use quota::{QuotaSettings, ReplicationQuota};
pub use rate::WindowedRate;
pub use throttled_replicas::{ThrottledReplicas, ThrottledReplicasError};
