//! Events by a WebSocket.

use super::https::{Https, Node, Tls};
use crate::{OFFER, token};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::{Error, Message, WebSocket};

fn connect(node: &Node, query: &str, protocols: &str) -> Result<WebSocket<Tls>, u16> {
    let uri = format!("wss://{}:8445/v1/events{query}", node.ip);
    let mut request = uri.into_client_request().expect("a URI");
    let protocols = HeaderValue::from_str(protocols).expect("a value");
    request.headers_mut().insert("Sec-WebSocket-Protocol", protocols);
    match tungstenite::client(request, node.tls()) {
        Ok((socket, response)) => {
            let chosen = response.headers().get("Sec-WebSocket-Protocol").cloned();
            assert_eq!(chosen, Some(HeaderValue::from_static("tandem.v1")));
            Ok(socket)
        }
        Err(tungstenite::HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

fn event(socket: &mut WebSocket<Tls>) -> Value {
    loop {
        if let Message::Text(text) = socket.read().expect("an event") {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

#[test]
fn a_socket_has_the_events_of_a_stream_and_can_be_resumed() {
    let node = Node::start(6, "");
    let (alice, bob) = (token(&node, "alice"), token(&node, "bob"));
    let mut socket = connect(&node, "", &format!("tandem.v1, bearer.{bob}")).expect("it is taken");
    let ready = event(&mut socket);
    assert_eq!(
        (&ready["event"], &ready["data"]["client"]),
        (&json!("ready"), &json!("bob"))
    );
    let start = json!({ "targets": [{ "client": "bob" }], "offer": OFFER }).to_string();
    let mut ask = Https::open(&node);
    assert_eq!(ask.ask("POST", "/v1/calls", &alice, &[], &start).status, 201);
    let incoming = event(&mut socket);
    assert_eq!(incoming["event"], "call.incoming");
    drop(socket);
    let place = ready["id"].as_str().expect("a place");
    let mut again =
        connect(&node, &format!("?after={place}"), &format!("tandem.v1, bearer.{bob}")).expect("it is taken");
    assert_eq!(event(&mut again)["data"]["resumed"], true);
    assert_eq!(event(&mut again), incoming);
    // Nobody listens to what is said there.
    again.send(Message::text("hello")).expect("it is taken");
    loop {
        match again.read() {
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => break,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
    node.stop();
}

#[test]
fn a_socket_without_a_good_token_is_refused_before_it_is_one() {
    let node = Node::start(7, "");
    for protocols in ["tandem.v1", "tandem.v1, bearer.x", "sip"] {
        assert_eq!(connect(&node, "", protocols).map(|_| ()), Err(401), "{protocols}");
    }
    let alice = token(&node, "alice");
    // An upgrade elsewhere is an ordinary request.
    let mut ask = Https::open(&node);
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(ask.ask("GET", "/v1/calls", &alice, &upgrade, "").status, 200);
    // And one that is none is told so.
    let broken = ask.ask("GET", "/v1/events", &alice, &upgrade[..2], "");
    assert_eq!(broken.json()["type"], "/v1/problems#bad-body");
    node.stop();
}
