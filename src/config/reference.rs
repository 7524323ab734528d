//! `config/reference.md`, written from the table of keys.

use super::keys::{SECTIONS, Section};
use std::fmt::Write;

/// The reference of every key, in Markdown. `config/reference.md` is this text; a test holds them together.
pub fn reference() -> String {
    let mut out = String::from(
        "# Every key of the configuration\n\n\
         Written from the program's own table of keys. Durations are seconds, or a number with `s`, `m` or `h`.\n\
         `tandem check FILE` says what is wrong with a file and where.\n",
    );
    for section in SECTIONS {
        write_section(&mut out, section);
    }
    out
}

fn write_section(out: &mut String, section: &Section) {
    let title = if section.path.is_empty() {
        "The file".to_owned()
    } else {
        format!("`{}`", section.path)
    };
    let mut write = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("writing to a String cannot fail");
    write(format_args!(
        "\n## {title}\n\n{}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n",
        section.about
    ));
    for key in section.keys {
        let example = key.example.replace('|', "\\|");
        write(format_args!(
            "| `{}` | {}, e.g. `{example}` | {} | {} |\n",
            key.name,
            key.form.replace('|', "\\|"),
            key.default,
            key.meaning
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_the_repository_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/reference.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == reference(),
            "run `UPDATE=1 cargo test reference`: the keys have changed"
        );
    }
}
