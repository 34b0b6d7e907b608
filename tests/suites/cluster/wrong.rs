//! What goes wrong when a cluster is put together, and what is said of it.

use super::wait_for;
use ottla_tests::{Cluster, Server, free_port};

/// Waits until a node has ended by itself, and gives what it said.
fn ended(node: &mut Server) -> String {
    wait_for("it ends by itself", || node.ended().unwrap().is_some());
    node.log()
}

#[test]
fn a_directory_of_another_cluster_is_refused_with_what_to_do() {
    let cluster = Cluster::of_voters(1, &[]).unwrap();
    let mut other = Server::start(&[]).unwrap();
    other.stop().unwrap();
    let path = other.directory().join("server.properties");
    let properties = std::fs::read_to_string(cluster.nodes[0].directory().join("server.properties")).unwrap();
    let voters = properties.lines().find(|line| line.starts_with("controller.quorum.voters")).unwrap();
    let old = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{old}\nbroker.id=7\n{voters}\n")).unwrap();
    // The node id in its directory is that of a node that stood alone.
    let meta = other.directory().join("data/meta.properties");
    let meta_text = std::fs::read_to_string(&meta).unwrap().replace("node.id=0", "node.id=7");
    std::fs::write(&meta, meta_text).unwrap();
    other.begin().unwrap();
    let said = ended(&mut other);
    assert!(said.contains("belong to cluster") && said.contains("name the controllers of this"), "{said}");
}

#[test]
fn a_broker_whose_controller_is_not_there_waits_and_says_for_whom() {
    let (port, controller) = (free_port().unwrap(), free_port().unwrap());
    let properties = format!(
        "node.id=5\nlisteners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs=DIRECTORY/data\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n"
    );
    let mut node = Server::prepare(port, &properties).unwrap();
    node.begin().unwrap();
    let address = format!("127.0.0.1:{controller}");
    wait_for("it says that it waits", || {
        let said = node.log();
        said.contains("waits for a controller to tell which cluster it belongs to") && said.contains(&address)
    });
    assert!(node.ended().unwrap().is_none(), "{}", node.log());
}

#[test]
fn a_second_node_with_the_same_id_is_kept_out_and_ends_with_what_to_do() {
    let cluster = Cluster::of_voters(1, &[]).unwrap();
    let properties = std::fs::read_to_string(cluster.nodes[0].directory().join("server.properties")).unwrap();
    let voters = properties.lines().find(|line| line.starts_with("controller.quorum.voters")).unwrap();
    let mut twins: Vec<Server> = Vec::new();
    for _ in 0..2 {
        let port = free_port().unwrap();
        let text = format!(
            "broker.id=4\nlisteners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs=DIRECTORY/data\n{voters}\n\
             initial.broker.registration.timeout.ms=6000\n"
        );
        twins.push(Server::prepare(port, &text).unwrap());
    }
    twins[0].launch().unwrap();
    twins[1].begin().unwrap();
    wait_for("the second says what it waits for", || twins[1].log().contains("DUPLICATE_BROKER_REGISTRATION"));
    let said = ended(&mut twins[1]);
    assert!(said.contains("each node needs a node.id (or broker.id) of its own"), "{said}");
    assert!(twins[0].ended().unwrap().is_none(), "{}", twins[0].log());
}
