use super::{new_topic, numbered};
use crate::foreign::batches::batch_heads;
use crate::foreign::calls::{Isolation, PLAIN, Sending};
use crate::foreign::crew::Crew;
use crate::foreign::failure::{Done, check, check_same, shown};
use crate::foreign::record::{Blob, Record};
use crate::now_ms;

/// The size of a big record, just below what a server takes by default.
const BIG_BYTES: usize = 1_000_000;

/// How long ago records are said to be of.
const AGE_MS: i64 = 3_600_000;

/// What is produced with a codec comes back the same, in order, from the start and from the middle; and the server has it in
/// this codec.
pub(in crate::foreign) fn codec(crew: &mut Crew, codec: &str) -> Done {
    let bootstrap = crew.bootstrap().to_owned();
    let [client] = crew.hire()?;
    let topic = new_topic(client, &format!("codec-{codec}"), 1)?;
    let sent = sample(codec);
    client.produce(&topic, Sending { codec, ..PLAIN }, &sent)?;
    for from in [0, sent.len() - 3] {
        let wanted = &sent[from..];
        let received = client.fetch(&topic, from as i64, wanted.len(), Isolation::Uncommitted)?;
        for (index, (got, want)) in received.iter().zip(wanted).enumerate() {
            check(got.is(want), || format!("record {} came back as {got:?} instead of {want:?}", from + index))?;
            check_same("its offset", &got.offset, &((from + index) as i64))?;
            check_same("its partition", &got.partition, &0)?;
        }
    }
    // A library may leave a batch alone that does not get smaller; there are others.
    let heads = batch_heads(&bootstrap, &topic)?;
    check(heads.iter().any(|head| head.codec == codec), || format!("no batch is in {codec}: {heads:?}"))?;
    client.delete_topic(&topic)
}

fn sample(codec: &str) -> Vec<Record> {
    let mut sample = Record::new("key", "value");
    sample.headers = [("h1", "x"), ("h2", "")].map(|(name, value)| (name.to_owned(), Blob::text(value))).to_vec();
    let mut records = vec![sample];
    let mut add = |key: Blob, value: Blob| records.push(Record { key, value, headers: Vec::new(), timestamp: None });
    add(Blob::null(), Blob::text("no key"));
    add(Blob::text("tombstone"), Blob::null());
    add(Blob::text(""), Blob::text(""));
    add(Blob(Some((0..=255).collect())), Blob(Some((0..=255).rev().collect())));
    add(Blob::text("big"), Blob::text(&format!("{codec}-").repeat(BIG_BYTES / (codec.len() + 1))));
    for index in 0..200 {
        add(Blob::text(&format!("k{index}")), Blob::text(&format!("v{index}").repeat(20)));
    }
    records
}

/// A record may have neither key nor value.
pub(in crate::foreign) fn null_records(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = new_topic(client, "null-records", 1)?;
    let record = Record { key: Blob::null(), value: Blob::null(), headers: Vec::new(), timestamp: None };
    client.produce(&topic, PLAIN, std::slice::from_ref(&record))?;
    let received = client.fetch(&topic, 0, 1, Isolation::Uncommitted)?;
    check(received[0].is(&record), || format!("{received:?} instead of {record:?}"))?;
    client.delete_topic(&topic)
}

/// A name may come more than once among the headers of a record.
pub(in crate::foreign) fn repeated_headers(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = new_topic(client, "repeated-headers", 1)?;
    let mut record = Record::new("key", "value");
    record.headers =
        [("h", "x"), ("h", "again"), ("i", "y")].map(|(name, value)| (name.to_owned(), Blob::text(value))).to_vec();
    client.produce(&topic, PLAIN, std::slice::from_ref(&record))?;
    let received = client.fetch(&topic, 0, 1, Isolation::Uncommitted)?;
    check(received[0].is(&record), || format!("{received:?} instead of {record:?}"))?;
    client.delete_topic(&topic)
}

/// A header's value may be null, which is not empty.
pub(in crate::foreign) fn null_headers(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = new_topic(client, "null-headers", 1)?;
    let mut record = Record::new("key", "value");
    record.headers = vec![("null".to_owned(), Blob::null()), ("empty".to_owned(), Blob::text(""))];
    client.produce(&topic, PLAIN, std::slice::from_ref(&record))?;
    let received = client.fetch(&topic, 0, 1, Isolation::Uncommitted)?;
    check(received[0].is(&record), || format!("{received:?} instead of {record:?}"))?;
    client.delete_topic(&topic)
}

/// A record has the time that its producer gives it. A time of more than a week ago would not do: from one moment to the next
/// the server may find the record too old to keep.
pub(in crate::foreign) fn timestamps(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = new_topic(client, "timestamps", 1)?;
    let first = now_ms() - AGE_MS;
    let mut sent = numbered("timed", 3);
    for (record, later) in sent.iter_mut().zip([0, 1_000, 500]) {
        record.timestamp = Some(first + later);
    }
    client.produce(&topic, PLAIN, &sent)?;
    for (got, want) in client.fetch(&topic, 0, sent.len(), Isolation::Uncommitted)?.iter().zip(&sent) {
        check(got.is(want), || format!("{got:?} instead of {want:?}"))?;
    }
    check_same("the first record at a time", &client.offsets(&topic, Some(first + 1))?.at, &Some(1))?;
    client.delete_topic(&topic)
}

/// An idempotent producer has an id, and counts its records without a gap.
pub(in crate::foreign) fn idempotent(crew: &mut Crew) -> Done {
    let bootstrap = crew.bootstrap().to_owned();
    let [client] = crew.hire()?;
    let topic = new_topic(client, "idempotent", 1)?;
    let sent = numbered("once", 300);
    client.produce(&topic, Sending { idempotent: true, ..PLAIN }, &sent)?;
    let received = client.fetch(&topic, 0, sent.len(), Isolation::Uncommitted)?;
    check(received.iter().zip(&sent).all(|(got, want)| got.is(want)), || {
        format!("other records: {}", shown(&received))
    })?;
    check_same("the end of the partition", &client.offsets(&topic, None)?.latest, &(sent.len() as i64))?;
    let heads = batch_heads(&bootstrap, &topic)?;
    let mut sequence = 0;
    for head in &heads {
        let follows = head.producer_id >= 0 && head.base_sequence == sequence;
        check(follows, || format!("batches that do not follow one another: {heads:?}"))?;
        sequence += head.records;
    }
    client.delete_topic(&topic)
}
