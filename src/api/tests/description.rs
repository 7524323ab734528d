//! `openapi.json` describes what there is: no more and no less.

use super::bench::{ACME, ANSWER, Bench, OFFER, Pair, body};
use crate::api::problem;
use crate::api::route::{Need, TABLE};
use crate::api::wire::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn description() -> Value {
    let mut bench = Bench::new("");
    let response = bench.get("/v1/openapi.json", "");
    assert_eq!((response.status, response.kind), (200, Some("application/json")));
    body(&response)
}

#[test]
fn each_row_of_the_table_is_described_with_what_it_needs() {
    let told = description();
    let mut described = BTreeSet::new();
    for (path, methods) in told["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            described.insert((method.to_uppercase(), path.clone()));
        }
    }
    let there: BTreeSet<_> = TABLE
        .iter()
        .map(|row| (row.method.name().to_owned(), row.path.to_owned()))
        .collect();
    assert_eq!(described, there);
    for row in TABLE {
        let one = &told["paths"][row.path][row.method.name().to_lowercase()];
        let wanted = match row.need {
            Need::Nothing => json!([]),
            Need::Key => json!([{ "key": [] }]),
            Need::Token => json!([{ "token": [] }]),
            Need::Scope(scopes) => {
                json!(
                    scopes
                        .iter()
                        .map(|scope| json!({ "token": [scope.word()] }))
                        .collect::<Vec<_>>()
                )
            }
        };
        assert_eq!(one["security"], wanted, "{} {}", row.method.name(), row.path);
        assert!(one["summary"].is_string() && one["operationId"].is_string());
        // Everything that is posted may be posted again by its key.
        let parameters = one["parameters"].to_string();
        assert_eq!(
            parameters.contains("IdempotencyKey"),
            row.method == Method::Post,
            "{}",
            row.path
        );
    }
}

#[test]
fn each_reference_leads_somewhere_and_each_schema_is_used() {
    let told = description();
    let text = told.to_string();
    let mut used = BTreeSet::new();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let pointer = reference
            .split('"')
            .next()
            .unwrap()
            .strip_prefix('#')
            .expect("within the file");
        assert!(told.pointer(pointer).is_some(), "{pointer}");
        used.insert(pointer.to_owned());
    }
    for kind in ["schemas", "responses", "parameters"] {
        for name in told["components"][kind].as_object().unwrap().keys() {
            assert!(used.contains(&format!("/components/{kind}/{name}")), "{kind} {name}");
        }
    }
}

/// True if a value is of a schema, as far as ours say something.
fn fits(all: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(all, all.pointer(&reference[1..]).unwrap(), value);
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        return Err(format!("{value} is no {kinds:?}"));
    }
    if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
        return Err(format!("{value} is none of {words:?}"));
    }
    if let (Some(items), Value::Array(values)) = (schema.get("items"), value) {
        values.iter().try_for_each(|value| fits(all, items, value))?;
    }
    if let Value::Object(fields) = value {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap()) {
                return Err(format!("{name} is missing in {value}"));
            }
        }
        for (name, value) in fields {
            let property = &schema["properties"][name];
            if property.is_null() {
                return Err(format!("{name} is not described"));
            }
            fits(all, property, value).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    Ok(())
}

#[test]
fn what_is_answered_is_as_described() {
    let all = description();
    let check = |name: &str, value: &Value| {
        let schema = &all["components"]["schemas"][name];
        assert!(!schema.is_null(), "{name}");
        fits(&all, schema, value).unwrap_or_else(|why| panic!("{name}: {why}: {value}"));
    };
    let mut pair = Pair::with(
        "  turn: { urls: [ \"stun:t.example\", \"turn:t.example\" ], secret: shared }\n  per_client: 1000\n",
    );
    let token = pair.bench.post("/v1/tokens", ACME, &json!({ "identity": "carol" }));
    check("Token", &body(&token));
    check("TurnKeys", &body(&pair.bench.get("/v1/turn", &pair.alice)));
    let call = pair.ring();
    check("Incoming", &pair.bench.only(pair.to_bob, "call.incoming"));
    check("Call", &body(&pair.bench.get(&call, &pair.bob)));
    pair.bench
        .post(&format!("{call}/accept"), &pair.bob, &json!({ "answer": ANSWER }));
    check("Accepted", &pair.bench.only(pair.to_alice, "call.accepted"));
    check("Accepted", &pair.bench.only(pair.to_bob, "call.accepted"));
    let one = json!({ "candidate": "a", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "x" });
    pair.bench.post(
        &format!("{call}/candidates"),
        &pair.bob,
        &json!({ "candidates": [one] }),
    );
    check("CandidatesEvent", &pair.bench.only(pair.to_alice, "call.candidates"));
    pair.bench
        .post(&format!("{call}/offer"), &pair.bob, &json!({ "offer": OFFER }));
    check("OfferEvent", &pair.bench.only(pair.to_alice, "call.offer"));
    pair.bench.post(
        &format!("{call}/answer"),
        &pair.alice,
        &json!({ "answer": ANSWER, "revision": 2 }),
    );
    check("AnswerEvent", &pair.bench.only(pair.to_bob, "call.answer"));
    pair.bench
        .post(&format!("{call}/hold"), &pair.bob, &json!({ "hold": true }));
    check("Updated", &pair.bench.only(pair.to_alice, "call.updated"));
    pair.bench
        .post(&format!("{call}/dtmf"), &pair.bob, &json!({ "digits": "1" }));
    check("DtmfEvent", &pair.bench.only(pair.to_alice, "call.dtmf"));
    check("Calls", &body(&pair.bench.get("/v1/calls", &pair.alice)));
    let again = pair.bench.listen(&pair.alice, None);
    check("Ready", &pair.bench.only(again, "ready"));
    pair.bench.post(&format!("{call}/hangup"), &pair.bob, &Value::Null);
    check("Ended", &pair.bench.only(pair.to_alice, "call.ended"));
    check("Problem", &body(&pair.bench.get(&call, &pair.alice)));
    check("Problems", &body(&pair.bench.get("/v1/problems", "")));
}

#[test]
fn every_problem_is_named() {
    let told = description();
    let names: BTreeSet<&str> = problem::ALL.map(|kind| kind.words().1).into();
    let words = told["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
        .as_array()
        .unwrap();
    let described: BTreeSet<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
    let there: BTreeSet<String> = names.iter().map(|name| format!("/v1/problems#{name}")).collect();
    assert_eq!(described, there.iter().map(String::as_str).collect());
}
