use super::world::{Stage, World};
use crate::history::{LogName, Value};
use crate::workspace;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

/// A load by a client that is not ours: a program that says what it was told by the server, and ends with its input.
///
/// Its lines are `sent NUMBER`, `acknowledged NUMBER OFFSET`, `read OFFSET WRITER NUMBER`, `ask OFFSET`, `committed
/// OFFSET` and `failed ...`. The writer's number is its last argument, so that its records are known by their texts.
///
/// # Errors
/// It can't be started.
pub(super) fn strange_load(world: &World, log: &LogName, group: &str) -> io::Result<()> {
    let writer = world.history().records.writer_elsewhere(log.id);
    let mut child = Command::new(workspace().join("target/venv/bin/python"))
        .arg(workspace().join("tests/clients/python/kill_load.py"))
        .args([world.address.as_str(), &log.topic, group, &writer.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(where_it_speaks()?)
        .spawn()?;
    let _leash = ottla_oracle::Leash::tie(&child)?;
    let heard = listen(world, log, group, writer, &mut child);
    let status = child.wait()?;
    world.history().records.all_is_heard(writer);
    if !status.success() {
        world.fail(format!("the foreign client ended with {status}"));
    }
    heard
}

/// `OTTLA_STRANGER_LOG` names the file that gets what it says to nobody; `OTTLA_STRANGER_DEBUG` has librdkafka say more.
fn where_it_speaks() -> io::Result<Stdio> {
    match std::env::var_os("OTTLA_STRANGER_LOG") {
        Some(path) => Ok(File::create(path)?.into()),
        None => Ok(Stdio::null()),
    }
}

fn listen(world: &World, log: &LogName, group: &str, writer: u32, child: &mut Child) -> io::Result<()> {
    let mut input = child.stdin.take();
    let output = child.stdout.take().ok_or_else(|| io::Error::other("no standard output"))?;
    let mut values = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if hear(world, log, group, writer, &mut values, &line).is_none() {
            world.fail(format!("the foreign client says: {line}"));
        }
        match world.stage() {
            Stage::Busy => {}
            // It is told by a line to send no more, and by the end of its input to end.
            Stage::Calm => {
                if let Some(input) = &mut input {
                    let _ = input.write_all(b"calm\n");
                }
            }
            Stage::Over => input = None,
        }
    }
    Ok(())
}

fn hear(
    world: &World,
    log: &LogName,
    group: &str,
    writer: u32,
    values: &mut BTreeMap<u32, Value>,
    line: &str,
) -> Option<()> {
    let mut words = line.split(' ');
    let what = words.next()?;
    let mut number = || words.next()?.parse::<i64>().ok();
    match what {
        "sent" => {
            let value = world.history().records.send(writer);
            values.insert(u32::try_from(number()?).ok()?, value);
        }
        "acknowledged" => {
            let value = values.remove(&u32::try_from(number()?).ok()?)?;
            world.acknowledged(log, number()?, value);
        }
        "read" => {
            let offset = number()?;
            let value = Value { writer: u32::try_from(number()?).ok()?, number: u32::try_from(number()?).ok()? };
            world.read(log, offset, value);
        }
        "ask" => world.history().offsets.ask(group, &log.topic, log.partition, number()?),
        "committed" => world.history().offsets.acknowledge(group, &log.topic, log.partition, number()?),
        "alive" => {}
        _ => return None,
    }
    Some(())
}
