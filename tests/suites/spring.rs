//! Applications of Spring Boot 3.0 with spring-kafka 3.0, as their users write them, on Ottla and on Apache Kafka.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on ends")]

use ottla_tests::{Application, Target, free_port, http, workspace};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const MESSAGES: usize = 20;
const PLAYERS: u64 = 5;
const GAINS: u64 = 60;
/// How long what a player gained may take until it is in the database.
const PATIENCE: Duration = Duration::from_secs(60);

/// One of the applications of `tests/clients/spring`, started, and its port. Only addresses are given to it.
fn application(name: &str, target: &Target) -> (Application, u16) {
    let jar = workspace().join(format!("target/spring/{name}/{name}.jar"));
    assert!(jar.exists(), "{} is missing: cargo xtask test clients builds it", jar.display());
    let port = free_port().unwrap();
    let mut java = Command::new("java");
    // Short runs: the time goes into starting.
    java.args(["-Xmx256M", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar"]).arg(jar);
    java.env("SERVER_PORT", port.to_string()).env("SPRING_KAFKA_BOOTSTRAP_SERVERS", target.bootstrap());
    let mut started = Application::start(&mut java).unwrap();
    started.wait_for(": Started ").unwrap();
    (started, port)
}

/// What is posted to `KafkaTemplate` for `test-topic` arrives in order at the `@KafkaListener` of `test-group`; started
/// again, the application goes on where it was.
fn messages(target: &Target) {
    let post = |port, message: &str| {
        let answer = http(port, "POST", "/messages", "text/plain", message).unwrap();
        assert_eq!(answer, (200, format!("Sent: {message}")));
    };
    let (mut first, port) = application("messages", target);
    for number in 0..MESSAGES {
        post(port, &format!("message {number}"));
    }
    for number in 0..MESSAGES {
        assert_eq!(first.wait_for("Received: ").unwrap(), format!("message {number}"));
    }
    first.terminate().unwrap();
    let (mut second, port) = application("messages", target);
    post(port, "the next one");
    assert_eq!(second.wait_for("Received: ").unwrap(), "the next one");
}

/// Players gain experience at server A (`/game/gain-exp`), server B adds it up in its database.
fn game(target: &Target) {
    let (_game, game_port) = application("game-server", target);
    let (_exp, exp_port) = application("exp-server", target);
    for gain in 0..GAINS {
        let player = gain % PLAYERS;
        let event = format!("{{\"userId\":\"player-{player}\",\"exp\":{gain}}}");
        let answer = http(game_port, "POST", "/game/gain-exp", "application/json", &event).unwrap();
        assert_eq!(answer, (200, format!("player-{player} gains {gain} exp")));
    }
    for player in 0..PLAYERS {
        let expected: u64 = (0..GAINS).filter(|gain| gain % PLAYERS == player).sum();
        let exp = || http(exp_port, "GET", &format!("/users/player-{player}/exp"), "text/plain", "").unwrap();
        let end = Instant::now() + PATIENCE;
        while exp() != (200, expected.to_string()) && Instant::now() < end {
            sleep(Duration::from_millis(50));
        }
        assert_eq!(exp(), (200, expected.to_string()), "of player {player}");
    }
}

#[test]
fn a_template_and_a_listener_work_on_ottla() {
    messages(&Target::ottla().unwrap());
}

#[test]
fn the_game_works_on_ottla() {
    game(&Target::ottla().unwrap());
}

#[test]
fn both_work_on_apache_kafka() {
    let target = Target::apache_kafka().unwrap();
    messages(&target);
    game(&target);
}
