//! What is wrong with a file: where, which key, what, and what would be right.

use super::raw::Mark;
use std::fmt;

/// One thing that is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as it was named to us.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// The path of the key: `trunks[0].limits.calls`; empty for the whole file.
    pub path: String,
    /// What is wrong and what would be right, as a sentence.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.text)
    }
}

/// Collects problems while the file is read on.
pub(super) struct Problems {
    file: String,
    list: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: &str) -> Problems {
        Problems {
            file: file.to_owned(),
            list: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, mark: Mark, path: &str, text: impl Into<String>) {
        let (file, path) = (self.file.clone(), path.to_owned());
        self.list.push(Problem {
            file,
            line: mark.line,
            column: mark.column,
            path,
            text: text.into(),
        });
    }

    /// `value` if nothing is wrong, else everything that is, in the order of the file.
    pub(super) fn or(mut self, value: impl FnOnce() -> super::Config) -> Result<super::Config, Vec<Problem>> {
        if self.list.is_empty() {
            return Ok(value());
        }
        self.list.sort_by_key(|problem| (problem.line, problem.column));
        Err(self.list)
    }
}

/// The candidate that somebody who wrote `word` probably meant.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let word = word.to_ascii_lowercase();
    let distances = candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate));
    distances
        .filter(|(steps, _)| *steps <= allowed)
        .min_by_key(|(steps, _)| *steps)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean x?`, or nothing.
pub(super) fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or(String::new(), |candidate| format!("; did you mean {candidate}?"))
}

/// Letters that must be put in, left out, replaced or swapped with their neighbour (optimal string alignment). Words
/// over 64 letters are as far apart as can be.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let keys = ["password", "number", "numbers", "name"];
        assert_eq!(nearest("pasword", keys), Some("password"));
        assert_eq!(nearest("nubmer", keys), Some("number"));
        assert_eq!(nearest("Name", keys), Some("name"));
        assert_eq!(nearest("expires", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(did_you_mean("nam", keys), "; did you mean name?");
        assert_eq!(did_you_mean(&"x".repeat(1000), keys), "");
    }

    #[test]
    fn a_problem_is_one_line() {
        let mut problem = Problem {
            file: "config/x.yaml".into(),
            line: 12,
            column: 9,
            path: "trunks[0].limits.calls".into(),
            text: "wrong".into(),
        };
        assert_eq!(problem.to_string(), "config/x.yaml:12:9: trunks[0].limits.calls: wrong");
        problem.path.clear();
        assert_eq!(problem.to_string(), "config/x.yaml:12:9: wrong");
    }
}
