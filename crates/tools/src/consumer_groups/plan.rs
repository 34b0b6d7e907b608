use super::Failure;
use ottla_types::TopicPartition;
use std::collections::BTreeMap;
use std::fs;

/// New offsets by group.
pub(super) type Plan = BTreeMap<String, BTreeMap<TopicPartition, i64>>;

/// The largest file that is read.
const BYTES_MAX: u64 = 256 << 20;

/// Reads `--from-file`: lines of `topic,partition,offset` when there is only one group, else of
/// `group,topic,partition,offset`.
pub(super) fn read(path: &str, groups: &[String]) -> Result<Plan, Failure> {
    let wrong = |exception: String| Failure::wrapped("java.lang.RuntimeException", exception);
    let unreadable = || wrong(format!("java.io.IOException: Unable to read file {path}"));
    let length = fs::metadata(path).map_err(|_| unreadable())?.len();
    if length > BYTES_MAX {
        return Err(wrong(format!("java.io.IOException: {path} has {length} bytes, at most {BYTES_MAX} are read")));
    }
    let text = fs::read_to_string(path).map_err(|_| unreadable())?;
    parse(&text, groups)
        .map_err(|line| wrong(format!("java.io.IOException: {path} has a line that is no offset: {line}")))
}

fn parse(text: &str, groups: &[String]) -> Result<Plan, String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    let only = match groups {
        [only] if lines.first().is_none_or(|line| cells(line).len() == 3) => Some(only),
        _ => None,
    };
    let mut plan = Plan::new();
    for line in lines {
        let cells = cells(line);
        let (group, rest) = match (only, cells.as_slice()) {
            (Some(only), rest) => (only.as_str(), rest),
            (None, [group, rest @ ..]) => (group.as_str(), rest),
            (None, []) => return Err(line.to_owned()),
        };
        let (partition, offset) = offset(rest).ok_or_else(|| line.to_owned())?;
        plan.entry(group.to_owned()).or_default().insert(partition, offset);
    }
    Ok(plan)
}

fn offset(cells: &[String]) -> Option<(TopicPartition, i64)> {
    let [topic, partition, offset] = cells else { return None };
    let partition: i32 = partition.trim().parse().ok()?;
    Some((TopicPartition::new(topic.as_str(), partition), offset.trim().parse().ok()?))
}

/// The cells of a line; one that begins with a quotation mark goes to the next one, and may have commas.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for character in line.trim_end_matches('\r').chars() {
        match (character, cells.last_mut()) {
            ('"', _) => quoted = !quoted,
            (',', _) if !quoted => cells.push(String::new()),
            (character, Some(cell)) => cell.push(character),
            _ => {}
        }
    }
    cells
}

/// A line of `--export`.
pub(super) fn line(group: Option<&str>, partition: &TopicPartition, offset: i64) -> String {
    let cell = |text: &str| {
        if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
    };
    let group = group.map_or_else(String::new, |group| format!("{},", cell(group)));
    format!("{group}{},{},{offset}\n", cell(&partition.topic), partition.partition.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_group_needs_no_name_in_the_file() {
        let plan = parse("t,0,2\nt,1,3\n", &groups(&["g"])).unwrap();
        assert_eq!(plan["g"], BTreeMap::from([(TopicPartition::new("t", 0), 2), (TopicPartition::new("t", 1), 3)]));
        let plan = parse("g,t,0,2\r\n", &groups(&["g"])).unwrap();
        assert_eq!(plan["g"], BTreeMap::from([(TopicPartition::new("t", 0), 2)]));
    }

    #[test]
    fn several_groups_need_names() {
        let plan = parse("g,t,0,2\n\"h,i\",t,0,4\n", &groups(&["g", "h,i"])).unwrap();
        assert_eq!(plan["h,i"], BTreeMap::from([(TopicPartition::new("t", 0), 4)]));
        assert_eq!(parse("t,0,2\n", &groups(&["g", "h"])).unwrap_err(), "t,0,2");
        assert_eq!(parse("g,t,zero,2\n", &groups(&["g", "h"])).unwrap_err(), "g,t,zero,2");
    }

    #[test]
    fn what_is_exported_can_be_read_again() {
        let partition = TopicPartition::new("t", 7);
        assert_eq!(line(None, &partition, 5), "t,7,5\n");
        let plan = parse(&line(Some("a,b"), &partition, 5), &groups(&["a,b", "c"])).unwrap();
        assert_eq!(plan["a,b"], BTreeMap::from([(partition, 5)]));
    }
}
