//! Values that stand elsewhere (KIP-297): `${env:NAME}`, `${file:/path:key}`, `${dir:/path:file}`.
//!
//! A properties file names its providers in `config.providers`, with the class of each; the classes of Apache Kafka stand for
//! what is built in. What can't be found stays as it is written, as in Kafka. A value that was put in is not looked at again.

use crate::properties::{self, Properties};
use regex::Regex;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use thiserror::Error;

const PROVIDERS: &str = "config.providers";

/// Where values are read from.
pub trait ValueSources {
    /// A variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
    /// A file's content.
    ///
    /// # Errors
    /// It can't be read.
    fn file(&self, path: &Path) -> std::io::Result<Vec<u8>>;
    /// Whether there is something at a path.
    fn exists(&self, path: &Path) -> bool;
}

/// Why values can't be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProviderError {
    /// A class that is not built in.
    #[error("config.providers.{name}.class names {class}, which is code that can't be loaded; there are {KNOWN}")]
    UnknownClass {
        /// The provider.
        name: String,
        /// Its class.
        class: String,
    },
    /// An allowed path that is none.
    #[error("config.providers.{name}.param.allowed.paths: {path} {problem}")]
    AllowedPath {
        /// The provider.
        name: String,
        /// The path.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A pattern for names that is no regular expression.
    #[error("config.providers.{name}.param.allowlist.pattern is no regular expression: {reason}")]
    Pattern {
        /// The provider.
        name: String,
        /// Why.
        reason: String,
    },
    /// A variable of the environment with a path before it.
    #[error("{key}: a variable of the environment has no path: ${{{name}:{path}:...}}")]
    PathOfVariable {
        /// The key whose value it is.
        key: String,
        /// The provider.
        name: String,
        /// The path.
        path: String,
    },
    /// A file that can't be read.
    #[error("{key}: could not read {path}: {reason}")]
    Unreadable {
        /// The key whose value it is.
        key: String,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

const KNOWN: &str = "EnvVarConfigProvider, FileConfigProvider and DirectoryConfigProvider of \
                     org.apache.kafka.common.config.provider";

enum Provider {
    /// Variables whose whole name matches.
    Environment(Option<Regex>),
    /// Properties files below these paths; anywhere when there are none.
    File(Option<Vec<PathBuf>>),
    /// Whole files, likewise.
    Directory(Option<Vec<PathBuf>>),
}

impl Properties {
    /// Puts the values in that stand elsewhere.
    ///
    /// # Errors
    /// A provider can't be made, or what it reads from can't be read.
    pub fn resolve(&mut self, sources: &dyn ValueSources) -> Result<(), ProviderError> {
        let providers = providers(self, sources)?;
        if providers.is_empty() {
            return Ok(());
        }
        let mut resolved = Vec::new();
        for (key, entry) in self.iter() {
            let value = replaced(key, &entry.value, &providers, sources)?;
            if value != entry.value {
                resolved.push((key.to_owned(), value));
            }
        }
        resolved.into_iter().for_each(|(key, value)| self.replace_value(&key, value));
        Ok(())
    }
}

fn providers(properties: &Properties, sources: &dyn ValueSources) -> Result<BTreeMap<String, Provider>, ProviderError> {
    let mut providers = BTreeMap::new();
    for name in properties.get(PROVIDERS).unwrap_or_default().split(',').map(str::trim) {
        // One without a class is passed over.
        let Some(class) = properties.get(&format!("{PROVIDERS}.{name}.class")) else { continue };
        let parameter = |parameter: &str| properties.get(&format!("{PROVIDERS}.{name}.param.{parameter}"));
        let provider = match class.trim().rsplit_once('.') {
            Some((PACKAGE, "EnvVarConfigProvider")) => {
                Provider::Environment(parameter("allowlist.pattern").map(|pattern| whole(name, pattern)).transpose()?)
            }
            Some((PACKAGE, "FileConfigProvider")) => {
                Provider::File(allowed(name, parameter("allowed.paths"), sources)?)
            }
            Some((PACKAGE, "DirectoryConfigProvider")) => {
                Provider::Directory(allowed(name, parameter("allowed.paths"), sources)?)
            }
            _ => return Err(ProviderError::UnknownClass { name: name.to_owned(), class: class.to_owned() }),
        };
        providers.insert(name.to_owned(), provider);
    }
    Ok(providers)
}

const PACKAGE: &str = "org.apache.kafka.common.config.provider";

fn whole(name: &str, pattern: &str) -> Result<Regex, ProviderError> {
    let regex = Regex::new(pattern).and_then(|_| Regex::new(&format!("^(?:{pattern})$")));
    regex.map_err(|error| ProviderError::Pattern { name: name.to_owned(), reason: error.to_string() })
}

fn allowed(name: &str, paths: Option<&str>, sources: &dyn ValueSources) -> Result<Option<Vec<PathBuf>>, ProviderError> {
    let Some(paths) = paths.filter(|paths| !paths.is_empty()) else { return Ok(None) };
    let path = |text: &str| {
        let path = normalized(Path::new(text));
        let problem = match () {
            () if !path.is_absolute() => "is not absolute",
            () if !sources.exists(&path) => "does not exist",
            () => return Ok(path),
        };
        Err(ProviderError::AllowedPath { name: name.to_owned(), path: path.display().to_string(), problem })
    };
    paths.split(',').map(path).collect::<Result<_, _>>().map(Some)
}

/// Without `.` and `..`, as they are written: links are not looked at.
fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if parts.file_name().is_some() => _ = parts.pop(),
            other => parts.push(other),
        }
    }
    parts
}

/// The path, if it may be read.
fn permitted(path: &str, allowed: Option<&Vec<PathBuf>>) -> Option<PathBuf> {
    match allowed {
        None => Some(PathBuf::from(path)),
        Some(allowed) => {
            let path = normalized(Path::new(path));
            allowed.iter().any(|allowed| path.starts_with(allowed)).then_some(path)
        }
    }
}

/// A reference in a value: `${provider:[path:]name}`.
struct Reference<'a> {
    text: &'a str,
    provider: &'a str,
    path: &'a str,
    name: &'a str,
}

/// The first reference, and where it begins.
fn next_reference(value: &str) -> Option<(usize, Reference<'_>)> {
    let mut from = 0;
    loop {
        let start = from + value.get(from..)?.find("${")?;
        let inside = value.get(start + 2..)?;
        let end = inside.find('}')?;
        let (inside, text) = (inside.get(..end)?, value.get(start..start + end + 3)?);
        let mut parts = inside.splitn(3, ':');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(provider), Some(path), Some(name)) => return Some((start, Reference { text, provider, path, name })),
            (Some(provider), Some(name), None) => return Some((start, Reference { text, provider, path: "", name })),
            _ => from = start + 2,
        }
    }
}

fn replaced(
    key: &str,
    value: &str,
    providers: &BTreeMap<String, Provider>,
    sources: &dyn ValueSources,
) -> Result<String, ProviderError> {
    let (mut rest, mut replaced) = (value, String::new());
    while let Some((start, reference)) = next_reference(rest) {
        let found = match providers.get(reference.provider) {
            Some(provider) => provider.find(key, &reference, sources)?,
            None => None,
        };
        replaced.push_str(rest.get(..start).unwrap_or_default());
        replaced.push_str(found.as_deref().unwrap_or(reference.text));
        rest = rest.get(start + reference.text.len()..).unwrap_or_default();
    }
    replaced.push_str(rest);
    Ok(replaced)
}

/// The text of a file as the bytes that a `.properties` file has: these files are UTF-8, where `server.properties` is Latin-1.
fn escaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match u8::try_from(u32::from(letter)) {
            Ok(byte) => bytes.push(byte),
            Err(_) => {
                let mut units = [0; 2];
                for unit in letter.encode_utf16(&mut units) {
                    bytes.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    bytes
}

impl Provider {
    fn find(
        &self,
        key: &str,
        reference: &Reference<'_>,
        sources: &dyn ValueSources,
    ) -> Result<Option<String>, ProviderError> {
        let Reference { provider, path, name, .. } = *reference;
        let unreadable = |path: &Path, reason: String| ProviderError::Unreadable {
            key: key.to_owned(),
            path: path.display().to_string(),
            reason,
        };
        match self {
            Self::Environment(_) if !path.is_empty() => Err(ProviderError::PathOfVariable {
                key: key.to_owned(),
                name: provider.to_owned(),
                path: path.to_owned(),
            }),
            Self::Environment(pattern) => {
                let may = pattern.as_ref().is_none_or(|pattern| pattern.is_match(name));
                Ok(if may { sources.variable(name) } else { None })
            }
            Self::File(allowed) => {
                let Some(path) = permitted(path, allowed.as_ref()).filter(|_| !path.is_empty()) else {
                    return Ok(None);
                };
                let bytes = sources.file(&path).map_err(|error| unreadable(&path, error.to_string()))?;
                let text = core::str::from_utf8(&bytes).map_err(|error| unreadable(&path, error.to_string()))?;
                let parsed = properties::parse(&escaped(text), &path.display().to_string());
                let parsed = parsed.map_err(|error| unreadable(&path, error.to_string()))?;
                Ok(parsed.get(name).map(str::to_owned))
            }
            Self::Directory(allowed) => {
                let is_name = Path::new(name).file_name().is_some_and(|file| file == name);
                let Some(path) = permitted(path, allowed.as_ref()).filter(|_| !path.is_empty() && is_name) else {
                    return Ok(None);
                };
                let path = path.join(name);
                if !sources.exists(&path) {
                    return Ok(None);
                }
                let bytes = sources.file(&path).map_err(|error| unreadable(&path, error.to_string()))?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files and variables that are made up.
    struct Sources(BTreeMap<&'static str, &'static str>);

    impl ValueSources for Sources {
        fn variable(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }

        fn file(&self, path: &Path) -> std::io::Result<Vec<u8>> {
            let content = path.to_str().and_then(|path| self.0.get(path));
            content.map(|content| content.as_bytes().to_vec()).ok_or_else(|| std::io::ErrorKind::NotFound.into())
        }

        fn exists(&self, path: &Path) -> bool {
            let path = path.to_str().unwrap_or_default();
            self.0.keys().any(|known| known.starts_with(path))
        }
    }

    const DECLARED: &str = "config.providers=env,file,dir\n\
        config.providers.env.class=org.apache.kafka.common.config.provider.EnvVarConfigProvider\n\
        config.providers.file.class=org.apache.kafka.common.config.provider.FileConfigProvider\n\
        config.providers.dir.class=org.apache.kafka.common.config.provider.DirectoryConfigProvider\n";

    fn sources() -> Sources {
        Sources(
            [
                ("HOME", "/srv/me"),
                ("OTHER", "x"),
                ("/a/b.properties", "k=v\nr=${env:HOME}\nü=größe 鍵 😀"),
                ("/s/secret", "s3\n"),
            ]
            .into(),
        )
    }

    fn resolve(text: &str) -> Result<String, ProviderError> {
        let mut properties = properties::parse(format!("{DECLARED}{text}").as_bytes(), "f").unwrap();
        properties.resolve(&sources())?;
        Ok(properties.get("key").unwrap_or_default().to_owned())
    }

    #[test]
    fn values_come_from_the_environment_from_files_and_from_directories() {
        for (value, expected) in [
            ("plain ${} $ {x} ${y}", "plain ${} $ {x} ${y}"),
            ("${env:HOME}/data,${env:OTHER}", "/srv/me/data,x"),
            ("${env:MISSING} ${env:HOME}", "${env:MISSING} /srv/me"),
            ("${file:/a/b.properties:k}", "v"),
            // What is put in is not looked at again.
            ("${file:/a/b.properties:r}", "${env:HOME}"),
            ("${file:/a/b.properties:\\u00fc}", "größe 鍵 😀"),
            ("${file:/a/b.properties:no}", "${file:/a/b.properties:no}"),
            ("${dir:/s:secret}", "s3\n"),
            ("${dir:/s:no}${dir:/s:../s/secret}", "${dir:/s:no}${dir:/s:../s/secret}"),
            ("${nobody:/s:x}", "${nobody:/s:x}"),
            ("${env:HOME", "${env:HOME"),
        ] {
            assert_eq!(resolve(&format!("key={value}")).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn only_what_is_allowed_is_read() {
        let only = "config.providers.env.param.allowlist.pattern=H.*\n\
            config.providers.file.param.allowed.paths=/a\nconfig.providers.dir.param.allowed.paths=/a,/s\n";
        let value = "key=${env:HOME} ${env:OTHER} ${file:/a/b.properties:k} ${file:/s/secret:k} ${file:/a/../s/secret:k} ${dir:/s:secret}";
        let expected = "/srv/me ${env:OTHER} v ${file:/s/secret:k} ${file:/a/../s/secret:k} s3\n";
        assert_eq!(resolve(&format!("{only}{value}")).as_deref(), Ok(expected));
    }

    #[test]
    fn what_can_not_be_is_said() {
        let said = |text: &str| resolve(text).unwrap_err().to_string();
        assert!(said("key=${file:/no:k}").starts_with("key: could not read /no: "));
        assert_eq!(said("key=${env:/p:HOME}"), "key: a variable of the environment has no path: ${env:/p:...}");
        assert!(said("config.providers.env.class=com.example.Vault").contains("com.example.Vault, which is code"));
        let paths = "config.providers.file.param.allowed.paths=";
        assert!(said(&format!("{paths}a")).ends_with("a is not absolute"));
        assert!(said(&format!("{paths}/no")).ends_with("/no does not exist"));
        assert!(said("config.providers.env.param.allowlist.pattern=(").contains("no regular expression"));
    }

    #[test]
    fn without_declared_providers_nothing_is_touched() {
        let mut properties = properties::parse(b"key=${env:HOME}", "f").unwrap();
        properties.resolve(&sources()).unwrap();
        assert_eq!(properties.get("key"), Some("${env:HOME}"));
    }
}
