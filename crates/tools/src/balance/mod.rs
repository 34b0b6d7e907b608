//! `ottla balance`: spreads replicas and leaders evenly over the brokers, built on Kafka's own reassignment, so that it works with any
//! server that speaks Kafka's protocol.

mod facts;
mod layout;
mod leaders;
mod limits;
mod load;
mod moving;
mod options;
mod placement;
mod plan;
mod report;

use crate::connection::{admin, block_on, load_properties};
use crate::console::Console;
use crate::failure::Stop;
use crate::options::Parsed;
use crate::replication_throttle::Move;
use crate::texts::count;
use facts::{Choice, Facts};
use moving::{End, Moving, carry_out};
use options::{Action, OPTIONS, action};
use ottla_client::{Admin, ClientError, PartitionReassignment, ReplicationFactorChange};
use ottla_types::{NodeId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

/// What to do about a reassignment that goes on by itself.
const GOES_ON: &str =
    "What has begun goes on in the cluster: ottla balance --resume shows how far it is, --cancel puts everything back.";

/// Runs the tool.
pub(crate) fn run(arguments: &[String], console: &mut Console) -> i32 {
    let done = OPTIONS
        .parse(arguments)
        .map_err(|error| Stop::Usage(error.to_string()))
        .and_then(|parsed| work(&parsed, console));
    done.unwrap_or_else(|stop| stop.tell(&OPTIONS, console))
}

fn work(parsed: &Parsed, console: &mut Console) -> Result<i32, Stop> {
    let action = action(parsed, console)?;
    let servers = parsed.value("bootstrap-server")?.unwrap_or_default();
    let properties = parsed.value("command-config")?.map(|path| load_properties(&path)).transpose();
    let properties = properties.map_err(Stop::Message)?;
    let throttle = parsed.number("throttle")?;
    let done = block_on(async {
        let admin = admin(&servers, properties.as_ref(), None).map_err(|error| failed(&error))?;
        match action {
            Action::Balance { choice, is_dry, is_asked } => {
                balance(&admin, &choice, throttle, is_dry, is_asked, console).await
            }
            Action::Resume => resume(&admin, throttle, console).await,
            Action::Cancel => cancel(&admin, console).await,
        }
    });
    done.map_err(|error| Stop::Message(error.to_string()))?
}

fn failed(error: &ClientError) -> Stop {
    Stop::Message(format!("The cluster did not do what it was asked: {error}"))
}

async fn balance(
    admin: &Admin,
    choice: &Choice,
    throttle: Option<i64>,
    is_dry: bool,
    is_asked: bool,
    console: &mut Console,
) -> Result<i32, Stop> {
    let under_way = admin.list_reassignments(None).await.map_err(|error| failed(&error))?;
    if !under_way.is_empty() {
        return Err(Stop::Message(format!(
            "{} are being reassigned already: --resume shows how far they are, --cancel puts them back.",
            count(under_way.len(), "partition")
        )));
    }
    let facts = facts::gather(admin, choice).await.map_err(|error| failed(&error))?;
    if let Some(unknown) = facts.unknown.first() {
        return Err(Stop::Message(format!("There is no broker {unknown}: start it first, or name another.")));
    }
    let changes = plan::plan(&facts.layout).map_err(|error| Stop::Message(report::unplannable(&error)))?;
    if changes.is_empty() {
        console.line("Replicas and leaders are spread evenly: there is nothing to do.");
        return Ok(0);
    }
    report::show(&facts, &changes, throttle, is_dry, console);
    if is_dry {
        console.line("Nothing was changed.");
        return Ok(0);
    }
    if is_asked && !is_agreed(console)? {
        console.line("Nothing was changed.");
        return Ok(1);
    }
    let ended = carry_out(admin, &moving(&facts, changes), throttle, true, console).await;
    tell_end(ended, console)?;
    tell_emptied(choice, console);
    Ok(0)
}

/// Asks whether to begin.
fn is_agreed(console: &mut Console) -> Result<bool, Stop> {
    if !Console::is_interactive() {
        let sentence = "Nobody can be asked whether to begin, since this is no terminal: --yes begins without asking.";
        return Err(Stop::Message(sentence.to_owned()));
    }
    console.print("Begin? [y/N] ");
    console.flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|error| Stop::Message(error.to_string()))?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn moving(facts: &Facts, changes: layout::Changes) -> Moving {
    let mut moving = Moving { living: facts.living.clone(), ..Moving::default() };
    for (name, replicas) in &changes {
        let destinations: BTreeSet<i32> = facts.layout.added(name, replicas).into_iter().collect();
        let Some(partition) = facts.layout.partitions.get(name).filter(|_| !destinations.is_empty()) else { continue };
        let sources = partition.replicas.iter().copied().collect();
        moving.moves.insert(name.clone(), Move { sources, destinations });
        moving.bytes.insert(name.clone(), partition.bytes);
    }
    moving.targets = changes;
    moving
}

fn tell_end(ended: Result<End, ClientError>, console: &mut Console) -> Result<(), Stop> {
    match ended {
        Ok(End::Done) => {
            console.line("Done: every replica is where it should be, and no limit is left.");
            Ok(())
        }
        Ok(End::Incomplete(wrong)) => Err(Stop::Message(format!(
            "The limits are taken away. {} not where they should be:\n  {}\nRun the command again to plan anew.",
            if wrong.len() == 1 { "1 partition is".to_owned() } else { format!("{} partitions are", wrong.len()) },
            wrong.join("\n  ")
        ))),
        Ok(End::Interrupted(code)) => {
            console.error_line(&format!("Interrupted; the limits are taken away. {GOES_ON}"));
            Err(Stop::Exit(code))
        }
        Err(error) => Err(Stop::Message(format!(
            "The cluster did not do what it was asked: {error}\n{GOES_ON} Both take limits away that may be left."
        ))),
    }
}

fn tell_emptied(choice: &Choice, console: &mut Console) {
    let Choice::AllBut(drained) = choice else { return };
    for id in drained {
        console.line(&format!(
            "Broker {id} has no replicas any more: stop it, then kafka-cluster unregister --bootstrap-server ... --id {id}."
        ));
    }
}

/// What is under way, as something that can be watched.
async fn under_way(admin: &Admin) -> Result<Moving, ClientError> {
    let reassignments = admin.list_reassignments(None).await?;
    let living: BTreeSet<i32> = admin.describe_cluster().await?.brokers.iter().map(|it| it.id.value()).collect();
    let mut moving = Moving { living, ..Moving::default() };
    for (name, reassignment) in &reassignments {
        let (target, one) = of_reassignment(reassignment);
        moving.targets.insert(name.clone(), target);
        moving.moves.insert(name.clone(), one);
    }
    for ((_, name), size) in facts::sizes(admin, &moving.living).await? {
        if moving.targets.contains_key(&name) {
            let known = moving.bytes.entry(name).or_default();
            *known = size.max(*known);
        }
    }
    Ok(moving)
}

fn of_reassignment(reassignment: &PartitionReassignment) -> (Vec<i32>, Move) {
    let ids = |nodes: &[NodeId]| nodes.iter().map(|node| node.value()).collect::<Vec<i32>>();
    let (all, adding, removing) = (ids(&reassignment.replicas), ids(&reassignment.adding), ids(&reassignment.removing));
    let target = all.iter().filter(|id| !removing.contains(id)).copied().collect();
    let sources = all.iter().filter(|id| !adding.contains(id)).copied().collect();
    (target, Move { sources, destinations: adding.into_iter().collect() })
}

async fn resume(admin: &Admin, throttle: Option<i64>, console: &mut Console) -> Result<i32, Stop> {
    let moving = under_way(admin).await.map_err(|error| failed(&error))?;
    if moving.targets.is_empty() {
        clear_leftovers(admin, &moving.living).await.map_err(|error| failed(&error))?;
        console.line("Nothing is being reassigned, and no limit is left.");
        return Ok(0);
    }
    let ended = carry_out(admin, &moving, throttle, false, console).await;
    // Partitions that had moved before left limits too.
    clear_leftovers(admin, &moving.living).await.map_err(|error| failed(&error))?;
    tell_end(ended, console)?;
    Ok(0)
}

async fn clear_leftovers(admin: &Admin, living: &BTreeSet<i32>) -> Result<(), ClientError> {
    limits::clear(admin, living, limits::limited_topics(admin).await?).await
}

async fn cancel(admin: &Admin, console: &mut Console) -> Result<i32, Stop> {
    let done = async {
        let moving = under_way(admin).await?;
        let ended = moving.targets.keys().map(|name| (name.clone(), None)).collect();
        let answers = admin.alter_reassignments(&ended, ReplicationFactorChange::Allowed).await?;
        clear_leftovers(admin, &moving.living).await?;
        Ok::<BTreeMap<TopicPartition, Result<(), ClientError>>, ClientError>(answers)
    };
    let answers = done.await.map_err(|error| failed(&error))?;
    let refused: Vec<_> = answers.iter().filter_map(|(name, answer)| Some((name, answer.as_ref().err()?))).collect();
    // One that was done a moment ago can't be ended any more, and need not be.
    let failed = |(name, error): (&TopicPartition, &ClientError)| {
        (!error.is(ottla_client::ErrorCode::NoReassignmentInProgress)).then(|| format!("{name}: {error}"))
    };
    let failures: Vec<String> = refused.into_iter().filter_map(failed).collect();
    if !failures.is_empty() {
        return Err(Stop::Message(format!("The limits are taken away, but these go on:\n  {}", failures.join("\n  "))));
    }
    console.line(&match answers.len() {
        0 => "Nothing is being reassigned, and no limit is left.".to_owned(),
        ended => format!("{} put back; no limit is left.", count(ended, "partition")),
    });
    Ok(0)
}
