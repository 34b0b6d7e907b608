use super::{check_refused, new_topic, numbered};
use crate::foreign::adapter::Adapter;
use crate::foreign::calls::Isolation;
use crate::foreign::crew::Crew;
use crate::foreign::failure::{Done, check, check_same, shown};
use crate::foreign::record::{Received, Record};
use crate::foreign::waiting::wait_until;
use crate::unique;

/// How long to look for records that must not come.
const NOTHING_MS: u64 = 500;

/// What is committed can be read, what is aborted can't, and what is open can't yet.
pub(in crate::foreign) fn commit_and_abort(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = new_topic(client, "transactions", 1)?;
    client.init_transactions(&unique("transactional"))?;
    let [first, aborted, last] = ["first", "aborted", "last"].map(|name| numbered(name, 20));
    client.begin()?;
    client.send_records(&topic, &first)?;
    client.commit_transaction()?;
    client.begin()?;
    client.send_records(&topic, &aborted)?;
    client.abort_transaction()?;
    client.begin()?;
    client.send_records(&topic, &last)?;
    check_committed(client, &topic, &first)?;
    client.commit_transaction()?;
    let committed = [first.clone(), last.clone()].concat();
    check_committed(client, &topic, &committed)?;
    let all = [first, aborted, last].concat();
    let read = client.fetch(&topic, 0, all.len(), Isolation::Uncommitted)?;
    check_same_records(&read, &all)?;
    client.delete_topic(&topic)
}

/// A producer that another one of its transactional id has taken over from can't commit.
pub(in crate::foreign) fn fencing(crew: &mut Crew) -> Done {
    let [zombie, successor] = crew.hire()?;
    let topic = new_topic(zombie, "fencing", 1)?;
    let id = unique("fenced");
    zombie.init_transactions(&id)?;
    zombie.begin()?;
    zombie.send_records(&topic, &numbered("zombie", 3))?;
    successor.init_transactions(&id)?;
    check_refused("the commit of a fenced producer", zombie.try_commit_transaction()?, "fenced")?;
    let sent = numbered("successor", 3);
    successor.begin()?;
    successor.send_records(&topic, &sent)?;
    successor.commit_transaction()?;
    check_committed(successor, &topic, &sent)?;
    successor.delete_topic(&topic)
}

/// A group's offset is committed together with the records that were made of what was read, or not at all.
pub(in crate::foreign) fn exactly_once(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let (source, target) = (new_topic(client, "source", 1)?, new_topic(client, "target", 1)?);
    let group = unique("group-exactly-once");
    client.init_transactions(&unique("exactly-once"))?;
    client.begin()?;
    client.send_records(&target, &numbered("aborted", 5))?;
    client.send_offsets(&group, &source, 5)?;
    client.abort_transaction()?;
    check_same("the offset of an aborted transaction", &client.committed(&group, &source)?, &None)?;
    let sent = numbered("committed", 5);
    client.begin()?;
    client.send_records(&target, &sent)?;
    client.send_offsets(&group, &source, 7)?;
    client.commit_transaction()?;
    // A server may answer before the commit is in all partitions, as Apache Kafka does; readers see it a little later.
    wait_until("the offset is that of the committed transaction", || {
        let seen = client.committed(&group, &source)?;
        Ok(if seen == Some(7) { Ok(()) } else { Err(format!("{seen:?}")) })
    })?;
    check_committed(client, &target, &sent)?;
    client.delete_topic(&source)?;
    client.delete_topic(&target)
}

/// Checks that one who reads what is committed gets these records and no more.
fn check_committed(client: &mut Adapter, topic: &str, wanted: &[Record]) -> Done {
    let read = client.fetch(topic, 0, wanted.len(), Isolation::Committed)?;
    check_same_records(&read, wanted)?;
    let next = read.last().map_or(0, |record| record.offset + 1);
    let more = client.fetch_for(topic, next, 1, Isolation::Committed, NOTHING_MS)?;
    check(more.is_empty(), || format!("records that are not committed are read: {more:?}"))
}

fn check_same_records(read: &[Received], wanted: &[Record]) -> Done {
    let same = read.len() == wanted.len() && read.iter().zip(wanted).all(|(got, want)| got.is(want));
    check(same, || format!("{} instead of {}", shown(&read), shown(&wanted)))
}
