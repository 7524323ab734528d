//! Passwords: in the file, in the environment, in another file, or made at the first start.

use super::Check;
use crate::config::keys;
use crate::config::read::{Field, Map};
use crate::pii::Secret;
use std::path::Path;

/// The password of an entry; empty, and reported, where there is none. `user` is whose it is, if it may be generated.
pub(super) fn password(map: &Map<'_>, user: Option<&str>, check: &mut Check<'_>) -> Secret {
    let Some(field) = map.require("password", &mut check.problems) else {
        return Secret::default();
    };
    read(&field, user, check)
}

/// A secret that somebody else has given.
pub(super) fn of(field: &Field<'_>, check: &mut Check<'_>) -> Secret {
    read(field, None, check)
}

fn read(field: &Field<'_>, user: Option<&str>, check: &mut Check<'_>) -> Secret {
    match field.text() {
        Some("") => {
            field.wrong(&mut check.problems, "the password is empty.");
            Secret::default()
        }
        Some(text) => Secret::new(text),
        None if field.is_map() => from_elsewhere(field, user, check),
        None => {
            let text = format!("this is not {}.", field.key.form);
            field.wrong(&mut check.problems, text);
            Secret::default()
        }
    }
}

fn from_elsewhere(field: &Field<'_>, user: Option<&str>, check: &mut Check<'_>) -> Secret {
    let map = field.map(&keys::PASSWORD_FROM, &mut check.problems);
    let found: Vec<_> = ["env", "file", "generate"]
        .iter()
        .filter_map(|name| map.get(name))
        .collect();
    let [source] = found.as_slice() else {
        let text = format!(
            "exactly one of env, file and generate belongs here: {}.",
            field.key.form
        );
        field.wrong(&mut check.problems, text);
        return Secret::default();
    };
    let Some(text) = source.text().filter(|text| !text.is_empty()) else {
        let text = format!("this is not {}.", source.key.form);
        source.wrong(&mut check.problems, text);
        return Secret::default();
    };
    match fetch(source.key.name, text, user, check) {
        Ok(secret) => secret,
        Err(why) => {
            source.wrong(&mut check.problems, why);
            Secret::default()
        }
    }
}

/// The password from where it is kept, or why it cannot be had.
fn fetch(kind: &str, place: &str, user: Option<&str>, check: &Check<'_>) -> Result<Secret, String> {
    if kind == "env" {
        let value = (check.sources.env)(place);
        let value =
            value.ok_or_else(|| format!("the environment variable {place} is not set. Set it before the start."))?;
        return not_empty(value).ok_or_else(|| format!("the environment variable {place} is empty."));
    }
    if kind == "file" {
        let value = (check.sources.read)(Path::new(place));
        let value = value.map_err(|why| format!("the file {place} cannot be read: {why}"))?;
        let line = value.trim_end_matches(['\r', '\n']);
        if line.contains('\n') {
            return Err(format!(
                "the file {place} has several lines, and the password must be its only one."
            ));
        }
        return not_empty(line.to_owned()).ok_or_else(|| format!("the file {place} is empty."));
    }
    match user {
        Some(user) => (check.sources.generate)(Path::new(place), user)
            .map_err(|why| format!("the password of {user} cannot be kept in {place}: {why}")),
        None => Err("the carrier gives this password, so it cannot be generated. Use env or file.".to_owned()),
    }
}

fn not_empty(text: String) -> Option<Secret> {
    if text.is_empty() { None } else { Some(Secret::new(text)) }
}
