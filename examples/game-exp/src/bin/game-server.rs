//! Server A: takes what players do, and shows them what came of it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use game_exp::{EVENTS, ExpEvent, ExpResult, PARTITIONS, RESULTS, Result};
use ottla_client::{
    Consumer, ConsumerSettings, OffsetSpec, Producer, ProducerRecord, ProducerSettings, TopicPartition,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

/// More can't be gained at once: a player's total can't overflow.
const EXP_MAX: i64 = 1_000_000;

#[derive(Parser)]
struct Arguments {
    /// The Kafka server.
    #[arg(long, default_value = "localhost:9092")]
    kafka: String,
    /// Where to answer HTTP.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// For so many seconds a player looks at a screen without an answer.
    #[arg(long, default_value_t = 2)]
    patience: u64,
}

/// What a player sends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gain {
    user_id: String,
    exp: i64,
}

struct Game {
    producer: Producer,
    waiting: Waiting,
    patience: Duration,
}

/// Who waits for the result of which event. An entry is there no longer than its request.
#[derive(Default)]
struct Waiting(Mutex<HashMap<Uuid, oneshot::Sender<i64>>>);

impl Waiting {
    fn begin(&self, event: Uuid) -> oneshot::Receiver<i64> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(event, sender);
        receiver
    }

    fn end(&self, event: Uuid) -> Option<oneshot::Sender<i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&event)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    game_exp::create_topics(&arguments.kafka).await?;
    let producer = Producer::new(ProducerSettings::new(&arguments.kafka))?;
    let patience = Duration::from_secs(arguments.patience);
    let game = Arc::new(Game { producer, waiting: Waiting::default(), patience });
    let results = results(&arguments.kafka).await?;
    let listener = TcpListener::bind(arguments.listen).await?;
    let routes = Router::new().route("/game/gain-exp", post(gain_exp)).with_state(game.clone());
    println!("server A takes POST http://{}/game/gain-exp", arguments.listen);
    tokio::select! {
        served = axum::serve(listener, routes).into_future() => Ok(served?),
        told = tell(results, &game.waiting) => told,
    }
}

/// A player gains experience: the answer has the new total. If that is late, the answer says so; the event is not lost.
async fn gain_exp(State(game): State<Arc<Game>>, Json(gain): Json<Gain>) -> (StatusCode, Json<Value>) {
    if !(1..=EXP_MAX).contains(&gain.exp) {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": format!("exp goes from 1 to {EXP_MAX}") })));
    }
    let event = ExpEvent { event_id: Uuid::new_v4(), user_id: gain.user_id, exp: gain.exp };
    // The result may be here before our own acknowledgement is.
    let result = game.waiting.begin(event.event_id);
    let answer = match send(&game.producer, &event).await {
        Ok(()) => {
            let total = timeout(game.patience, result).await.ok().and_then(std::result::Result::ok);
            let status = if total.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
            (status, Json(json!({ "userId": event.user_id, "gained": event.exp, "exp": total })))
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error.to_string() }))),
    };
    game.waiting.end(event.event_id);
    answer
}

/// Returns when the event is acknowledged. The client repeats what was not, and the server drops what it has.
async fn send(producer: &Producer, event: &ExpEvent) -> Result<()> {
    let record = ProducerRecord::new(EVENTS).key(event.user_id.clone()).value(serde_json::to_vec(event)?);
    producer.send(record).await?.await?;
    Ok(())
}

/// A reader of all results from now on: each server A sees all and takes what it waits for.
async fn results(kafka: &str) -> Result<Consumer> {
    let mut consumer = Consumer::new(ConsumerSettings::new(kafka))?;
    let partitions: Vec<_> = (0..PARTITIONS).map(|index| TopicPartition::new(RESULTS, index)).collect();
    consumer.assign(partitions.clone());
    for partition in &partitions {
        consumer.seek_to(partition, OffsetSpec::Latest)?;
    }
    // "Now" is before the first event.
    while partitions.iter().any(|partition| consumer.position(partition).is_none()) {
        consumer.poll(Duration::from_millis(100)).await?;
    }
    Ok(consumer)
}

/// Hands each result to the one who waits for it.
async fn tell(mut results: Consumer, waiting: &Waiting) -> Result<()> {
    loop {
        for record in results.poll(Duration::from_secs(1)).await? {
            let result = serde_json::from_slice::<ExpResult>(record.value.as_deref().unwrap_or_default());
            let Ok(ExpResult { event_id, total, .. }) = result else { continue };
            if let Some(player) = waiting.end(event_id) {
                // One who has gone meanwhile is not told.
                let _ = player.send(total);
            }
        }
    }
}
