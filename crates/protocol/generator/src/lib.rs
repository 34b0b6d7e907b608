//! Reads the message schema notation and writes the Rust types of `ottla-protocol`.
//!
//! `docs/internals/protocol.md` describes the notation. The build script of `ottla-protocol` calls [`generate`]; the
//! steps are: [`parse`] a file to a [`model`], write one Rust file per message, then one file per family of messages.

mod descriptor;
mod family;
pub mod model;
mod names;
mod owned;
pub mod parse;
mod rust_type;
mod source;
mod view;
mod wire_size;
mod write;

use model::Message;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Why the types could not be written.
#[derive(Debug)]
pub enum GenerateError {
    /// A file could not be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A schema file breaks the notation.
    Parse(parse::ParseError),
}

impl std::fmt::Display for GenerateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Parse(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for GenerateError {}

/// All messages of one directory of schema files, by the name of the directory.
pub type Families = BTreeMap<String, Vec<Message>>;

/// Reads every `.schema` file of the directories below `schema`, in the order of their names.
///
/// # Errors
/// A file that can't be read or that breaks the notation.
pub fn read(schema: &Path) -> Result<Families, GenerateError> {
    let mut families = Families::new();
    for directory in entries(schema)?.into_iter().filter(|path| path.is_dir()) {
        let mut messages = Vec::new();
        for file in entries(&directory)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "schema")) {
            let text = fs::read_to_string(&file).map_err(|source| GenerateError::Io { path: file.clone(), source })?;
            messages.extend(parse::parse(&file.display().to_string(), &text).map_err(GenerateError::Parse)?);
        }
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        families.insert(name, messages);
    }
    Ok(families)
}

/// Reads the schema files below `schema` and writes the Rust types below `output`: `<family>.rs` for each family,
/// `<family>/<message>.rs` for each message, `api_keys.rs` and `registry.rs`.
///
/// # Errors
/// A file that can't be read or written, or that breaks the notation.
pub fn generate(schema: &Path, output: &Path) -> Result<(), GenerateError> {
    let families = read(schema)?;
    for (family, messages) in &families {
        for message in messages {
            let file = Path::new(family).join(format!("{}.rs", names::snake(&message.name)));
            write_file(&output.join(file), &message_source(message))?;
        }
        write_file(&output.join(format!("{family}.rs")), &family::module(family, messages))?;
    }
    write_file(&output.join("api_keys.rs"), &family::api_keys(&families))?;
    write_file(&output.join("registry.rs"), &family::registry(&families))
}

/// The Rust source of one message's module.
fn message_source(message: &Message) -> String {
    let mut out = source::Source::default();
    out.line("use crate::generated_prelude::*;");
    for structure in &message.structs {
        owned::structure(&mut out, message, structure);
        view::structure(&mut out, message, structure);
        write::structure(&mut out, message, structure);
    }
    owned::message(&mut out, message);
    descriptor::message(&mut out, message);
    out.finish()
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, GenerateError> {
    let error = |source| GenerateError::Io { path: directory.to_path_buf(), source };
    let mut paths = fs::read_dir(directory)
        .map_err(error)?
        .map(|e| e.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(error)?;
    paths.sort();
    Ok(paths)
}

fn write_file(path: &Path, text: &str) -> Result<(), GenerateError> {
    let error = |source| GenerateError::Io { path: path.to_path_buf(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(error)?;
    }
    // An unchanged file keeps its time, so that nothing is compiled again for it.
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(error)
}
