//! YAML text -> a tree that knows where each of its parts stands. The one door to `serde_yaml`.
//!
//! `serde_yaml` tells a position only in an error, and makes numbers of what looks like one. So the text is read twice.
//! The first pass takes the shape: what is a list, a map, a scalar, nothing. The second takes each scalar as it was
//! written (`0600`, `+1415`, `1e3` and `no` are text here) with a visitor that keeps the text and then fails: the
//! failure names line and column, and the reading goes on behind it.

use crate::limits;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A place in the text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Mark {
    /// Where every text begins.
    pub(super) const START: Mark = Mark { line: 1, column: 1 };
}

/// A part of the tree. A list or map stands where its first entry stands. It has no `Debug`: passwords may be in it.
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
}

/// What a part is.
pub(super) enum Value {
    /// Nothing is written, or `null` or `~`.
    Null,
    /// As it was written, quotes and escapes resolved.
    Scalar(String),
    List(Vec<Node>),
    /// In the order of the file, a name that comes twice included.
    Map(Vec<(Name, Node)>),
}

/// A key of a map.
pub(super) struct Name {
    pub(super) text: String,
    pub(super) mark: Mark,
}

/// The text is no YAML that we take.
pub(super) struct Unreadable {
    pub(super) mark: Mark,
    pub(super) text: String,
}

/// Reads the whole text.
pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    if text.len() > limits::CONFIG_BYTES {
        let text = format!(
            "the file has {} bytes, and {} is the most that is read",
            text.len(),
            limits::CONFIG_BYTES
        );
        return Err(Unreadable {
            mark: Mark::START,
            text,
        });
    }
    // Editors of Windows put a byte order mark there, and YAML 1.2 (5.2) allows it; it is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut budget = limits::CONFIG_NODES;
    let shape = match (ShapeSeed { budget: &mut budget }).deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(shape) => shape,
        Err(error) => return unreadable_or_empty(text, &error),
    };
    let root = NodeSeed {
        shape: &shape,
        above: Mark::START,
    };
    match &shape {
        Shape::Null => Ok(Node {
            mark: Mark::START,
            value: Value::Null,
        }),
        Shape::Scalar => {
            let mut text_of_root = String::new();
            let result = Text(&mut text_of_root).deserialize(serde_yaml::Deserializer::from_str(text));
            let mark = result.as_ref().err().map_or(Mark::START, mark_of);
            Ok(Node {
                mark,
                value: Value::Scalar(text_of_root),
            })
        }
        Shape::List(_) | Shape::Map(_) => {
            let tree = root.deserialize(serde_yaml::Deserializer::from_str(text));
            tree.map_err(|error| unreadable(&error))
        }
    }
}

/// A text of nothing but comments is an empty file, which `serde_yaml` refuses.
fn unreadable_or_empty(text: &str, error: &serde_yaml::Error) -> Result<Node, Unreadable> {
    let is_empty = text
        .lines()
        .all(|line| line.trim_start().starts_with('#') || line.trim().is_empty());
    if is_empty {
        Ok(Node {
            mark: Mark::START,
            value: Value::Null,
        })
    } else {
        Err(unreadable(error))
    }
}

/// Begins our own words in an error: `serde_yaml` puts a path before them.
const OWN: char = '\u{1}';

fn unreadable(error: &serde_yaml::Error) -> Unreadable {
    let mark = error.location().map_or(Mark::START, |at| Mark {
        line: at.line(),
        column: at.column(),
    });
    let whole = error.to_string();
    let mut text = whole.split(" at line ").next().unwrap_or(&whole).to_owned();
    if let Some((_, own)) = text.rsplit_once(OWN) {
        return Unreadable {
            mark,
            text: own.to_owned(),
        };
    }
    if text.contains("cannot start any token") {
        text.push_str(" (indent with spaces, not tabs, and put text that begins with @, ` or % in quotes)");
    }
    if text.contains("more than one document") {
        text = "a second document begins with ---, and only one is read".to_owned();
    }
    Unreadable {
        mark,
        text: format!("this cannot be read as YAML: {text}"),
    }
}

/// What stands where; keys are always scalars.
enum Shape {
    Null,
    Scalar,
    List(Vec<Shape>),
    Map(Vec<Shape>),
}

/// Reads a shape. Aliases count as what they stand for, so the budget also ends a "billion laughs" file.
struct ShapeSeed<'b> {
    budget: &'b mut usize,
}

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        if *self.budget == 0 {
            return Err(D::Error::custom(format!(
                "{OWN}there are more than {} values in it",
                limits::CONFIG_NODES
            )));
        }
        *self.budget -= 1;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a list or a map")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_none<E>(self) -> Result<Shape, E> {
        Ok(Shape::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element_seed(ShapeSeed { budget: self.budget })? {
            entries.push(entry);
        }
        Ok(Shape::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut values = Vec::new();
        while let Some(key) = map.next_key_seed(ShapeSeed { budget: self.budget })? {
            match key {
                Shape::Scalar => values.push(map.next_value_seed(ShapeSeed { budget: self.budget })?),
                Shape::Null | Shape::List(_) | Shape::Map(_) => {
                    return Err(A::Error::custom(format!(
                        "{OWN}a key must be a word, not nothing, a list or a map"
                    )));
                }
            }
        }
        Ok(Shape::Map(values))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Shape, A::Error> {
        let tag = "a tag (a word that begins with !) has no meaning here; put text that begins with ! in quotes";
        Err(A::Error::custom(format!("{OWN}{tag}")))
    }
}

/// What the failure says that carries a position; nobody sees it.
const KEPT: &str = "kept";

/// Keeps a scalar as it was written, then fails, so that its position is told.
struct Text<'t>(&'t mut String);

impl<'de> DeserializeSeed<'de> for Text<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        Err(E::custom(KEPT))
    }
}

/// The position in an error that ends in ` at line 3 column 7`; one without it is at the very beginning.
fn mark_of(error: &impl fmt::Display) -> Mark {
    let text = error.to_string();
    let place = text.rsplit_once(" at line ").and_then(|(_, place)| {
        let (line, column) = place.split_once(" column ")?;
        Some(Mark {
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        })
    });
    place.unwrap_or(Mark::START)
}

/// Reads a list or map of a known shape. `above` is where its key stands.
struct NodeSeed<'s> {
    shape: &'s Shape,
    above: Mark,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list or map of the first pass")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        for shape in self.shape.entries() {
            let entry = match shape {
                Shape::Null | Shape::Scalar => {
                    let mut text = String::new();
                    let failure = seq.next_element_seed(Text(&mut text)).err();
                    scalar(shape, text, failure)
                }
                Shape::List(_) | Shape::Map(_) => {
                    let entry = seq.next_element_seed(NodeSeed {
                        shape,
                        above: self.above,
                    })?;
                    entry.ok_or_else(|| A::Error::custom("the list became shorter while it was read"))?
                }
            };
            entries.push(entry);
        }
        let mark = entries.first().map_or(self.above, |first| first.mark);
        Ok(Node {
            mark,
            value: Value::List(entries),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        for shape in self.shape.entries() {
            let mut name = String::new();
            let mark = map
                .next_key_seed(Text(&mut name))
                .err()
                .as_ref()
                .map_or(self.above, mark_of);
            let value = match shape {
                Shape::Null | Shape::Scalar => {
                    let mut text = String::new();
                    let failure = map.next_value_seed(Text(&mut text)).err();
                    scalar(shape, text, failure)
                }
                Shape::List(_) | Shape::Map(_) => map.next_value_seed(NodeSeed { shape, above: mark })?,
            };
            entries.push((Name { text: name, mark }, value));
        }
        let mark = entries.first().map_or(self.above, |(name, _)| name.mark);
        Ok(Node {
            mark,
            value: Value::Map(entries),
        })
    }
}

impl Shape {
    fn entries(&self) -> &[Shape] {
        match self {
            Shape::List(entries) | Shape::Map(entries) => entries,
            Shape::Null | Shape::Scalar => &[],
        }
    }
}

fn scalar(shape: &Shape, text: String, failure: Option<impl fmt::Display>) -> Node {
    let mark = failure.as_ref().map_or(Mark::START, mark_of);
    match shape {
        Shape::Null => Node {
            mark,
            value: Value::Null,
        },
        Shape::Scalar | Shape::List(_) | Shape::Map(_) => Node {
            mark,
            value: Value::Scalar(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The tree as one line: text with its line and column.
    fn show(node: &Node, out: &mut String) {
        match &node.value {
            Value::Null => out.push('~'),
            Value::Scalar(text) => out.push_str(text),
            Value::List(entries) => {
                out.push('[');
                entries.iter().for_each(|entry| show(entry, out));
                out.push(']');
            }
            Value::Map(entries) => {
                out.push('{');
                for (name, value) in entries {
                    out.push_str(&format!("{}@{}:{}=", name.text, name.mark.line, name.mark.column));
                    show(value, out);
                }
                out.push('}');
            }
        }
        out.push_str(&format!("@{}:{} ", node.mark.line, node.mark.column));
    }

    fn tree(text: &str) -> String {
        match read(text) {
            Ok(node) => {
                let mut out = String::new();
                show(&node, &mut out);
                out.trim_end().to_owned()
            }
            Err(unreadable) => format!(
                "{}:{}: {}",
                unreadable.mark.line, unreadable.mark.column, unreadable.text
            ),
        }
    }

    #[test]
    fn each_part_knows_its_line_and_column() {
        assert_eq!(
            tree("a: 1\nb:\n  - x\n  - { c: d }\n"),
            "{a@1:1=1@1:4 b@2:1=[x@3:5 {c@4:7=d@4:10 }@4:7 ]@3:5 }@1:1"
        );
        assert_eq!(
            tree("\n# c\n  k: ü\n  l: \"v\" # d\n"),
            "{k@3:3=ü@3:6 l@4:3=v@4:6 }@3:3"
        );
        assert_eq!(tree("a: []\nb: {}"), "{a@1:1=[]@1:1 b@2:1={}@2:1 }@1:1");
        assert_eq!(tree("- a"), "[a@1:3 ]@1:3");
        assert_eq!(tree("word"), "word@1:1");
    }

    #[test]
    fn scalars_stay_as_they_were_written() {
        let text =
            "[0600, 1e3, +14155550101, no, 0x1F, 12:30, 1_000, true, ~, '', 99999999999999999999999999999999999999999]";
        let expected = "[0600@1:2 1e3@1:8 +14155550101@1:13 no@1:27 0x1F@1:31 12:30@1:37 1_000@1:44 true@1:51 ~@1:57 \
                        @1:60 99999999999999999999999999999999999999999@1:64 ]@1:2";
        assert_eq!(tree(text), expected);
    }

    #[test]
    fn a_name_that_comes_twice_and_an_alias_are_kept() {
        assert_eq!(tree("a: 1\na: 2"), "{a@1:1=1@1:4 a@2:1=2@2:4 }@1:1");
        assert_eq!(
            tree("a: &x [b, c]\nd: *x"),
            "{a@1:1=[b@1:8 c@1:11 ]@1:8 d@2:1=[b@1:8 c@1:11 ]@1:8 }@1:1"
        );
        assert_eq!(
            tree("a: &x b\nd: *x\ne: f"),
            "{a@1:1=b@1:4 d@2:1=b@1:4 e@3:1=f@3:4 }@1:1"
        );
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        for text in [
            "a: 1\nb: [ c ]\n",
            "# a comment\na: 1\n",
            "---\na: 1\n",
            "- a",
            "word",
            "",
        ] {
            assert_eq!(tree(&format!("\u{feff}{text}")), tree(text));
        }
    }

    #[test]
    fn nothing_is_nothing() {
        for text in ["", "\n", "# only a comment\n", "~", "---"] {
            assert!(matches!(read(text), Ok(Node { value: Value::Null, .. })), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        assert_eq!(
            tree("a: [1, 2"),
            "2:1: this cannot be read as YAML: did not find expected ',' or ']'"
        );
        assert_eq!(
            tree("a:\n\t- b"),
            "2:1: this cannot be read as YAML: found character that cannot start any token (indent with spaces, not tabs, \
             and put text that begins with @, ` or % in quotes)"
        );
        assert_eq!(
            tree("a: !secret x"),
            "1:4: a tag (a word that begins with !) has no meaning here; put text that \
             begins with ! in quotes"
        );
        assert_eq!(
            tree("[a]: b"),
            "1:1: a key must be a word, not nothing, a list or a map"
        );
        assert_eq!(tree("a: *b"), "1:4: this cannot be read as YAML: unknown anchor");
        assert_eq!(
            tree("a: 1\n---\nb: 2"),
            "1:1: this cannot be read as YAML: a second document begins with ---, and only one is read"
        );
    }

    #[test]
    fn laughs_end_after_a_bounded_number_of_them() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", ")));
        }
        assert!(tree(&text).contains("repetition limit exceeded"), "{}", tree(&text));
        assert!(tree(&"[".repeat(200)).contains("YAML"));
        let wide = format!("a: &a [{}]\nb: [{}]", "x, ".repeat(4000), "*a, ".repeat(4000));
        assert!(
            tree(&wide).contains("values in it"),
            "16 million values are over the limit"
        );
        assert!(tree(&" ".repeat(limits::CONFIG_BYTES + 1)).contains("is the most that is read"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn no_yaml_panics(text in "[a-c0-9:\\-\\[\\]{},&*!|>'\"#?~ \n\t]{0,60}") {
            let _ = read(&text);
        }
    }
}
