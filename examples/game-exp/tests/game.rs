//! The whole game on an Ottla of this build: what players gain counts once, whoever is killed and whatever comes again.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

mod postgres;

use ottla_tests::{Application, Server, binary, free_port, http};
use postgres::Postgres;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const PLAYERS: i64 = 5;
const GAINS: i64 = 150;
const KILLS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(60);

/// Server A, started.
fn server_a(kafka: &str, port: u16) -> Application {
    let mut command = Command::new(env!("CARGO_BIN_EXE_game-server"));
    command.args(["--kafka", kafka, "--listen", &format!("127.0.0.1:{port}")]);
    // Longer than a server B takes to come back: each answer has its total.
    command.args(["--patience", "25"]);
    let mut server = Application::start(&mut command).unwrap();
    server.wait_for("server A takes").unwrap();
    server
}

/// Server B, started.
fn server_b(kafka: &str, port: u16, database: &str, group: &str) -> Application {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exp-server"));
    command.args(["--kafka", kafka, "--listen", &format!("127.0.0.1:{port}")]);
    command.args(["--database", database, "--group", group]);
    let mut server = Application::start(&mut command).unwrap();
    server.wait_for("server B shows").unwrap();
    server
}

/// A player gains experience: the status and the answer, which has the new total unless that is late.
fn gain(port: u16, player: &str, exp: i64) -> (u16, Value) {
    let body = json!({ "userId": player, "exp": exp }).to_string();
    let (status, answer) = http(port, "POST", "/game/gain-exp", "application/json", &body).unwrap();
    (status, serde_json::from_str(&answer).unwrap())
}

fn total(port: u16, player: &str) -> Value {
    let (_, answer) = http(port, "GET", &format!("/users/{player}/exp"), "text/plain", "").unwrap();
    serde_json::from_str::<Value>(&answer).unwrap()["exp"].take()
}

fn player(number: i64) -> String {
    format!("player-{number}")
}

/// What the player of this gain has after it, if each gain counts once: each is as large as its number, and the players
/// take turns.
fn expected(number: i64) -> i64 {
    (1..=number).filter(|gain| gain % PLAYERS == number % PLAYERS).sum()
}

fn each_gain_counts_once(database: &str) {
    let mut ottla = Server::start(&[]).unwrap();
    let kafka = ottla.bootstrap();
    let (port_a, port_b) = (free_port().unwrap(), free_port().unwrap());
    let mut b = Some(server_b(&kafka, port_b, database, "exp-group"));
    let _a = server_a(&kafka, port_a);
    assert_eq!(gain(port_a, "ada", 50), (200, json!({ "userId": "ada", "gained": 50, "exp": 50 })));
    scope(|threads| {
        let players = threads.spawn(|| {
            for number in 1..=GAINS {
                let player = player(number % PLAYERS);
                let answer = json!({ "userId": player, "gained": number, "exp": expected(number) });
                assert_eq!(gain(port_a, &player, number), (200, answer));
            }
        });
        for kill in 0..KILLS {
            sleep(Duration::from_millis(100 + u64::from(kill) * 30));
            if kill == 1 {
                ottla.kill().unwrap();
                ottla.launch().unwrap();
            }
            // Dropped, it is killed.
            drop(b.take());
            b = Some(server_b(&kafka, port_b, database, "exp-group"));
        }
        players.join().unwrap();
    });
    // The last gain of each player.
    for number in GAINS - PLAYERS + 1..=GAINS {
        assert_eq!(total(port_b, &player(number % PLAYERS)), expected(number));
    }
    drop(b.take());
    // To another group all comes again, before what is new.
    let _b = server_b(&kafka, port_b, database, "another-group");
    for number in GAINS - PLAYERS + 1..=GAINS {
        let player = player(number % PLAYERS);
        let answer = json!({ "userId": player, "gained": 1, "exp": expected(number) + 1 });
        assert_eq!(gain(port_a, &player, 1), (200, answer));
    }
    assert_eq!(total(port_b, "ada"), 50);
    assert_eq!(total(port_b, "nobody"), Value::Null);
    assert_eq!(gain(port_a, "ada", 0).0, 400);
}

#[test]
fn each_gain_counts_once_in_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    each_gain_counts_once(directory.path().join("game.sqlite").to_str().unwrap());
}

#[test]
fn each_gain_counts_once_in_postgresql() {
    let postgres = Postgres::start();
    each_gain_counts_once(&postgres.address());
}

#[test]
fn one_command_runs_it_all() {
    let data = tempfile::tempdir().unwrap();
    let (port_a, port_b) = (free_port().unwrap(), free_port().unwrap());
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("run"));
    command.env("GAME_BIN", binary().unwrap().parent().unwrap()).env("GAME_DATA", data.path());
    command.env("KAFKA_PORT", free_port().unwrap().to_string());
    command.env("GAME_PORT", port_a.to_string()).env("EXP_PORT", port_b.to_string());
    let mut run = Application::start(&mut command).unwrap();
    run.wait_for("The game runs").unwrap();
    // The first result may be late.
    let (status, _) = gain(port_a, "ada", 50);
    let end = Instant::now() + PATIENCE;
    while total(port_b, "ada") != 50 && Instant::now() < end {
        sleep(Duration::from_millis(20));
    }
    let found = total(port_b, "ada");
    run.terminate().unwrap();
    assert!(status == 200 || status == 202, "{status}");
    assert_eq!(found, 50);
    assert!(http(port_b, "GET", "/users/ada/exp", "text/plain", "").is_err(), "all ended");
}
