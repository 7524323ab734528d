//! A section of the tree as its readers see it: keys by name, each knowing its path and what it takes.

use super::keys::{Key, Section};
use super::problem::{Problems, did_you_mean};
use super::raw::{Mark, Name, Node, Value};

/// A map of the file that belongs to a section. Where the file has something else, it is empty and asks for nothing.
pub(super) struct Map<'t> {
    pub(super) mark: Mark,
    pub(super) path: String,
    entries: &'t [(Name, Node)],
    section: &'static Section,
    /// False where something else was written: it is already reported.
    is_map: bool,
}

/// The value of a key, or one entry of its list.
#[derive(Clone)]
pub(super) struct Field<'t> {
    pub(super) path: String,
    pub(super) key: &'static Key,
    node: &'t Node,
}

/// Why a text is not what a key takes.
pub(super) enum Wrong {
    /// It does not look like it: the key's form says what would.
    Form,
    /// It looks like it, but this sentence holds.
    Because(String),
}

impl<'t> Map<'t> {
    /// Opens a map and reports keys that the section does not have or that come twice.
    pub(super) fn open(node: &'t Node, path: String, section: &'static Section, problems: &mut Problems) -> Map<'t> {
        let (entries, is_map): (&[_], bool) = match &node.value {
            Value::Map(entries) => (entries, true),
            Value::Null => (&[], true),
            Value::Scalar(_) | Value::List(_) => {
                let names: Vec<_> = section.keys.iter().map(|key| key.name).collect();
                let text = format!("here is a map wanted, with the keys {}.", names.join(", "));
                problems.add(node.mark, &path, text);
                (&[], false)
            }
        };
        let map = Map {
            mark: node.mark,
            path,
            entries,
            section,
            is_map,
        };
        map.report_names(problems);
        map
    }

    /// A section that is not in the file.
    pub(super) fn absent(section: &'static Section) -> Map<'t> {
        Map {
            mark: Mark::START,
            path: section.path.to_owned(),
            entries: &[],
            section,
            is_map: true,
        }
    }

    fn report_names(&self, problems: &mut Problems) {
        for (ix, (name, _)) in self.entries.iter().enumerate() {
            let path = self.path_of(&name.text);
            if self.section.find(&name.text).is_none() {
                let names: Vec<_> = self.section.keys.iter().map(|key| key.name).collect();
                let meant = did_you_mean(&name.text, names.iter().copied());
                let rest = if meant.is_empty() {
                    format!("; the keys here are {}.", names.join(", "))
                } else {
                    meant
                };
                problems.add(name.mark, &path, format!("there is no such key{rest}"));
            } else if let Some((first, _)) = self.entries[..ix].iter().find(|(first, _)| first.text == name.text) {
                let text = format!(
                    "this key comes twice, first at line {}. Remove one of them.",
                    first.mark.line
                );
                problems.add(name.mark, &path, text);
            }
        }
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// The key's value, if there is one.
    pub(super) fn get(&self, name: &str) -> Option<Field<'t>> {
        let key = self.section.key(name);
        let (_, node) = self.entries.iter().find(|(entry, _)| entry.text == name)?;
        match node.value {
            Value::Null => None,
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => Some(Field {
                path: self.path_of(name),
                key,
                node,
            }),
        }
    }

    /// The same; its absence is a problem.
    pub(super) fn require(&self, name: &str, problems: &mut Problems) -> Option<Field<'t>> {
        let found = self.get(name);
        if found.is_none() && self.is_map {
            let Key { name, example, .. } = self.section.key(name);
            problems.add(
                self.mark,
                &self.path,
                format!("{name} is missing. Write, for example, {name}: {example}"),
            );
        }
        found
    }

    /// A section below this one.
    pub(super) fn section(&self, name: &str, section: &'static Section, problems: &mut Problems) -> Map<'t> {
        self.get(name)
            .map_or_else(|| Map::absent(section), |field| field.map(section, problems))
    }

    /// The entries of a list; none if it is absent.
    pub(super) fn list(&self, name: &str, problems: &mut Problems) -> Vec<Field<'t>> {
        self.get(name).map_or_else(Vec::new, |field| field.list(problems))
    }

    /// What `parse` makes of the key's value; `default` if it is absent or wrong.
    pub(super) fn value<T>(
        &self,
        name: &str,
        default: T,
        problems: &mut Problems,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> T {
        self.get(name)
            .and_then(|field| field.parse(problems, parse))
            .unwrap_or(default)
    }
}

impl<'t> Field<'t> {
    /// Where it stands.
    pub(super) fn mark(&self) -> Mark {
        self.node.mark
    }

    /// The value as a map of a section.
    pub(super) fn map(&self, section: &'static Section, problems: &mut Problems) -> Map<'t> {
        Map::open(self.node, self.path.clone(), section, problems)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&'t str> {
        match &self.node.value {
            Value::Scalar(text) => Some(text),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// True if it is a map.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// The entries of the list; a single word counts as a list of one.
    pub(super) fn list(&self, problems: &mut Problems) -> Vec<Field<'t>> {
        match &self.node.value {
            Value::List(nodes) => {
                let entry = |(ix, node): (usize, &'t Node)| Field {
                    path: format!("{}[{ix}]", self.path),
                    key: self.key,
                    node,
                };
                nodes.iter().enumerate().map(entry).collect()
            }
            Value::Scalar(_) => vec![self.clone()],
            Value::Null => Vec::new(),
            Value::Map(_) => {
                let Key { name, example, .. } = self.key;
                self.wrong(
                    problems,
                    format!("here is a list wanted. Write, for example, {name}: {example}"),
                );
                Vec::new()
            }
        }
    }

    /// What `parse` makes of the text.
    pub(super) fn parse<T>(&self, problems: &mut Problems, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let Key {
            name, form, example, ..
        } = self.key;
        let (result, shown) = match &self.node.value {
            Value::Scalar(text) => (parse(text), format!("{text:?}")),
            Value::List(_) => (Err(Wrong::Form), "a list".to_owned()),
            Value::Map(_) => (Err(Wrong::Form), "a map".to_owned()),
            Value::Null => (Err(Wrong::Form), "nothing".to_owned()),
        };
        match result {
            Ok(value) => return Some(value),
            Err(Wrong::Form) => {
                self.wrong(
                    problems,
                    format!("{shown} is not {form}. Write, for example, {name}: {example}"),
                );
            }
            Err(Wrong::Because(text)) => self.wrong(problems, text),
        }
        None
    }

    /// Reports that the value is wrong.
    pub(super) fn wrong(&self, problems: &mut Problems, text: impl Into<String>) {
        problems.add(self.mark(), &self.path, text);
    }
}
