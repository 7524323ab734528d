//! A name that does not exist is told from one that does by nothing: not by what is answered, and not by whether.

use crate::tools::{Host, status, world};
use sip_tests::{Msg, World, digest};

/// What an answer looks like: its status, its fields, and what stands in those that chance does not decide.
fn shape(answers: &[Msg], user: &str) -> Vec<String> {
    let mut shape = Vec::new();
    for answer in answers {
        shape.push(answer.status().to_string());
        for name in [
            "Server",
            "Allow",
            "Accept",
            "Supported",
            "Retry-After",
            "Content-Length",
        ] {
            shape.push(format!("{name}: {}", answer.all(name).join(",")));
        }
        for name in ["WWW-Authenticate", "Proxy-Authenticate"] {
            for part in answer.all(name) {
                let is_nonce = part.starts_with("nonce=");
                shape.push(if is_nonce {
                    format!("a nonce of {}", part.len())
                } else {
                    part.to_owned()
                });
            }
        }
        shape.push(
            answer
                .text("From")
                .replace(user, "NAME")
                .split(";tag")
                .next()
                .unwrap_or_default()
                .to_owned(),
        );
        shape.push(format!("{} octets of tag", answer.to_tag().len()));
    }
    shape
}

/// `change` is made in each request.
fn both(w: &mut World, method: &str, uri: &str, change: fn(String) -> String) {
    let mut shapes = Vec::new();
    for user in ["alice", "bob", "alicf", "100", "no-such-user"] {
        let mut host = Host::new("198.51.77.1:5060");
        let uri = uri.replace("NAME", user);
        let request = change(host.request(method, &uri, user, ""));
        let answers = host.asks(w, &request);
        let mut seen = shape(&answers, user);
        let asked = answers.last().and_then(|answer| match answer.status() {
            401 => Some((answer.text("WWW-Authenticate"), "Authorization")),
            407 => Some((answer.text("Proxy-Authenticate"), "Proxy-Authorization")),
            _other => None,
        });
        if let Some((challenge, credentials)) = asked {
            let value = digest::answer(challenge, user, "guess", method, &uri, 1);
            let again = change(host.request(method, &uri, user, &format!("{credentials}: {value}\r\n")));
            let answers = host.asks(w, &again);
            assert_eq!(status(&answers), 403, "{method} {user}");
            seen.extend(shape(&answers, user));
        }
        shapes.push((user, seen));
        w.run(sip_tests::s(100));
    }
    for (user, seen) in &shapes {
        assert_eq!(*seen, shapes[0].1, "{method}: {user} is told from {}", shapes[0].0);
    }
}

#[test]
fn known_and_unknown_names_get_equal_answers() {
    for way in ["bridge", "proxy"] {
        let yaml = sip_tests::script::EDGE.replace(
            "domains:  [ example.com ]",
            &format!("domains:  [ {{ name: example.com, do: {way}, digest: [ md5, sha-256 ] }} ]"),
        );
        let mut w = World::builder(1).config(&yaml).build();
        for (method, uri) in [
            ("REGISTER", "sip:example.com"),
            ("INVITE", "sip:bob@example.com"),
            ("INVITE", "sip:NAME@example.com"),
            ("OPTIONS", "sip:NAME@example.com"),
            ("MESSAGE", "sip:NAME@example.com"),
            ("SUBSCRIBE", "sip:NAME@example.com"),
        ] {
            both(&mut w, method, uri, |request| request);
        }
        // A dialog that we do not know, with somebody who claims to have a GRUU.
        let within = |request: String| request.replacen(">\r\nCall-ID", ">;tag=theirs\r\nCall-ID", 1);
        let foreign = |request: String| {
            let request = request.replacen(">\r\nCall-ID", ">;tag=theirs\r\nCall-ID", 1);
            let (before, after) = request.split_once("From: <").unwrap();
            let (_, after) = after.split_once('>').unwrap();
            format!("{before}From: <sip:x@elsewhere.example>{after}")
        };
        for gruu in [
            "sip:NAME@example.com;gr=urn:x:1",
            "sip:NAME@example.com;gr",
            "sip:NAME@example.com",
        ] {
            for change in [within, foreign] {
                for method in ["INFO", "BYE", "INVITE", "REFER"] {
                    both(&mut w, method, gruu, change);
                }
            }
        }
        w.finish();
    }
}

/// A flood has the guard cut strangers: it cuts them whatever their names are.
#[test]
fn names_decide_nothing_when_strangers_are_cut() {
    let mut w = world(2, "per_stranger: 10");
    let mut answered = Vec::new();
    for (ip, user) in [(1, "alice"), (2, "no-such-user")] {
        let mut host = Host::new(&format!("198.51.77.{ip}:5060"));
        let answers = (0..500).filter(|_| {
            let request = host.register(user);
            !host.asks(&mut w, &request).is_empty()
        });
        answered.push(answers.count());
    }
    assert!(answered[0] > 50 && answered[0] == answered[1], "{answered:?}");
    w.finish();
}
