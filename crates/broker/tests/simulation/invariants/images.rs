//! **Image equality**: all brokers tell the same of the cluster.

use crate::harness::cluster::Cluster;
use crate::operators::lasting_topics;
use ottla_protocol::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::messages::{DescribeConfigsRequest, MetadataRequest};

pub(crate) fn check(cluster: &Cluster) {
    let mut told = cluster.living_ids().filter(|id| cluster.is_broker(*id)).map(|id| {
        let node = cluster.node(id);
        let mut answer = node.ask(&MetadataRequest { topics: None, ..Default::default() });
        // Each broker answers with an idea of its own of who is the controller.
        answer.controller_id = -1;
        let resource = |(name, _): (&str, i32)| DescribeConfigsResource {
            resource_type: 2,
            resource_name: name.to_owned(),
            ..Default::default()
        };
        let resources = lasting_topics().map(resource).collect();
        (answer, node.ask(&DescribeConfigsRequest { resources, ..Default::default() }))
    });
    let first = told.next().unwrap();
    assert!(!first.0.topics.is_empty());
    for other in told {
        assert_eq!(other, first, "image equality");
    }
    for (name, partitions) in lasting_topics() {
        let topic = first.0.topics.iter().find(|topic| topic.name.as_deref() == Some(name));
        let count = topic.map_or(0, |topic| topic.partitions.len());
        assert_eq!(count, usize::try_from(partitions).unwrap(), "{name} is not there");
    }
}
