//! The notation: one line per message, struct or field; two blanks per level.

use crate::model::{Field, Kind, Message, Span, Struct, Type};
use std::fmt;

/// A line that breaks the notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

impl std::error::Error for ParseError {}

/// Reads one schema file.
///
/// # Errors
/// The first line that breaks the notation.
pub fn parse(file: &str, text: &str) -> Result<Vec<Message>, ParseError> {
    let mut messages: Vec<Open> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if words.is_empty() {
            continue;
        }
        let error = |reason: String| ParseError { file: file.to_string(), line: index + 1, reason };
        let blanks = line.len() - line.trim_start_matches(' ').len();
        if blanks % 2 == 1 {
            return Err(error("an odd number of blanks before the line".into()));
        }
        if blanks == 0 {
            messages.push(Open::start(&words).map_err(error)?);
        } else {
            let open = messages.last_mut().ok_or_else(|| error("a field before any message".into()))?;
            open.line(blanks / 2, &words).map_err(error)?;
        }
    }
    let error = |reason: String| ParseError { file: file.to_string(), line: text.lines().count(), reason };
    messages.into_iter().map(|open| open.finish().map_err(error)).collect()
}

/// A message being read.
struct Open {
    message: Message,
    /// For each level of blanks, the struct that a field of that level belongs to.
    levels: Vec<usize>,
}

impl Open {
    fn start(words: &[&str]) -> Result<Self, String> {
        let (&[kind, name], attributes) = words.split_first_chunk().ok_or("a message needs a kind and a name")?;
        let kind = match kind {
            "request" => Kind::Request,
            "response" => Kind::Response,
            "header" => Kind::Header,
            "data" => Kind::Data,
            "record" => Kind::Record,
            "key" => Kind::Key,
            "value" => Kind::Value,
            other => return Err(format!("'{other}' is not a kind of message")),
        };
        let mut message = Message {
            kind,
            name: name.into(),
            api: None,
            versions: Span { low: 0, high: Span::OPEN },
            flexible: None,
            unstable: None,
            listeners: Vec::new(),
            hot: false,
            structs: Vec::new(),
        };
        for attribute in attributes {
            if *attribute == "hot" {
                message.hot = true;
                continue;
            }
            match attribute.split_once(':').ok_or_else(|| format!("'{attribute}' is not an attribute"))? {
                ("api", value) => message.api = Some(number(value)?),
                ("versions", value) => message.versions = span(value)?,
                ("flexible", value) => message.flexible = Some(span(value)?.low),
                ("unstable", value) => message.unstable = Some(span(value)?.low),
                ("listeners", value) => message.listeners = value.split(',').map(str::to_string).collect(),
                (other, _) => return Err(format!("'{other}' is not an attribute of a message")),
            }
        }
        if message.versions.high == Span::OPEN {
            return Err("a message needs versions with an end".into());
        }
        message.structs.push(Struct { name: name.into(), span: message.versions, fields: Vec::new() });
        Ok(Self { message, levels: vec![0, 0] })
    }

    fn line(&mut self, level: usize, words: &[&str]) -> Result<(), String> {
        if let (1, ["struct", name, versions @ ..]) = (level, words) {
            let named = versions.first().map_or(Ok(self.message.versions), |text| span(text))?;
            let own = named.meet(self.message.versions).ok_or("no version of the message has this struct")?;
            self.open_struct(2, name, own);
            return Ok(());
        }
        self.levels.truncate(level + 1);
        let owner = *self.levels.get(level).ok_or("too many blanks before the line")?;
        let field = field(words, self.message.structs[owner].span)?;
        // A struct that no later line fills is one that is declared elsewhere; `finish` drops the empty one.
        if let Some(name) = struct_name(&field.kind) {
            let (name, span) = (name.to_string(), field.span);
            self.open_struct(level + 1, &name, span);
        }
        self.message.structs[owner].fields.push(field);
        Ok(())
    }

    fn open_struct(&mut self, level: usize, name: &str, span: Span) {
        self.levels.truncate(level);
        self.levels.push(self.message.structs.len());
        self.message.structs.push(Struct { name: name.into(), span, fields: Vec::new() });
    }

    fn finish(mut self) -> Result<Message, String> {
        let structs = &self.message.structs;
        let filled = |name: &str| structs.iter().any(|s| s.name == name && !s.fields.is_empty());
        let kept: Vec<Struct> = structs
            .iter()
            .enumerate()
            .filter(|(i, s)| *i == 0 || !filled(&s.name) || !s.fields.is_empty())
            .map(|(_, s)| s.clone())
            .collect();
        for (index, structure) in kept.iter().enumerate() {
            if kept[..index].iter().any(|s| s.name == structure.name) {
                return Err(format!("{} declares the struct {} twice", self.message.name, structure.name));
            }
        }
        self.message.structs = kept;
        Ok(self.message)
    }
}

fn field(words: &[&str], within: Span) -> Result<Field, String> {
    let (&[name, kind], attributes) = words.split_first_chunk().ok_or("a field needs a name and a type")?;
    let (kind, nullable) = kind.split_once('?').map_or((kind, None), |(kind, versions)| (kind, Some(versions)));
    let mut field = Field {
        name: name.into(),
        kind: type_of(kind)?,
        span: within,
        nullable: None,
        default: None,
        tag: None,
        ignorable: false,
        legacy: false,
        map_key: false,
        entity: None,
    };
    let mut tag = None;
    for attribute in attributes {
        match *attribute {
            "ignorable" => field.ignorable = true,
            "legacy" => field.legacy = true,
            "key" => field.map_key = true,
            text if text.starts_with('=') => field.default = Some(text[1..].into()),
            text if text.starts_with("tag:") => tag = Some(&text[4..]),
            text if text.starts_with("entity:") => field.entity = Some(text[7..].into()),
            text => field.span = span(text)?.meet(within).ok_or("no version of the struct has this field")?,
        }
    }
    field.nullable = match nullable {
        None => None,
        Some("") => Some(field.span),
        Some(text) => span(text)?.meet(field.span),
    };
    if let Some(tag) = tag {
        let (tag, versions) = tag.split_once('@').unwrap_or((tag, "0+"));
        let versions = span(versions)?.meet(field.span).ok_or("no version of the field is tagged")?;
        field.tag = Some((tag.parse().map_err(|_| format!("'{tag}' is not a tag"))?, versions));
    }
    Ok(field)
}

fn type_of(text: &str) -> Result<Type, String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Ok(Type::Array(Box::new(type_of(inner)?)));
    }
    Ok(match text {
        "bool" => Type::Bool,
        "i8" => Type::I8,
        "i16" => Type::I16,
        "u16" => Type::U16,
        "i32" => Type::I32,
        "u32" => Type::U32,
        "i64" => Type::I64,
        "f64" => Type::F64,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        "uuid" => Type::Uuid,
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => Type::Struct(name.into()),
        other => return Err(format!("'{other}' is not a type")),
    })
}

fn struct_name(kind: &Type) -> Option<&str> {
    match kind {
        Type::Struct(name) => Some(name),
        Type::Array(inner) => struct_name(inner),
        _ => None,
    }
}

fn number(text: &str) -> Result<i16, String> {
    text.parse().map_err(|_| format!("'{text}' is not a number"))
}

/// Reads `3`, `3+` or `3-5`.
fn span(text: &str) -> Result<Span, String> {
    if let Some(low) = text.strip_suffix('+') {
        return Ok(Span { low: number(low)?, high: Span::OPEN });
    }
    match text.split_once('-') {
        Some((low, high)) => Ok(Span { low: number(low)?, high: number(high)? }),
        None => number(text).map(|version| Span { low: version, high: version }),
    }
}
