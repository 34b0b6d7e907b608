//! What the two servers of the game share: the events, the topics they travel in, and the database.

mod database;

pub use database::{Database, Place};

use ottla_client::{Admin, ClientError, ClientSettings, ErrorCode, NewTopic};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The result of what may fail for many reasons, which are told and no more.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Server A writes what players gain, server B reads it as the group [`GROUP`].
pub const EVENTS: &str = "exp-topic";
/// Server B writes what came of it, server A reads it.
pub const RESULTS: &str = "exp-results";
/// Several servers B share the players among them.
pub const GROUP: &str = "exp-group";
/// So many servers B can work at the same time.
pub const PARTITIONS: i32 = 3;

/// A player gained experience. The key of its record is the player: the events of one stay in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpEvent {
    /// Names the event, for the one who waits for its result.
    pub event_id: Uuid,
    /// The player.
    pub user_id: String,
    /// What was gained.
    pub exp: i64,
}

/// What a player has after an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpResult {
    /// The event.
    pub event_id: Uuid,
    /// The player.
    pub user_id: String,
    /// All that the player has.
    pub total: i64,
}

/// Makes sure that the topics exist.
///
/// # Errors
/// No server answers, or it does not let them be created.
pub async fn create_topics(servers: &str) -> Result<()> {
    let admin = Admin::new(ClientSettings::new(servers))?;
    let topics = [EVENTS, RESULTS].map(|name| NewTopic {
        name: name.to_owned(),
        partitions: Some(PARTITIONS),
        replication_factor: Some(1),
        ..NewTopic::default()
    });
    for created in admin.create_topics(&topics, false).await?.into_values() {
        match created {
            Ok(_) | Err(ClientError::Api { code: ErrorCode::TopicAlreadyExists, .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    admin.close();
    Ok(())
}
