//! Creates a topic, adds partitions, changes a setting, and shows what is there.
//!
//! `cargo run -p ottla-client --example admin -- localhost:9092 my_topic`

use ottla_client::{
    Admin, ClientSettings, ConfigChange, ConfigOperation, ConfigResource, ConfigSource, NewPartitions, NewTopic,
    ResourceKind, Result,
};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().unwrap_or_else(|| "localhost:9092".to_owned());
    let name = arguments.next().unwrap_or_else(|| "my_topic".to_owned());

    let admin = Admin::new(ClientSettings::new(&servers))?;
    let cluster = admin.describe_cluster().await?;
    println!("cluster {} of {} brokers", cluster.cluster_id, cluster.brokers.len());

    let topic = NewTopic { name: name.clone(), partitions: Some(3), replication_factor: Some(1), ..Default::default() };
    for (topic, created) in admin.create_topics(&[topic], false).await? {
        println!("{topic}: {}", created.map_or_else(|error| error.to_string(), |id| format!("created as {id}")));
    }
    let more = BTreeMap::from([(name.clone(), NewPartitions { count: 5, assignments: None })]);
    for (topic, grown) in admin.create_partitions(&more, false).await? {
        println!("{topic}: {}", grown.map_or_else(|error| error.to_string(), |()| "has 5 partitions".to_owned()));
    }
    let resource = ConfigResource::new(ResourceKind::Topic, name.as_str());
    let change = ConfigChange {
        name: "retention.ms".to_owned(),
        operation: ConfigOperation::Set,
        value: Some("60000".to_owned()),
    };
    admin.alter_configs(&BTreeMap::from([(resource.clone(), vec![change])]), false).await?;
    show_own_settings(&admin, resource).await?;
    for (topic, described) in admin.describe_topics(&BTreeSet::from([name.clone()]), 2_000).await? {
        for partition in described?.partitions {
            println!("{topic}-{}: leader {:?}, replicas {:?}", partition.index, partition.leader, partition.replicas);
        }
    }
    for (topic, deleted) in admin.delete_topics(&[name]).await? {
        println!("{topic}: {}", deleted.map_or_else(|error| error.to_string(), |()| "deleted".to_owned()));
    }
    admin.close();
    Ok(())
}

/// Shows what was set. A broker may learn of a change a moment after it was made.
async fn show_own_settings(admin: &Admin, resource: ConfigResource) -> Result<()> {
    for _ in 0..50 {
        let described = admin.describe_configs(std::slice::from_ref(&resource), false).await?;
        let entries = described.into_values().next().transpose()?.unwrap_or_default();
        let own: Vec<_> = entries.into_iter().filter(|entry| entry.source == ConfigSource::DynamicTopic).collect();
        if own.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        }
        for entry in own {
            println!("{} = {}", entry.name, entry.value.unwrap_or_default());
        }
        break;
    }
    Ok(())
}
