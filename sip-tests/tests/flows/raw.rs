//! Messages as lines, so that what was not touched can be compared octet by octet; and the call flows of the fixtures.

use std::fs;

/// A message: header lines whole, folded ones with their folds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw {
    pub start: String,
    pub lines: Vec<String>,
    pub body: String,
}

/// One message of a flow.
#[derive(Clone, Debug)]
pub struct Shown {
    /// `F4`.
    pub number: String,
    /// `INVITE Alice -> Proxy 1`.
    pub label: String,
    pub message: Raw,
}

/// The messages of a section, in order.
pub fn flow(rfc: &str, section: &str) -> Vec<Shown> {
    let path = format!("{}/../fixtures/sip/callflows/{rfc}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let parts = text
        .split("@@ ")
        .skip(1)
        .map(|part| part.split_once("\r\n").expect("a label ends its line"));
    let shown = parts.filter_map(|(head, message)| {
        let mut words = head.splitn(3, " | ");
        let (_, title, label) = (words.next()?, words.next()?, words.next()?);
        let (number, label) = label.split_once(' ')?;
        (title.split(' ').next() == Some(section)).then(|| Shown {
            number: number.to_owned(),
            label: label.to_owned(),
            message: Raw::read(message),
        })
    });
    shown.collect()
}

/// All sections of an RFC, with their titles.
pub fn sections(rfc: &str) -> Vec<String> {
    let path = format!("{}/../fixtures/sip/callflows/{rfc}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let titles = text.split("@@ ").skip(1).filter_map(|part| part.split(" | ").nth(1));
    let mut titles: Vec<String> = titles.map(str::to_owned).collect();
    titles.dedup();
    titles
}

impl Raw {
    pub fn read(text: &str) -> Raw {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.trim_end(), ""));
        let mut rows = head.split("\r\n");
        let start = rows.next().unwrap_or_default().to_owned();
        let mut lines: Vec<String> = Vec::new();
        for row in rows {
            match lines.last_mut().filter(|_| row.starts_with([' ', '\t'])) {
                Some(last) => *last = format!("{last}\r\n{row}"),
                None => lines.push(row.to_owned()),
            }
        }
        Raw {
            start,
            lines,
            body: body.to_owned(),
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for line in &self.lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(&self.body);
        text.into_bytes()
    }

    pub fn is_request(&self) -> bool {
        !self.start.starts_with("SIP/2.0 ")
    }

    pub fn status(&self) -> u16 {
        let word = self.start.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    /// Of a response by its CSeq.
    pub fn method(&self) -> String {
        if self.is_request() {
            return self.start.split(' ').next().unwrap_or_default().to_owned();
        }
        let cseq = self.get("CSeq").unwrap_or_default();
        cseq.split(' ').next_back().unwrap_or_default().to_owned()
    }

    pub fn uri(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The value of the first line of a name, unfolded.
    pub fn get(&self, name: &str) -> Option<String> {
        self.named(name).next().map(value)
    }

    fn named<'r>(&'r self, name: &'r str) -> impl Iterator<Item = &'r str> {
        let all = self.lines.iter().map(String::as_str);
        all.filter(move |line| name_of(line).eq_ignore_ascii_case(name))
    }

    /// All values of a name whose values may stand in one line, without blanks that mean nothing.
    pub fn list(&self, name: &str) -> Vec<String> {
        let all = self.named(name).flat_map(|line| split(&value(line)));
        all.map(|text| plain(&text)).collect()
    }

    /// All lines of a name, one value each, without blanks that mean nothing.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.named(name).map(|line| plain(&value(line))).collect()
    }

    pub fn call_id(&self) -> String {
        self.get("Call-ID").unwrap_or_default()
    }

    pub fn number(&self) -> u32 {
        let cseq = self.get("CSeq").unwrap_or_default();
        cseq.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    pub fn tag(&self, name: &str) -> Option<String> {
        let value = plain(&self.get(name)?);
        let (_, params) = value.rsplit_once('>').unwrap_or(("", &value));
        let tag = params.split(';').find_map(|param| param.strip_prefix("tag="));
        tag.map(str::to_owned)
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> Option<String> {
        let via = self.list("Via").into_iter().next()?;
        let branch = via.split(';').find_map(|param| param.strip_prefix("branch="));
        branch.map(str::to_owned)
    }

    /// Puts lines in place of all of this name; behind Via where there was none.
    pub fn put(&mut self, name: &str, values: &[String]) {
        let is_it = |line: &String| name_of(line).eq_ignore_ascii_case(name);
        let behind_via = self
            .lines
            .iter()
            .rposition(|line| name_of(line) == "Via")
            .map_or(0, |at| at + 1);
        let at = self.lines.iter().position(is_it).unwrap_or(behind_via);
        self.lines.retain(|line| !is_it(line));
        let lines = values.iter().map(|value| format!("{name}: {value}"));
        self.lines.splice(at..at, lines);
    }
}

pub fn name_of(line: &str) -> &str {
    line.split(':').next().unwrap_or_default().trim_end()
}

/// The value of a line, its folds undone (RFC 3261 7.3.1).
pub fn value(line: &str) -> String {
    let value = line.split_once(':').map_or("", |(_, value)| value);
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Without blanks around separators.
pub fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for mark in [";", "<", ">"] {
        let padded = [format!(" {mark}"), format!("{mark} ")];
        while let Some(padded) = padded.iter().find(|padded| text.contains(padded.as_str())) {
            text = text.replace(padded.as_str(), mark);
        }
    }
    text
}

/// Via without what its receiver adds, its parameters in order of the alphabet.
pub fn via(value: &str) -> String {
    let mut parts = value.split(';').map(str::trim);
    let first = parts.next().unwrap_or_default().to_owned();
    let mut params: Vec<&str> = parts
        .filter(|param| !param.starts_with("rport") && !param.starts_with("received="))
        .collect();
    params.sort_unstable();
    params.into_iter().fold(first, |text, param| text + ";" + param)
}

/// Cut at commas outside of quotes and angle brackets.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut from, mut quoted, mut depth) = (Vec::new(), 0, false, 0);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                parts.push(text[from..at].trim().to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim().to_owned());
    parts
}
