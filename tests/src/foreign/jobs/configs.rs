use super::{check_refused, wait_for_partitions};
use crate::foreign::crew::Crew;
use crate::foreign::failure::{Done, Failure, check_same};
use crate::foreign::waiting::wait_until;
use crate::unique;
use serde_json::json;

/// A topic has the configuration that it was made with; a value is changed, the other stays; a wrong one is refused.
pub(in crate::foreign) fn alter(crew: &mut Crew) -> Done {
    let [client] = crew.hire()?;
    let topic = unique("configs");
    let configs = json!({"retention.ms": "3600000", "cleanup.policy": "compact"});
    client
        .create_topic_with(&topic, 1, &configs)?
        .map_err(|refusal| Failure::new(format!("the topic is not created: {}", refusal.words)))?;
    wait_for_partitions(client, &topic, 1)?;
    check_same("retention.ms as created", &client.describe_config(&topic, "retention.ms")?, &"3600000".to_owned())?;
    check_same("a default", &client.describe_config(&topic, "max.message.bytes")?, &"1048588".to_owned())?;
    client
        .alter_config(&topic, "retention.ms", "60000")?
        .map_err(|refusal| Failure::new(format!("retention.ms is not altered: {}", refusal.words)))?;
    wait_until("retention.ms is altered", || {
        let seen = client.describe_config(&topic, "retention.ms")?;
        Ok(if seen == "60000" { Ok(()) } else { Err(seen) })
    })?;
    check_same("cleanup.policy", &client.describe_config(&topic, "cleanup.policy")?, &"compact".to_owned())?;
    let refused = client.alter_config(&topic, "cleanup.policy", "shred")?;
    check_refused("a policy that does not exist", refused, "invalid_config")?;
    check_same("cleanup.policy still", &client.describe_config(&topic, "cleanup.policy")?, &"compact".to_owned())?;
    client.delete_topic(&topic)
}
