//! The call flows of RFC 3665, 3666, 3515, 4028, 5589 and 5359: each message is read, and what was read is written again.

use bytes::{Bytes, BytesMut};
use tandem::sip::frame::{self, Frame};
use tandem::sip::write::Start;
use tandem::sip::{Draft, Message, Name, NameAddr, Via};

/// Values in the RFCs' messages that their own grammar does not allow.
const SLIPS: [&str; 5] = [
    "To: Bob <sip:+19725552222@ss1.a.example.com>;user=phone> ;tag=123456789",
    "Route: <ss1.a.example.com;lr>",
    "Route: <ss1.a.example.com;lr>",
    "Refer-To: (whatever URI)",
    "Refer-To: (some different URI)",
];

/// Messages that are malformed in the RFC itself.
const REFUSED: [(&str, &str); 12] = [
    (
        "rfc3665 exact | 3.10 Unsuccessful No Response from User Agent | F4",
        "a header line has no field name with a colon",
    ),
    (
        "rfc3666 exact | 2.3 Successful SIP to ISUP PSTN call with overflow | F5",
        "a name-addr is malformed",
    ),
    (
        "rfc3666 exact | 3.2 Successful PSTN to SIP call, Fast Answer | F3",
        "a URI has no scheme",
    ),
    (
        "rfc3666 exact | 3.2 Successful PSTN to SIP call, Fast Answer | F7",
        "a URI has no scheme",
    ),
    (
        "rfc3666 exact | 3.2 Successful PSTN to SIP call, Fast Answer | F8",
        "a URI has no scheme",
    ),
    (
        "rfc3666 exact | 3.3 Successful PBX to SIP call | F12",
        "From is missing",
    ),
    (
        "rfc3666 exact | 3.4 Unsuccessful PSTN to SIP REL, SIP error mapped to REL | F2",
        "a header line has no field name with a colon",
    ),
    (
        "rfc3666 exact | 3.5 Unsuccessful PSTN to SIP REL, SIP busy mapped to REL | F3",
        "a URI has no scheme",
    ),
    (
        "rfc3666 exact | 3.5 Unsuccessful PSTN to SIP REL, SIP busy mapped to REL | F6",
        "a URI has no scheme",
    ),
    (
        "rfc3666 exact | 3.5 Unsuccessful PSTN to SIP REL, SIP busy mapped to REL | F8",
        "a URI has no scheme",
    ),
    (
        "rfc3666 exact | 3.6 Unsuccessful PSTN->SIP, SIP error interworking to tones | F3",
        "a URI has no scheme",
    ),
    (
        "rfc3666 exact | 3.6 Unsuccessful PSTN->SIP, SIP error interworking to tones | F6",
        "a URI has no scheme",
    ),
];

/// Requests of RFC 3666 3.2 and 3.3 whose URI is `bob@b.example.com` or `bob@client.b.example.com`, without scheme.
const WITHOUT_SCHEME: usize = 8;

/// One message of a call flow.
struct Example {
    label: String,
    /// The RFC's own Content-Length is right.
    is_exact: bool,
    bytes: Bytes,
}

fn examples(rfc: &str) -> Vec<Example> {
    let path = format!("{}/../fixtures/sip/callflows/{rfc}.txt", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let parts = text
        .split("@@ ")
        .skip(1)
        .map(|part| part.split_once("\r\n").expect("a label ends its line"));
    parts
        .map(|(label, message)| Example {
            label: format!("{rfc} {label}"),
            is_exact: label.starts_with("exact"),
            bytes: Bytes::copy_from_slice(message.as_bytes()),
        })
        .collect()
}

fn all_examples() -> Vec<Example> {
    let list: Vec<Example> = ["rfc3665", "rfc3666", "rfc3515", "rfc4028", "rfc5589", "rfc5359"]
        .into_iter()
        .flat_map(examples)
        .collect();
    assert_eq!(list.len(), 181 + 191 + 12 + 7 + 38 + 324);
    list
}

/// Writes a message again from what the index gives.
fn rebuilt(message: &Message) -> Draft {
    let mut draft = Draft::new(match message.is_request() {
        true => Start::Request(
            message.method(),
            message.request_uri().expect("the request URI is readable"),
        ),
        false => Start::Response(message.status(), message.reason().to_owned().into()),
    });
    for (name, value) in message.fields() {
        draft.push_named(name, value);
    }
    draft.body = message.body();
    draft
}

#[test]
fn every_message_is_read_and_written_without_loss() {
    let mut refused = Vec::new();
    for Example { label, is_exact, bytes } in all_examples() {
        let message = Message::parse(bytes).unwrap_or_else(|error| panic!("{label}: {error}"));
        if is_exact && let Err(error) = message.check() {
            refused.push((label.clone(), error.reason));
        }
        if message.is_request() && message.request_uri().is_err() {
            continue;
        }
        let draft = rebuilt(&message);
        let again = draft.to_message().unwrap_or_else(|error| panic!("{label}: {error}"));
        let kept = |message: &Message| -> Vec<(String, String)> {
            let fields = message
                .fields()
                .filter(|(name, _)| Name::from_bytes(name.as_bytes()) != Some(Name::ContentLength));
            fields
                .map(|(name, value)| (name.to_owned(), value.into_owned()))
                .collect()
        };
        assert_eq!(kept(&message), kept(&again), "{label}");
        assert_eq!(message.body(), again.body(), "{label}");
        assert_eq!(message.reason(), again.reason(), "{label}");
        match &draft.start {
            Start::Request(_, uri) => assert_eq!(&again.request_uri().expect("as written"), uri, "{label}"),
            Start::Response(status, _) => assert_eq!(again.status(), *status, "{label}"),
        }
    }
    assert_eq!(refused.len(), REFUSED.len(), "{refused:?}");
    for ((label, found), (place, reason)) in refused.iter().zip(REFUSED) {
        assert!(
            label.starts_with(&format!("{place} ")) && *found == reason,
            "{label}: {found}"
        );
    }
}

/// Fields that hold addresses.
const ADDRESSES: [Name; 6] = [
    Name::From,
    Name::To,
    Name::Contact,
    Name::Route,
    Name::RecordRoute,
    Name::ReferTo,
];

/// Typed values survive their own text. Gives how many there were, or which one can't be read.
fn check_values(message: &Message) -> Result<usize, String> {
    let mut count = 0;
    if message.is_request() {
        message.request_uri().map_err(|error| format!("request URI: {error}"))?;
    }
    for name in ADDRESSES {
        for value in message.all(name).into_iter().filter(|value| value != "*") {
            let address = NameAddr::parse(&value).map_err(|_| format!("{}: {value}", name.as_str()))?;
            assert_eq!(NameAddr::parse(&address.to_string()).as_ref(), Ok(&address));
            count += 1;
        }
    }
    for value in message.all(Name::Via) {
        let via = Via::parse(&value).map_err(|_| format!("Via: {value}"))?;
        assert_eq!(Via::parse(&via.to_string()).as_ref(), Ok(&via));
        count += 1;
    }
    Ok(count)
}

/// The RFCs' own slips are named one by one; nothing else may fail.
#[test]
fn every_address_and_via_is_read_and_written_without_loss() {
    let list = all_examples();
    let verdicts = list.iter().map(|example| {
        let message =
            Message::parse(example.bytes.clone()).unwrap_or_else(|error| panic!("{}: {error}", example.label));
        check_values(&message)
    });
    let (good, bad): (Vec<_>, Vec<_>) = verdicts.partition(Result::is_ok);
    assert!(good.into_iter().flatten().sum::<usize>() > 1500);
    let slips: Vec<String> = bad.into_iter().filter_map(Result::err).collect();
    let (uris, fields): (Vec<String>, Vec<String>) =
        slips.into_iter().partition(|slip| slip.starts_with("request URI"));
    assert_eq!(fields, SLIPS);
    assert_eq!(uris.len(), WITHOUT_SCHEME);
}

/// All exact messages in one stream, cut at every place: the same messages come out.
#[test]
fn a_stream_of_call_flows_is_cut_into_its_messages() {
    let list: Vec<Bytes> = examples("rfc3665")
        .into_iter()
        .filter(|e| e.is_exact)
        .map(|e| e.bytes)
        .collect();
    let mut stream = BytesMut::new();
    let mut found = Vec::new();
    for octets in list.concat().chunks(7) {
        stream.extend_from_slice(octets);
        while let Some(frame) = frame::next(&mut stream).expect("the stream is SIP") {
            match frame {
                Frame::Message(bytes) => found.push(bytes),
                Frame::Ping | Frame::Pong => panic!("nobody sent a keep-alive"),
            }
        }
    }
    assert!(stream.is_empty());
    assert_eq!(found, list);
}
