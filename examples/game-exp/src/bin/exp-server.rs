//! Server B: adds up what players gain, tells what came of it, and shows what a player has.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use clap::Parser;
use game_exp::{Database, EVENTS, ExpEvent, ExpResult, GROUP, Place, RESULTS, Result};
use ottla_client::{
    Consumer, ConsumerRecord, ConsumerSettings, OffsetReset, Producer, ProducerRecord, ProducerSettings,
};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

#[derive(Parser)]
struct Arguments {
    /// The Kafka server.
    #[arg(long, default_value = "localhost:9092")]
    kafka: String,
    /// Where to answer HTTP.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// A file for SQLite, or the address of a PostgreSQL database: postgres://user@host/name
    #[arg(long, default_value = "game.sqlite")]
    database: String,
    /// The consumer group.
    #[arg(long, default_value = GROUP)]
    group: String,
    /// The name of this server in the group. Started again under the same name it gets its work back at once.
    #[arg(long, default_value = "exp-server-1")]
    name: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let database = Arc::new(Database::open(&arguments.database).await?);
    game_exp::create_topics(&arguments.kafka).await?;
    let listener = TcpListener::bind(arguments.listen).await?;
    let routes = Router::new().route("/users/{user}/exp", get(show)).with_state(database.clone());
    println!("server B shows http://{}/users/NAME/exp", arguments.listen);
    tokio::select! {
        served = axum::serve(listener, routes).into_future() => Ok(served?),
        worked = work(&arguments, &database) => worked,
    }
}

/// Applies events, tells the results, commits: in this order. A crash before the commit costs a redelivery and no more,
/// because the database knows which events it has.
async fn work(arguments: &Arguments, database: &Database) -> Result<()> {
    let settings = ConsumerSettings {
        instance_id: Some(arguments.name.clone()),
        offset_reset: OffsetReset::Earliest,
        auto_commit: false,
        ..ConsumerSettings::new(&arguments.kafka).group(&arguments.group)
    };
    let mut consumer = Consumer::new(settings)?;
    consumer.subscribe([EVENTS])?;
    let producer = Producer::new(ProducerSettings::new(&arguments.kafka))?;
    loop {
        let records = consumer.poll(Duration::from_secs(1)).await?;
        if records.is_empty() {
            continue;
        }
        let events: Vec<_> = records.iter().filter_map(read).collect();
        let totals = database.apply(&events).await?;
        for ((_, event), total) in events.into_iter().zip(totals) {
            let result = ExpResult { event_id: event.event_id, user_id: event.user_id, total };
            let value = serde_json::to_vec(&result)?;
            producer.send(ProducerRecord::new(RESULTS).key(result.user_id).value(value)).await?;
        }
        producer.flush().await;
        if let Err(error) = consumer.commit().await {
            println!("not committed, so it will come again: {error}");
        }
    }
}

/// The event of a record and its place. What is no event must not stop those behind it.
fn read(record: &ConsumerRecord) -> Option<(Place, ExpEvent)> {
    let place = Place { partition: record.partition, offset: record.offset };
    match serde_json::from_slice(record.value.as_deref().unwrap_or_default()) {
        Ok(event) => Some((place, event)),
        Err(error) => {
            println!("no event at {place:?}: {error}");
            None
        }
    }
}

/// What a player has.
async fn show(State(database): State<Arc<Database>>, Path(user): Path<String>) -> (StatusCode, Json<Value>) {
    match database.total(&user).await {
        Ok(Some(exp)) => (StatusCode::OK, Json(json!({ "userId": user, "exp": exp }))),
        Ok(None) => (StatusCode::NOT_FOUND, Json(json!({ "error": format!("there is no player {user}") }))),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error.to_string() }))),
    }
}
