//! A subscriber by section 4.6, written apart from the notifier.

use roxmltree::{Document, Node};
use std::collections::BTreeMap;

const CONFERENCE_INFO: &str = "urn:ietf:params:xml:ns:conference-info";

/// What a watcher knows of a conference: its parts as text, users by their entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watcher {
    pub version: Option<u32>,
    pub entity: String,
    /// Elements that are told as a whole.
    pub parts: BTreeMap<String, String>,
    pub users: BTreeMap<String, String>,
    /// The conference has ceased to exist.
    pub ended: bool,
}

impl Watcher {
    /// Takes a document as 4.6 says. The error is a sentence.
    pub fn take(&mut self, text: &str) -> Result<(), String> {
        let document = Document::parse(text).map_err(|error| format!("not well-formed: {error}"))?;
        let root = document.root_element();
        if !root.has_tag_name((CONFERENCE_INFO, "conference-info")) {
            return Err("another element".to_owned());
        }
        let version: u32 = root
            .attribute("version")
            .and_then(|version| version.parse().ok())
            .ok_or("no version")?;
        match (state(&root), self.version) {
            (_, Some(known)) if version <= known => return Err(format!("version {version} after {known}")),
            ("partial", Some(known)) if version > known + 1 => return Err(format!("a gap before version {version}")),
            ("partial", None) => return Err("partial before full".to_owned()),
            ("partial", Some(_)) => {}
            (whole, _) => {
                *self = Watcher {
                    ended: whole == "deleted",
                    ..Watcher::default()
                };
            }
        }
        self.version = Some(version);
        self.entity = root.attribute("entity").unwrap_or_default().to_owned();
        let is_full = state(&root) == "full";
        for element in root.children().filter(Node::is_element) {
            if element.tag_name().name() == "users" {
                self.take_users(&element, is_full)?;
            } else {
                self.parts
                    .insert(element.tag_name().name().to_owned(), written(&element));
            }
        }
        // 5.2: what a full document has at least.
        match is_full && !self.parts.contains_key("conference-description") {
            true => Err("a full document without a description".to_owned()),
            false => Ok(()),
        }
    }

    fn take_users(&mut self, users: &Node<'_, '_>, is_full: bool) -> Result<(), String> {
        if state(users) == "full" {
            self.users.clear();
        } else if is_full {
            return Err("partial within full".to_owned());
        }
        for user in users.children().filter(Node::is_element) {
            let entity = user.attribute("entity").ok_or("a user without a name")?.to_owned();
            let known = match state(&user) {
                "full" => self.users.insert(entity.clone(), written(&user)),
                "deleted" if user.has_children() => return Err("deleted with children".to_owned()),
                "deleted" => {
                    let known = self.users.remove(&entity);
                    known.as_ref().ok_or(format!("{entity} was not there"))?;
                    None
                }
                other => return Err(format!("a user in the state {other}")),
            };
            if known.is_some() && state(users) == "full" {
                return Err(format!("{entity} is there twice"));
            }
        }
        Ok(())
    }
}

fn state<'d>(node: &Node<'d, '_>) -> &'d str {
    node.attribute("state").unwrap_or("full")
}

/// An element with all that is in it, in one spelling.
fn written(node: &Node<'_, '_>) -> String {
    let mut text = format!("{}(", node.tag_name().name());
    for attribute in node.attributes() {
        text.push_str(&format!("{}={:?} ", attribute.name(), attribute.value()));
    }
    for child in node.children() {
        match child.is_element() {
            true => text.push_str(&written(&child)),
            false => text.push_str(&format!("{:?}", child.text().unwrap_or_default())),
        }
    }
    text + ")"
}
