//! What is answered while a coordinator reads its log.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at what they did not expect")]

mod harness;

use harness::World;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{FindCoordinatorRequest, InitProducerIdRequest};

#[test]
fn an_id_that_is_asked_for_before_the_transactions_are_read_is_refused_at_once() {
    let world = World::new("/data", "transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1");
    let init = InitProducerIdRequest {
        transactional_id: Some("id".to_owned()),
        transaction_timeout_ms: 60_000,
        ..Default::default()
    };
    let running = world.start();
    running.send(&FindCoordinatorRequest {
        key_type: 1,
        coordinator_keys: vec!["id".to_owned()],
        ..Default::default()
    });
    running.node.tick();
    assert_eq!(running.ask(&init).error_code, 0);
    drop(running);

    let running = world.start();
    assert_eq!(running.ask(&init).error_code, ErrorCode::CoordinatorLoadInProgress.code());
    running.node.tick();
    let refused = running.ask(&init).error_code;
    assert_eq!(
        refused,
        ErrorCode::CoordinatorLoadInProgress.code(),
        "nothing that is due waits for a log that is read"
    );
    running.node.load_coordinators();
    assert_eq!(running.ask(&init).error_code, 0);
}
