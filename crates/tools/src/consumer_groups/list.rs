use super::Failure;
use crate::console::Console;
use crate::java::{self, Sized};
use crate::options::Parsed;
use ottla_client::{Admin, GroupKind, GroupListing};

/// The states that a group can be in, in the order in which Kafka's tool names them.
const STATES: [&str; 7] =
    ["CompletingRebalance", "Dead", "Reconciling", "PreparingRebalance", "Assigning", "Stable", "Empty"];
const KINDS: [GroupKind; 2] = [GroupKind::Consumer, GroupKind::Classic];
/// The least width of the first column.
const GROUP_WIDTH: usize = 15;

/// `--list`.
pub(super) async fn list(admin: &Admin, parsed: &Parsed, console: &mut Console) -> Result<(), Failure> {
    let (with_kind, with_state) = (parsed.has("type"), parsed.has("state"));
    let kinds = kinds(&parsed.value("type")?.unwrap_or_default())?;
    let states = states(&parsed.value("state")?.unwrap_or_default())?;
    let groups = consumer_groups(admin, &states, &kinds).await?;
    if !with_kind && !with_state {
        groups.iter().for_each(|group| console.line(&group.group_id));
        return Ok(());
    }
    let longest = groups.iter().map(|group| group.group_id.chars().count()).max().unwrap_or_default();
    let width = longest.max(GROUP_WIDTH) + 10;
    let mut row = |group: &str, kind: &str, state: &str| {
        let mut line = format!("{group:<width$}");
        for (shown, value) in [(with_kind, kind), (with_state, state)] {
            if shown {
                line.push_str(&format!(" {value:<20}"));
            }
        }
        console.line(&line);
    };
    row("GROUP", "TYPE", "STATE");
    for group in &groups {
        row(&group.group_id, group.kind.name(), group.state.as_deref().unwrap_or("Unknown"));
    }
    Ok(())
}

/// The groups of consumers, of these states and kinds or of all, in the order of Kafka's tool.
pub(super) async fn consumer_groups(
    admin: &Admin,
    states: &[String],
    kinds: &[GroupKind],
) -> Result<Vec<GroupListing>, Failure> {
    let kinds = if kinds.is_empty() { &KINDS } else { kinds };
    let (mut groups, errors) = admin.list_groups(states, kinds).await?;
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    // Connect's workers, for one, use groups too.
    groups.retain(|group| group.protocol_type.is_empty() || group.protocol_type == "consumer");
    java::hash_order(&mut groups, Sized::Default, |group| java::string_hash(&group.group_id));
    Ok(groups)
}

fn states(list: &str) -> Result<Vec<String>, Failure> {
    let find = |name: &str| {
        let plain = name.trim().to_lowercase();
        STATES.iter().find(|state| state.to_lowercase() == plain).map(|state| (*state).to_owned())
    };
    let found: Option<Vec<_>> = parts(list).map(find).collect();
    found.ok_or_else(|| Failure::Usage(format!("Invalid state list '{list}'. Valid states are: {}", STATES.join(", "))))
}

fn kinds(list: &str) -> Result<Vec<GroupKind>, Failure> {
    let find = |name: &str| KINDS.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name.trim()));
    let found: Option<Vec<_>> = parts(list).map(find).collect();
    let names: Vec<_> = KINDS.iter().map(|kind| kind.name()).collect();
    found.ok_or_else(|| Failure::Usage(format!("Invalid types list '{list}'. Valid types are: {}", names.join(", "))))
}

fn parts(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').filter(move |_| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_and_types_are_known_whatever_their_case() {
        assert_eq!(states("stable, Empty").unwrap(), ["Stable", "Empty"]);
        assert_eq!(states("").unwrap(), Vec::<String>::new());
        assert_eq!(kinds("CLASSIC").unwrap(), [GroupKind::Classic]);
        let Err(Failure::Usage(message)) = states("stable,sleepy") else { panic!("there is no such state") };
        assert!(message.starts_with("Invalid state list 'stable,sleepy'. Valid states are: CompletingRebalance, Dead"));
        let Err(Failure::Usage(message)) = kinds("share") else { panic!("a share group has no consumers") };
        assert_eq!(message, "Invalid types list 'share'. Valid types are: Consumer, Classic");
    }
}
