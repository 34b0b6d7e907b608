//! The notation: what a line means, and what is told about a line that breaks it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end by panic")]

use ottla_protocol_generator::model::{Kind, Span, Type};
use ottla_protocol_generator::parse::parse;

const EXAMPLE: &str = "\
# A comment.
request PingRequest api:99 versions:0-5 flexible:3+ unstable:5 listeners:broker,controller
  Names [string]? 1+ =null ignorable
  Targets [Target]
    Id i32 =-1 key entity:brokerId
    Rack string?2+
    Home Place 4+ tag:0
  Away Place
  struct Place
    City string
";

#[test]
fn a_message_is_read_with_its_structs() {
    let [message] = &parse("ping.schema", EXAMPLE).unwrap()[..] else { panic!("one message") };
    assert_eq!((message.kind, message.api), (Kind::Request, Some(99)));
    assert_eq!((message.flexible, message.unstable), (Some(3), Some(5)));
    assert_eq!(message.versions, Span { low: 0, high: 5 });
    assert_eq!(message.listeners, ["broker", "controller"]);
    let names: Vec<&str> = message.structs.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["PingRequest", "Target", "Place"]);
    let [names, targets, away] = &message.structs[0].fields[..] else { panic!("three fields") };
    assert_eq!(names.kind, Type::Array(Box::new(Type::String)));
    assert_eq!(names.span, Span { low: 1, high: 5 });
    assert_eq!(names.nullable, Some(names.span));
    assert_eq!((names.default.as_deref(), names.ignorable), (Some("null"), true));
    assert_eq!(targets.kind, Type::Array(Box::new(Type::Struct("Target".into()))));
    assert_eq!(away.kind, Type::Struct("Place".into()));
    let [id, rack, home] = &message.structs[1].fields[..] else { panic!("three fields") };
    assert_eq!((id.map_key, id.entity.as_deref()), (true, Some("brokerId")));
    assert_eq!(rack.nullable, Some(Span { low: 2, high: 5 }));
    assert_eq!(home.tag, Some((0, Span { low: 4, high: 5 })));
}

#[test]
fn a_line_that_breaks_the_notation_is_named_with_its_reason() {
    let reason = |text: &str| parse("x.schema", text).unwrap_err().to_string();
    let head = "data X versions:0-2\n";
    assert_eq!(reason("letter X versions:0"), "x.schema:1: 'letter' is not a kind of message");
    assert_eq!(reason("data X"), "x.schema:1: a message needs versions with an end");
    assert_eq!(reason("data X versions:0-2 colour:3"), "x.schema:1: 'colour' is not an attribute of a message");
    assert_eq!(reason("  A i32"), "x.schema:1: a field before any message");
    assert_eq!(reason(&format!("{head}   A i32")), "x.schema:2: an odd number of blanks before the line");
    assert_eq!(reason(&format!("{head}    A i32")), "x.schema:2: too many blanks before the line");
    assert_eq!(reason(&format!("{head}  A i33")), "x.schema:2: 'i33' is not a type");
    assert_eq!(reason(&format!("{head}  A i32 3+")), "x.schema:2: no version of the struct has this field");
    assert_eq!(reason(&format!("{head}  A i32 tag:x")), "x.schema:2: 'x' is not a tag");
    assert_eq!(
        reason(&format!("{head}  A B\n    C i32\n  D B\n    E i32")),
        "x.schema:5: X declares the struct B twice"
    );
}
