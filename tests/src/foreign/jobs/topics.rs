use super::{check_refused, new_topic, wait_for_partitions};
use crate::foreign::crew::Crew;
use crate::foreign::failure::Done;
use serde_json::json;

/// A topic is made with three partitions, can't be made again, grows to five and goes.
pub(in crate::foreign) fn life(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    // With the characters that a name may have.
    let topic = new_topic(client, "my_topic.with-all", 3)?;
    let again = client.create_topic_with(&topic, 3, &json!({}))?;
    check_refused("a topic that exists", again, "exists")?;
    client.grow_topic(&topic, 5)?;
    wait_for_partitions(client, &topic, 5)?;
    client.delete_topic(&topic)?;
    wait_for_partitions(client, &topic, 0)
}
