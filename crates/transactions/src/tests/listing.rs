use super::world::{ID, World, init};
use crate::{InitProducerId, ListFilter, Request, Response, TransactionState};
use ottla_protocol::ErrorCode;
use ottla_types::ProducerId;

fn ids(world: &mut World, filter: ListFilter) -> Vec<String> {
    match world.send(Request::List(filter)) {
        Some(Response::List(Ok(listed))) => listed.iter().map(|one| one.transactional_id.to_string()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_list_holds_what_passes_all_filters() {
    let mut world = World::new();
    for id in ["a-1", "a-2", "b-1"] {
        world.send(Request::InitProducerId(InitProducerId { transactional_id: id.into(), ..init(None) }));
    }
    let only = world.init().unwrap();
    world.add(only, &[("t", 0)]);
    world.advance(1_000);
    assert_eq!(ids(&mut world, ListFilter::all()), ["a-1", "a-2", "b-1", ID]);
    let ongoing = ListFilter::all().states(&["Ongoing".to_owned(), "ongoing".to_owned()]);
    assert_eq!(ongoing.1, ["ongoing"]);
    assert_eq!(ids(&mut world, ongoing.0), [ID]);
    let (unknown, _) = ListFilter::all().states(&["Nothing".to_owned()]);
    assert!(ids(&mut world, unknown).is_empty());
    assert_eq!(ids(&mut world, ListFilter::all().producer_ids([ProducerId::new(1_001)])), ["a-2"]);
    // An id without a transaction has none that began late.
    assert_eq!(ids(&mut world, ListFilter::all().duration_ms(1_000)), ["a-1", "a-2", "b-1"]);
    assert_eq!(ids(&mut world, ListFilter::all().duration_ms(999)).len(), 4);
    let matching = |pattern: &str| ListFilter::all().pattern(Some(pattern)).unwrap();
    assert_eq!(ids(&mut world, matching("a-.*")), ["a-1", "a-2"]);
    assert_eq!(ids(&mut world, matching("1")), Vec::<String>::new(), "the pattern matches the whole id");
    assert_eq!(ids(&mut world, matching("a-1|b-1")), ["a-1", "b-1"]);
    assert_eq!(ids(&mut world, matching("")).len(), 4);
    assert!(ListFilter::all().pattern(Some("a)(b")).is_err());
    assert!(ListFilter::all().pattern(Some("[")).is_err());
    assert!(ListFilter::all().pattern(Some("(((a{99}){99}){99}){99}")).is_err(), "one that takes too much");
}

#[test]
fn a_transactional_id_is_described_with_its_partitions_by_topic() {
    let mut world = World::new();
    let only = world.init().unwrap();
    world.add(only, &[("u", 2), ("t", 1), ("t", 0)]);
    let describe = |id: &str| Request::Describe { transactional_id: id.to_owned() };
    let Some(Response::Describe(state)) = world.send(describe(ID)) else { panic!() };
    let topics: Vec<_> = state.topics.iter().map(|topic| (topic.topic.as_str(), &topic.partitions[..])).collect();
    assert_eq!(topics, [("t", &[0, 1][..]), ("u", &[2][..])]);
    assert_eq!(state.transaction_state, TransactionState::Ongoing.name());
    assert_eq!((state.producer_id, state.producer_epoch, state.transaction_timeout_ms), (1_000, 0, 60_000));
    for (id, code) in [("", ErrorCode::InvalidRequest), ("other", ErrorCode::TransactionalIdNotFound)] {
        let Some(Response::Describe(state)) = world.send(describe(id)) else { panic!() };
        assert_eq!(state.error_code, code.code());
    }
}
