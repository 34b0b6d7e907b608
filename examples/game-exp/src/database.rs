use crate::{ExpEvent, Result};
use rusqlite::TransactionBehavior;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_postgres::NoTls;

/// `positions` tells of each partition how far its events are part of `users`. Both change in one transaction, so they
/// always tell the same story.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, exp BIGINT NOT NULL);
    CREATE TABLE IF NOT EXISTS positions (partition INTEGER PRIMARY KEY, next_offset BIGINT NOT NULL);";

/// Changes one row for an event that is new, and none for one that comes again.
const ADVANCE: &str = "
    INSERT INTO positions (partition, next_offset) VALUES ($1, $2)
    ON CONFLICT (partition) DO UPDATE SET next_offset = excluded.next_offset
    WHERE positions.next_offset < excluded.next_offset";

const GAIN: &str = "
    INSERT INTO users (id, exp) VALUES ($1, $2)
    ON CONFLICT (id) DO UPDATE SET exp = users.exp + excluded.exp";

const TOTAL: &str = "SELECT exp FROM users WHERE id = $1";

/// How long one server waits while another writes to the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where an event stands in its topic. Delivered again, it stands there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Where the players' experience is kept.
#[derive(Debug)]
pub enum Database {
    /// In a file, or in memory with the name `:memory:`.
    Sqlite(Mutex<rusqlite::Connection>),
    /// In a PostgreSQL server.
    Postgres(Mutex<tokio_postgres::Client>),
}

impl Database {
    /// Opens the PostgreSQL database of a `postgres://` address, or else the SQLite database in the file of this name,
    /// and makes its tables.
    ///
    /// # Errors
    /// The database can't be opened.
    pub async fn open(name: &str) -> Result<Self> {
        if name.starts_with("postgres://") {
            let (client, connection) = tokio_postgres::connect(name, NoTls).await?;
            // Ends with the client; what is wrong with the connection, the client's calls tell.
            tokio::spawn(connection);
            client.batch_execute(SCHEMA).await?;
            return Ok(Self::Postgres(Mutex::new(client)));
        }
        let connection = rusqlite::Connection::open(name)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // Readers don't wait for writers. A commit is on disk when it returns, which is the default: an event whose offset
        // is committed is not delivered again.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self::Sqlite(Mutex::new(connection)))
    }

    /// Gives the players what they gained and remembers the events' places, all in one transaction: an event that was
    /// applied before changes nothing. Returns for each event the total of its player.
    ///
    /// # Errors
    /// The database fails; then nothing was changed.
    pub async fn apply(&self, events: &[(Place, ExpEvent)]) -> Result<Vec<i64>> {
        match self {
            Self::Sqlite(connection) => {
                let mut connection = connection.lock().await;
                Ok(tokio::task::block_in_place(|| apply_in_sqlite(&mut connection, events))?)
            }
            Self::Postgres(client) => Ok(apply_in_postgres(&mut *client.lock().await, events).await?),
        }
    }

    /// What a player has; `None` for one who never gained anything.
    ///
    /// # Errors
    /// The database fails.
    pub async fn total(&self, user: &str) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(connection) => {
                let connection = connection.lock().await;
                let mut rows = connection.prepare(TOTAL)?;
                Ok(rows.query_map([user], |row| row.get(0))?.next().transpose()?)
            }
            Self::Postgres(client) => {
                let row = client.lock().await.query_opt(TOTAL, &[&user]).await?;
                Ok(row.map(|row| row.try_get(0)).transpose()?)
            }
        }
    }
}

fn apply_in_sqlite(connection: &mut rusqlite::Connection, events: &[(Place, ExpEvent)]) -> rusqlite::Result<Vec<i64>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut totals = Vec::with_capacity(events.len());
    for (place, event) in events {
        if transaction.execute(ADVANCE, (place.partition, place.offset + 1))? == 1 {
            transaction.execute(GAIN, (&event.user_id, event.exp))?;
        }
        totals.push(transaction.query_row(TOTAL, [&event.user_id], |row| row.get(0))?);
    }
    transaction.commit()?;
    Ok(totals)
}

async fn apply_in_postgres(
    client: &mut tokio_postgres::Client,
    events: &[(Place, ExpEvent)],
) -> std::result::Result<Vec<i64>, tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let mut totals = Vec::with_capacity(events.len());
    for (place, event) in events {
        if transaction.execute(ADVANCE, &[&place.partition, &(place.offset + 1)]).await? == 1 {
            transaction.execute(GAIN, &[&event.user_id, &event.exp]).await?;
        }
        totals.push(transaction.query_one(TOTAL, &[&event.user_id]).await?.try_get(0)?);
    }
    transaction.commit().await?;
    Ok(totals)
}
