//! Words of a line: with one blank between them, and what would divide or end a word written with a backslash.

/// Writes a word behind others.
pub fn push(line: &mut String, word: &str) {
    if !line.is_empty() {
        line.push(' ');
    }
    if word.is_empty() {
        line.push_str("\\e");
    }
    for c in word.chars() {
        match c {
            '\\' => line.push_str("\\\\"),
            ' ' => line.push_str("\\s"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c => line.push(c),
        }
    }
}

/// The words of a line; none where it is not written so.
pub fn read(line: &str) -> Option<Vec<String>> {
    line.split(' ').map(word).collect()
}

fn word(text: &str) -> Option<String> {
    if text == "\\e" {
        return Some(String::new());
    }
    let mut word = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        word.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                's' => ' ',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            '\n' | '\r' => return None,
            c => c,
        });
    }
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_come_back_as_they_were(words in proptest::collection::vec(any::<String>(), 1..6)) {
            let mut line = String::new();
            words.iter().for_each(|word| push(&mut line, word));
            prop_assert!(!line.contains(['\n', '\r']));
            prop_assert_eq!(read(&line), Some(words));
        }
    }

    #[test]
    fn what_nobody_writes_is_no_line() {
        for line in ["", "a  b", " a", "a ", "a\\", "a\\x", "a\\e", "a\nb"] {
            assert_eq!(read(line), None, "{line:?}");
        }
    }
}
