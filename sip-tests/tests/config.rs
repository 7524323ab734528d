//! The files that we ship are good, and `tandem check` and `tandem route` say what they should about them.

use std::path::{Path, PathBuf};
use std::time::Duration;
use tandem::config::{Config, Sources, load, reference, report};
use tandem::media::command::Sound;
use tandem::pii::Secret;
use tandem::routing::{Plan, Source, decide, explain};

/// A file of the repository's `config/`.
fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config").join(name)
}

/// Loads a shipped file as the shell would, with these environment variables and this secret file.
fn load_shipped(
    name: &str,
    env: &[(&str, &str)],
    secret: Option<&str>,
) -> (PathBuf, Result<Config, Vec<tandem::config::Problem>>) {
    let path = shipped(name);
    let env = |name: &str| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let read = |path: &Path| {
        if path == Path::new("/run/secrets/standup") {
            return Ok("990011\n".to_owned());
        }
        if path == Path::new("/run/secrets/bob") {
            return secret.map(str::to_owned).ok_or_else(|| "it does not exist".to_owned());
        }
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    };
    let generate = |path: &Path, user: &str| {
        assert_eq!(path, Path::new("data/passwords"));
        Ok(Secret::new(format!("random-{user}")))
    };
    let config = load(
        &path,
        &Sources {
            has_secrets: true,
            env: &env,
            read: &read,
            generate: &generate,
            sound: &|_| Ok(Sound::silence(Duration::ZERO)),
            cores: 4,
            ..Sources::NONE
        },
    );
    (path, config)
}

#[test]
fn the_embedded_default_needs_nothing_from_outside() {
    let (path, result) = load_shipped("tandem.yaml", &[], None);
    let text = report(&path, &result);
    let good = " is good: tandem listens on udp://0.0.0.0:5060, tcp://0.0.0.0:5060, tls://0.0.0.0:5061, wss://0.0.0.0:8443; 2 users with 2 numbers, 0 trunks, 2 routes.\n";
    assert!(text.ends_with(good), "{text}");
    let config = result.unwrap();
    assert_eq!(config.user("alice").unwrap().password.expose(), "random-alice");
    assert_eq!(config.user_by_number("102").unwrap().name, "bob");
    let alice = Source::parse(&config, "user/alice").unwrap();
    let plan = |dialled: &str| decide(&config, &alice, dialled).plan;
    assert_eq!(plan("600"), Plan::Echo);
    assert_eq!(plan("601"), Plan::Tone);
    assert_eq!(plan("bob"), Plan::User("bob".to_owned()));
    assert_eq!(plan("102"), Plan::User("bob".to_owned()));
}

#[test]
fn the_lines_that_the_default_has_in_comments_are_good_too() {
    let text = std::fs::read_to_string(shipped("tandem.yaml")).unwrap();
    let mut uncommented = text.replace("# trunks:", "trunks:").replace("  # - { to", "  - { to");
    for line in ["  - name: acme", "    peers:", "    register:", "    numbers:"] {
        assert!(uncommented.contains(&format!("# {line}")), "{line}");
        uncommented = uncommented.replace(&format!("# {line}"), line);
    }
    for line in ["advertise:", "domains:"] {
        assert!(uncommented.contains(&format!("# {line}")), "{line}");
        uncommented = uncommented.replace(&format!("# {line}"), line);
    }
    let env = |name: &str| (name == "ACME_PASSWORD").then(|| "secret".to_owned());
    let config = tandem::config::parse(
        "tandem.yaml",
        &uncommented,
        &Sources {
            has_secrets: true,
            env: &env,
            ..Sources::NONE
        },
    );
    let config = config.unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(
        (
            config.trunks.len(),
            config.routes.len(),
            config.domains[0].name.as_str()
        ),
        (1, 3, "example.com")
    );
    assert!(config.trunks[0].register.is_some() && config.advertise.is_some());
}

#[test]
fn the_example_is_good_once_its_passwords_are_there() {
    let env = [("ALICE_PASSWORD", "a"), ("ACME_PASSWORD", "b"), ("STANDUP_PIN", "4711")];
    let (path, result) = load_shipped("edge.yaml", &env, Some("c\n"));
    let text = report(&path, &result);
    let good = " is good: edge-1 listens on udp://0.0.0.0:5060, tcp://0.0.0.0:5060; 3 users with 3 numbers, 1 trunk, 6 routes, 1 room.\n";
    assert!(text.ends_with(good), "{text}");
    let config = result.unwrap();
    let alice = Source::parse(&config, "user/alice").unwrap();
    let told = explain(&config, &alice, "14155550199");
    assert!(
        told.starts_with(
            "user/alice calls 14155550199.\nThe number is +14155550199: 1 is the national prefix of US.\n"
        ),
        "{told}"
    );
    let line = text_line(&shipped("edge.yaml"), "{ to: \"+\", from: user/*, do: trunk/acme }");
    let decides = format!("  routes[5] at line {line}: to +, from user/* -> trunk/acme: decides\n");
    assert!(told.contains(&decides), "{told}");
    let end = "Trunk acme is called with the number +14155550199 (send: e164), by sip:sbc1.acme.example:5060, then \
               sip:sbc2.acme.example:5060;transport=tcp.\n";
    assert!(told.ends_with(end), "{told}");
    let told = explain(&config, &alice, "3000");
    let end = "  rooms: standup, by number: decides\nThe caller joins room 3000 (standup): at most 50 members.\n  the PIN is asked for\n";
    assert!(told.ends_with(end), "{told}");
    let told = explain(&config, &alice, "1 900 555 0100");
    assert!(
        told.ends_with("The call is refused with 403: the dial plan refuses it.\n"),
        "{told}"
    );
}

#[test]
fn the_example_without_its_passwords_says_which_are_missing() {
    let (path, result) = load_shipped("edge.yaml", &[("STANDUP_PIN", "4711")], None);
    let file = path.display();
    let place = |text: &str| text_line(&path, text);
    let (alice, bob, acme) = (
        place("env: ALICE_PASSWORD"),
        place("file: /run/secrets/bob"),
        place("env: ACME_PASSWORD"),
    );
    let expected = format!(
        "{file}:{alice}:22: users[0].password.env: the environment variable ALICE_PASSWORD is not set. Set it before the start.\n\
         {file}:{bob}:23: users[1].password.file: the file /run/secrets/bob cannot be read: it does not exist\n\
         {file}:{acme}:24: trunks[0].register.password.env: the environment variable ACME_PASSWORD is not set. Set it before the start.\n\
         3 problems\n"
    );
    assert_eq!(report(&path, &result), expected);
}

#[test]
fn the_example_shows_most_of_the_keys_of_the_reference() {
    let text = std::fs::read_to_string(shipped("edge.yaml")).unwrap();
    let reference = reference();
    let keys: Vec<&str> = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    // The whole word: `per_address:` shows no `address`.
    let is_whole = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    let shows = |key: &str| text.match_indices(&format!("{key}:")).any(|(at, _)| is_whole(at));
    let missing: Vec<_> = keys.iter().filter(|key| !shows(key)).collect();
    let left_out = [
        "address",
        "workers",
        "opus_dtx",
        "gain_out",
        "ringback",
        "on_busy",
        "on_offline",
        "generate",
        "gain_out",
        "ringback",
        "records",
        "bindings",
        "token",
        "token",
    ];
    assert_eq!(
        missing,
        left_out.iter().collect::<Vec<_>>(),
        "the rest is in reference.md only"
    );
}

/// The number of the line that has this text.
fn text_line(path: &Path, text: &str) -> usize {
    let file = std::fs::read_to_string(path).expect("a file of ours");
    file.lines()
        .position(|line| line.contains(text))
        .map(|ix| ix + 1)
        .expect("the text is in the file")
}
